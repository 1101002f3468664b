/** Mutated containers: verify them; what is read is read by another reader just so. */
import assert from "node:assert/strict";
import { unzipSync, zipSync } from "fflate";
import { dosTime, readZip, writeZip } from "../../formats/asic/zip.ts";
import { digest } from "../../formats/digest.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import { signCms } from "../fixtures/signed_files.ts";
import { attempt } from "./attempt.ts";
import { Honest, now, pkiOf, trusting } from "./honest.ts";

const pki = pkiOf({ name: "Asha" });
const options = trusting(pki);

export const words = [
  ...["PK\x01\x02", "PK\x03\x04", "PK\x05\x06", "PK\x07\x08", "mimetype", "META-INF/", "../", "\0"],
  ...["META-INF/signature.p7s", "META-INF/ASiCManifest001.xml", "order.txt", "ORDER.TXT"],
  ...["application/vnd.etsi.asic-e+zip", "\xff\xff\xff\xff", "\0\0\0\0", "\x08\0", "\x01\0"],
];

const told = (files: [string, Uint8Array][]) =>
  files.map(([name, bytes]) => `${name} ${digest("SHA-256", bytes).toHex()}`).toSorted();
const unzip = (bytes: Uint8Array) =>
  Object.entries(unzipSync(bytes)).filter(([name]) => !name.endsWith("/"));
const honest = new Honest(
  (bytes) => attempt(() => verifyBytes(bytes, options)),
  (bytes) => told(unzip(bytes).filter(([name]) => !name.startsWith("META-INF/"))).join(),
);

export function seeds(): Promise<Uint8Array[]> {
  const content = new TextEncoder().encode("Pay 1200.00\n");
  const type = new TextEncoder().encode("application/vnd.etsi.asic-s+zip");
  const [asha] = pki.officers;
  const cms = signCms({ ...asha, chain: [] }, { digest: digest("SHA-256", content) }, now);
  const files = { mimetype: type, "order.txt": content, "META-INF/signature.p7s": cms };
  const time = dosTime(now);
  const signed = [
    writeZip(Object.entries(files).map(([name, bytes]) => ({ name, bytes, time }))),
    zipSync(files),
  ];
  honest.learn(signed);
  return Promise.resolve([
    ...signed,
    zipSync({ "a/": new Uint8Array(), "a/b.txt": content }),
  ]);
}

/** @throws whatever no reader of containers may throw */
export function exercise(bytes: Uint8Array): void {
  honest.check(bytes);
  const ours = attempt(() => readZip(bytes));
  if (!ours) return;
  assert.deepEqual(told(ours.map(({ name, bytes }) => [name, bytes])), told(unzip(bytes)));
}
