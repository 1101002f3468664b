/** CMS signatures as they come: wrapped, out of order, with little in them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir, openssl } from "../../tests/fixtures/openssl.ts";
import { issue } from "../../tests/fixtures/issue.ts";
import { pem } from "../asn1/pem.ts";
import { type Extension, extension } from "../../tests/fixtures/extensions.ts";
import { makePki, type Officer } from "../../tests/fixtures/pki.ts";
import { answerTimestampRequest } from "../../tests/fixtures/tsa.ts";
import { cmsSigner, signCms } from "../../tests/fixtures/signed_files.ts";
import { signBytes } from "../../tests/fixtures/keys.ts";
import { addUnsignedAttributes, encodeAttribute } from "../cms/add.ts";
import { readSignedData } from "../cms/read.ts";
import { readTimestampResponse } from "../cms/timestamp.ts";
import { encodeTimestampRequest } from "../cms/timestamp_request.ts";
import { prepareSignedData } from "../cms/write.ts";
import { digest } from "../digest.ts";
import { sequence, tlv } from "../asn1/der.ts";
import { Oid } from "../asn1/oids.ts";
import { extensionIds } from "../x509/extensions.ts";
import { verifyBytes } from "./verify.ts";

const now = new Date();
const utf8 = new TextEncoder();
const content = utf8.encode("Pay 1200.00 to the treasury\r\n");
const pki = makePki({ now, officers: [{ name: "Asha", key: "p-256" }] });
const [asha] = pki.officers;

function verify(bytes: Uint8Array | string, certificates: Uint8Array[] = []) {
  return verifyBytes(typeof bytes === "string" ? utf8.encode(bytes) : bytes, {
    now,
    anchors: [pki.root.certificate],
    revocation: "if_available",
    certificates,
  });
}

const told = (...given: Parameters<typeof verify>) => {
  const [{ indication, level, findings }] = verify(...given).signatures;
  return [indication, String(level), ...findings.map(({ code }) => code)].join(" ");
};

const signed = signCms(asha, { content }, now);

Deno.test("CMS in PEM, Base64, S/MIME or followed by zeros is the same signature", () => {
  const base64 = signed.toBase64();
  const lines = base64.replace(/.{64}/g, "$&\r\n");
  const block = `-----BEGIN CMS-----\n${lines}\n-----END CMS-----\n`;
  const smime = (type: string, encoding = "base64") =>
    `MIME-Version: 1.0\nContent-Disposition: attachment; filename="smime.p7m"\nContent-Type: ${type};\n` +
    ` smime-type=signed-data; name="smime.p7m"\nContent-Transfer-Encoding: ${encoding}\n\n`;
  const kinds: Record<string, Uint8Array | string> = {
    PEM: block,
    "text before PEM": `CMS_ContentInfo:\n  contentType: pkcs7-signedData\n${
      "x\n".repeat(9000)
    }${block}`,
    Base64: base64,
    "Base64 with a byte order mark": `\ufeff${lines}`,
    "S/MIME": smime("application/pkcs7-mime") + lines,
    "S/MIME, old name": smime("application/x-pkcs7-mime") + lines,
    "S/MIME, binary": new Uint8Array([
      ...utf8.encode(smime("application/pkcs7-mime", "binary")),
      ...signed,
    ]),
    "zeros behind": new Uint8Array([...signed, 0, 0, 0, 0]),
  };
  for (const [name, bytes] of Object.entries(kinds)) {
    assert.equal(told(bytes), "TOTAL-PASSED B-B", name);
    // The text around it looks signed to a person, but is not.
    const isTold = verify(bytes).findings.some(({ code }) => code === "unsigned_ignored");
    assert.equal(isTold, /text before|S\/MIME/.test(name), name);
  }
  assert.throws(() => verify(new Uint8Array([...signed, 1])), { code: "cms_malformed" });
  assert.throws(() => verify(`${smime("text/plain")}hello`), { code: "not_found" });
});

Deno.test("S/MIME made by OpenSSL is read", () =>
  inTempDir(async (dir) => {
    const path = (name: string) => join(dir, name);
    await Deno.writeTextFile(path("crt"), pem("CERTIFICATE", asha.certificate.der));
    await Deno.writeTextFile(path("key"), pem("PRIVATE KEY", asha.pkcs8));
    await Deno.writeTextFile(
      path("chain"),
      asha.chain.map((der) => pem("CERTIFICATE", der)).join(""),
    );
    await Deno.writeFile(path("content"), content);
    const made = await openssl([
      ...["cms", "-sign", "-cades", "-nodetach", "-in", path("content"), "-outform", "SMIME"],
      ...["-signer", path("crt"), "-inkey", path("key"), "-certfile", path("chain")],
    ]);
    assert.equal(told(made), "TOTAL-PASSED B-B");
  }));

Deno.test("a signature without a signing time has no baseline level (EN 319 122-1 §6.3)", () => {
  const prepared = prepareSignedData({ content }, cmsSigner(asha), {});
  const untimed = prepared.complete(signBytes(asha.key, prepared.toBeSigned));
  assert.equal(told(untimed), "TOTAL-PASSED null");
});

Deno.test("a signer's certificate that is missing from the signature can be supplied", () => {
  const { certificate, chain, ...signer } = cmsSigner(asha);
  const prepared = prepareSignedData({ content }, { ...signer, certificate, chain: [] }, {
    signingTime: now,
  });
  const whole = prepared.complete(signBytes(asha.key, prepared.toBeSigned));
  const { certificatesNode } = readSignedData(whole);
  const bare = without(whole, certificatesNode!.bytes);
  assert.equal(told(bare), "INDETERMINATE B-B certificate_missing");
  assert.equal(told(bare, [certificate, ...chain]), "TOTAL-PASSED B-B");
});

/** A ContentInfo less one value of its SignedData, written again. */
function without(cms: Uint8Array, part: Uint8Array): Uint8Array {
  const { node, root } = readSignedData(cms);
  const kept = node.children.filter(({ bytes }) => bytes !== part && !same(bytes, part));
  return sequence(
    root.children[0].bytes,
    tlv(0xa0, sequence(...kept.map(({ bytes }) => bytes))),
  );
}

const same = (a: Uint8Array, b: Uint8Array) => a.toBase64() === b.toBase64();

Deno.test("a timestamp's certificate may be in the signature; a missing one is not a failure", () => {
  const [{ signature }] = readSignedData(signed).signers;
  const request = encodeTimestampRequest({
    hash: "SHA-256",
    digest: digest("SHA-256", signature),
  });
  const token = readTimestampResponse(
    answerTimestampRequest(pki.timestampAuthority, request, { now }),
  );
  const { certificatesNode } = readSignedData(token);
  const bare = certificatesNode ? without(token, certificatesNode.bytes) : token;
  const stamped = addUnsignedAttributes(signed, [0], [
    encodeAttribute(Oid.signatureTimestamp, bare),
  ]);
  const [{ indication, timestamps: [timestamp] }] = verify(stamped).signatures;
  assert.deepEqual(
    [indication, timestamp.indication, timestamp.subIndication],
    ["TOTAL-PASSED", "INDETERMINATE", "NO_SIGNING_CERTIFICATE_FOUND"],
  );
  const authority = [pki.timestampAuthority.certificate, pki.subCa.certificate, pki.ca.certificate];
  const added = signCms(
    { ...asha, chain: [...asha.chain, ...authority.map(({ der }) => der)] },
    { content },
    now,
  );
  const own = readSignedData(added).signers[0].signature;
  const over = readTimestampResponse(answerTimestampRequest(
    pki.timestampAuthority,
    encodeTimestampRequest({ hash: "SHA-256", digest: digest("SHA-256", own) }),
    { now },
  ));
  const node = readSignedData(over).certificatesNode;
  const both = addUnsignedAttributes(added, [0], [
    encodeAttribute(Oid.signatureTimestamp, node ? without(over, node.bytes) : over),
  ]);
  assert.equal(told(both), "TOTAL-PASSED B-T");
});

Deno.test("certificates with odd names and empty lists are still readable", () => {
  const mail = tlv(0x81, utf8.encode("আশা@example.org"));
  const odd: Record<string, Extension> = {
    "e-mail in UTF-8": extension(extensionIds.subjectAltName, sequence(mail)),
    "no alternative names": extension(extensionIds.subjectAltName, sequence()),
    "no distribution points": extension(extensionIds.cRLDistributionPoints, sequence()),
  };
  for (const [name, value] of Object.entries(odd)) {
    const party = issue({
      subject: [["CN", "Asha"]],
      issuer: pki.subCa,
      notBefore: new Date(now.getTime() - 86_400_000),
      notAfter: new Date(now.getTime() + 86_400_000),
      extensions: [value],
      key: "p-256",
    });
    const officer = { ...asha, ...party } as Officer;
    assert.equal(told(signCms(officer, { content }, now)), "TOTAL-PASSED B-B", name);
  }
});

Deno.test("the report says why a certificate cannot be read", () => {
  const der = asha.certificate.der.toHex();
  // The subject's key identifier as a second one of the authority.
  const twice = der.replace("0603551d0e", "0603551d23");
  const bytes = Uint8Array.fromHex(signed.toHex().replace(der, twice));
  const [{ indication, findings: [{ code, message }] }] = verify(bytes).signatures;
  assert.deepEqual([indication, code], ["INDETERMINATE", "certificate_missing"]);
  assert.match(message, /occurs twice/);
});
