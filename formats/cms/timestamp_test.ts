import assert from "node:assert/strict";
import { concat, integer, octetString, sequence } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { validateCertificate } from "../x509/path.ts";
import { readTimestampResponse, verifyTimestamp } from "./timestamp.ts";
import { encodeTimestampRequest } from "./timestamp_request.ts";
import { readCertificate } from "../x509/certificate.ts";
import { keyPurposes } from "../x509/extensions.ts";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import { pem } from "../asn1/pem.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { answerTimestampRequest, type TimestampChoices } from "../../tests/fixtures/tsa.ts";

const pki = makePki({ officers: [{ name: "Officer", key: "p-256" }] });
const data = new TextEncoder().encode("a bill");
const imprint = digest("SHA-256", data);
const nonce = Uint8Array.of(0x81, 2, 3, 4, 5, 6, 7, 8);
const request = encodeTimestampRequest({ hash: "SHA-256", digest: imprint, nonce });
const expected = { digestOf: () => imprint, nonce };

/** Codes of what is wrong with a token made by these choices. */
function problems(choices: TimestampChoices, authority = pki.timestampAuthority): string[] {
  const token = readTimestampResponse(answerTimestampRequest(authority, request, choices));
  return verifyTimestamp(token, expected).problems.map(({ code }) => code);
}

Deno.test("a timestamp proves its time under the authority's certificate", () => {
  const now = new Date("2026-06-01T10:20:30Z");
  const token = readTimestampResponse(
    answerTimestampRequest(pki.timestampAuthority, request, { now }),
  );
  const { info, problems, certificate } = verifyTimestamp(token, expected);
  assert.deepEqual(problems, []);
  assert.deepEqual(info.time, now);
  assert.equal(info.accuracy, 1000);
  assert.equal(certificate?.fingerprint, pki.timestampAuthority.certificate.fingerprint);
});

Deno.test("a timestamp of other data, for another request or by another signer is refused", () => {
  assert.deepEqual(problems({ imprint: digest("SHA-256", new Uint8Array()) }), [
    "imprint_mismatch",
  ]);
  assert.deepEqual(problems({ nonce: Uint8Array.of(1) }), ["nonce_mismatch"]);
  // Certificates for documents or for OCSP must not make timestamps, though they chain as well.
  assert.deepEqual(problems({}, pki.officers[0]), ["not_a_timestamp_authority"]);
  assert.deepEqual(problems({}, pki.ocspResponder), ["not_a_timestamp_authority"]);
  const token = readTimestampResponse(answerTimestampRequest(pki.timestampAuthority, request));
  const { problems: found } = verifyTimestamp(token, { ...expected, policy: "1.2.3" });
  assert.deepEqual(found.map(({ code }) => code), ["policy_mismatch"]);
});

Deno.test("each altered byte of a token is detected, or changes nothing the token states", () => {
  const token = readTimestampResponse(
    answerTimestampRequest(pki.timestampAuthority, request, { now: new Date("2026-06-01") }),
  );
  const { info } = verifyTimestamp(token, expected);
  for (let index = 0; index < token.length; index += 1) {
    const altered = token.slice();
    altered[index] ^= 0x02;
    try {
      const result = verifyTimestamp(altered, expected);
      if (result.problems.length === 0) assert.deepEqual(result.info, info, `byte ${index}`);
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
    }
  }
});

Deno.test("a refused timestamp reports the authority's reason", () => {
  const text = concat(Uint8Array.of(0x0c, 4), new TextEncoder().encode("busy"));
  const failInfo = Uint8Array.of(0x03, 5, 6, 0, 2, 0, 0); // bit 14
  const refusal = sequence(sequence(integer(2), sequence(text), failInfo));
  assert.throws(
    () => readTimestampResponse(refusal),
    { code: "timestamp_malformed", message: /refused: timeNotAvailable, busy\./ },
  );
  assert.throws(() => readTimestampResponse(octetString(new Uint8Array(4))), {
    code: "timestamp_malformed",
  });
});

Deno.test("OpenSSL's timestamp authority answers our request, and OpenSSL accepts our token", async () => {
  await inTempDir(async (dir) => {
    const path = (name: string) => `${dir}/${name}`;
    const authority = pki.timestampAuthority;
    await Deno.writeTextFile(path("tsa.pem"), pem("CERTIFICATE", authority.certificate.der));
    await Deno.writeTextFile(path("tsa.key"), pem("PRIVATE KEY", authority.pkcs8));
    await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", pki.root.certificate.der));
    await Deno.writeTextFile(
      path("chain.pem"),
      [pki.subCa, pki.ca].map(({ certificate }) => pem("CERTIFICATE", certificate.der)).join(""),
    );
    await Deno.writeTextFile(
      path("tsa.cnf"),
      `[tsa]
default_tsa = one
[one]
serial = ${path("serial")}
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500
ess_cert_id_alg = sha256
`,
    );
    await Deno.writeTextFile(path("serial"), "01\n");
    await Deno.writeFile(path("request.tsq"), request);
    await openssl([
      ...["ts", "-reply", "-config", path("tsa.cnf"), "-section", "one"],
      ...["-queryfile", path("request.tsq"), "-out", path("reply.tsr")],
      ...["-signer", path("tsa.pem"), "-inkey", path("tsa.key"), "-chain", path("chain.pem")],
    ]);
    const token = readTimestampResponse(await Deno.readFile(path("reply.tsr")));
    const result = verifyTimestamp(token, expected);
    assert.deepEqual(result.problems, []);
    assert.equal(result.info.policy, "1.2.3.4");
    assert.equal(result.info.accuracy, 1500);
    const trust = validateCertificate(result.certificate!, {
      anchors: [pki.root.certificate],
      intermediates: result.certificates.map(readCertificate),
      at: result.info.time,
      purpose: keyPurposes.timeStamping,
      revocation: "none",
    });
    assert.ok(trust.trusted);

    await Deno.writeFile(path("ours.tsr"), answerTimestampRequest(authority, request));
    const verified = await openssl([
      ...["ts", "-verify", "-queryfile", path("request.tsq"), "-in", path("ours.tsr")],
      ...["-CAfile", path("root.pem"), "-untrusted", path("chain.pem")],
    ]);
    assert.match(new TextDecoder().decode(verified), /Verification: OK/);
  });
});
