/** A person's certificate store on a Windows under Wine, with providers that misbehave where they should. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Officer } from "../fixtures/pki.ts";
import { compileForWindows, type Windows, windowsPath } from "./wine.ts";

const source = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Of the fakes' keys. */
export const WINDOWS_PIN = "Q7w9zK4x";

export interface Stored {
  officer: Officer;
  provider: string;
  /** 0: CNG */
  type: number;
  container: string;
  keySpec: number;
  /** Its key is put into Wine's own provider too. */
  withKey?: boolean;
}

/** CERT_NCRYPT_KEY_SPEC */
export const CNG_KEY = 0xFFFFFFFF;

/**
 * Builds ncrypt.dll with two officers' keys, and three CSPs: `Trial CSP`, `SHA-1 CSP`, `Pulled CSP`. They write down
 * what they are asked in the file that FAKE_LOG names.
 */
export async function installProviders(
  windows: Windows,
  dir: string,
  rsa: Officer,
  ec: Officer,
): Promise<void> {
  const array = (name: string, bytes: Uint8Array) =>
    `static const unsigned char ${name}[] = { ${bytes.join(", ")} };\n`;
  const wide = new Uint8Array([...WINDOWS_PIN, "\0"].flatMap((each) => [each.charCodeAt(0), 0]));
  const ascii = new TextEncoder().encode(`${WINDOWS_PIN}\0`);
  await Deno.writeTextFile(
    join(dir, "keys.h"),
    array("RSA_KEY", rsaBlob(rsa)) + array("EC_KEY", ecBlob(ec)) +
      `#define PIN_FNV ${fnv(wide)}u\n`,
  );
  await Deno.writeTextFile(join(dir, "pin.h"), `#define ASCII_PIN_FNV ${fnv(ascii)}u\n`);
  const include = ["-shared", `-I${dir}`];
  const ncrypt = join(windows.system32, "ncrypt.dll");
  await compileForWindows(ncrypt, ...include, source("windows_ncrypt.c"), "-lbcrypt");
  const csp = join(dir, "csp_trial.dll");
  await compileForWindows(csp, ...include, source("windows_csp.c"), "-ladvapi32");
  const keys = "HKLM\\Software\\Microsoft\\Cryptography\\Defaults\\Provider\\";
  for (
    const [name, file] of [["Trial CSP", "trial"], ["SHA-1 CSP", "sha1"], ["Pulled CSP", "pulled"]]
  ) {
    const path = join(dir, `csp_${file}.dll`);
    if (file !== "trial") await Deno.copyFile(csp, path);
    const add = ["add", keys + name, "/f", "/v"];
    await must(windows, "reg", [...add, "Image Path", "/d", windowsPath(path)]);
    await must(windows, "reg", [...add, "Type", "/t", "REG_DWORD", "/d", "1"]);
  }
  await compileForWindows(join(dir, "store.exe"), source("windows_store.c"), "-lcrypt32");
}

/** Puts certificates into the store, in place of those that are there. */
export async function putInStore(windows: Windows, dir: string, stored: readonly Stored[]) {
  // Without a store this fails.
  const store = "HKCU\\Software\\Microsoft\\SystemCertificates\\My";
  await windows.run("reg", ["delete", store, "/f"]);
  for (const { officer, provider, type, container, keySpec, withKey } of stored) {
    const der = join(dir, "certificate.der");
    const blob = join(dir, "key.blob");
    await Deno.writeFile(der, officer.certificate.der);
    await Deno.writeFile(blob, capiBlob(officer));
    await must(windows, join(dir, "store.exe"), [
      ...[windowsPath(der), provider, `${type}`, container, `${keySpec}`],
      ...withKey ? [windowsPath(blob)] : [],
    ]);
  }
}

async function must(windows: Windows, program: string, args: string[]): Promise<void> {
  const { code, stdout, stderr } = await windows.run(program, args);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")}: ${stdout}${stderr}`);
}

function fnv(bytes: Uint8Array): number {
  return bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 16777619) >>> 0, 2166136261);
}

const jwk = ({ key }: Officer) => key.privateKey.export({ format: "jwk" });
const number = (text?: string) => Uint8Array.fromBase64(text!, { alphabet: "base64url" });
const words = (...values: number[]) => [...new Uint8Array(Uint32Array.from(values).buffer)];

/** BCRYPT_RSAFULLPRIVATE_BLOB */
function rsaBlob(officer: Officer): Uint8Array {
  const { n, e, d, p, q, dp, dq, qi } = jwk(officer);
  const [modulus, exponent] = [number(n), number(e)];
  const half = modulus.length / 2;
  const head = words(0x33415352, 8 * modulus.length, exponent.length, modulus.length, half, half);
  const rest = [p, q, dp, dq, qi].flatMap((each) => [...padded(number(each), half)]);
  return Uint8Array.from([
    ...head,
    ...exponent,
    ...modulus,
    ...rest,
    ...padded(number(d), modulus.length),
  ]);
}

/** BCRYPT_ECCPRIVATE_BLOB */
function ecBlob(officer: Officer): Uint8Array {
  const { x, y, d } = jwk(officer);
  return Uint8Array.from([
    ...words(0x32534345, 32),
    ...[x, y, d].flatMap((each) => [...number(each)]),
  ]);
}

/** PRIVATEKEYBLOB, as CryptoAPI has it: little-endian. */
function capiBlob(officer: Officer): Uint8Array {
  const { n, e, d, p, q, dp, dq, qi } = jwk(officer);
  if (!n) return new Uint8Array();
  const modulus = number(n);
  const half = modulus.length / 2;
  const exponent = number(e).reduce((value, byte) => value * 256 + byte, 0);
  const little = (text: string | undefined, length: number) =>
    [...padded(number(text), length)].reverse();
  return Uint8Array.from([
    ...[7, 2, 0, 0, ...words(0xA400, 0x32415352, 8 * modulus.length, exponent)],
    ...little(n, modulus.length),
    ...[p, q, dp, dq, qi].flatMap((each) => little(each, half)),
    ...little(d, modulus.length),
  ]);
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes, length - bytes.length);
  return out;
}
