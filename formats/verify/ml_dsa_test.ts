import assert from "node:assert/strict";
import { makeCrl } from "../../tests/fixtures/issue.ts";
import { testKey } from "../../tests/fixtures/keys.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import {
  archiveCms,
  authorities,
  extendCms,
  signCms,
  signJws,
  timestampCms,
} from "../../tests/fixtures/signed_files.ts";
import { withMlDsa } from "../keys/ml_dsa.ts";
import { readMaterial } from "./material.ts";
import { verifyBytes } from "./verify.ts";

const now = new Date("2026-12-01T00:00:00Z");
const pki = makePki({
  now,
  officers: [{ name: "A. Basu", key: "ml-dsa-65" }],
  newKey: (type) => testKey(type === "rsa-2048" ? "ml-dsa-44" : type),
});
const [officer] = pki.officers;
const content = new TextEncoder().encode('{"amount":"1200.00","bill":7}');
const material = readMaterial({
  crls: authorities(pki).map((each) => makeCrl(each, [], { now })),
});

/** Indication, level and algorithm of the only signature. */
async function verdict(bytes: Uint8Array) {
  const anchors = [pki.root.certificate];
  const { signatures: [only] } = await withMlDsa(() =>
    verifyBytes(bytes, { now, anchors, material })
  );
  return [only.subIndication ?? only.indication, only.level, only.algorithm];
}

Deno.test("a report names ML-DSA, in CMS at all levels, PDF and JWS", async () => {
  const cms = signCms(officer, { content }, now);
  assert.deepEqual(await verdict(cms), ["TOTAL-PASSED", "B-B", "ML-DSA-65 with SHA-512"]);
  const archived = archiveCms(pki, extendCms(pki, timestampCms(pki, cms, now), now), now);
  assert.deepEqual((await verdict(archived)).slice(0, 2), ["TOTAL-PASSED", "B-LTA"]);

  const pdf = signPdf(classicPdf(documentObjects()), officer, { contentsSize: 32_768, time: now });
  assert.deepEqual(await verdict(pdf), ["TOTAL-PASSED", "B-B", "ML-DSA-65 with SHA-512"]);

  const jws = new TextEncoder().encode(signJws(officer, { payload: content }));
  assert.deepEqual(await verdict(jws), ["TOTAL-PASSED", "B-B", "ML-DSA-65"]);
});

Deno.test("a timestamp with a changed ML-DSA signature does not count", async () => {
  const stamped = timestampCms(pki, signCms(officer, { content }, now), now);
  assert.deepEqual((await verdict(stamped)).slice(0, 2), ["TOTAL-PASSED", "B-T"]);
  stamped[stamped.length - 1] ^= 1; // the token stands last, and its signature last in it
  assert.deepEqual((await verdict(stamped)).slice(0, 2), ["TOTAL-PASSED", "B-B"]);
});

Deno.test("no byte of a PDF signed with ML-DSA can be changed", async () => {
  const pdf = signPdf(classicPdf(documentObjects()), officer, { contentsSize: 32_768, time: now });
  const hole = new TextDecoder("latin1").decode(pdf).indexOf("/Contents <") + 11;
  for (let at = 5; at < pdf.length; at += 211) {
    if (at >= hole && at < hole + 65_536) continue;
    const changed = pdf.slice();
    changed[at] ^= 1;
    const [indication] = await verdict(changed).catch(({ code }) => [code]);
    assert.notEqual(indication, "TOTAL-PASSED", `byte ${at}`);
  }
});
