import assert from "node:assert/strict";
import { prepareCertificate } from "./write.ts";
import { octetString } from "../asn1/der.ts";
import { encodeName, readName } from "./name.ts";
import { readCertificate, signingUse } from "./certificate.ts";
import { keyPurposes } from "./extensions.ts";
import {
  type Extension,
  extension,
  extKeyUsage,
  keyUsage,
} from "../../tests/fixtures/extensions.ts";
import { assertDamageIsTold } from "../../tests/fixtures/damage.ts";
import { issue } from "../../tests/fixtures/issue.ts";
import { makeKey } from "../../tests/fixtures/keys.ts";
import { makePki } from "../../tests/fixtures/pki.ts";

const start = new Date("2026-01-01T00:00:00Z");
const middle = new Date("2026-06-01T00:00:00Z");
const end = new Date("2027-01-01T00:00:00Z");
const key = makeKey("p-256");

const make = (...extensions: Extension[]) =>
  issue({ subject: [["CN", "A"]], notBefore: start, notAfter: end, key, extensions })
    .certificate;

Deno.test("a certificate keeps its bytes and says what is in it", () => {
  const { officers: [officer], subCa } = makePki({
    officers: [{ name: "দীপা, সেন", key: "p-384" }],
  });
  const { certificate } = officer;
  assert.equal(certificate.subject.commonName, "দীপা, সেন");
  assert.ok(certificate.subject.toString().startsWith("CN=দীপা\\, সেন,serialNumber="));
  assert.ok(certificate.subject.toString().endsWith(",O=Government of West Bengal (TEST),C=IN"));
  assert.ok(certificate.issuer.equals(subCa.certificate.subject));
  assert.deepEqual(certificate.authorityKeyIdentifier, subCa.certificate.subjectKeyIdentifier);
  assert.deepEqual([certificate.publicKey.type, certificate.publicKey.curve], ["ec", "P-384"]);
  assert.equal(subCa.certificate.publicKey.bits, 2048);
  assert.deepEqual(subCa.certificate.basicConstraints, { ca: true, pathLength: 0 });
  assert.match(certificate.fingerprint, /^[0-9a-f]{64}$/);
  assert.equal(certificate.fingerprint, certificate.fingerprint);
});

Deno.test("names compare without case, spacing and string type (RFC 5280 §7.1)", () => {
  const name = (text: string) => readName(encodeName([["C", "IN"], ["O", text]]));
  assert.ok(name("Finance  Department ").equals(name("FINANCE department")));
  assert.ok(name("É").equals(name("é")));
  assert.ok(!name("Finance").equals(name("Finances")));
  assert.ok(name("Finance").isWithin(readName(encodeName([["C", "IN"]]))));
  assert.ok(!readName(encodeName([["C", "IN"]])).isWithin(name("Finance")));
  assert.equal(name(" a+b\u202e").toString(), "O=\\ a\\+b\\e2\\80\\ae,C=IN");
});

Deno.test("certificates may sign documents only by key usage, purpose and validity", () => {
  const reason = (...extensions: Extension[]) => signingUse(make(...extensions), middle).reason;
  assert.equal(reason(), undefined);
  assert.equal(reason(keyUsage("digitalSignature")), undefined);
  assert.equal(reason(keyUsage("keyEncipherment")), "encryption_only");
  assert.equal(reason(keyUsage("nonRepudiation"), extKeyUsage([keyPurposes.any])), undefined);
  assert.equal(reason(extKeyUsage([keyPurposes.timeStamping])), "not_for_documents");
  assert.equal(signingUse(make(), new Date(0)).reason, "certificate_not_yet_valid");
  assert.equal(signingUse(make(), new Date("2028-01-01")).reason, "certificate_expired");
});

Deno.test("damaged certificates give a FormatError or another certificate, nothing else", () => {
  const { der } = make(keyUsage("digitalSignature"), extKeyUsage([keyPurposes.clientAuth]));
  assertDamageIsTold(der, readCertificate);
});

Deno.test("a repeated extension is refused, and a malformed optional one counts as absent", () => {
  const usage = keyUsage("digitalSignature");
  assert.throws(() => make(usage, usage), { code: "certificate_malformed" });
  assert.throws(
    () => make(extension("2.5.29.15", octetString(new Uint8Array(3)))),
    { code: "certificate_malformed" },
  );
  const odd = make(extension("1.3.6.1.5.5.7.1.1", octetString(new Uint8Array(3))));
  assert.deepEqual(odd.ocspUrls, []);
});

Deno.test("a certificate that names two signature algorithms is refused", () => {
  const name = encodeName([["CN", "A"]]);
  const fields = {
    serialNumber: Uint8Array.of(1),
    issuer: name,
    subject: name,
    notBefore: start,
    notAfter: end,
    publicKey: key.publicKey,
    extensions: [],
  };
  const one = prepareCertificate({ ...fields, algorithm: { scheme: "ECDSA", hash: "SHA-256" } });
  const two = prepareCertificate({ ...fields, algorithm: { scheme: "ECDSA", hash: "SHA-384" } });
  const mixed = two.complete(new Uint8Array(70));
  mixed.set(one.toBeSigned, mixed.length - two.toBeSigned.length - 85);
  assert.throws(() => readCertificate(mixed), /two different signature algorithms/);
});
