import assert from "node:assert/strict";
import { goldenContent } from "../../tests/fixtures/golden_cms.ts";
import { goldenSigner, readGolden } from "../../tests/fixtures/golden_signers.ts";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import {
  addUnsignedAttributes,
  addValidationData,
  encodeAttribute,
  prepareCosignature,
} from "./add.ts";
import { archiveImprint, prepareArchiveTimestamp } from "./archive.ts";
import { attributeValues, readSignedData } from "./read.ts";
import { verifyCms } from "./verify.ts";
import { prepareSignedData } from "./write.ts";
import { integer, octetString, oid, sequence } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";
import { Oid } from "../asn1/oids.ts";

const [rsa, ec] = [goldenSigner("rsa"), goldenSigner("ec")];

// Any SEQUENCE does: what is added is checked by those who use it.
const crl = sequence(integer(1));
const ocsp = sequence(integer(2));
/** Stands for a token of a timestamping service: a SignedData with one signer. */
const token = rsa.sign(prepareSignedData({ digest: new Uint8Array(32) }, rsa));

function refused(code: FormatErrorCode, body: () => unknown) {
  assert.throws(body, (error) => error instanceof FormatError && error.code === code);
}

/** The archive timestamps of the first signer, checked against their imprints. */
function imprints(bytes: Uint8Array, contentDigest?: Uint8Array): Uint8Array[] {
  const cms = readSignedData(bytes);
  const [signer] = cms.signers;
  return attributeValues(signer.unsignedAttributes, Oid.archiveTimestampV3).map((value) =>
    archiveImprint(cms, signer, value.bytes, "SHA-256", contentDigest)
  );
}

Deno.test("validation data is added only once, and OpenSSL still accepts the signature", () =>
  inTempDir(async (dir) => {
    const before = readGolden("rsa_attached.p7s");
    const data = { certificates: [ec.certificate, rsa.certificate], ocspResponses: [ocsp, ocsp] };
    const once = addValidationData(before, data);
    assert.deepEqual(addValidationData(once, data), once);
    const both = addValidationData(once, { crls: [crl] });
    const cms = readSignedData(both);
    assert.equal(cms.version, 5);
    assert.deepEqual(cms.ocspResponses, [ocsp]);
    assert.deepEqual(cms.crls, [crl]);
    assert.deepEqual(cms.certificates, [rsa.certificate, ec.certificate]);
    assert.deepEqual(cms.signers[0].node.bytes, readSignedData(before).signers[0].node.bytes);
    assert.equal(verifyCms(both).signers[0].status, "valid");
    await Deno.writeFile(`${dir}/cms`, once);
    await openssl([
      ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", `${dir}/cms`],
      ...["-CAfile", rsa.certificateFile, "-purpose", "any"],
    ]);
  }));

Deno.test("the imprint follows EN 319 122-1 §5.5.3, piece by piece", () => {
  const cms = readSignedData(readGolden("rsa_attached.p7s"));
  const [signer] = cms.signers;
  const hash = (...pieces: Uint8Array[]) => digest("SHA-256", ...pieces);
  const index = sequence(
    sequence(oid("2.16.840.1.101.3.4.2.1")),
    sequence(octetString(hash(rsa.certificate))),
    sequence(),
    sequence(),
  );
  const prepared = prepareArchiveTimestamp(readGolden("rsa_attached.p7s"), 0, "SHA-256");
  assert.deepEqual(
    prepared.imprint,
    hash(oid(Oid.data), hash(goldenContent), signer.node.content, index),
  );
});

for (const file of ["rsa_attached.p7s", "ec384_detached.p7s"]) {
  Deno.test(`archive timestamps one after another, with later additions: ${file}`, () => {
    const given = file.includes("detached") ? digest("SHA-256", goldenContent) : undefined;
    const stamped = addUnsignedAttributes(readGolden(file), [0], [
      encodeAttribute(Oid.signatureTimestamp, token),
    ]);
    const longTerm = addValidationData(stamped, { crls: [crl], ocspResponses: [ocsp] });
    const first = prepareArchiveTimestamp(longTerm, 0, "SHA-256", given);
    const archived = first.complete(token);
    assert.deepEqual(imprints(archived, given), [first.imprint]);

    // Later: more revocation information, another timestamp, another signer.
    const more = addValidationData(archived, { crls: [sequence(integer(3))] });
    const second = prepareArchiveTimestamp(more, 0, "SHA-256", given);
    const again = second.complete(token);
    const cosigned = ec.sign(
      prepareCosignature(again, ec, {}, given && { digest: digest("SHA-256", goldenContent) }),
    );
    assert.deepEqual(imprints(cosigned, given), [first.imprint, second.imprint]);

    // Anything covered that changes or goes makes it wrong.
    const without = ec.sign(prepareSignedData({ content: goldenContent }, ec));
    const [{ bytes }] = attributeValues(
      readSignedData(archived).signers[0].unsignedAttributes,
      Oid.archiveTimestampV3,
    );
    const other = readSignedData(without);
    refused("signature_mismatch", () => archiveImprint(other, other.signers[0], bytes, "SHA-256"));
    if (given) refused("invalid_argument", () => imprints(archived));
  });
}

Deno.test("an archive timestamp without its index is malformed", () => {
  const cms = readSignedData(readGolden("rsa_attached.p7s"));
  const [signer] = cms.signers;
  const broken = addUnsignedAttributes(token, [0], [encodeAttribute(Oid.atsHashIndexV3, crl)]);
  for (const wrong of [token, broken, crl]) {
    refused("timestamp_malformed", () => archiveImprint(cms, signer, wrong, "SHA-256"));
  }
  refused("not_found", () => prepareArchiveTimestamp(readGolden("rsa_attached.p7s"), 1, "SHA-256"));
});
