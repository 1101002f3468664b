import assert from "node:assert/strict";
import { readCertificates } from "../x509/bundle.ts";
import { readCertificate } from "../x509/certificate.ts";
import { prepareCertificate } from "../x509/write.ts";
import { derOf, explicit, octetString, oid, sequence, setOf } from "../asn1/der.ts";
import { Oid } from "../asn1/oids.ts";
import { encodeHash } from "../keys/algorithm.ts";
import { withMlDsa } from "../keys/ml_dsa.ts";
import { mlDsaKey, signBytes } from "../../tests/fixtures/keys.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { cmsSigner, signCms } from "../../tests/fixtures/signed_files.ts";
import { readSignedData } from "./read.ts";
import { verifyCms } from "./verify.ts";
import { prepareSignedData } from "./write.ts";

const content = new TextEncoder().encode("Technical Sanction 42");
const read = (name: string) =>
  Deno.readFile(new URL(`../../tests/fixtures/ml_dsa/${name}`, import.meta.url));
const unPem = (pem: Uint8Array) =>
  Uint8Array.fromBase64(new TextDecoder().decode(pem).replace(/-----.*-----/g, ""));

/** The only signer's status and codes of findings. */
const judge = (cms: Uint8Array, certificates: Uint8Array[] = []) =>
  withMlDsa(() => {
    const [{ status, findings }] = verifyCms(cms, { certificates }).signers;
    return [status, ...findings.map(({ code }) => code)];
  });

Deno.test("RFC 9882's example is valid, and no byte of it that is signed can be changed", async () => {
  const cms = unPem(await read("rfc9882_signed_data.p7m.pem"));
  const [{ sid, signature }] = readSignedData(cms).signers;
  assert.ok("serialNumber" in sid);
  // Its certificate is RFC 9881's ML-DSA-44 one, whose key is that of the seed 00 01 02 ... 1f.
  const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
  const key = mlDsaKey("ml-dsa-44", seed);
  const [other] = readCertificates(await read("rfc9881_ml_dsa_65.crt.pem")).map((each) =>
    readCertificate(each)
  );
  const certificate = prepareCertificate({
    ...other,
    serialNumber: sid.serialNumber,
    issuer: sid.issuer,
    subject: sid.issuer,
    publicKey: key.publicKey,
    algorithm: key.algorithm,
    extensions: [],
  }).complete(new Uint8Array(1));
  assert.deepEqual(await judge(cms, [certificate]), ["valid", "signing_certificate_absent"]);

  const [{ children }] = readSignedData(cms).signerInfos.children;
  const [, , digestAlgorithm, attributes, signatureAlgorithm] = children;
  // The parts are views of the CMS.
  const refuseChanges = async (part: Uint8Array, step: number) => {
    for (let at = 0; at < part.length; at += step) {
      part[at] ^= 1;
      const [status] = await judge(cms, [certificate]).catch(({ code }) => [code]);
      assert.notEqual(status, "valid", `byte ${at} of ${part.length}`);
      part[at] ^= 1;
    }
  };
  await refuseChanges(digestAlgorithm.bytes, 1);
  await refuseChanges(attributes.bytes, 1);
  await refuseChanges(signatureAlgorithm.bytes, 1);
  await refuseChanges(signature, 53);
  await refuseChanges(readSignedData(cms).content![0], 1);
});

const { officers } = makePki({
  officers: [
    { name: "A. Basu", key: "ml-dsa-44" },
    { name: "B. Chanda", key: "ml-dsa-65" },
    { name: "C. Das", key: "ml-dsa-87" },
  ],
});

for (const officer of officers) {
  const { scheme } = officer.key.algorithm;
  Deno.test(`a CMS signature by ${scheme} signs its own algorithms and fits the space kept for it`, async () => {
    const prepared = prepareSignedData({ content }, cmsSigner(officer));
    const cms = prepared.complete(signBytes(officer.key, prepared.toBeSigned));
    assert.equal(cms.length, prepared.maxLength);
    assert.ok(prepared.toBeSigned.length < 512);
    assert.deepEqual(await judge(cms), ["valid"]);
    assert.deepEqual(await judge(signCms(officer, { content })), ["valid"]);

    // Another digest algorithm, though no weaker one, is not what was signed (RFC 6211).
    const [{ children: [version, sid, , ...rest] }] = readSignedData(cms).signerInfos.children;
    const forged = withSigner(cms, [
      version.bytes,
      sid.bytes,
      encodeHash("SHA-384"),
      ...rest.map(derOf),
    ]);
    assert.ok((await judge(forged)).includes("algorithm_protection_mismatch"));
  });
}

Deno.test("a digest that is weaker than the ML-DSA key is told", async () => {
  const codes = [];
  for (const officer of officers) {
    const algorithm = { ...officer.key.algorithm, hash: "SHA-256" as const };
    const prepared = prepareSignedData({ content }, { ...cmsSigner(officer), algorithm });
    codes.push(await judge(prepared.complete(signBytes(officer.key, prepared.toBeSigned))));
  }
  const told = ["valid", "digest_weaker"];
  assert.deepEqual(codes, [["valid"], told, told]);
});

Deno.test("ML-DSA without signed attributes is over the content, whatever its digest algorithm", async () => {
  const [officer] = officers;
  const cms = signCms(officer, { content });
  const [{ children: [version, sid, , , algorithm] }] = readSignedData(cms).signerInfos.children;
  const bare = withSigner(cms, [
    version.bytes,
    sid.bytes,
    sequence(oid("2.16.840.1.101.3.4.2.12")), // SHAKE256
    algorithm.bytes,
    octetString(officer.key.sign!(content)),
  ]);
  assert.deepEqual(await judge(bare), [
    "valid",
    "signed_attributes_absent",
    "signing_certificate_absent",
  ]);
});

/** The same CMS with another SignerInfo. */
function withSigner(cms: Uint8Array, signerInfo: Uint8Array[]): Uint8Array {
  const { children } = readSignedData(cms).node;
  const fields = children.slice(0, -1).map(derOf);
  const signedData = sequence(...fields, setOf([sequence(...signerInfo)]));
  return sequence(oid(Oid.signedData), explicit(0, signedData));
}
