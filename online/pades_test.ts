import assert from "node:assert/strict";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { readTimestampResponse } from "../formats/cms/timestamp.ts";
import { encodeTimestampRequest } from "../formats/cms/timestamp_request.ts";
import { concat } from "../formats/asn1/der.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import type { HashName } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import { hasher } from "../formats/digest.ts";
import { fillContents } from "../formats/pades/contents.ts";
import { completeCms, holeIn, padesCms, preparedDigest } from "./pades_cms.ts";
import { finishPades, type Level, type LevelServices, preparePades } from "./pades.ts";

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
  const made = padesCms(digest, signer, { time });
  return {
    ...prepared,
    toBeSigned: made.toBeSigned,
    async complete(signature: Uint8Array, { timestamp, ...rest }: LevelServices) {
      const stamp = (hash: HashName, digest: Uint8Array) => timestamp(hash, digest, { signal });
      const cms = await completeCms(made, signature, "SHA-256", level === "B-B" ? null : stamp);
      const signed = fillContents(prepared.appended, ...holeIn(prepared, PDF.length), cms);
      const services = { timestamp, ...rest };
      const how = { level, certificate };
      return concat(signed, await finishPades(pdf, signed, cms, how, services, signal));
    },
  };
};

Deno.test("each PAdES level adds one revision or token to the level below", async () => {
  const made: [Level, number, string[]][] = [];
  for (const level of ["B-B", "B-T", "B-LT", "B-LTA"] as const) {
    const prepared = prepare(level);
    const signature = signBytes(officer.key, prepared.toBeSigned);
    const signed = concat(PDF, await prepared.complete(signature, services()));
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
    await assert.rejects(prepared.complete(signature, services()), {
      code: "signature_invalid",
    });
  }
});

Deno.test("a timestamp of something else is not released, whether at the signature or over the document", async () => {
  for (const [level, good] of [["B-T", 0], ["B-LTA", 1]] as const) {
    const prepared = prepare(level);
    const signature = signBytes(officer.key, prepared.toBeSigned);
    await assert.rejects(prepared.complete(signature, services(good)), {
      code: "signature_invalid",
    }, level);
  }
});

Deno.test("preparing twice gives the same bytes", () => {
  const [one, two] = [prepare("B-LTA"), prepare("B-LTA")];
  assert.deepEqual(one.appended, two.appended);
  assert.deepEqual(one.toBeSigned, two.toBeSigned);
});

Deno.test("a prepared revision whose unsigned part is more than the signature's place is refused", () => {
  const { appended, ranges: [[, before], [after, rest]] } = prepare("B-B");
  const filled = appended.slice();
  filled[before - PDF.length + 5] = 0x31;
  const forged: [Uint8Array, [number, number][]][] = [
    [appended, [[0, before - 40], [after, rest]]],
    [appended, [[0, before], [after + 40, rest - 40]]],
    [appended, [[0, PDF.length - 8], [after, rest]]],
    [appended, [[1, before], [after, rest]]],
    [appended, [[0, before], [after, rest - 1]]],
    [appended, [[0, before], [after, rest], [0, 1]]],
    [filled, [[0, before], [after, rest]]],
  ];
  for (const [appended, ranges] of forged) {
    assert.throws(() => holeIn({ appended, ranges }, PDF.length), { code: "signature_invalid" });
  }
});
