/** Files made with fixed keys: the bytes we make do not change unnoticed. */
import assert from "node:assert/strict";
import { goldenCms, goldenContent } from "../../tests/fixtures/golden_cms.ts";
import { readGolden } from "../../tests/fixtures/golden_signers.ts";
import { attributeValues, readSignedData, readSignerInfo } from "./read.ts";
import { verifyCms } from "./verify.ts";
import { Oid } from "../asn1/oids.ts";
import { verifySignature } from "../x509/signature.ts";

/** The signature value that was added last. */
function lastSignature(bytes: Uint8Array): Uint8Array {
  const signer = readSignedData(bytes).signers.at(-1)!;
  const [counter] = attributeValues(signer.unsignedAttributes, Oid.countersignature);
  return counter ? readSignerInfo(counter).signature : signer.signature;
}

for (const { file, signer, prepare } of goldenCms) {
  Deno.test(`golden CMS: ${file}`, () => {
    const golden = readGolden(file);
    const prepared = prepare();
    const signature = lastSignature(golden);
    const { certificate, algorithm } = signer;
    assert.ok(verifySignature(certificate, algorithm, { message: prepared.toBeSigned }, signature));
    assert.equal(prepared.complete(signature).toHex(), golden.toHex());
    const detached = file.includes("detached") ? { content: goldenContent } : undefined;
    for (const { status, countersignatures } of verifyCms(golden, { detached }).signers) {
      assert.equal(status, "valid");
      for (const counter of countersignatures) assert.equal(counter.status, "valid");
    }
    // RSASSA-PKCS1-v1_5 is deterministic, so that even the signature must come out the same.
    if (algorithm.scheme === "RSASSA-PKCS1-v1_5") {
      assert.equal(signer.sign(prepared).toHex(), golden.toHex());
    }
  });
}
