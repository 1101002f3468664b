import assert from "node:assert/strict";
import { readCrl } from "./crl.ts";
import { prepareCrl } from "./write.ts";
import {
  bitString,
  concat,
  explicit,
  implicit,
  integer,
  nullValue,
  sequence,
} from "../asn1/der.ts";
import { validateCertificate } from "./path.ts";
import type { Certificate } from "./certificate.ts";
import { extensionIds } from "./extensions.ts";
import {
  basicConstraints,
  type Extension,
  extension,
  keyUsage,
} from "../../tests/fixtures/extensions.ts";
import { assertDamageIsTold } from "../../tests/fixtures/damage.ts";
import { issue, makeCrl, type Party, type Revoked } from "../../tests/fixtures/issue.ts";
import { makeKey, signBytes } from "../../tests/fixtures/keys.ts";

const now = new Date("2026-05-01T00:00:00Z");
const days = (count: number) => new Date(now.getTime() + count * 24 * 3600 * 1000);
const key = makeKey("p-256");
const TRUE = Uint8Array.of(0xff);

function party(name: string, issuer: Party | undefined, ...extensions: Extension[]): Party {
  return issue({
    subject: [["CN", name]],
    issuer,
    notBefore: days(-100),
    notAfter: days(100),
    key: "p-256",
    extensions,
  });
}

const caUse = [basicConstraints(true), keyUsage("keyCertSign", "cRLSign")];
const root = party("Root", undefined, ...caUse);
const ca = party("CA", root, ...caUse);
const listSigner = party("List signer", root, keyUsage("cRLSign"));

const uri = (text: string) => implicit(6, new TextEncoder().encode(text));
const pointName = (text: string) => explicit(0, explicit(0, uri(text)));
/** DistributionPoint with a name, reasons as a BIT STRING's content, and a CRL issuer. */
const distributionPoints = (...points: Uint8Array[]) =>
  extension(extensionIds.cRLDistributionPoints, sequence(...points));
const scope = (...fields: Uint8Array[]) =>
  extension(extensionIds.issuingDistributionPoint, sequence(...fields), true);
/** ReasonFlags under an IMPLICIT tag. */
const reasons = (tag: number, ...bits: number[]) => {
  const flags = new Uint8Array(2);
  for (const bit of bits) flags[bit >> 3] |= 0x80 >> (bit & 7);
  return implicit(tag, bitString(flags, 7).subarray(2));
};
const directory = (party: Party) => explicit(4, party.certificate.subject.der);

function end(...extensions: Extension[]): Certificate {
  return issue({
    subject: [["CN", "End"]],
    issuer: ca,
    notBefore: days(-10),
    notAfter: days(10),
    key,
    extensions,
  }).certificate;
}

const revoking = ({ serialNumber }: Certificate, more: Partial<Revoked> = {}) => [
  { serialNumber, revokedAt: days(-1), ...more },
];

function outcome(certificate: Certificate, ...lists: Uint8Array[]): string {
  const result = validateCertificate(certificate, {
    anchors: [root.certificate],
    intermediates: [ca.certificate, listSigner.certificate],
    crls: [makeCrl(root, [], { now }), ...lists].map(readCrl),
    at: now,
    revocation: "require",
  });
  return result.trusted ? "good" : result.failure.code;
}

Deno.test("a list counts only for its scope (RFC 5280 §5.2.5)", () => {
  const list = (...fields: Uint8Array[]) =>
    makeCrl(ca, [], { now, extensions: [scope(...fields)] });
  assert.equal(outcome(end(), list(implicit(1, TRUE))), "good"); // user certificates
  assert.equal(outcome(end(), list(implicit(2, TRUE))), "revocation_unknown"); // authorities
  assert.equal(outcome(end(), list(implicit(5, TRUE))), "revocation_unknown"); // attributes
  const pointed = end(distributionPoints(sequence(pointName("http://a.example/1"))));
  assert.equal(outcome(pointed, list(pointName("http://a.example/1"))), "good");
  assert.equal(outcome(pointed, list(pointName("http://a.example/2"))), "revocation_unknown");
  assert.equal(outcome(end(), list(pointName("http://a.example/1"))), "revocation_unknown");
});

Deno.test("lists that each cover some reasons count together", () => {
  const list = (revoked: Revoked[], ...bits: number[]) =>
    makeCrl(ca, revoked, { now, extensions: [scope(reasons(3, ...bits))] });
  const certificate = end();
  const compromise = list([], 1, 2);
  const others = list([], 3, 4, 5, 6, 7, 8);
  assert.equal(outcome(certificate, compromise), "revocation_unknown");
  assert.equal(outcome(certificate, compromise, others), "good");
  assert.equal(
    outcome(certificate, compromise, list(revoking(certificate), 3, 4, 5, 6, 7, 8)),
    "certificate_revoked",
  );
});

Deno.test("indirect lists need a distribution point that names their issuer", () => {
  const pointed = end(distributionPoints(
    sequence(explicit(2, directory(listSigner))),
  ));
  const certificateIssuer = extension(
    extensionIds.certificateIssuer,
    sequence(directory(ca)),
    true,
  );
  const list = (revoked: Revoked[], indirect = true) =>
    makeCrl(listSigner, revoked, {
      now,
      extensions: indirect ? [scope(implicit(4, TRUE))] : [],
    });
  assert.equal(outcome(pointed, list([])), "good");
  assert.equal(outcome(end(), list([])), "revocation_unknown");
  assert.equal(outcome(pointed, list([], false)), "revocation_unknown");
  assert.equal(
    outcome(pointed, list(revoking(pointed, { extensions: [certificateIssuer] }))),
    "certificate_revoked",
  );
  // The same number by the list's own issuer is another certificate.
  assert.equal(outcome(pointed, list(revoking(pointed))), "good");
});

Deno.test("delta lists add to the complete list and take away from it", () => {
  const delta = (base: number) => extension(extensionIds.deltaCRLIndicator, integer(base), true);
  const certificate = end();
  const complete = makeCrl(ca, [], { now, number: 5 });
  const later = makeCrl(ca, revoking(certificate), { now, number: 6, extensions: [delta(4)] });
  assert.equal(outcome(certificate, complete, later), "certificate_revoked");
  const older = makeCrl(ca, revoking(certificate), { now, number: 5, extensions: [delta(4)] });
  assert.equal(outcome(certificate, complete, older), "good");
  const ahead = makeCrl(ca, revoking(certificate), { now, number: 8, extensions: [delta(7)] });
  assert.equal(outcome(certificate, complete, ahead), "good");
  assert.equal(outcome(certificate, later), "revocation_unknown"); // a delta alone
  const held = makeCrl(ca, revoking(certificate, { reason: "certificateHold" }), {
    now,
    number: 5,
  });
  const released = makeCrl(ca, revoking(certificate, { reason: "removeFromCRL" }), {
    now,
    number: 6,
    extensions: [delta(5)],
  });
  assert.equal(outcome(certificate, held), "certificate_on_hold");
  assert.equal(outcome(certificate, held, released), "good");
});

Deno.test("lists with unknown critical extensions are not used", () => {
  const unknown = extension("1.2.3.4", nullValue(), true);
  assert.throws(() => readCrl(makeCrl(ca, [], { now, extensions: [unknown] })), {
    code: "extension_unsupported",
  });
  const certificate = end();
  const other = end();
  const list = makeCrl(ca, revoking(other, { extensions: [unknown] }), { now });
  assert.equal(outcome(certificate, list), "revocation_unknown");
});

Deno.test("a list issued after the certificate expired proves nothing", () => {
  const certificate = end();
  const judge = (...extensions: Extension[]) => {
    const result = validateCertificate(certificate, {
      anchors: [root.certificate],
      intermediates: [ca.certificate],
      crls: [makeCrl(root, [], { now }), makeCrl(ca, [], { now: days(20), extensions })].map(
        readCrl,
      ),
      at: now,
      now: days(20),
      revocation: "require",
    });
    return result.trusted ? "good" : result.failure.code;
  };
  assert.equal(judge(), "revocation_unknown");
  const kept = concat(Uint8Array.of(0x18, 15), new TextEncoder().encode("20200101000000Z"));
  assert.equal(judge(extension(extensionIds.expiredCertsOnCRL, kept)), "good");
});

Deno.test("a list of 20,000 entries is searched, and damaged lists are refused", () => {
  const revoked = Array.from({ length: 20_000 }, (_, index) => ({
    serialNumber: Uint8Array.of(1, index >> 16, index >> 8, index),
    revokedAt: now,
    reason: "superseded" as const,
  }));
  const prepared = prepareCrl({
    issuer: ca.certificate.subject.der,
    thisUpdate: now,
    nextUpdate: days(7),
    revoked,
    algorithm: ca.key.algorithm,
    extensions: [],
  });
  const list = readCrl(prepared.complete(signBytes(ca.key, prepared.toBeSigned)));
  const found = list.find(ca.certificate.subject, Uint8Array.of(1, 0, 0x4e, 0x1f));
  assert.deepEqual(found, { revokedAt: now, reason: "superseded" });
  assert.equal(list.find(ca.certificate.subject, Uint8Array.of(1, 2, 0, 0)), undefined);

  const { der } = readCrl(makeCrl(ca, revoking(end(), { reason: "keyCompromise" }), { now }));
  assertDamageIsTold(
    der,
    (damaged) => readCrl(damaged).find(ca.certificate.subject, Uint8Array.of(1)),
  );
});
