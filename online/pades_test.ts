import assert from "node:assert/strict";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { encodeTimestampRequest, readTimestampResponse } from "../formats/cms/timestamp.ts";
import { concat } from "../formats/asn1/der.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import type { HashName } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import { hasher } from "../formats/digest.ts";
import { padesCms, preparedDigest } from "./pades_cms.ts";
import { completePades, type Level, type LevelServices, preparePades } from "./pades.ts";

const pki = makePki({ officers: [{ name: "Anita Das", key: "p-256" }] });
const [officer] = pki.officers;
const PDF = classicPdf(documentObjects());
const signal = new AbortController().signal;
const time = new Date("2026-11-30T10:00:00Z");

const stamp = (hash: HashName, digest: Uint8Array) => {
  const request = encodeTimestampRequest({ hash, digest, nonce: new Uint8Array(8).fill(7) });
  return Promise.resolve(
    readTimestampResponse(answerTimestampRequest(pki.timestampAuthority, request)),
  );
};

/** Services that stamp the first `good` digests rightly, and then another one. */
const services = (good = Infinity): LevelServices => ({
  timestamp: (hash, digest) => stamp(hash, good-- > 0 ? digest : new Uint8Array(32)),
  validationData: () =>
    Promise.resolve({ certificates: [pki.root.certificate.der], crls: [], ocsps: [] }),
});

const pdf = { source: bytesSource(PDF), algorithm: "SHA-256" } as const;
const { der: certificate } = officer.certificate;
const signer = { certificate, chain: [], algorithm: officer.key.algorithm };

const prepare = (level: Level) => {
  const prepared = preparePades(pdf.source, signer, { level, time });
  const digest = preparedDigest(hasher("SHA-256").update(PDF), PDF.length, prepared);
  const cms = padesCms(digest, signer, { time });
  return {
    ...prepared,
    toBeSigned: cms.toBeSigned,
    complete: (signature: Uint8Array, services: LevelServices, signal: AbortSignal) =>
      completePades(
        pdf,
        prepared,
        cms.complete(signature),
        { level, certificate },
        services,
        signal,
      ),
  };
};

Deno.test("each PAdES level adds one revision or token to the level below", async () => {
  const made: [Level, number, string[]][] = [];
  for (const level of ["B-B", "B-T", "B-LT", "B-LTA"] as const) {
    const prepared = prepare(level);
    const signature = signBytes(officer.key, prepared.toBeSigned);
    const signed = concat(PDF, await prepared.complete(signature, services(), signal));
    const { signatures } = inspectSignatures(bytesSource(signed));
    const revisions = new TextDecoder("latin1").decode(signed).match(/%%EOF/g)!.length;
    made.push([level, revisions, signatures.map(({ kind }) => kind)]);
  }
  assert.deepEqual(made, [
    ["B-B", 2, ["signature"]],
    ["B-T", 2, ["signature"]],
    ["B-LT", 3, ["signature"]],
    ["B-LTA", 4, ["signature", "timestamp"]],
  ]);
});

Deno.test("a signature by another key or over other bytes is not released", async () => {
  const prepared = prepare("B-B");
  const stranger = makePki({ officers: [{ name: "Anita Das", key: "p-256" }] }).officers[0];
  for (
    const signature of [
      signBytes(stranger.key, prepared.toBeSigned),
      signBytes(officer.key, prepared.toBeSigned.subarray(1)),
    ]
  ) {
    await assert.rejects(prepared.complete(signature, services(), signal), {
      code: "signature_invalid",
    });
  }
});

Deno.test("a timestamp of something else is not released, whether at the signature or over the document", async () => {
  for (const [level, good] of [["B-T", 0], ["B-LTA", 1]] as const) {
    const prepared = prepare(level);
    const signature = signBytes(officer.key, prepared.toBeSigned);
    await assert.rejects(prepared.complete(signature, services(good), signal), {
      code: "signature_invalid",
    }, level);
  }
});

Deno.test("preparing twice gives the same bytes", () => {
  const [one, two] = [prepare("B-LTA"), prepare("B-LTA")];
  assert.deepEqual(one.appended, two.appended);
  assert.deepEqual(one.toBeSigned, two.toBeSigned);
});
