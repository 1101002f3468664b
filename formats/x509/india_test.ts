import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { indiaFacts, panMatches } from "./india.ts";
import { certificatePolicies } from "../../tests/fixtures/extensions.ts";
import { issue } from "../../tests/fixtures/issue.ts";

const certificate = (serialNumber: string | undefined, ...policies: string[]) =>
  issue({
    subject: [["CN", "A"], ...(serialNumber ? [["serialNumber", serialNumber] as const] : [])]
      .map(([type, text]) => [type, text] as ["CN" | "serialNumber", string]),
    notBefore: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2027-01-01T00:00:00Z"),
    key: "p-256",
    extensions: policies.length > 0 ? [certificatePolicies(...policies)] : [],
  }).certificate;

Deno.test("a certificate's class and kind come from its policies", () => {
  assert.deepEqual(indiaFacts(certificate(undefined, "2.16.356.100.2.2", "2.16.356.100.2.3")), {
    class: 3,
    kind: "token_dsc",
    eKyc: undefined,
    hasPanHash: false,
  });
  const eSign = indiaFacts(certificate(undefined, "2.16.356.100.2.4.1"));
  assert.deepEqual([eSign.kind, eSign.eKyc, eSign.class], ["esign", "otp", undefined]);
  assert.equal(indiaFacts(certificate(undefined, "2.16.356.100.10.1")).kind, "document_signer");
  assert.equal(indiaFacts(certificate(undefined)).kind, "unknown");
  assert.equal(indiaFacts(certificate(undefined, "1.2.3")).kind, "unknown");
  assert.equal(indiaFacts(certificate(undefined, "1.2.3"), ["1.2.3"]).kind, "departmental");
});

Deno.test("a PAN matches by its SHA-256, whatever its case", () => {
  const hash = createHash("sha256").update("ABCPE1234F").digest("hex");
  assert.equal(panMatches(certificate(hash), " abcpe1234f "), true);
  assert.equal(panMatches(certificate(hash.toUpperCase()), "ABCPE1234F"), true);
  assert.equal(panMatches(certificate(hash), "ABCPE1234G"), false);
  assert.equal(panMatches(certificate("12345"), "ABCPE1234F"), undefined);
  assert.equal(panMatches(certificate(undefined), "ABCPE1234F"), undefined);
});
