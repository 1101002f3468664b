/** Mutated revocation lists. */
import assert from "node:assert/strict";
import { readCrl } from "../../formats/x509/crl.ts";
import { validateCertificate } from "../../formats/x509/path.ts";
import { attempt } from "./attempt.ts";
import { certificate, judged, lists, pki, serialNumber } from "./der_files.ts";

export { words } from "./der_files.ts";

/** Those of the authorities above the one that issued the certificate. */
const others = lists.slice(0, 2).map(readCrl);

export const seeds = (): Promise<Uint8Array[]> => Promise.resolve(lists);

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  const crl = attempt(() => readCrl(bytes));
  if (!crl) return;
  attempt(() => crl.find(pki.subCa.certificate.subject, serialNumber));
  const { trusted } = validateCertificate(certificate, { ...judged, crls: [...others, crl] });
  assert.ok(!trusted, "good by a list that says it is revoked");
}
