import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { signManifest } from "../../tasks/release_manifest.ts";
import {
  checkCommand,
  detect,
  fittingFiles,
  linuxOf,
  readRelease,
  systemOf,
} from "./install_release.ts";

const TARGETS = {
  "dsign_0.2.0_amd64.deb": "x86_64-unknown-linux-gnu",
  "dsign_0.2.0_arm64.deb": "aarch64-unknown-linux-gnu",
  "dsign-0.2.0-macos-x64.pkg": "x86_64-apple-darwin",
  "dsign-0.2.0-macos-arm64.pkg": "aarch64-apple-darwin",
  "dsign-0.2.0-windows-x64.exe": "x86_64-pc-windows-msvc",
};
const FILES = Object.entries(TARGETS).map(([name, target]) => ({
  target,
  name,
  url: `https://example.org/${name}`,
  size: 1,
  sha256: "0".repeat(64),
}));
const BASE = "https://portal.example/install";

const manifest = (change: Record<string, unknown>) =>
  signManifest({
    product: "dsign",
    channel: "stable",
    version: "0.2.0",
    issued: "2026-11-20T00:00:00Z",
    expires: "2026-12-20T00:00:00Z",
    files: FILES,
    ...change,
  }, generateKeyPairSync("ed25519").privateKey);

const WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/147.0.0.0";
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15";
const LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const PHONE = "Mozilla/5.0 (Linux; Android 16; Pixel) AppleWebKit/537.36 Chrome/147.0.0.0 Mobile";

const hints = (platform: string, architecture: string) => ({
  platform,
  getHighEntropyValues: () => Promise.resolve({ architecture }),
});
const names = async (browser: Parameters<typeof detect>[0]) =>
  fittingFiles(FILES, await detect(browser)).map(({ name }) => name);

Deno.test("the manifest that the release tool makes is read", () => {
  assert.deepEqual(readRelease(manifest({}), BASE), { version: "0.2.0", files: FILES });
});

Deno.test("an invalid manifest gives none, and only web addresses are accepted", () => {
  const files = [{ ...FILES[0], url: "javascript:alert(1)" }];
  for (const text of ["", "null", "{}", '{"payload":"x"}', manifest({ files })]) {
    assert.equal(readRelease(text, BASE), null, text);
  }
});

Deno.test("the file for this computer, as far as the browser tells", async () => {
  assert.deepEqual(await names({ userAgent: WINDOWS }), ["dsign-0.2.0-windows-x64.exe"]);
  assert.deepEqual(await names({ userAgent: LINUX }), ["dsign_0.2.0_amd64.deb"]);
  assert.deepEqual(await names({ userAgent: LINUX.replace("x86_64", "aarch64") }), [
    "dsign_0.2.0_arm64.deb",
  ]);
  // Safari does not tell the processor; Chromium does
  assert.equal((await names({ userAgent: MAC })).length, 2);
  assert.deepEqual(await names({ userAgent: MAC, userAgentData: hints("macOS", "arm") }), [
    "dsign-0.2.0-macos-arm64.pkg",
  ]);
  assert.deepEqual(await names({ userAgent: WINDOWS, userAgentData: hints("Windows", "arm") }), []);
  assert.deepEqual(await names({ userAgent: PHONE }), []);
});

Deno.test("every file has its system and the command that checks it", () => {
  assert.deepEqual(FILES.map(systemOf), ["linux", "linux", "macos", "macos", "windows"]);
  assert.deepEqual(FILES.map((file) => checkCommand(file).split(" ")[0]), [
    ...["sha256sum", "sha256sum", "shasum", "shasum", "certutil"],
  ]);
});

Deno.test("of the files for Linux the most usual comes first, and each says for which it is", () => {
  const names = ["d-1.x86_64.rpm", "d-linux-x64.tar.gz", "d_amd64.deb"];
  const files = names.map((name) => ({ ...FILES[0], name }));
  assert.deepEqual(
    fittingFiles(files, { system: "linux", arch: "x86_64" }).map((file) => linuxOf(file)),
    ["Debian, Ubuntu", "Fedora, RHEL", "Linux"],
  );
  assert.equal(linuxOf({ ...FILES[0], name: "d-windows-x64.exe" }), "");
});
