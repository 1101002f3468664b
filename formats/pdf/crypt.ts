import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { FormatError } from "../error.ts";
import { PdfArray, PdfDict, PdfName, PdfString, type PdfValue } from "./value.ts";

type Resolve = (value: PdfValue | undefined) => PdfValue;
type Method = "Identity" | "V2" | "AESV2" | "AESV3";

/** ISO 32000-2 §7.6.4.3.2: what fills up a password to 32 bytes. */
// deno-fmt-ignore
const PAD = Uint8Array.of(
  0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08,
  0x2e, 0x2e, 0x00, 0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
);

const md5 = (...parts: Uint8Array[]) => hash("md5", ...parts);

function hash(algorithm: string, ...parts: Uint8Array[]): Uint8Array {
  const digest = createHash(algorithm);
  for (const part of parts) digest.update(part);
  return new Uint8Array(digest.digest());
}

function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** RC4; OpenSSL 3 keeps it in the legacy provider, so node:crypto does not have it. */
export function rc4(key: Uint8Array, data: Uint8Array): Uint8Array {
  const s = new Uint8Array(256);
  for (let i = 0; i < 256; i++) s[i] = i;
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + s[i] + key[i % key.length]) & 255;
    [s[i], s[j]] = [s[j], s[i]];
  }
  const out = new Uint8Array(data.length);
  for (let n = 0, i = 0, j = 0; n < data.length; n++) {
    i = (i + 1) & 255;
    j = (j + s[i]) & 255;
    [s[i], s[j]] = [s[j], s[i]];
    out[n] = data[n] ^ s[(s[i] + s[j]) & 255];
  }
  return out;
}

function aesCbc(key: Uint8Array, iv: Uint8Array, data: Uint8Array, encrypt: boolean): Uint8Array {
  const name = `aes-${key.length * 8}-cbc`;
  const cipher = encrypt ? createCipheriv(name, key, iv) : createDecipheriv(name, key, iv);
  cipher.setAutoPadding(false);
  return concat(new Uint8Array(cipher.update(data)), new Uint8Array(cipher.final()));
}

/** The Standard security handler of a document, opened with a password (ISO 32000-2 §7.6.4). */
export class PdfCrypt {
  private constructor(
    readonly key: Uint8Array,
    readonly strings: Method,
    readonly streams: Method,
    readonly encryptMetadata: boolean,
    /** The P of ISO 32000-2 Table 22; undefined for the owner, to whom all is permitted. */
    readonly permissions: number | undefined,
  ) {}

  /** Whether the document's author permits adding a signature field, or signing an existing one (Table 22). */
  permitsSigning(existing: boolean): boolean {
    const { permissions } = this;
    if (permissions === undefined) return true;
    const has = (bit: number) => (permissions & (1 << (bit - 1))) !== 0;
    return existing ? has(6) || has(9) : has(4) && has(6);
  }

  /**
   * @param id the first element of the trailer's ID
   * @param password user or owner password; tried besides the empty one
   * @throws FormatError `pdf_encrypted` when no password fits; `algorithm_unsupported` for
   *   other handlers
   */
  static open(dict: PdfDict, id: Uint8Array, password: string, resolve: Resolve): PdfCrypt {
    const params = readParameters(dict, id, resolve);
    for (const candidate of password === "" ? [""] : [password, ""]) {
      const opened = params.revision >= 5
        ? fileKey6(params, candidate)
        : fileKey4(params, candidate);
      if (!opened) continue;
      const { strings, streams, encryptMetadata, permissions } = params;
      const granted = opened.isOwner ? undefined : permissions;
      return new PdfCrypt(opened.key, strings, streams, encryptMetadata, granted);
    }
    throw new FormatError(
      "pdf_encrypted",
      password === ""
        ? "The PDF is encrypted and asks for a password."
        : "The password does not open this encrypted PDF.",
    );
  }

  /** Decrypts a string that stands in the object with this number and generation. */
  decryptString(data: Uint8Array, num: number, gen: number): Uint8Array {
    return this.#decrypt(this.strings, data, num, gen);
  }

  /** Decrypts the data of a stream that is not exempt from encryption. */
  decryptStream(data: Uint8Array, num: number, gen: number): Uint8Array {
    return this.#decrypt(this.streams, data, num, gen);
  }

  /** The inverse of {@link decryptString}. */
  encryptString(data: Uint8Array, num: number, gen: number): Uint8Array {
    return this.#encrypt(this.strings, data, num, gen);
  }

  /** The inverse of {@link decryptStream}. */
  encryptStream(data: Uint8Array, num: number, gen: number): Uint8Array {
    return this.#encrypt(this.streams, data, num, gen);
  }

  /** Algorithm 1: the key of one object. */
  #objectKey(method: Method, num: number, gen: number): Uint8Array {
    if (method === "AESV3") return this.key;
    const salt = method === "AESV2" ? [0x73, 0x41, 0x6c, 0x54] : [];
    const suffix = Uint8Array.of(num, num >> 8, num >> 16, gen, gen >> 8, ...salt);
    return md5(this.key, suffix).subarray(0, Math.min(16, this.key.length + 5));
  }

  #decrypt(method: Method, data: Uint8Array, num: number, gen: number): Uint8Array {
    if (method === "Identity") return data;
    const key = this.#objectKey(method, num, gen);
    if (method === "V2") return rc4(key, data);
    // An empty string is sometimes left as it is; anything else starts with its IV.
    if (data.length < 32) return new Uint8Array();
    const whole = data.subarray(16, data.length - (data.length % 16));
    const plain = aesCbc(key, data.subarray(0, 16), whole, false);
    const padding = plain[plain.length - 1];
    return padding >= 1 && padding <= 16 ? plain.subarray(0, plain.length - padding) : plain;
  }

  #encrypt(method: Method, data: Uint8Array, num: number, gen: number): Uint8Array {
    if (method === "Identity") return data;
    const key = this.#objectKey(method, num, gen);
    if (method === "V2") return rc4(key, data);
    // This room has no randomness: the IV is a keyed digest of what is encrypted, so that equal
    // IVs need equal text in the same object (a synthetic IV, as in RFC 5297).
    const iv = hash("sha256", this.key, Uint8Array.of(num, num >> 8, num >> 16), data)
      .subarray(0, 16);
    const padding = 16 - (data.length % 16);
    const padded = concat(data, new Uint8Array(padding).fill(padding));
    return concat(iv, aesCbc(key, iv, padded, true));
  }
}

interface Parameters {
  revision: number;
  keyLength: number;
  o: Uint8Array;
  u: Uint8Array;
  oe: Uint8Array;
  ue: Uint8Array;
  permissions: number;
  id: Uint8Array;
  encryptMetadata: boolean;
  strings: Method;
  streams: Method;
}

function readParameters(dict: PdfDict, id: Uint8Array, resolve: Resolve): Parameters {
  const get = (key: string) => resolve(dict.get(key));
  const number = (key: string, fallback: number) => {
    const value = get(key);
    return typeof value === "number" ? Math.trunc(value) : fallback;
  };
  const string = (key: string, length: number) => {
    const value = get(key);
    if (!(value instanceof PdfString) || value.bytes.length < length) {
      throw new FormatError("pdf_malformed", `The PDF's encryption entry ${key} is damaged.`);
    }
    return value.bytes.subarray(0, length);
  };
  const filter = get("Filter");
  if (!(filter instanceof PdfName) || filter.value !== "Standard") {
    throw unsupported("a security handler other than the Standard one");
  }
  const version = number("V", 0);
  const revision = number("R", 0);
  if (![1, 2, 4, 5].includes(version) || revision < 2 || revision > 6) {
    throw unsupported("an unknown version of the Standard security handler");
  }
  const long = revision >= 5;
  if (long !== (version === 5)) throw unsupported("versions that contradict each other");
  const keyLength = version === 1 ? 5 : version === 2 ? number("Length", 40) / 8 : 16;
  if (!Number.isInteger(keyLength) || keyLength < 5 || keyLength > 16) {
    throw unsupported("an impossible key length");
  }
  return {
    revision,
    keyLength: revision === 2 ? 5 : keyLength,
    o: string("O", long ? 48 : 32),
    u: string("U", long ? 48 : 32),
    oe: long ? string("OE", 32) : new Uint8Array(),
    ue: long ? string("UE", 32) : new Uint8Array(),
    permissions: number("P", 0) | 0,
    id,
    encryptMetadata: get("EncryptMetadata") !== false,
    strings: version < 4 ? "V2" : cryptFilter(dict, "StrF", resolve),
    streams: version < 4 ? "V2" : cryptFilter(dict, "StmF", resolve),
  };
}

function unsupported(what: string): FormatError {
  return new FormatError("algorithm_unsupported", `The PDF is encrypted with ${what}.`);
}

function cryptFilter(dict: PdfDict, use: string, resolve: Resolve): Method {
  const filter = resolve(dict.get(use));
  if (!(filter instanceof PdfName) || filter.value === "Identity") return "Identity";
  const filters = resolve(dict.get("CF"));
  const entry = filters instanceof PdfDict ? resolve(filters.get(filter.value)) : null;
  const method = entry instanceof PdfDict ? resolve(entry.get("CFM")) : null;
  if (!(method instanceof PdfName) || method.value === "None") return "Identity";
  const known = (["V2", "AESV2", "AESV3"] as const).find((name) => name === method.value);
  if (!known) throw unsupported(`the unknown method ${method.value}`);
  return known;
}

/** The file's key, and whose password gave it. */
interface Opened {
  key: Uint8Array;
  isOwner: boolean;
}

/** Algorithms 2, 6 and 7: RC4 and AES-128, revisions 2 to 4. */
function fileKey4(params: Parameters, password: string): Opened | undefined {
  const user = Uint8Array.from(password, (c) => c.charCodeAt(0) & 255);
  const key = userKey4(params, user);
  if (key) return { key, isOwner: false };
  const owner = userKey4(params, ownerToUser4(params, user));
  return owner && { key: owner, isOwner: true };
}

function padded(password: Uint8Array): Uint8Array {
  return concat(password.subarray(0, 32), PAD).subarray(0, 32);
}

function userKey4(params: Parameters, password: Uint8Array): Uint8Array | undefined {
  const { revision, keyLength, permissions: p } = params;
  const tail = revision >= 4 && !params.encryptMetadata ? [255, 255, 255, 255] : [];
  let key = md5(
    padded(password),
    params.o,
    Uint8Array.of(p, p >> 8, p >> 16, p >> 24),
    params.id,
    Uint8Array.from(tail),
  );
  if (revision >= 3) { for (let i = 0; i < 50; i++) key = md5(key.subarray(0, keyLength)); }
  key = key.subarray(0, keyLength);
  let check: Uint8Array;
  if (revision === 2) check = rc4(key, PAD);
  else {
    check = md5(PAD, params.id);
    for (let i = 0; i < 20; i++) check = rc4(key.map((byte) => byte ^ i), check);
  }
  return check.every((byte, i) => byte === params.u[i]) ? key : undefined;
}

function ownerToUser4(params: Parameters, owner: Uint8Array): Uint8Array {
  const { revision, keyLength } = params;
  let key = md5(padded(owner));
  if (revision >= 3) { for (let i = 0; i < 50; i++) key = md5(key); }
  key = key.subarray(0, keyLength);
  if (revision === 2) return rc4(key, params.o);
  let out = params.o;
  for (let i = 19; i >= 0; i--) out = rc4(key.map((byte) => byte ^ i), out);
  return out;
}

/** Algorithm 2.A: AES-256, revisions 5 and 6. */
function fileKey6(params: Parameters, password: string): Opened | undefined {
  const bytes = new TextEncoder().encode(password.normalize("NFKC")).subarray(0, 127);
  const none = new Uint8Array();
  for (
    const [check, wrapped, extra] of [
      [params.u, params.ue, none],
      [params.o, params.oe, params.u],
    ]
  ) {
    const digest = hash6(params.revision, bytes, check.subarray(32, 40), extra);
    if (!digest.every((byte, i) => byte === check[i])) continue;
    const key = hash6(params.revision, bytes, check.subarray(40, 48), extra);
    return { key: aesCbc(key, new Uint8Array(16), wrapped, false), isOwner: extra !== none };
  }
  return undefined;
}

/** Algorithm 2.B; revision 5 stops after the first SHA-256. */
function hash6(
  revision: number,
  password: Uint8Array,
  salt: Uint8Array,
  extra: Uint8Array,
): Uint8Array {
  let k = hash("sha256", password, salt, extra);
  if (revision < 6) return k;
  for (let round = 0, last = 0; round < 64 || last > round - 32; round++) {
    const one = concat(password, k, extra);
    const many = new Uint8Array(one.length * 64);
    for (let i = 0; i < 64; i++) many.set(one, i * one.length);
    const e = aesCbc(k.subarray(0, 16), k.subarray(16, 32), many, true);
    // 256 ≡ 1 (mod 3), so the remainder of the number is that of the sum of its bytes.
    const rest = e.subarray(0, 16).reduce((sum, byte) => sum + byte, 0) % 3;
    k = hash(["sha256", "sha384", "sha512"][rest], e);
    last = e[e.length - 1];
  }
  return k.subarray(0, 32);
}

/** Whether the dictionary is a signature; its Contents are never encrypted. */
export function isSignatureDict(dict: PdfDict): boolean {
  const type = dict.get("Type");
  return dict.get("ByteRange") instanceof PdfArray ||
    (type instanceof PdfName && (type.value === "Sig" || type.value === "DocTimeStamp"));
}
