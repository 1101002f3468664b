import assert from "node:assert/strict";
import { verifyCms } from "../formats/cms/verify.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { concat } from "../formats/asn1/der.ts";
import { digest } from "../formats/digest.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { attachContent } from "./attach.ts";

Deno.test("a detached signature with its content put in is the attached signature", () => {
  const { officers: [officer] } = makePki({ officers: [{ name: "Anita" }] });
  const signer = {
    certificate: officer.certificate.der,
    chain: officer.chain,
    algorithm: officer.key.algorithm,
  };
  for (const length of [0, 1, 127, 128, 65_535, 100_000]) {
    const content = new Uint8Array(length).fill(7);
    const attached = prepareSignedData({ content }, signer);
    const detached = prepareSignedData({ digest: digest("SHA-256", content) }, signer);
    const signature = signBytes(officer.key, detached.toBeSigned);
    const [head, tail] = attachContent(detached.complete(signature), length);
    const joined = concat(head, content, tail);
    assert.equal(joined.toHex(), attached.complete(signature).toHex());
    assert.equal(verifyCms(joined).signers[0].status, "valid");
  }
});

Deno.test("content over 4 GiB gets correct DER lengths", () => {
  const { officers: [officer] } = makePki({ officers: [{ name: "Anita" }] });
  const signer = {
    certificate: officer.certificate.der,
    chain: [],
    algorithm: officer.key.algorithm,
  };
  const detached = prepareSignedData({ digest: new Uint8Array(32) }, signer);
  const [head] = attachContent(detached.complete(new Uint8Array(256)), 2 ** 33);
  assert.equal(head.toHex().endsWith("04850200000000"), true);
});
