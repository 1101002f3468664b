/**
 * `deno task manifest`: makes the signed manifest that `dsign update check` and the download page read, from the files
 * of a release. The key is an Ed25519 private key, PKCS #8 PEM (`openssl genpkey -algorithm ed25519`); `--public-key`
 * prints its public half as `updateSource.keys` and `cli/update/release_source.json` want it.
 *
 * ```sh
 * deno task manifest --key release.pem --base https://example.org/dsign/0.2.0/ --output stable.json dist/packages/*
 * ```
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import { type Manifest, MANIFEST_TYPE } from "../cli/update/manifest.ts";

/** Target machine of a package, from its file name. */
const TARGETS: [RegExp, string][] = [
  [/_amd64\.deb$|\.x86_64\.rpm$|linux-x64\.tar\.gz$/, "x86_64-unknown-linux-gnu"],
  [/_arm64\.deb$|\.aarch64\.rpm$|linux-arm64\.tar\.gz$/, "aarch64-unknown-linux-gnu"],
  [/macos-x64\.pkg$/, "x86_64-apple-darwin"],
  [/macos-arm64\.pkg$/, "aarch64-apple-darwin"],
  [/windows-x64\.exe$/, "x86_64-pc-windows-msvc"],
];

/** A file's entry; null for one that nobody installs, such as the checksums. */
export async function manifestFile(
  path: string,
  base: string,
): Promise<Manifest["files"][number] | null> {
  const name = basename(path);
  const target = TARGETS.find(([pattern]) => pattern.test(name))?.[1];
  if (target === undefined) return null;
  const bytes = await Deno.readFile(path);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { target, name, url: new URL(name, base).href, size: bytes.length, sha256 };
}

/** A flattened JWS (RFC 7515 §7.2.2) by Ed25519 (RFC 8037). */
export function signManifest(manifest: Manifest, key: KeyObject): string {
  const part = (value: unknown) =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
  const header = part({ alg: "Ed25519", typ: MANIFEST_TYPE });
  const payload = part(manifest);
  const signature = new Uint8Array(
    sign(null, new TextEncoder().encode(`${header}.${payload}`), key),
  )
    .toBase64({ alphabet: "base64url", omitPadding: true });
  return JSON.stringify({ protected: header, payload, signature }, null, 2) + "\n";
}

/** The 32 bytes of an Ed25519 public key, Base64. */
export const publicKeyText = (key: KeyObject): string =>
  // RFC 8410 §4: they end the SubjectPublicKeyInfo
  new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" }).subarray(-32))
    .toBase64();

/** The manifest of these files, as of now. */
export async function manifestOf(
  paths: readonly string[],
  { version, base, channel = "stable", days = 30, notes }: {
    version: string;
    /** Address that the files' names follow. */
    base: string;
    channel?: string;
    /** For how long it may be believed. */
    days?: number;
    notes?: string;
  },
): Promise<Manifest> {
  const files = await Promise.all(paths.toSorted().map((path) => manifestFile(path, base)));
  const now = Date.now();
  const time = (milliseconds: number) => new Date(milliseconds).toISOString();
  return {
    product: "dsign",
    channel,
    version,
    issued: time(now),
    expires: time(now + days * 24 * 3600 * 1000),
    ...notes && { notes },
    files: files.filter((file) => file !== null),
  };
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      key: { type: "string" },
      "public-key": { type: "boolean" },
      base: { type: "string" },
      output: { type: "string" },
      channel: { type: "string", default: "stable" },
      days: { type: "string", default: "30" },
      notes: { type: "string" },
    },
  });
  if (!values.key) throw new Error("--key is missing");
  const key = createPrivateKey(await Deno.readTextFile(values.key));
  if (values["public-key"]) console.log(publicKeyText(key));
  else {
    const { base, output, channel, days, notes } = values;
    if (!base?.endsWith("/") || !output) {
      throw new Error("--base URL/ and --output FILE are missing");
    }
    const { version } = JSON.parse(
      await Deno.readTextFile(new URL("../deno.json", import.meta.url)),
    );
    const manifest = await manifestOf(positionals, {
      version,
      base,
      channel,
      days: Number(days),
      notes,
    });
    await Deno.writeTextFile(output, signManifest(manifest, key));
  }
}
