import assert from "node:assert/strict";
import { classicPdf, classicUpdate, documentObjects } from "../../tests/fixtures/pdf.ts";
import { makeCrl } from "../../tests/fixtures/issue.ts";
import { signBytes } from "../../tests/fixtures/keys.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import {
  archiveCms,
  authorities,
  cmsSigner,
  cosignCms,
  countersignCms,
  extendCms,
  makeRoute,
  signCms,
  signJws,
  signRoute,
  signXml,
  timestampCms,
} from "../../tests/fixtures/signed_files.ts";
import { answerTimestampRequest } from "../../tests/fixtures/tsa.ts";
import { addUnsignedAttributes, encodeAttribute } from "../cms/add.ts";
import { readSignedData } from "../cms/read.ts";
import { readTimestampResponse } from "../cms/timestamp.ts";
import { encodeTimestampRequest } from "../cms/timestamp_request.ts";
import { prepareSignedData } from "../cms/write.ts";
import { Oid } from "../asn1/oids.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { bytesSource } from "../source.ts";
import { detectFormat } from "./format.ts";
import { verifyBytes, type VerifyContent, verifyFile } from "./verify.ts";
import { type Material, readMaterial } from "./material.ts";
import type { FindingCode, VerificationReport } from "./report.ts";

const utf8 = new TextEncoder();
const DAY = 24 * 3600 * 1000;
const now = new Date("2026-06-01T00:00:00Z");
const later = (days: number) => new Date(now.getTime() + days * DAY);

const pki = makePki({
  now,
  officers: [
    { name: "Asha", key: "p-256" },
    { name: "Bimal", key: "p-256" },
    { name: "Chitra", key: "p-256" },
    { name: "Old", key: "p-256", kind: "expired" },
    { name: "Encrypts", key: "p-256", kind: "encryption_only" },
    { name: "Rsa" },
    { name: "Future", key: "p-256", kind: "not_yet_valid" },
  ],
});
const [asha, bimal, chitra, old, encrypts, rsa, future] = pki.officers;
const anchors = [pki.root.certificate];
const lists = (at = now, revoked: Parameters<typeof makeCrl>[1] = []): Material =>
  readMaterial({
    crls: authorities(pki).map((each) =>
      makeCrl(each, each === pki.subCa ? revoked : [], { now: at })
    ),
  });
const revokedAsha = (revokedAt: Date) =>
  lists(later(2), [{ serialNumber: asha.certificate.serialNumber, revokedAt }]);

const content = utf8.encode('{"amount":"1200.00","bill":7}');
const given = (bytes: Uint8Array): VerifyContent => ({
  digest: (hash) => digest(hash, bytes),
  bytes: () => bytes,
});

type Options = Parameters<typeof verifyBytes>[1];
const verify = (bytes: Uint8Array | string, options: Partial<Options> = {}): VerificationReport =>
  verifyBytes(typeof bytes === "string" ? utf8.encode(bytes) : bytes, {
    now,
    anchors,
    material: lists(options.now),
    ...options,
  });

/** `INDICATION/SUB level` of every signature. */
const verdicts = ({ signatures }: VerificationReport) =>
  signatures.map(({ indication, subIndication, level }) =>
    `${indication}${subIndication ? `/${subIndication}` : ""} ${level}`
  );
const codes = ({ findings }: { findings: { code: FindingCode }[] }) =>
  findings.map(({ code }) => code);

Deno.test("a good signature's report has its signer, chain, level, times and revocation status", () => {
  const signed = signCms(asha, { content }, now);
  const report = verify(signed, { pan: asha.pan.toLowerCase() });
  assert.equal(report.indication, "TOTAL-PASSED");
  assert.deepEqual(report.findings, []);
  const [{ signer, ...signature }] = report.signatures;
  assert.deepEqual(signature, {
    id: "1",
    kind: "signature",
    indication: "TOTAL-PASSED",
    subIndication: null,
    level: "B-B",
    findings: [],
    chain: [
      "Sub-CA for class 3 organisations 2026 (TEST)",
      "CA 2026 (TEST)",
      "CCA India (TEST) root",
    ],
    panMatches: true,
    algorithm: "ECDSA with SHA-256, P-256",
    signatureSha256: digest("SHA-256", readSignedData(signed).signers[0].signature).toHex(),
    coverage: { extent: "whole", parts: [] },
    claimedTime: now.toISOString(),
    provenTime: null,
    role: null,
    reason: null,
    location: null,
    revocation: { status: "good", source: "crl", asOf: "2026-05-31T23:00:00.000Z" },
    timestamps: [],
    changes: [],
    countersignatures: [],
  });
  assert.equal(signer?.commonName, "Asha");
  assert.deepEqual([signer?.class, signer?.kind], [3, "token_dsc"]);
  assert.deepEqual(JSON.parse(JSON.stringify(report)), report);
});

Deno.test("a signature passes only if its trust anchor and revocation status are known", () => {
  const signed = signCms(asha, { content });
  assert.deepEqual(verdicts(verify(signed, { anchors: [] })), [
    "INDETERMINATE/NO_CERTIFICATE_CHAIN_FOUND B-B",
  ]);
  assert.deepEqual(verdicts(verify(signed, { anchors: [asha.certificate] })), ["TOTAL-PASSED B-B"]);
  assert.deepEqual(verdicts(verify(signed, { material: undefined })), [
    "INDETERMINATE/TRY_LATER B-B",
  ]);
  assert.deepEqual(
    verdicts(verify(signed, { material: undefined, revocation: "if_available" })),
    ["TOTAL-PASSED B-B"],
  );
  const revoked = { now: later(2), material: revokedAsha(later(-1)) };
  assert.deepEqual(verdicts(verify(signed, revoked)), ["INDETERMINATE/REVOKED_NO_POE B-B"]);
  assert.deepEqual(verdicts(verify(signCms(old, { content }))), [
    "INDETERMINATE/OUT_OF_BOUNDS_NO_POE B-B",
  ]);
  const [unfit] = verify(signCms(encrypts, { content })).signatures;
  assert.deepEqual(codes(unfit), ["not_for_signing"]);
  assert.equal(unfit.subIndication, "CHAIN_CONSTRAINTS_FAILURE");
});

Deno.test("validity is judged at the time that a timestamp proves", () => {
  const stamped = timestampCms(pki, signCms(asha, { content }), now);
  const [signature] = verify(stamped, { now: later(1) }).signatures;
  // The authority is accurate to a second: by then it existed.
  const proven = new Date(now.getTime() + 1000).toISOString();
  assert.deepEqual([signature.level, signature.provenTime], ["B-T", proven]);
  assert.equal(signature.timestamps[0].authority, "Timestamp authority (TEST)");
  const at = (revokedAt: Date) =>
    verdicts(verify(stamped, { now: later(2), material: revokedAsha(revokedAt) }));
  assert.deepEqual(at(later(1)), ["TOTAL-PASSED B-T"]);
  assert.deepEqual(at(later(-1)), ["INDETERMINATE/REVOKED_NO_POE B-T"]);

  // A certificate that begins after the signature existed cannot have been the signer's.
  const early = timestampCms(pki, signCms(future, { content }), now);
  assert.deepEqual(verdicts(verify(early, { now: later(40) })), ["TOTAL-FAILED/NOT_YET_VALID B-T"]);
});

Deno.test("a timestamp counts from the end of its accuracy, and a vague one not at all", () => {
  const signed = signCms(asha, { content });
  const [{ signature }] = readSignedData(signed).signers;
  const imprint = digest("SHA-256", signature);
  const request = encodeTimestampRequest({ hash: "SHA-256", digest: imprint });
  const stamped = (accuracy: number) => {
    const response = answerTimestampRequest(pki.timestampAuthority, request, { now, accuracy });
    return addUnsignedAttributes(signed, [0], [
      encodeAttribute(Oid.signatureTimestamp, readTimestampResponse(response)),
    ]);
  };
  const [loose] = verify(stamped(90)).signatures;
  assert.equal(loose.provenTime, new Date(now.getTime() + 90_000).toISOString());
  const [vague] = verify(stamped(100 * 24 * 3600)).signatures;
  assert.deepEqual([vague.level, vague.provenTime, ...codes(vague)], [
    "B-B",
    null,
    "timestamp_not_accepted",
  ]);
});

Deno.test("a timestamp that is not trusted proves nothing", () => {
  const foreign = makePki({ now, officers: [] });
  const stamped = timestampCms(foreign, signCms(asha, { content }), now);
  const [signature] = verify(stamped).signatures;
  assert.deepEqual([signature.indication, signature.level], ["TOTAL-PASSED", "B-B"]);
  assert.deepEqual(codes(signature), ["timestamp_not_accepted"]);
  assert.equal(signature.timestamps[0].subIndication, "CERTIFICATE_CHAIN_GENERAL_FAILURE");
  // Nor does one from before its authority's certificate.
  const backdated = timestampCms(pki, signCms(asha, { content }), later(-31));
  assert.deepEqual(codes(verify(backdated).signatures[0]), ["timestamp_not_accepted"]);
  const [revoked] = verify(stamped, { now: later(2), material: revokedAsha(later(1)) }).signatures;
  assert.equal(revoked.subIndication, "REVOKED_NO_POE");
});

Deno.test("B-LT needs nothing from elsewhere, B-LTA outlives the authorities' certificates", () => {
  const stamped = timestampCms(pki, signCms(asha, { content }), now);
  const extended = extendCms(pki, stamped, now);
  const alone = { material: undefined };
  assert.deepEqual(verdicts(verify(extended, alone)), ["TOTAL-PASSED B-LT"]);
  // The timestamp authority's certificate ends after a year, the lists after a week.
  assert.deepEqual(verdicts(verify(extended, { ...alone, now: later(400) })), [
    "INDETERMINATE/OUT_OF_BOUNDS_NO_POE B-B",
  ]);
  const archived = archiveCms(pki, extended, later(5));
  assert.deepEqual(verdicts(verify(archived, { ...alone, now: later(6) })), ["TOTAL-PASSED B-LTA"]);
  const again = archiveCms(pki, archived, later(6));
  const [signature] = verify(again, { ...alone, now: later(7) }).signatures;
  assert.deepEqual([signature.indication, signature.level], ["TOTAL-PASSED", "B-LTA"]);
  assert.deepEqual(signature.timestamps.map(({ kind }) => kind), [
    "signature",
    "archive",
    "archive",
  ]);

  // A later signature is not covered by the archive timestamp, but does not disturb it.
  assert.deepEqual(
    verdicts(verify(cosignCms(bimal, archived), { ...alone, now: later(6) })).length,
    2,
  );
});

Deno.test("weak algorithms count only where a timestamp proves that they were reliable then", () => {
  const weak = prepareSignedData({ content }, {
    ...cmsSigner(rsa),
    algorithm: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-1" },
  }, { signingTime: now });
  const key = {
    ...rsa.key,
    algorithm: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-1" },
  } as const;
  const signed = weak.complete(signBytes(key, weak.toBeSigned));
  const [signature] = verify(signed).signatures;
  assert.equal(signature.subIndication, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE");
  assert.deepEqual(codes(signature), ["algorithm_weak"]);
});

Deno.test("several signers and countersignatures are reported one by one", () => {
  const both = countersignCms(chitra, cosignCms(bimal, signCms(asha, { content })), 1);
  const report = verify(both);
  assert.deepEqual(verdicts(report), ["TOTAL-PASSED B-B", "TOTAL-PASSED B-B"]);
  const [{ id, kind, signer }] = report.signatures[1].countersignatures;
  assert.deepEqual([id, kind, signer?.commonName], ["2.1", "countersignature", "Chitra"]);

  assert.equal(verify(both, { pan: chitra.pan }).indication, "INDETERMINATE");
  const byPan = verify(both, { pan: bimal.pan });
  assert.equal(byPan.indication, "TOTAL-PASSED");
  assert.deepEqual(byPan.signatures.map(({ panMatches }) => panMatches), [false, true]);
  assert.deepEqual(codes(verify(both, { pan: "AAAPA0000A" })), ["pan_differs"]);
});

Deno.test("a detached signature needs its content, and other content fails", () => {
  const signed = signCms(asha, { digest: digest("SHA-256", content) });
  assert.deepEqual(verdicts(verify(signed)), ["INDETERMINATE/SIGNED_DATA_NOT_FOUND B-B"]);
  assert.deepEqual(verdicts(verify(signed, { content: () => given(content) })), [
    "TOTAL-PASSED B-B",
  ]);
  const other = { content: () => given(utf8.encode("{}")) };
  assert.deepEqual(verdicts(verify(signed, other)), ["TOTAL-FAILED/HASH_FAILURE null"]);

  const archived = archiveCms(
    pki,
    extendCms(pki, timestampCms(pki, signed, now), now),
    now,
    content,
  );
  assert.deepEqual(verdicts(verify(archived, { content: () => given(content) })), [
    "TOTAL-PASSED B-LTA",
  ]);

  const jws = signJws(asha, { payload: content, detached: true });
  assert.deepEqual(verdicts(verify(jws)), ["INDETERMINATE/SIGNED_DATA_NOT_FOUND B-B"]);
  assert.deepEqual(verdicts(verify(jws, { content: () => given(content) })), ["TOTAL-PASSED B-B"]);

  // A caller that passes content asks about that content, even if the signature embeds its own.
  for (const attached of [signCms(asha, { content }), signJws(asha, { payload: content })]) {
    assert.equal(verify(attached, { content: () => given(content) }).indication, "TOTAL-PASSED");
    const report = verify(attached, other);
    assert.deepEqual([report.indication, ...codes(report)], ["TOTAL-FAILED", "content_changed"]);
  }

  const packaging = {
    kind: "detached",
    files: [{
      uri: "bill.json",
      digest: digest("SHA-256", content),
      mediaType: "application/json",
    }],
  } as const;
  const xml = signXml(asha, packaging);
  assert.deepEqual(verdicts(verify(xml)), ["INDETERMINATE/SIGNED_DATA_NOT_FOUND B-B"]);
  const named = (name: string | null) => name === "bill.json" ? given(content) : null;
  assert.deepEqual(verdicts(verify(xml, { content: named })), ["TOTAL-PASSED B-B"]);
});

const order = utf8.encode("<order><item>cement</item><amount>7</amount></order>");

Deno.test("XML signatures pass at each level and packaging, and wrapped content fails", () => {
  const enveloped = { kind: "enveloped", document: order } as const;
  assert.deepEqual(verdicts(verify(signXml(asha, enveloped))), ["TOTAL-PASSED B-B"]);
  assert.deepEqual(verdicts(verify(signXml(asha, enveloped, { plain: true }))), [
    "TOTAL-PASSED null",
  ]);
  const stamped = signXml(asha, enveloped, { pki, stampedAt: now });
  assert.deepEqual(verdicts(verify(stamped)), ["TOTAL-PASSED B-T"]);
  const mediaType = "application/xml";
  const enveloping = signXml(asha, { kind: "enveloping", content: order, mediaType });
  assert.deepEqual(verdicts(verify(enveloping)), ["TOTAL-PASSED B-B"]);

  const text = new TextDecoder().decode(enveloping).replace(/^<\?xml[^>]*>\s*/, "");
  const [wrapped] = verify(`<order><amount>9000</amount>${text}</order>`).signatures;
  assert.equal(wrapped.subIndication, "SIG_CONSTRAINTS_FAILURE");
  assert.deepEqual(codes(wrapped), ["coverage_partial"]);

  const evil = "<order><amount>9000</amount></order>";
  const object = `<ds:Object>${evil}</ds:Object>`;
  for (const signed of [text, new TextDecoder().decode(signXml(asha, enveloped))]) {
    for (
      const within of [
        signed.replace("<ds:Object", `${object}<ds:Object`),
        signed.replace("</ds:Signature>", `${object}</ds:Signature>`),
        signed.replace("</ds:Signature>", "<ds:Object>OTAwMA==</ds:Object></ds:Signature>"),
        signed.replace("</ds:Signature>", `${evil}</ds:Signature>`),
        signed.replace("</ds:Signature>", "9000</ds:Signature>"),
        signed.replace("</ds:KeyInfo>", `${evil}</ds:KeyInfo>`),
        signed.replace("</xades:QualifyingProperties>", `${evil}</xades:QualifyingProperties>`),
      ]
    ) {
      const [{ subIndication, coverage, findings }] = verify(within).signatures;
      assert.equal(subIndication, "SIG_CONSTRAINTS_FAILURE", within);
      assert.equal(coverage.extent, "part");
      assert.deepEqual(codes({ findings }), ["coverage_partial"]);
    }
  }
});

Deno.test("changes to a PDF after a signature are reported", () => {
  const once = signPdf(classicPdf(documentObjects()), asha, { reason: "Approved", time: now });
  const twice = signPdf(once, bimal);
  const report = verify(twice);
  assert.deepEqual(verdicts(report), ["TOTAL-PASSED B-B", "TOTAL-PASSED B-B"]);
  const [first, second] = report.signatures;
  assert.deepEqual(
    [first.coverage.extent, second.coverage.extent, first.reason, first.claimedTime],
    ["revision", "whole", "Approved", now.toISOString()],
  );
  assert.deepEqual(codes(first), ["changed_after_allowed"]);

  const changed = classicUpdate(once, { 4: "<</Length 2>>stream\nBT\nendstream" });
  const [altered] = verify(changed).signatures;
  assert.deepEqual(codes(altered), ["changed_after"]);
  assert.equal(altered.subIndication, "FORMAT_FAILURE");

  // Readers that find no `startxref` near the end take the last object of each number.
  const object = "4 0 obj<</Length 2>>stream\nBT\nendstream endobj\n";
  for (const end of ["", "%%EOF\n", `%${"x".repeat(1200)}\n%%EOF\n`]) {
    const [behind] = verify(new Uint8Array([...once, ...utf8.encode(object + end)])).signatures;
    assert.deepEqual(codes(behind), ["ambiguous"]);
    assert.equal(behind.indication, "INDETERMINATE");
  }
  // What stands behind the CMS in Contents is not signed, and no reader shows it.
  const filled = once.with(new TextDecoder("latin1").decode(once).lastIndexOf("00>"), 0x41);
  const [told] = verify(filled).signatures;
  assert.deepEqual([told.indication, ...codes(told)], ["TOTAL-PASSED", "unsigned_ignored"]);

  const blank = new Uint8Array([...once, ...utf8.encode("\r\n")]);
  assert.equal(verify(blank).indication, "TOTAL-PASSED");
});

Deno.test("a signing route is judged as a whole, complete or not, for its content", () => {
  const officers = [asha, bimal, chitra];
  let file = makeRoute(officers, content);
  const check = (bytes = content) => verify(file, { content: () => given(bytes) });
  for (const officer of officers) {
    assert.deepEqual(codes(check()), ["route_incomplete"]);
    assert.equal(check().indication, "INDETERMINATE");
    file = signRoute(officer, file, content);
  }
  const report = check();
  assert.equal(report.indication, "TOTAL-PASSED");
  assert.deepEqual(report.signatures.map(({ kind, role }) => role ?? kind), [
    ...["route", "Maker", "Checker", "Approver"],
  ]);
  assert.ok(report.route?.isComplete);
  // JSON counts in its canonical form
  assert.equal(check(utf8.encode('{"bill": 7, "amount": "1200.00"}')).indication, "TOTAL-PASSED");
  assert.deepEqual(codes(check(utf8.encode('{"bill": 8}'))), ["content_changed"]);
  assert.deepEqual(codes(verify(file)), ["content_missing"]);
  const { route, statements } = JSON.parse(file);
  const [a, b, c] = statements;
  for (const wrong of [[a, c], [b, a, c], [a, b, b], [b]]) {
    const report = verify(JSON.stringify({ route, statements: wrong }));
    assert.deepEqual([report.indication, ...codes(report)], ["TOTAL-FAILED", "route_wrong"]);
  }
});

Deno.test("formats are recognised by content, and anything else gets a typed error", () => {
  const tell = (bytes: Uint8Array | string) =>
    detectFormat(bytesSource(typeof bytes === "string" ? utf8.encode(bytes) : bytes));
  const cms = signCms(asha, { content });
  assert.equal(tell(cms), "cms");
  const pem = `-----BEGIN CMS-----\n${cms.toBase64()}\n-----END CMS-----\n`;
  for (const text of [pem, cms.toBase64()]) {
    assert.equal(verify(text).indication, "TOTAL-PASSED");
  }
  assert.equal(tell("\ufeff  <a/>"), "xml");
  assert.equal(tell('{"payload":"","signatures":[]}'), "jws");
  for (const text of ["", "hello", "0", "[]", "%PD"]) {
    assert.throws(() => verify(text), FormatError, text);
  }
  const report = verify("<a/>");
  assert.deepEqual([report.indication, ...codes(report)], ["INDETERMINATE", "no_signature"]);
});

Deno.test("the signers, the authorities and the certificates found with them are listed", () => {
  const stamped = timestampCms(pki, signCms(asha, { content }), now);
  const { ends, known } = verifyFile({ source: bytesSource(stamped) }, { now, anchors });
  assert.deepEqual(ends.map(({ subject }) => subject.commonName), [
    "Asha",
    "Timestamp authority (TEST)",
  ]);
  assert.ok(known.some(({ fingerprint }) => fingerprint === pki.subCa.certificate.fingerprint));
});
