/** A client's request for authorization, for the rules and for people. */
import { OIDS } from "../protocol/csc.ts";
import { checkHashes } from "./algorithms.ts";
import { type Binding, RULES } from "./authorize.ts";
import { CscError } from "./error.ts";
import type { Facts } from "./rows.ts";

/** @throws {CscError} `too_many_signatures`, `hash_length`, `hash_algorithm_invalid` */
export function bind({ hashes, hashAlgorithmOID = OIDS.sha256, numSignatures }: {
  hashes: string[];
  hashAlgorithmOID?: string;
  numSignatures: number;
}): Binding {
  if (numSignatures < hashes.length || numSignatures > RULES.signatures) {
    throw new CscError("too_many_signatures");
  }
  checkHashes(hashes, hashAlgorithmOID);
  return { hashes, hashAlgorithm: hashAlgorithmOID, signatures: numSignatures };
}

/**
 * One line of what others wrote: no line breaks, and nothing that cannot be seen, as what turns a text around, but the joiners
 * that Indian scripts need.
 */
export function plainLine(text: string): string {
  return text.replace(/(?:(?![\u200c\u200d])[\p{Cc}\p{Cf}\u2028\u2029])+/gu, " ").trim();
}

/** The description is what people are shown as the purpose, and consent to. */
export function facts(
  description: string | undefined,
  documents: number,
  labels?: string[],
): Facts {
  const purpose = plainLine(description ?? "") || "—";
  return {
    purpose,
    labels: labels?.map(plainLine) ??
      Array.from({ length: documents }, (_, i) => `${purpose} (${i + 1})`),
  };
}
