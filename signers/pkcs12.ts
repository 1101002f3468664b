/**
 * The software token: a PKCS #12 file (`.p12`, `.pfx`), its password as the PIN. For the demo, for systems without a
 * PKCS#11 module and for keys that came as a file.
 *
 * Most files encrypt even their certificates. Those that are listed before the password is known are the unencrypted
 * ones in the file, or else those in a PEM or DER file of the same name that ends in `.crt` or `.pem`; without any, the
 * token hides its certificates until {@linkcode Pkcs12Provider.reveal}.
 */
import { createHash } from "node:crypto";
import { basename, dirname, extname, join, resolve } from "node:path";
import { FormatError } from "../formats/error.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { readCertificates } from "../formats/x509/bundle.ts";
import { algorithmFor, chainOf, find } from "./certificates.ts";
import { MAX_FILE_BYTES, publicCertificates, readPkcs12 } from "./pkcs12_read.ts";
import {
  type AskPin,
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Problem,
  type Provider,
  SignerError,
  type TokenInfo,
} from "./provider.ts";
import { type SoftwareKey, softwareKey } from "./software_key.ts";

const KEY_FILE = /\.(p12|pfx)$/i;
const POLL_MS = 2000;

/** Tokens from files. */
export class Pkcs12Provider implements Provider {
  readonly #paths: readonly string[];
  /** The file of the token with this URI. */
  #files = new Map<string, string>();
  /** Certificates that files have shown with their password, by URI; good for one state of the file. */
  readonly #revealed = new Map<string, { state: string; certificates: Uint8Array[] }>();
  #watches = new Set<ReturnType<typeof setInterval>>();

  /** @param paths key files, and folders of key files; a folder may be missing */
  constructor(paths: readonly string[]) {
    this.#paths = paths.map((path) => resolve(path));
  }

  async list(signal?: AbortSignal): Promise<Listing> {
    const listing: Listing = { tokens: [], keys: [], problems: [] };
    for (const file of await this.#keyFiles(listing.problems)) {
      signal?.throwIfAborted();
      try {
        const token = tokenOf(file);
        let certificates = await shownCertificates(file);
        if (certificates.length === 0) {
          const revealed = this.#revealed.get(token.uri);
          if (revealed?.state === await stateOf(file)) ({ certificates } = revealed);
          else token.hidesCertificates = true;
        }
        this.#files.set(token.uri, file);
        listing.tokens.push(token);
        listing.keys.push(...toKeys(token, certificates));
      } catch (error) {
        listing.problems.push(toProblem(file, error));
      }
    }
    return listing;
  }

  async reveal(token: TokenInfo, askPin: AskPin): Promise<void> {
    const { file, bytes } = await this.#read(token);
    const state = await stateOf(file);
    const password = await askPin("login");
    const { keys, certificates } = await readPkcs12(bytes, password)
      .finally(() => password.fill(0));
    for (const key of keys) key.fill(0);
    if (certificates.length === 0) throw noCertificate(file);
    this.#revealed.set(token.uri, { state, certificates });
  }

  /** The file of a token that was listed. */
  async #read({ uri }: TokenInfo): Promise<{ file: string; bytes: Uint8Array }> {
    const file = this.#files.get(uri);
    if (file === undefined) {
      throw new SignerError("token_not_present", "The key file no longer exists.");
    }
    const bytes = await readSmall(file).catch((error) => {
      throw new SignerError("token_removed", toProblem(file, error).message);
    });
    return { file, bytes };
  }

  async open(key: KeyInfo, { hash, askPin }: OpenOptions): Promise<Signer> {
    const algorithm = algorithmFor(key.certificate, hash);
    const { bytes } = await this.#read(key.token);
    const pin = await askPin("login");
    const { keys } = await readPkcs12(bytes, pin).finally(() => pin.fill(0));
    let opened: SoftwareKey | undefined = await takeKey(keys, key.certificate);
    return {
      certificate: key.certificate,
      chain: key.chain,
      algorithm,
      // deno-lint-ignore require-await -- a failure is a rejection
      async sign(input, signal) {
        if (signal?.aborted) {
          throw new SignerError("request_cancelled", "The request was cancelled.");
        }
        if (!opened) throw new SignerError("key_not_found", "The key is already closed.");
        return opened.sign(algorithm, input);
      },
      // deno-lint-ignore require-await
      async close() {
        opened?.wipe();
        opened = undefined;
      },
    };
  }

  watch(changed: () => void): () => void {
    let last: string | undefined;
    const timer = setInterval(async () => {
      const files = await this.#keyFiles([]);
      const now = JSON.stringify(
        await Promise.all(files.map(async (file) => {
          const { mtime } = await Deno.stat(file).catch(() => ({ mtime: null }));
          return [file, mtime];
        })),
      );
      if (last !== undefined && last !== now && this.#watches.has(timer)) changed();
      last = now;
    }, POLL_MS);
    this.#watches.add(timer);
    return () => {
      clearInterval(timer);
      this.#watches.delete(timer);
    };
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    for (const timer of this.#watches) clearInterval(timer);
    this.#watches.clear();
  }

  async #keyFiles(problems: Problem[]): Promise<string[]> {
    const files: string[] = [];
    for (const path of this.#paths) {
      try {
        if ((await Deno.stat(path)).isDirectory) {
          for await (const entry of Deno.readDir(path)) {
            if (KEY_FILE.test(entry.name)) files.push(join(path, entry.name));
          }
        } else files.push(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) || KEY_FILE.test(path)) {
          problems.push(toProblem(path, error));
        }
      }
    }
    return files.sort();
  }
}

/**
 * Looks whether bytes are a key file, as far as that is seen without its password.
 *
 * @throws {SignerError} `key_file_unreadable`, `key_file_unsupported`
 */
export async function checkKeyFile(bytes: Uint8Array): Promise<void> {
  await publicCertificates(bytes);
}

/**
 * Opens the first key of a file, for services that have its password.
 *
 * @param password UTF-8; wiped
 * @throws {SignerError} `certificate_not_found` if the file cannot be read; as `Pkcs12Provider.open`
 */
export async function openKeyFile(
  path: string,
  password: Uint8Array,
  hash: HashName,
): Promise<Signer> {
  const provider = new Pkcs12Provider([path]);
  const { tokens: [token], problems: [problem] } = await provider.list();
  if (!token) throw new SignerError("certificate_not_found", problem.message);
  const askPin = () => Promise.resolve(password.slice());
  try {
    if (token.hidesCertificates) await provider.reveal(token, askPin);
    const { keys: [key] } = await provider.list();
    return await provider.open(key, { hash, askPin });
  } finally {
    password.fill(0);
  }
}

/** The key of a certificate. All `keys` (PKCS #8) are wiped. */
async function takeKey(
  keys: readonly Uint8Array[],
  certificate: Uint8Array,
): Promise<SoftwareKey> {
  const { publicKey } = readCertificate(certificate);
  let own: SoftwareKey | undefined;
  let failure = new SignerError("key_not_found", "The file holds no key for this certificate.");
  for (const bytes of keys) {
    try {
      const key = await softwareKey(bytes);
      if (!own && key.fits(publicKey.bytes)) own = key;
      else key.wipe();
    } catch (error) {
      if (error instanceof SignerError) failure = error;
      else if (!(error instanceof FormatError)) throw error;
    } finally {
      bytes.fill(0);
    }
  }
  if (!own) throw failure;
  return own;
}

/** The certificates that are readable without the password. */
async function shownCertificates(file: string): Promise<Uint8Array[]> {
  const shown = await publicCertificates(await readSmall(file));
  return shown.length > 0 ? shown : await certificatesBeside(file);
}

/** Changes when the file does. */
async function stateOf(file: string): Promise<string> {
  const { mtime, size } = await Deno.stat(file);
  return `${mtime?.getTime()} ${size}`;
}

function tokenOf(file: string): TokenInfo {
  const serialNumber = createHash("sha256").update(file).digest("hex").slice(0, 16);
  const label = basename(file, extname(file));
  return {
    uri: `pkcs11:token=${encodeURIComponent(label)};manufacturer=D-Sign;model=PKCS%2312;` +
      `serial=${serialNumber}`,
    label,
    manufacturer: "D-Sign",
    model: "PKCS#12",
    serialNumber,
    driver: file,
    state: "ready",
    protectedAuthenticationPath: false,
    password: true,
  };
}

function toKeys(token: TokenInfo, certificates: readonly Uint8Array[]): KeyInfo[] {
  const found = certificates.map(find);
  return found.map((certificate) => ({
    uri: `${token.uri};id=${percentEncode(sha1(certificate.der))};type=cert`,
    token,
    certificate: certificate.der,
    chain: chainOf(certificate, found),
    // A file carries one person's key, and the certificates of its issuers.
    hasKey: certificate.parsed?.basicConstraints?.ca !== true,
  }));
}

const sha1 = (bytes: Uint8Array) => createHash("sha1").update(bytes).digest();

const percentEncode = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join("");

async function certificatesBeside(file: string): Promise<Uint8Array[]> {
  const stem = join(dirname(file), basename(file, extname(file)));
  for (const path of [`${stem}.crt`, `${stem}.pem`]) {
    try {
      return readCertificates(await readSmall(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return [];
}

async function readSmall(path: string): Promise<Uint8Array> {
  const { isFile, size } = await Deno.stat(path);
  // Reading a pipe or a device could block forever.
  if (!isFile) {
    throw new SignerError("key_file_unreadable", "The key file is a pipe, a device or a folder.");
  }
  if (size > MAX_FILE_BYTES) {
    throw new SignerError("key_file_unreadable", "The key file is larger than 1 MiB.");
  }
  return await Deno.readFile(path);
}

const noCertificate = (file: string) =>
  new SignerError(
    "key_file_unsupported",
    "The key file has no certificate that D-Sign can read. Put the certificates beside it, in " +
      `${basename(file, extname(file))}.crt (PEM).`,
  );

function toProblem(driver: string, error: unknown): Problem {
  if (error instanceof SignerError) return { driver, code: error.code, message: error.message };
  if (error instanceof FormatError && error.code === "certificate_malformed") {
    return { driver, code: error.code, message: error.message };
  }
  if (error instanceof Deno.errors.NotFound) {
    return { driver, code: "token_not_present", message: "The key file is not there." };
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return {
      driver,
      code: "key_file_unreadable",
      message: "The key file may not be read by this user.",
    };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return { driver, code: "key_file_unreadable", message: `The key file cannot be read: ${reason}` };
}
