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
import { bytesSource } from "../formats/source.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import type { Reader } from "../reader/client.ts";
import { algorithmFor, chainOf, find } from "./certificates.ts";
import { MAX_FILE_BYTES } from "./pkcs12_kdf.ts";
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
import { Polling } from "./polling.ts";
import type { questions } from "./questions.ts";
import { type SoftwareKey, softwareKey } from "./software_key.ts";

const KEY_FILE = /\.(p12|pfx)$/i;
/** Certificates of one file: more are no person's with their issuers, and each is compared with the others. */
const MAX_CERTIFICATES = 100;
/** For a reader: files are read one after another. */
const origin = "key files";

/** Reads key files, which may be anybody's. */
export type KeyFileReader = Reader<typeof questions>;

/** Tokens from files. */
export class Pkcs12Provider implements Provider {
  readonly #paths: readonly string[];
  /** The file of the token with this URI. */
  #files = new Map<string, string>();
  /** What files have shown, some only with their password, or why they cannot be read; good for one state of a file. */
  readonly #shown = new Map<string, { state: string; certificates: Uint8Array[] | Error }>();
  readonly #polling = new Polling();

  /**
   * @param paths key files, and folders of key files; a folder may be missing
   * @param reader reads them; the caller closes it
   */
  constructor(paths: readonly string[], readonly reader: KeyFileReader) {
    this.#paths = paths.map((path) => resolve(path));
  }

  async list(signal?: AbortSignal): Promise<Listing> {
    const listing: Listing = { tokens: [], keys: [], problems: [] };
    for (const file of await this.#keyFiles(listing.problems)) {
      signal?.throwIfAborted();
      try {
        const token = tokenOf(file);
        const certificates = await this.#certificates(file, signal);
        if (certificates.length === 0) token.hidesCertificates = true;
        this.#files.set(token.uri, file);
        listing.tokens.push(token);
        listing.keys.push(...toKeys(token, certificates));
      } catch (error) {
        signal?.throwIfAborted();
        listing.problems.push(toProblem(file, error));
      }
    }
    return listing;
  }

  async reveal(token: TokenInfo, askPin: AskPin, signal?: AbortSignal): Promise<void> {
    const { file, bytes } = await this.#read(token);
    const state = await stateOf(file);
    const password = await askPin("login");
    const documents = [bytesSource(bytes)];
    const certificates = await this.reader.ask("hiddenCertificates", { password }, {
      ...{ documents, origin, alone: true, signal },
    }).then(few).finally(() => password.fill(0));
    if (certificates.length === 0) throw noCertificate(file);
    this.#shown.set(file, { state, certificates });
  }

  /** The certificates that a file shows, or has shown with its password. */
  async #certificates(file: string, signal?: AbortSignal): Promise<Uint8Array[]> {
    const state = await stateOf(file);
    let shown = this.#shown.get(file);
    if (shown?.state !== state) {
      const files = [await readSmall(file), ...await readBeside(file)];
      const documents = files.map(bytesSource);
      const certificates = await this.reader
        .ask("shownCertificates", null, { documents, origin, signal })
        .then(few)
        .catch((error) => {
          if (error instanceof SignerError || error instanceof FormatError) return error;
          throw error;
        });
      this.#shown.set(file, shown = { state, certificates });
    }
    if (shown.certificates instanceof Error) throw shown.certificates;
    return shown.certificates;
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

  async open(key: KeyInfo, { hash, askPin, signal }: OpenOptions): Promise<Signer> {
    const algorithm = algorithmFor(key.certificate, hash);
    const { bytes } = await this.#read(key.token);
    const password = await askPin("login");
    const documents = [bytesSource(bytes)];
    const { certificate } = key;
    const pkcs8 = await this.reader.ask("privateKey", { password, certificate }, {
      ...{ documents, origin, alone: true, signal },
    }).finally(() => password.fill(0));
    let opened: SoftwareKey | undefined = await keyOf(certificate, pkcs8);
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
    const files = async () =>
      JSON.stringify(
        await Promise.all((await this.#keyFiles([])).map(async (file) => {
          const { mtime } = await Deno.stat(file).catch(() => ({ mtime: null }));
          return [file, mtime];
        })),
      );
    return this.#polling.watch(files, changed);
  }

  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#polling.close();
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
export async function checkKeyFile(bytes: Uint8Array, reader: KeyFileReader): Promise<void> {
  await reader.ask("shownCertificates", null, { documents: [bytesSource(bytes)], origin });
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
  reader: KeyFileReader,
): Promise<Signer> {
  const provider = new Pkcs12Provider([path], reader);
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

/** The key as it came from the reader, which is wiped: a reader is not believed about whose it is. */
async function keyOf(certificate: Uint8Array, pkcs8: Uint8Array): Promise<SoftwareKey> {
  if (!(pkcs8 instanceof Uint8Array) || pkcs8.length > MAX_FILE_BYTES) throw noKey();
  const key = await softwareKey(pkcs8).finally(() => pkcs8.fill(0));
  if (key.fits(readCertificate(certificate).publicKey.bytes)) return key;
  key.wipe();
  throw noKey();
}

function few(certificates: Uint8Array[]): Uint8Array[] {
  if (certificates.length <= MAX_CERTIFICATES) return certificates;
  throw new SignerError(
    "key_file_unreadable",
    `The key file comes with more than ${MAX_CERTIFICATES} certificates.`,
  );
}

/** Changes when the file does, or one that may stand beside it. */
async function stateOf(file: string): Promise<string> {
  const states = [await Deno.stat(file)];
  for (const path of besides(file)) {
    states.push(...await Deno.stat(path).then((state) => [state], () => []));
  }
  return states.map(({ mtime, size }) => `${mtime?.getTime()} ${size}`).join();
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

/** Where the certificates of a key file may stand that shows none. */
const besides = (file: string) =>
  [".crt", ".pem"].map((end) => join(dirname(file), basename(file, extname(file)) + end));

/** The first of {@linkcode besides} that is there. */
async function readBeside(file: string): Promise<Uint8Array[]> {
  for (const path of besides(file)) {
    try {
      return [await readSmall(path)];
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

const noKey = () => new SignerError("key_not_found", "The file holds no key for this certificate.");
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
