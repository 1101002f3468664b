import assert from "node:assert/strict";
import { readCrl } from "./crl.ts";
import { concat, explicit, implicit, integer, nullValue, oid, sequence } from "../asn1/der.ts";
import { readOcspResponse } from "./ocsp.ts";
import { type TrustOptions, validateCertificate } from "./path.ts";
import { anyPolicy } from "./policy_tree.ts";
import { encodeName } from "./name.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { extensionIds, keyPurposes } from "./extensions.ts";
import {
  basicConstraints,
  certificatePolicies,
  type Extension,
  extension,
  extKeyUsage,
  keyUsage,
  ocspNoCheck,
  subjectAltEmails,
} from "../../tests/fixtures/extensions.ts";
import { issue, makeCrl, makeOcspResponse, type Party } from "../../tests/fixtures/issue.ts";
import { makeKey, type TestKey } from "../../tests/fixtures/keys.ts";
import { makePki } from "../../tests/fixtures/pki.ts";

const now = new Date("2026-05-01T00:00:00Z");
const days = (count: number) => new Date(now.getTime() + count * 24 * 3600 * 1000);
const key = makeKey("p-256");

function authority(name: string, issuer?: Party, ...extensions: Extension[]): Party {
  const hasBasic = extensions.length > 0;
  return issue({
    subject: [["O", "Tests"], ["CN", name]],
    issuer,
    notBefore: days(-100),
    notAfter: days(1000),
    key: "p-256",
    extensions: hasBasic ? extensions : caExtensions,
  });
}

const caExtensions = [basicConstraints(true), keyUsage("keyCertSign", "cRLSign")];

function person(issuer: Party, ...extensions: Extension[]): Party {
  return issue({
    subject: [["O", "Tests"], ["OU", "People"], ["CN", "End"]],
    issuer,
    notBefore: days(-10),
    notAfter: days(10),
    key,
    extensions,
  });
}

const root = authority("Root");
const ca = authority("CA", root);

function judge(end: Certificate, path: readonly Party[], options: Partial<TrustOptions> = {}) {
  return validateCertificate(end, {
    anchors: [root.certificate],
    intermediates: path.map(({ certificate }) => certificate),
    at: now,
    revocation: "none",
    ...options,
  });
}

/** The failure's code and sub-indication, or "trusted". */
function outcome(...args: Parameters<typeof judge>): string {
  const result = judge(...args);
  return result.trusted ? "trusted" : `${result.failure.code} ${result.failure.subIndication}`;
}

Deno.test("a path is found and trusted, and so is the anchor itself", () => {
  const end = person(ca).certificate;
  const result = judge(end, [ca]);
  assert.ok(result.trusted);
  assert.deepEqual(result.path, [end, ca.certificate]);
  assert.equal(result.anchor, root.certificate);
  assert.equal(outcome(root.certificate, []), "trusted");
});

Deno.test("a certificate without a path to an anchor is not trusted", () => {
  const stranger = authority("Root"); // the same name, another key
  assert.equal(outcome(person(ca).certificate, []), "no_issuer NO_CERTIFICATE_CHAIN_FOUND");
  assert.equal(
    outcome(person(stranger).certificate, []),
    "signature_invalid CERTIFICATE_CHAIN_GENERAL_FAILURE",
  );
});

Deno.test("a certificate altered in any signed byte is not trusted", () => {
  const { der, tbs } = person(ca).certificate;
  for (let index = 4; index < 4 + tbs.length; index++) {
    const altered = der.slice();
    altered[index] ^= 0x04;
    let certificate: Certificate;
    try {
      certificate = readCertificate(altered);
    } catch {
      continue; // not even readable, which x509_test looks at
    }
    assert.notEqual(outcome(certificate, [ca]), "trusted", `byte ${index}`);
  }
});

Deno.test("validity is judged at the time asked for", () => {
  const end = person(ca);
  assert.equal(
    outcome(end.certificate, [ca], { at: days(-20) }),
    "certificate_not_yet_valid OUT_OF_BOUNDS_NO_POE",
  );
  assert.equal(
    outcome(end.certificate, [ca], { at: days(20) }),
    "certificate_expired OUT_OF_BOUNDS_NO_POE",
  );
  const crls = [readCrl(makeCrl(ca, [], { now: days(9) }))];
  const result = judge(end.certificate, [ca], { at: days(11), crls });
  assert.ok(!result.trusted);
  assert.equal(result.failure.subIndication, "OUT_OF_BOUNDS_NOT_REVOKED");
});

Deno.test("only authorities issue certificates", () => {
  const plain = authority("Plain", root, keyUsage("keyCertSign"));
  assert.equal(
    outcome(person(plain).certificate, [plain]),
    "not_a_ca CHAIN_CONSTRAINTS_FAILURE",
  );
  const signer = authority("Signer", root, basicConstraints(true), keyUsage("digitalSignature"));
  assert.equal(
    outcome(person(signer).certificate, [signer]),
    "key_usage CHAIN_CONSTRAINTS_FAILURE",
  );
  const short = authority("Short", root, basicConstraints(true, 0));
  const below = authority("Below", short);
  assert.equal(outcome(person(short).certificate, [short]), "trusted");
  assert.equal(
    outcome(person(below).certificate, [short, below]),
    "path_length CHAIN_CONSTRAINTS_FAILURE",
  );
});

Deno.test("an unknown critical extension is refused", () => {
  const odd = (critical: boolean) =>
    person(ca, extension("1.2.3.4", nullValue(), critical)).certificate;
  assert.equal(outcome(odd(false), [ca]), "trusted");
  assert.equal(outcome(odd(true), [ca]), "critical_extension CHAIN_CONSTRAINTS_FAILURE");
});

Deno.test("a certificate must allow the purpose asked for", () => {
  const end = person(ca, extKeyUsage([keyPurposes.clientAuth])).certificate;
  const refused = "key_purpose CHAIN_CONSTRAINTS_FAILURE";
  assert.equal(outcome(end, [ca], { purpose: keyPurposes.clientAuth }), "trusted");
  assert.equal(outcome(end, [ca], { purpose: keyPurposes.timeStamping }), refused);
  assert.equal(outcome(person(ca).certificate, [ca], { purpose: keyPurposes.any }), "trusted");
});

Deno.test("weak algorithms are refused unless they are asked for", () => {
  const sha1Key = { ...ca.key, algorithm: { scheme: "ECDSA", hash: "SHA-1" } as const };
  const end = person({ ...ca, key: sha1Key }).certificate;
  assert.equal(outcome(end, [ca]), "algorithm_weak CRYPTO_CONSTRAINTS_FAILURE_NO_POE");
  assert.equal(outcome(end, [ca], { weakAlgorithms: "accept" }), "trusted");
});

const subtree = (...bases: Uint8Array[]) => concat(...bases.map((base) => sequence(base)));
const text = (tag: number, value: string) => implicit(tag, new TextEncoder().encode(value));
const constrain = (permitted: Uint8Array[], excluded: Uint8Array[]) =>
  extension(
    extensionIds.nameConstraints,
    sequence(
      ...(permitted.length > 0 ? [explicit(0, subtree(...permitted))] : []),
      ...(excluded.length > 0 ? [explicit(1, subtree(...excluded))] : []),
    ),
    true,
  );
const altNames = (...names: Uint8Array[]) =>
  extension(extensionIds.subjectAltName, sequence(...names));

Deno.test("name constraints apply to all forms of names", () => {
  const directory = (unit: string) => explicit(4, encodeName([["O", "Tests"], ["OU", unit]]));
  const ip = (...bytes: number[]) => implicit(7, Uint8Array.from(bytes));
  const judgeNames = (permitted: Uint8Array[], excluded: Uint8Array[], ...names: Uint8Array[]) => {
    const limited = authority("Limited", root, ...caExtensions, constrain(permitted, excluded));
    const end = person(limited, ...(names.length > 0 ? [altNames(...names)] : []));
    return outcome(end.certificate, [limited]);
  };
  const refused = "name_constraints CHAIN_CONSTRAINTS_FAILURE";
  assert.equal(judgeNames([directory("people")], []), "trusted");
  assert.equal(judgeNames([directory("Machines")], []), refused);
  assert.equal(judgeNames([], [directory("People")]), refused);
  const permitted: [Uint8Array, Uint8Array, boolean][] = [
    [text(1, "wb.example"), text(1, "a@WB.example"), true],
    [text(1, "wb.example"), text(1, "a@x.wb.example"), false],
    [text(1, ".wb.example"), text(1, "a@x.wb.example"), true],
    [text(1, "a@wb.example"), text(1, "b@wb.example"), false],
    [text(1, "wb.example"), text(1, "nobody"), false],
    [text(2, "wb.example"), text(2, "x.wb.example"), true],
    [text(2, "wb.example"), text(2, "xwb.example"), false],
    [text(6, ".wb.example"), text(6, "https://x.wb.example/y"), true],
    [text(6, "wb.example"), text(6, "https://x@evil.example/wb.example"), false],
    [text(6, "wb.example"), text(6, "urn:x:y"), false],
    [ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 1, 2, 3), true],
    [ip(10, 0, 0, 0, 255, 0, 0, 0), ip(11, 1, 2, 3), false],
    [text(2, "wb.example"), text(1, "a@other.example"), true],
  ];
  for (const [base, name, right] of permitted) {
    assert.equal(judgeNames([base], [], name), right ? "trusted" : refused, name.toString());
  }
  assert.equal(judgeNames([], [text(2, "bad.example")], text(2, "x.bad.example")), refused);
  assert.equal(judgeNames([], [text(2, "x.bad.example")], text(2, "*.bad.example")), refused);
  assert.equal(judgeNames([], [text(2, "bad.example")], text(2, "good.example")), "trusted");
  // An address in the subject counts when there is none among the alternative names.
  const limited = authority(
    "Limited",
    root,
    ...caExtensions,
    constrain([text(1, "wb.example")], []),
  );
  const mail = issue({
    subject: [["O", "Tests"], ["emailAddress", "a@evil.example"]],
    issuer: limited,
    notBefore: days(-1),
    notAfter: days(1),
    key,
    extensions: [],
  });
  assert.equal(outcome(mail.certificate, [limited]), refused);
  const good = person(limited, subjectAltEmails("a@wb.example"));
  assert.equal(outcome(good.certificate, [limited]), "trusted");
});

Deno.test("policies can be required, mapped and inhibited", () => {
  const policy = (...policies: string[]) => certificatePolicies(...policies);
  const mapping = (from: string, to: string) =>
    extension(extensionIds.policyMappings, sequence(sequence(oid(from), oid(to))), true);
  const one = authority("One", root, ...caExtensions, policy("1.2.1"));
  const same = person(one, policy("1.2.1")).certificate;
  const other = person(one, policy("1.2.2")).certificate;
  const explicitly = { requireExplicitPolicy: true };
  const refused = "policy CHAIN_CONSTRAINTS_FAILURE";
  assert.equal(outcome(same, [one], explicitly), "trusted");
  assert.equal(outcome(same, [one], { ...explicitly, initialPolicies: ["1.2.2"] }), refused);
  assert.equal(outcome(other, [one], explicitly), refused);
  assert.equal(outcome(other, [one]), "trusted");

  const mapped = authority("M", root, ...caExtensions, policy("1.2.1"), mapping("1.2.1", "1.2.2"));
  const inMapped = person(mapped, policy("1.2.2")).certificate;
  const result = judge(inMapped, [mapped], explicitly);
  assert.deepEqual(result.trusted && result.policies, ["1.2.1"]);
  assert.equal(outcome(inMapped, [mapped], { ...explicitly, inhibitPolicyMapping: true }), refused);

  const any = authority("Any", root, ...caExtensions, policy(anyPolicy));
  const inAny = person(any, policy("1.2.3")).certificate;
  assert.equal(outcome(inAny, [any], explicitly), "trusted");
  assert.equal(outcome(inAny, [any], { ...explicitly, inhibitAnyPolicy: true }), refused);

  const wrong = authority("W", root, ...caExtensions, policy("1.2.1"), mapping(anyPolicy, "1.2.2"));
  assert.equal(
    outcome(person(wrong).certificate, [wrong]),
    "policy_mapping CHAIN_CONSTRAINTS_FAILURE",
  );
});

Deno.test("loops and namesakes end in bounded time", () => {
  // Two authorities that certify each other, under a root that is not trusted.
  const lost = authority("Lost root");
  const a = authority("A", lost);
  const b = authority("B", lost);
  const cross = (subject: Party, issuer: Party) =>
    issue({
      subject: [["O", "Tests"], ["CN", subject.certificate.subject.commonName!]],
      issuer,
      notBefore: days(-1),
      notAfter: days(1),
      key: subject.key,
      extensions: caExtensions,
    });
  const pool = [a, b, cross(a, b), cross(b, a)];
  assert.equal(outcome(person(a).certificate, pool), "no_issuer NO_CERTIFICATE_CHAIN_FOUND");
  // Many namesakes of the authority, each leading to the root.
  const namesakes = Array.from({ length: 100 }, () => authority("CA", root));
  assert.equal(outcome(person(ca).certificate, [...namesakes, ca]), "trusted");
  const nobody = issue({
    subject: [["CN", "Nobody"]],
    issuer: { ...ca, key: makeKey("p-256") },
    notBefore: days(-1),
    notAfter: days(1),
    key,
    extensions: [],
  });
  assert.ok(!judge(nobody.certificate, namesakes).trusted);
});

Deno.test("hundreds of hostile certificates and lists end in a typed refusal", () => {
  // Ten namesakes that all certify each other and the anchor's namesake, with lists by all of them.
  const keys = Array.from({ length: 10 }, () => makeKey("p-256"));
  const namesake = (key: TestKey, issuer?: Party) =>
    issue({
      subject: [["O", "Tests"], ["CN", "Root"]],
      issuer,
      notBefore: days(-1),
      notAfter: days(1),
      key,
      extensions: caExtensions,
    });
  const alone = keys.map((each) => namesake(each));
  const mesh = alone.flatMap((issuer) => keys.map((each) => namesake(each, issuer)));
  const lists = Array.from({ length: 100 }, (_, number) => {
    return readCrl(makeCrl(alone[number % alone.length], [], { now, number }));
  });
  const hostile = { revocation: "require", crls: lists } as const;
  assert.equal(
    outcome(person(alone[0]).certificate, mesh, hostile),
    "limit_exceeded CERTIFICATE_CHAIN_GENERAL_FAILURE",
  );
  assert.equal(outcome(person(root).certificate, mesh, hostile), "revocation_unknown TRY_LATER");
});

const revocation = "require";

Deno.test("a CRL decides whether a certificate is revoked", () => {
  const end = person(ca).certificate;
  const good = {
    revocation,
    crls: [root, ca].map((each) => readCrl(makeCrl(each, [], { now }))),
  } as const;
  assert.equal(outcome(end, [ca], good), "trusted");
  assert.equal(outcome(end, [ca], { revocation }), "revocation_unknown TRY_LATER");
  assert.equal(outcome(end, [ca], { revocation: "if_available" }), "trusted");
  const revoking = (
    issuer: Party,
    certificate: Certificate,
    reason: "keyCompromise" | "certificateHold" = "keyCompromise",
  ) => ({
    revocation,
    crls: [
      ...[root, ca].filter((each) => each !== issuer).map((each) => makeCrl(each, [], { now })),
      makeCrl(issuer, [{
        serialNumber: certificate.serialNumber,
        revokedAt: days(-1),
        reason,
      }], { now }),
    ].map(readCrl),
  } as const);
  assert.equal(outcome(end, [ca], revoking(ca, end)), "certificate_revoked REVOKED_NO_POE");
  assert.equal(
    outcome(end, [ca], { ...revoking(ca, end), revocation: "if_available" }),
    "certificate_revoked REVOKED_NO_POE",
  );
  assert.equal(
    outcome(end, [ca], revoking(ca, end, "certificateHold")),
    "certificate_on_hold TRY_LATER",
  );
  assert.equal(
    outcome(end, [ca], revoking(root, ca.certificate)),
    "certificate_revoked REVOKED_CA_NO_POE",
  );
  // Two days ago it was not revoked yet; the list from after that still proves it.
  assert.equal(outcome(end, [ca], { ...revoking(ca, end), at: days(-2), now }), "trusted");
});

Deno.test("a CRL that is out of date, from the future or signed by another is not evidence", () => {
  const end = person(ca).certificate;
  const withCrl = (crl: Uint8Array) => ({
    revocation,
    crls: [readCrl(makeCrl(root, [], { now })), readCrl(crl)],
  } as const);
  const unknown = "revocation_unknown TRY_LATER";
  assert.equal(outcome(end, [ca], withCrl(makeCrl(ca, [], { now: days(-9) }))), unknown);
  assert.equal(outcome(end, [ca], withCrl(makeCrl(ca, [], { now: days(9) }))), unknown);
  const forged = { ...ca, key: makeKey("p-256") };
  assert.equal(outcome(end, [ca], withCrl(makeCrl(forged, [], { now }))), unknown);
});

Deno.test("OCSP answers count only from the issuer or its delegate", () => {
  const end = person(ca).certificate;
  const crls = [readCrl(makeCrl(root, [], { now }))];
  const responderUntil = (notAfter: Date, ...extensions: Extension[]) =>
    issue({
      subject: [["CN", "Responder"]],
      issuer: ca,
      notBefore: days(-5),
      notAfter,
      key: "p-256",
      extensions,
    });
  const responder = (...extensions: Extension[]) => responderUntil(days(5), ...extensions);
  const delegation = [extKeyUsage([keyPurposes.ocspSigning]), ocspNoCheck()];
  const delegate = responder(...delegation);
  const answer = (from: Party, status: Parameters<typeof makeOcspResponse>[1], at = now) =>
    readOcspResponse(
      makeOcspResponse(
        { certificate: end, issuer: ca.certificate, responder: from },
        status,
        { now: at },
      ),
    );
  const judgeAnswer = (...ocspResponses: TrustOptions["ocspResponses"] & object) =>
    outcome(end, [ca], { revocation, crls, ocspResponses });
  const unknown = "revocation_unknown TRY_LATER";
  assert.equal(judgeAnswer(answer(ca, { status: "good" })), "trusted");
  assert.equal(judgeAnswer(answer(delegate, { status: "good" })), "trusted");
  assert.equal(judgeAnswer(answer(delegate, { status: "unknown" })), unknown);
  assert.equal(judgeAnswer(answer(delegate, { status: "good" }, days(-3))), unknown);
  assert.equal(judgeAnswer(answer(delegate, { status: "good" }, days(1))), unknown);
  // However long it says that it is current, it counts no longer than its responder's certificate.
  const expired = responderUntil(days(-0.25), ...delegation);
  assert.equal(judgeAnswer(answer(expired, { status: "good" }, days(-0.5))), unknown);
  assert.equal(
    judgeAnswer(answer(delegate, { status: "revoked", revokedAt: days(-1) })),
    "certificate_revoked REVOKED_NO_POE",
  );
  assert.equal(judgeAnswer(answer(responder(), { status: "good" })), unknown);
  assert.equal(judgeAnswer(answer(authority("Stranger", root), { status: "good" })), unknown);
  // About another certificate of the same issuer.
  const other = makeOcspResponse(
    { certificate: person(ca).certificate, issuer: ca.certificate, responder: delegate },
    { status: "good" },
    { now },
  );
  assert.equal(judgeAnswer(readOcspResponse(other)), unknown);
});

Deno.test("a responder's revocation is checked where possible, and never by its own answer", () => {
  const pki = makePki({ now, officers: [{ name: "A", key: "p-256" }] });
  const [{ certificate }] = pki.officers;
  const about = (subject: Certificate) =>
    readOcspResponse(
      makeOcspResponse(
        { certificate: subject, issuer: pki.subCa.certificate, responder: pki.ocspResponder },
        { status: "good" },
        { now },
      ),
    );
  const judgeWith = (lists: readonly Party[], revoked: readonly Certificate[] = []) => {
    const result = validateCertificate(certificate, {
      anchors: [pki.root.certificate],
      intermediates: [pki.ca.certificate, pki.subCa.certificate],
      crls: lists.map((each) =>
        readCrl(
          makeCrl(
            each,
            revoked.map(({ serialNumber }) => ({ serialNumber, revokedAt: days(-1) })),
            { now },
          ),
        )
      ),
      ocspResponses: [about(certificate), about(pki.ocspResponder.certificate)],
      at: now,
      revocation,
    });
    return result.trusted ? result.revocation[0].status : result.failure.code;
  };
  assert.equal(judgeWith([pki.root, pki.ca]), "revocation_unknown");
  assert.equal(judgeWith([pki.root, pki.ca, pki.subCa]), "good");
  assert.equal(judgeWith([pki.root, pki.ca, pki.subCa], [certificate]), "certificate_revoked");
});

Deno.test("a serial number with the wrong sign is a different number", () => {
  const negative = integer(-5).subarray(2);
  const positive = integer(5).subarray(2);
  const crl = readCrl(makeCrl(ca, [{ serialNumber: negative, revokedAt: days(-1) }], { now }));
  assert.ok(crl.find(ca.certificate.subject, negative));
  assert.equal(crl.find(ca.certificate.subject, positive), undefined);
  assert.equal(crl.find(root.certificate.subject, negative), undefined);
});
