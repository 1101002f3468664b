/** Containers sealed by an ASiCArchiveManifest, as EU DSS makes them; those of EU DSS are tried by `deno task interop ades`. */
import assert from "node:assert/strict";
import { readContainer, withFiles } from "../formats/asic/container.ts";
import { manifestFor } from "../formats/asic/manifest.ts";
import { digest } from "../formats/digest.ts";
import { bytesSource } from "../formats/source.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import { makePki, type Pki } from "../tests/fixtures/pki.ts";
import { levelServices, raiseFile, signAsic, timestamp } from "../tests/fixtures/signed_files.ts";
import { augment } from "./augment.ts";

const DAY = 24 * 3600 * 1000;
const now = new Date();
const later = (days: number) => new Date(now.getTime() + days * DAY);
const utf8 = new TextEncoder();
const pki = makePki({ now, officers: [{ name: "Asha" }, { name: "Bimal" }] });
/** Its timestamp authority outlives the other's, which ends after 365 days. */
const younger = makePki({ now: later(250), officers: [] });
const [asha, bimal] = pki.officers;
const how = { kind: "asic-e", format: "cades", level: "B-LT" } as const;

function seal(bytes: Uint8Array): Uint8Array {
  const container = readContainer(bytes);
  const files = container.entries.filter(({ name }) => name !== "mimetype").map((each) => ({
    name: each.name,
    mediaType: "text/plain",
    digest: (hash: Parameters<typeof digest>[0]) => digest(hash, each.bytes),
  }));
  const stamp = "META-INF/timestamp001.tst";
  const manifest = manifestFor(stamp, files, "SHA-256", "application/vnd.etsi.timestamp-token");
  return withFiles(container, [
    { name: "META-INF/ASiCArchiveManifest.xml", bytes: manifest },
    { name: stamp, bytes: timestamp(pki, manifest, now) },
  ]);
}

function told(bytes: Uint8Array, at: Date): string[] {
  return verifyBytes(bytes, {
    now: at,
    anchors: [pki, younger].map(({ root }) => root.certificate),
    revocation: "if_available",
  }).signatures.map(({ indication, level }) => `${indication} ${level}`);
}

async function renewed(by: Pki, bytes: Uint8Array, at: Date): Promise<Uint8Array> {
  // What proves the older timestamp comes from its own authority.
  const { validationData } = levelServices(pki, at);
  const made = await augment(
    { source: bytesSource(bytes) },
    { level: "B-LTA", which: "all" },
    { ...levelServices(by, at), validationData },
    new AbortController().signal,
  );
  assert.ok("file" in made);
  return made.file;
}

Deno.test("a sealed container is renewed, and outlives the authority of the timestamp before", async () => {
  const files = [{ name: "order.txt", bytes: utf8.encode("Pay 7\n"), mediaType: "text/plain" }];
  const sealed = seal(await signAsic(pki, asha, { files }, how, now));
  assert.deepEqual(told(sealed, later(1)), ["TOTAL-PASSED B-LTA"]);
  assert.deepEqual(told(sealed, later(400)), ["INDETERMINATE B-B"]);
  const once = await renewed(younger, sealed, later(300));
  assert.deepEqual(told(once, later(400)), ["TOTAL-PASSED B-LTA"]);
  const { data, cades, manifests } = readContainer(once);
  assert.deepEqual([data, cades], [readContainer(sealed).data, readContainer(sealed).cades]);
  assert.deepEqual([...manifests.keys()].filter((name) => name.includes("Archive")), [
    "META-INF/ASiCArchiveManifest1.xml",
    "META-INF/ASiCArchiveManifest.xml",
  ]);
  const twice = await renewed(younger, once, later(350));
  assert.deepEqual(told(twice, later(400)), ["TOTAL-PASSED B-LTA"]);
  // A timestamp under another one may not change any more.
  const stamp = "META-INF/timestamp001.tst";
  const older = readContainer(sealed).timestamps.get(stamp)!;
  const changed = withFiles(readContainer(twice), [{ name: stamp, bytes: older }]);
  assert.match(told(changed, later(400))[0], /^INDETERMINATE/);
});

Deno.test("a sealed signature stays at its level, and one that came later gets its own", async () => {
  const files = [{ name: "order.txt", bytes: utf8.encode("Pay 7\n"), mediaType: "text/plain" }];
  const sealed = seal(await signAsic(pki, asha, { files }, how, now));
  assert.deepEqual(await raiseFile(pki, sealed, "B-LT", now), sealed);
  const both = await signAsic(pki, bimal, { container: sealed }, { ...how, level: "B-B" }, now);
  assert.deepEqual(told(both, later(1)), ["TOTAL-PASSED B-LTA", "TOTAL-PASSED B-B"]);
  const raised = await raiseFile(pki, both, "B-LTA", now);
  assert.deepEqual(told(raised, later(1)), ["TOTAL-PASSED B-LTA", "TOTAL-PASSED B-LTA"]);
});

Deno.test("a list of files that no timestamp is over does not pass for a seal", async () => {
  const files = [{ name: "order.txt", bytes: utf8.encode("Pay 7\n"), mediaType: "text/plain" }];
  const listed = async (format: "cades" | "xades") => {
    const signed = await signAsic(pki, asha, { files }, { ...how, format, level: "B-B" }, now);
    const { entries } = readContainer(seal(signed));
    return withFiles({ entries: entries.filter(({ name }) => !name.endsWith(".tst")) }, []);
  };
  const cades = await listed("cades");
  await assert.rejects(raiseFile(pki, cades, "B-T", now), { code: "signature_mismatch" });
  // Signatures in XML hold their timestamps themselves.
  const xades = await raiseFile(pki, await listed("xades"), "B-LTA", now);
  assert.deepEqual(told(xades, later(1)), ["TOTAL-PASSED B-LTA"]);
});
