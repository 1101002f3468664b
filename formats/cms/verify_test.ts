import assert from "node:assert/strict";
import fc from "fast-check";
import { goldenCms, goldenContent } from "../../tests/fixtures/golden_cms.ts";
import { goldenSigner, readGolden } from "../../tests/fixtures/golden_signers.ts";
import { type Asn1Node, constructedTag, Tag } from "../asn1/read.ts";
import {
  addUnsignedAttributes,
  encodeAttribute,
  prepareCosignature,
  prepareCountersignature,
} from "./add.ts";
import type { CmsFindingCode } from "./findings.ts";
import { readSignedData } from "./read.ts";
import { digestsNeeded, type SignerResult, verifyCms } from "./verify.ts";
import { prepareSignedData } from "./write.ts";
import {
  concat,
  explicit,
  generalizedTime,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  tlv,
} from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError, type FormatErrorCode } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import { encodeHash, encodeSignatureAlgorithm } from "../keys/algorithm.ts";
import type { HashName } from "../signer.ts";
import { readCertificate } from "../x509/certificate.ts";

const rsa = goldenSigner("rsa");
const ec = goldenSigner("ec");

function refused(code: FormatErrorCode, body: () => unknown) {
  assert.throws(body, (error) => error instanceof FormatError && error.code === code);
}

const codes = (signer: SignerResult): CmsFindingCode[] => signer.findings.map(({ code }) => code);

/** Builds a CMS by hand, so that it can be wrong. */
function forge(options: {
  attributes?: readonly Uint8Array[];
  contentType?: string;
  content?: Uint8Array;
  hash?: HashName;
  digestAlgorithm?: Uint8Array;
  certificates?: readonly Uint8Array[];
  sid?: Uint8Array;
}): Uint8Array {
  const { content = goldenContent, hash = "SHA-256", attributes, contentType = Oid.data } = options;
  const { certificate } = rsa;
  const signer = goldenSigner("rsa", { scheme: "RSASSA-PKCS1-v1_5", hash });
  const { issuer, serialNumber } = readCertificate(certificate);
  // Signed in the order of DER, sent as they come (§5.4).
  const signed = attributes && setOf(attributes);
  const signature = signer.signMessage(signed ?? content);
  const algorithm = options.digestAlgorithm ?? encodeHash(hash);
  const info = sequence(
    integer(1),
    options.sid ?? sequence(issuer.der, tlv(Tag.INTEGER, serialNumber)),
    algorithm,
    ...(attributes ? [tlv(constructedTag(0), ...attributes)] : []),
    encodeSignatureAlgorithm(signer.algorithm),
    octetString(signature),
  );
  return sequence(
    oid(Oid.signedData),
    explicit(
      0,
      sequence(
        integer(1),
        setOf([algorithm]),
        sequence(oid(contentType), explicit(0, octetString(content))),
        setOf(options.certificates ?? [certificate], constructedTag(0)),
        setOf([info]),
      ),
    ),
  );
}

const attribute = {
  type: encodeAttribute(Oid.contentType, oid(Oid.data)),
  digest: encodeAttribute(Oid.messageDigest, octetString(digest("SHA-256", goldenContent))),
  certificate: encodeAttribute(
    Oid.signingCertificateV2,
    sequence(sequence(sequence(octetString(digest("SHA-256", rsa.certificate))))),
  ),
  time: encodeAttribute(Oid.signingTime, generalizedTime(new Date("2051-01-01"))),
};
const { type, digest: messageDigest, certificate } = attribute;

function assertFound(bytes: Uint8Array, status: SignerResult["status"], code?: CmsFindingCode) {
  const [signer] = verifyCms(bytes).signers;
  assert.equal(signer.status, status, JSON.stringify(signer.findings));
  if (code) assert.ok(codes(signer).includes(code), `${code} is not in ${codes(signer)}`);
  else assert.deepEqual(codes(signer), []);
}

Deno.test("attributes must follow RFC 5652 §5.3 and §11", () => {
  const check = (
    status: SignerResult["status"],
    code: CmsFindingCode | undefined,
    ...list: Uint8Array[]
  ) => assertFound(forge({ attributes: list }), status, code);
  check("valid", undefined, type, messageDigest, certificate, attribute.time);
  check("valid", "signing_certificate_absent", type, messageDigest);
  check("invalid", "attribute_missing", messageDigest, certificate);
  check("invalid", "attribute_missing", type, certificate);
  check("invalid", "attribute_repeated", type, type, messageDigest, certificate);
  check("invalid", "attribute_repeated", type, messageDigest, messageDigest, certificate);
  check("invalid", "attribute_repeated", type, messageDigest, attribute.time, attribute.time);
  check("invalid", "attribute_malformed", type, messageDigest, certificate, certificate);
  const twoValues = encodeAttribute(
    Oid.messageDigest,
    octetString(digest("SHA-256", goldenContent)),
    octetString(new Uint8Array(32)),
  );
  check("invalid", "attribute_repeated", type, twoValues);
  check("invalid", "attribute_repeated", type, encodeAttribute(Oid.messageDigest));
  check("invalid", "attribute_malformed", type, encodeAttribute(Oid.messageDigest, nullValue()));
  check(
    "invalid",
    "attribute_malformed",
    type,
    messageDigest,
    encodeAttribute(Oid.signingTime, nullValue()),
  );
  check(
    "invalid",
    "content_type_mismatch",
    encodeAttribute(Oid.contentType, oid(Oid.tstInfo)),
    messageDigest,
  );
  check(
    "invalid",
    "digest_mismatch",
    type,
    encodeAttribute(Oid.messageDigest, octetString(new Uint8Array(32))),
  );
});

Deno.test("the signing-certificate attributes, old and new form", () => {
  const { issuer, serialNumber } = readCertificate(rsa.certificate);
  const serial = (name: Uint8Array, number: Uint8Array) =>
    sequence(sequence(explicit(4, name)), tlv(Tag.INTEGER, number));
  const right = serial(issuer.der, serialNumber);
  const wrong = serial(issuer.der, Uint8Array.of(1));
  const v1 = (...rest: Uint8Array[]) =>
    encodeAttribute(
      Oid.signingCertificate,
      sequence(sequence(sequence(octetString(digest("SHA-1", rsa.certificate)), ...rest))),
    );
  const v2 = (hash: HashName, of: Uint8Array, ...rest: Uint8Array[]) =>
    encodeAttribute(
      Oid.signingCertificateV2,
      sequence(sequence(sequence(encodeHash(hash), octetString(digest(hash, of)), ...rest))),
    );
  for (
    const good of [
      v1(),
      v1(right),
      v2("SHA-384", rsa.certificate),
      v2("SHA-256", rsa.certificate, right),
    ]
  ) {
    assertFound(forge({ attributes: [type, messageDigest, good] }), "valid");
  }
  for (
    const bad of [v1(wrong), v2("SHA-512", ec.certificate), v2("SHA-256", rsa.certificate, wrong)]
  ) {
    assertFound(
      forge({ attributes: [type, messageDigest, bad] }),
      "invalid",
      "signing_certificate_mismatch",
    );
  }
  assertFound(
    forge({ attributes: [type, messageDigest, v1(), v2("SHA-256", ec.certificate)] }),
    "invalid",
    "signing_certificate_mismatch",
  );
  const empty = encodeAttribute(Oid.signingCertificateV2, sequence(sequence()));
  assertFound(
    forge({ attributes: [type, messageDigest, empty] }),
    "invalid",
    "attribute_malformed",
  );
});

Deno.test("algorithm protection (RFC 6211)", () => {
  const protect = (hash: HashName) =>
    encodeAttribute(
      Oid.cmsAlgorithmProtection,
      sequence(
        encodeHash(hash),
        tlv(0xa1, encodeSignatureAlgorithm(rsa.algorithm).subarray(2)),
      ),
    );
  const base = [type, messageDigest, certificate];
  assertFound(forge({ attributes: [...base, protect("SHA-256")] }), "valid");
  assertFound(
    forge({ attributes: [...base, protect("SHA-512")] }),
    "invalid",
    "algorithm_protection_mismatch",
  );
});

Deno.test("missing signed attributes are reported, and refused for other content types or content that looks like attributes", () => {
  assertFound(forge({}), "valid", "signed_attributes_absent");
  assertFound(forge({ contentType: Oid.tstInfo }), "invalid", "attribute_missing");
  // The signed attributes of a signature, passed off as content that was signed.
  const content = setOf([type, messageDigest]);
  assertFound(forge({ content }), "invalid", "signature_invalid");
});

Deno.test("weak and unknown algorithms are reported", () => {
  const sha1 = encodeAttribute(Oid.messageDigest, octetString(digest("SHA-1", goldenContent)));
  assertFound(forge({ hash: "SHA-1", attributes: [type, sha1] }), "valid", "weak_digest");
  const md5 = sequence(oid(Oid.md5), nullValue());
  const withMd5 = forge({ attributes: [type, messageDigest], digestAlgorithm: md5 });
  assertFound(withMd5, "indeterminate", "weak_digest");
  assertFound(withMd5, "indeterminate", "algorithm_unsupported");
  const differs = forge({
    attributes: [
      type,
      encodeAttribute(Oid.messageDigest, octetString(digest("SHA-512", goldenContent))),
    ],
    digestAlgorithm: encodeHash("SHA-512"),
  });
  assertFound(differs, "valid", "digest_algorithms_differ");
});

Deno.test("a certificate may be missing, have another key, be unreadable, or share its name", () => {
  const attributes = [type, messageDigest, certificate];
  assertFound(forge({ attributes, certificates: [] }), "indeterminate", "certificate_missing");
  assertFound(
    forge({ attributes, certificates: [ec.certificate] }),
    "indeterminate",
    "certificate_missing",
  );
  assertFound(
    forge({ attributes, certificates: [sequence(nullValue())] }),
    "indeterminate",
    "certificate_malformed",
  );
  const given = verifyCms(forge({ attributes, certificates: [] }), {
    certificates: [rsa.certificate],
  });
  assert.equal(given.signers[0].status, "valid");

  // Same issuer and serial number, other key: the attribute decides, else the key.
  const twin = rsa.certificate.slice();
  twin[twin.length - 1] ^= 1; // within the certificate's own signature, which we do not check
  assertFound(
    forge({ attributes, certificates: [twin] }),
    "invalid",
    "signing_certificate_mismatch",
  );
  assertFound(forge({ attributes, certificates: [twin, rsa.certificate] }), "valid");
  const byKey = tlv(0x80, readCertificate(rsa.certificate).subjectKeyIdentifier!);
  assertFound(forge({ attributes, sid: byKey }), "valid");
  assertFound(
    forge({ attributes, sid: tlv(0x80, new Uint8Array(20)) }),
    "indeterminate",
    "certificate_missing",
  );
});

Deno.test("a detached signature needs its content; content for an attached one is refused", () => {
  const bytes = readGolden("pss_detached.p7s");
  assert.deepEqual(codes(verifyCms(bytes).signers[0]), ["content_missing"]);
  assert.equal(verifyCms(bytes).signers[0].status, "indeterminate");
  assert.deepEqual(digestsNeeded(readSignedData(bytes)), ["SHA-256"]);
  const other = verifyCms(bytes, { detached: { content: new Uint8Array() } });
  assert.deepEqual(codes(other.signers[0]), ["digest_mismatch"]);
  refused(
    "invalid_argument",
    () => verifyCms(readGolden("rsa_attached.p7s"), { detached: { content: goldenContent } }),
  );
});

Deno.test("in a PDF only zeros may follow the signature", () => {
  const bytes = readGolden("rsa_attached.p7s");
  const padded = concat(bytes, new Uint8Array(100));
  refused("cms_malformed", () => verifyCms(padded));
  assert.equal(verifyCms(padded, { zeroPadded: true }).signers[0].status, "valid");
  padded[padded.length - 1] = 1;
  refused("cms_malformed", () => verifyCms(padded, { zeroPadded: true }));
});

/** The value, and those inside it. */
function tree(node: Asn1Node): Asn1Node[] {
  return [node, ...(node.constructed ? node.children.flatMap(tree) : [])];
}

/** All signers and countersignatures are valid, and there are as many as there should be. */
function allValid(signers: readonly SignerResult[]): number {
  return signers.reduce(
    (sum, signer) => sum + (signer.status === "valid" ? 1 : 0) + allValid(signer.countersignatures),
    0,
  );
}

for (const { file } of goldenCms) {
  Deno.test(`every changed byte is detected: ${file}`, () => {
    const bytes = readGolden(file);
    const detached = file.includes("detached") ? { content: goldenContent } : undefined;
    const cms = readSignedData(bytes);
    const expected = allValid(verifyCms(bytes, { detached }).signers);
    // No signature covers these parts (RFC 5652): versions, the list of digest algorithms, parameters that
    // mean nothing, and the spelling of the issuer's name (the signed attribute has the certificate).
    const infos = cms.signers.flatMap(({ node, unsignedNode }) => [
      node,
      ...unsignedNode?.children.map((counter) => counter.children[1].children[0]) ?? [],
    ]);
    const unbound = infos.flatMap((info) => [
      ...info.children.slice(0, 2),
      ...tree(info).filter(({ tag }) => tag === Tag.NULL),
    ]);
    const free = (at: number) =>
      at < cms.encapsulated.start || unbound.some(({ start, end }) => at >= start && at < end);
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] ^= at % 2 ? 0x01 : 0x20;
      let valid = 0;
      try {
        valid = allValid(verifyCms(changed, { detached }).signers);
      } catch (error) {
        assert.ok(error instanceof FormatError, `byte ${at}: ${error}`);
      }
      assert.ok(valid < expected || free(at), `byte ${at} of ${file} was changed unnoticed`);
    }
    for (let at = 0; detached && at < goldenContent.length; at++) {
      const content = goldenContent.slice();
      content[at] ^= 1;
      assert.equal(verifyCms(bytes, { detached: { content } }).signers[0].status, "invalid");
    }
  });
}

Deno.test("truncated and random data yield a typed error", () => {
  const bytes = readGolden("countersigned.p7s");
  const survives = (data: Uint8Array) => {
    try {
      verifyCms(data);
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
    }
  };
  for (let length = 0; length < bytes.length; length += 3) {
    refused("cms_malformed", () => verifyCms(bytes.subarray(0, length)));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), survives), { numRuns: 300 });
  const position = fc.nat(bytes.length - 1);
  fc.assert(
    fc.property(position, position, fc.uint8Array({ maxLength: 8 }), (from, to, replacement) => {
      survives(concat(bytes.subarray(0, from), replacement, bytes.subarray(to)));
    }),
    { numRuns: 300 },
  );
});

Deno.test("a signature that does not fit is not added", () => {
  const attached = readGolden("rsa_attached.p7s");
  const detached = readGolden("pss_detached.p7s");
  refused(
    "invalid_argument",
    () => prepareCosignature(attached, ec, {}, { content: goldenContent }),
  );
  refused("invalid_argument", () => prepareCosignature(detached, ec));
  refused(
    "signature_mismatch",
    () => prepareCosignature(detached, ec, {}, { content: new Uint8Array() }),
  );
  refused(
    "signature_mismatch",
    () => prepareCosignature(detached, ec, {}, { digest: new Uint8Array(32) }),
  );
  refused("invalid_argument", () => prepareSignedData({ digest: new Uint8Array(20) }, rsa));
  refused("not_found", () => prepareCountersignature(attached, [1], ec));
  refused("not_found", () => prepareCountersignature(attached, [], ec));
  refused("not_found", () => prepareCountersignature(attached, [0, 0], ec));
  refused("cms_malformed", () => prepareCosignature(nullValue(), ec));
  refused(
    "signature_mismatch",
    () => prepareSignedData({ content: goldenContent }, rsa).complete(new Uint8Array(257)),
  );
  const sealed = addUnsignedAttributes(attached, [0], [
    encodeAttribute(Oid.archiveTimestampV2, sequence()),
  ]);
  refused("document_locked", () => prepareCosignature(sealed, ec));
  rsa.sign(prepareCountersignature(sealed, [0], rsa)); // needs no further certificate
});

Deno.test("nested countersignatures are followed only to a limit", () => {
  let bytes = readGolden("rsa_attached.p7s");
  const target = [0];
  for (let level = 0; level < 10; level++) {
    bytes = rsa.sign(prepareCountersignature(bytes, target, rsa));
    target.push(0);
  }
  let [signer] = verifyCms(bytes).signers;
  let levels = 0;
  for (; signer.countersignatures.length > 0; levels++) [signer] = signer.countersignatures;
  assert.equal(levels, 8);
  assert.deepEqual(codes(signer), ["countersignatures_unchecked"]);
});

Deno.test("timestamps and claims are passed to the caller", () => {
  const token = sequence(oid(Oid.signedData));
  const bytes = addUnsignedAttributes(readGolden("ec384_detached.p7s"), [0], [
    encodeAttribute(Oid.signatureTimestamp, token),
  ]);
  const [signer] = verifyCms(bytes, { detached: { content: goldenContent } }).signers;
  assert.equal(signer.status, "valid");
  assert.deepEqual(signer.timestampTokens, [token]);
  assert.equal(signer.certificate?.subject.commonName, "TEST Officer ec384");
  assert.equal(signer.signingTime?.toISOString(), "2026-03-01T10:00:00.000Z");
});
