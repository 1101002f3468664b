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

/** The description is what people are shown as the purpose. */
export function facts(
  description: string | undefined,
  documents: number,
  labels?: string[],
): Facts {
  return {
    purpose: description ?? "—",
    labels: labels ??
      Array.from({ length: documents }, (_, i) => `${description ?? "—"} (${i + 1})`),
  };
}
