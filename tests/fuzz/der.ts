/** Mutated certificates. */
import assert from "node:assert/strict";
import { readAsn1 } from "../../formats/asn1/read.ts";
import { readCertificate, sameBytes } from "../../formats/x509/certificate.ts";
import { readCrl } from "../../formats/x509/crl.ts";
import { indiaFacts } from "../../formats/x509/india.ts";
import { validateCertificate } from "../../formats/x509/path.ts";
import { attempt } from "./attempt.ts";
import { judged, lists, pki } from "./der_files.ts";

export { words } from "./der_files.ts";

const crls = lists.map(readCrl);
const honest = [
  ...pki.officers.map(({ certificate }) => certificate.der),
  ...pki.officers[0].chain,
  pki.timestampAuthority.certificate.der,
];

export const seeds = (): Promise<Uint8Array[]> => Promise.resolve(honest);

/** @throws whatever no reader may throw */
export function exercise(bytes: Uint8Array): void {
  attempt(() => readAsn1(bytes, { ber: true }));
  const read = attempt(() => readCertificate(bytes));
  if (!read) return;
  indiaFacts(read);
  const intermediates = [...judged.intermediates, read];
  const { trusted } = validateCertificate(read, { ...judged, intermediates, crls });
  assert.ok(!trusted || honest.some((each) => sameBytes(each, read.der)), "changed, and trusted");
}
