/** CMS with OpenSSL, both ways: it accepts ours, we accept its. */
import assert from "node:assert/strict";
import { goldenSigner } from "../../tests/fixtures/golden_signers.ts";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import {
  addUnsignedAttributes,
  encodeAttribute,
  prepareCosignature,
  prepareCountersignature,
} from "./add.ts";
import { readSignedData } from "./read.ts";
import { type SignerResult, verifyCms } from "./verify.ts";
import { prepareSignedData } from "./write.ts";
import { octetString } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import type { SignatureAlgorithm } from "../signer.ts";

const content = new TextEncoder().encode("Bill 17: ₹ 4,200\n".repeat(300));
const signingTime = new Date("2026-03-01T10:00:00Z");

const algorithms: [name: "rsa" | "ec" | "ec384", SignatureAlgorithm][] = [
  ["rsa", { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" }],
  ["rsa", { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" }],
  ["rsa", { scheme: "RSASSA-PSS", hash: "SHA-256" }],
  ["rsa", { scheme: "RSASSA-PSS", hash: "SHA-384", saltLength: 20 }],
  ["ec", { scheme: "ECDSA", hash: "SHA-256" }],
  ["ec384", { scheme: "ECDSA", hash: "SHA-384" }],
];

/** Ways in which OpenSSL signs. */
const forms = [
  ["-cades", "-nodetach"],
  ["-cades", "-nodetach", "-stream"],
  ["-cades"],
  ["-cades", "-nodetach", "-keyid"],
  ["-nodetach", "-noattr"],
];

const all = [goldenSigner("rsa"), goldenSigner("ec"), goldenSigner("ec384")];

/** All certificates in one file, to trust. */
async function trustFile(dir: string): Promise<string> {
  const path = `${dir}/trust.pem`;
  const texts = all.map(({ certificateFile }) => Deno.readTextFileSync(certificateFile));
  await Deno.writeTextFile(path, texts.join(""));
  return path;
}

/** OpenSSL accepts the CMS with all its signers, as CAdES too, and returns the content. */
async function opensslVerify(dir: string, cms: Uint8Array, detached?: Uint8Array) {
  await Deno.writeFile(`${dir}/cms`, cms);
  if (detached) await Deno.writeFile(`${dir}/content`, detached);
  const given = detached ? ["-content", `${dir}/content`] : [];
  const output = await openssl([
    ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", `${dir}/cms`],
    ...[...given, "-CAfile", await trustFile(dir), "-purpose", "any"],
  ]);
  assert.deepEqual(output, content);
}

function assertValid(signers: readonly SignerResult[], count: number) {
  assert.equal(signers.length, count);
  for (const { status, findings } of signers) {
    assert.equal(status, "valid", JSON.stringify(findings));
  }
}

for (const [name, algorithm] of algorithms) {
  const signer = goldenSigner(name, algorithm);
  const label = `${algorithm.scheme} ${algorithm.hash} salt ${algorithm.saltLength ?? "default"}`;

  Deno.test(`OpenSSL accepts our signatures, attached and detached: ${label}`, () =>
    inTempDir(async (dir) => {
      const statements = {
        signingTime,
        commitment: "proofOfApproval",
        mimeType: "application/json",
        location: { country: "IN", locality: "কলকাতা" },
        policy: {
          oid: "2.16.356.100.2.3",
          hash: "SHA-256",
          digest: digest("SHA-256", content),
          uri: "https://example.in/policy",
        },
      } as const;
      const attached = prepareSignedData({ content }, signer, statements);
      const bytes = signer.sign(attached);
      assert.ok(bytes.length <= attached.maxLength && attached.maxLength - bytes.length < 9);
      await opensslVerify(dir, bytes);
      assertValid(verifyCms(bytes).signers, 1);
      assert.deepEqual(verifyCms(bytes).signers[0].signingTime, signingTime);

      const hashed = digest(algorithm.hash, content);
      const detached = signer.sign(prepareSignedData({ digest: hashed }, signer));
      await opensslVerify(dir, detached, content);
      assertValid(
        verifyCms(detached, { detached: { digests: { [algorithm.hash]: hashed } } }).signers,
        1,
      );
      assertValid(verifyCms(detached, { detached: { content } }).signers, 1);
    }));

  Deno.test(`we accept OpenSSL's signatures, DER and BER: ${label}`, () =>
    inTempDir(async (dir) => {
      await Deno.writeFile(`${dir}/content`, content);
      const padding = algorithm.scheme === "RSASSA-PSS"
        ? [
          "-keyopt",
          "rsa_padding_mode:pss",
          "-keyopt",
          `rsa_pss_saltlen:${algorithm.saltLength ?? -1}`,
        ]
        : [];
      for (const form of forms) {
        // OpenSSL 3.0 cannot stream RSASSA-PSS: it writes the parameters before it has them.
        if (form.includes("-stream") && algorithm.scheme === "RSASSA-PSS") continue;
        const bytes = await openssl([
          ...["cms", "-sign", "-binary", "-in", `${dir}/content`, "-outform", "DER"],
          ...["-signer", signer.certificateFile, "-inkey", signer.keyFile, ...padding],
          ...["-md", algorithm.hash.replace("-", ""), ...form],
        ]);
        const detached = form.includes("-nodetach") ? undefined : { content };
        const { cms, signers } = verifyCms(bytes, { detached });
        assert.equal(cms.root.indefinite, form.includes("-stream"));
        assertValid(signers, 1);
        assert.equal(
          signers[0].findings.some(({ code }) => code === "signed_attributes_absent"),
          form.includes("-noattr"),
        );
        if (!form.includes("-noattr")) {
          assert.deepEqual(signers[0].algorithm, {
            ...algorithm,
            ...(algorithm.scheme === "RSASSA-PSS" &&
              { saltLength: algorithm.saltLength ?? digest(algorithm.hash, content).length }),
          });
        }
      }
    }));
}

Deno.test("officers sign one after another on our file and on OpenSSL's BER, and every verifier accepts it", () =>
  inTempDir(async (dir) => {
    const [first, second, third] = all;
    await Deno.writeFile(`${dir}/content`, content);
    const streamed = await openssl([
      ...["cms", "-sign", "-cades", "-binary", "-in", `${dir}/content`, "-outform", "DER"],
      ...["-signer", first.certificateFile, "-inkey", first.keyFile, "-nodetach", "-stream"],
    ]);
    const own = first.sign(prepareSignedData({ content }, first, { signingTime }));
    for (const start of [own, streamed]) {
      const before = readSignedData(start);
      const prepared = prepareCosignature(start, second, { signingTime });
      const two = second.sign(prepared);
      assert.ok(two.length <= prepared.maxLength);
      await opensslVerify(dir, two);
      const three = third.sign(prepareCosignature(two, third, { signingTime }));
      await opensslVerify(dir, three);
      const again = first.sign(prepareCosignature(three, first));
      await opensslVerify(dir, again);

      const after = verifyCms(again);
      assertValid(after.signers, 4);
      assert.equal(after.cms.certificates.length, 3);
      assert.deepEqual(after.cms.encapsulated.bytes, before.encapsulated.bytes);
      assert.deepEqual(after.cms.signers[0].node.bytes, before.signers[0].node.bytes);
      assert.deepEqual(after.cms.certificates[0], before.certificates[0]);
    }
  }));

Deno.test("detached co-signatures may use two digest algorithms", () =>
  inTempDir(async (dir) => {
    const [first, , third] = all;
    const own = first.sign(prepareSignedData({ digest: digest("SHA-256", content) }, first));
    const both = third.sign(
      prepareCosignature(own, third, {}, { digest: digest("SHA-384", content) }),
    );
    await opensslVerify(dir, both, content);
    const digests = {
      "SHA-256": digest("SHA-256", content),
      "SHA-384": digest("SHA-384", content),
    };
    assertValid(verifyCms(both, { detached: { digests } }).signers, 2);
  }));

Deno.test("countersignatures and unsigned attributes do not disturb OpenSSL", () =>
  inTempDir(async (dir) => {
    const [maker, checker, approver] = all;
    const made = maker.sign(prepareSignedData({ content }, maker, { signingTime }));
    const prepared = prepareCountersignature(made, [0], checker, { signingTime });
    const checked = checker.sign(prepared);
    assert.ok(checked.length <= prepared.maxLength);
    const approved = approver.sign(prepareCountersignature(checked, [0, 0], approver));
    const stamped = addUnsignedAttributes(approved, [0], [
      encodeAttribute("1.2.3.4", octetString(Uint8Array.of(1))),
    ]);
    for (const bytes of [checked, approved, stamped]) await opensslVerify(dir, bytes);

    const { signers, cms } = verifyCms(stamped);
    assertValid(signers, 1);
    assertValid(signers[0].countersignatures, 1);
    assertValid(signers[0].countersignatures[0].countersignatures, 1);
    assert.deepEqual(cms.signers[0].signature, readSignedData(made).signers[0].signature);
    assert.equal(cms.certificates.length, 3);
  }));

Deno.test("we accept a co-signature that OpenSSL adds to ours", () =>
  inTempDir(async (dir) => {
    const [first, second] = all;
    await Deno.writeFile(`${dir}/in`, first.sign(prepareSignedData({ content }, first)));
    const both = await openssl([
      ...["cms", "-resign", "-cades", "-inform", "DER", "-in", `${dir}/in`, "-outform", "DER"],
      ...["-signer", second.certificateFile, "-inkey", second.keyFile, "-nodetach", "-binary"],
    ]);
    assertValid(verifyCms(both).signers, 2);
  }));
