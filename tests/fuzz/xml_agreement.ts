/** Compares our reading of changed signed XML with libxml2's and, if asked for, xmlsec1's. */
import { createHash } from "node:crypto";
import { FormatError } from "../../formats/error.ts";
import { canonicalizeXml } from "../../formats/xml/c14n.ts";
import { parseXml } from "../../formats/xml/document.ts";
import { isSignature } from "../../formats/xml/reference.ts";
import { verifyXml } from "../../formats/xml/xades_verify.ts";
import { libxml2WithoutSignatures } from "../fixtures/libxml2.ts";
import { xmlsec1Verify } from "../fixtures/xmlsec1.ts";
import { mutant, type Seeds } from "./xml_mutants.ts";

const EXCLUSIVE = { kind: "exclusive", withComments: false } as const;
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** @returns the disagreement; null if there is none */
export function disagreement(seeds: Seeds, index: number): string | null {
  const text = mutant(seeds, index);
  const ours = digestOf(text);
  const theirs = libxml2WithoutSignatures(text, EXCLUSIVE);
  if (theirs === null || ours === (theirs === undefined ? "not well-formed" : sha256(theirs))) {
    return null;
  }
  return `mutant ${index}: ours ${ours}, libxml2 ${theirs}\n${text}`;
}

function digestOf(text: string): string {
  try {
    const { tree, root } = parseXml(new TextEncoder().encode(text));
    if (isSignature(root)) return sha256("");
    return sha256(canonicalizeXml(tree, { ...EXCLUSIVE, omit: isSignature }));
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return "not well-formed";
  }
}

/** The same with xmlsec1: what passes here passes there, and nothing that passes there is wrong here. */
export async function xmlsec1Disagreement(seeds: Seeds, index: number): Promise<string | null> {
  const bytes = new TextEncoder().encode(mutant(seeds, index));
  let problems: string[] = ["not read"];
  let passes = false;
  try {
    const found = verifyXml(bytes);
    if (found.length !== 1) return null;
    problems = found[0].problems;
    passes = problems.length === 0 && !found[0].holdsUnsigned;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  const fault = await xmlsec1Verify(bytes, null);
  const isWrong = problems.includes("content_changed") || problems.includes("signature_wrong");
  const agrees = passes ? fault === null : fault !== null || !isWrong;
  return agrees ? null : `mutant ${index}: ours [${problems}], xmlsec1 ${fault}`;
}
