/**
 * PKCS #12 files (RFC 7292): a private key and certificates under a password.
 *
 * Read: BER or DER; PBES2 with PBKDF2 and AES-CBC or 3DES-CBC (RFC 8018 §6.2), and pbeWithSHAAnd3-KeyTripleDES-CBC,
 * in which most older files keep the key. RC2, in which such files keep their certificates, is not: those
 * certificates are left out. Written: PBES2 with AES-256-CBC and PBKDF2 over HMAC-SHA-256 for the key, the
 * certificates in the clear (they are public, and so can be listed before the password is known), and an
 * HMAC-SHA-256 over all.
 *
 * Passwords are UTF-8 bytes and never become a string, which could not be wiped.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  pbkdf2,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { promisify } from "node:util";
import {
  type Asn1Node,
  expect,
  Fields,
  only,
  primitiveTag,
  readAsn1,
  readInteger,
  readOctetString,
  readOid,
  Tag,
} from "../formats/asn1.ts";
import {
  concat,
  explicit,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  tlv,
} from "../formats/der.ts";
import { FormatError } from "../formats/error.ts";
import { SignerError } from "./provider.ts";

const DATA = "1.2.840.113549.1.7.1";
const ENCRYPTED_DATA = "1.2.840.113549.1.7.6";
const KEY_BAG = "1.2.840.113549.1.12.10.1.1";
const SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2";
const CERT_BAG = "1.2.840.113549.1.12.10.1.3";
const SAFE_CONTENTS_BAG = "1.2.840.113549.1.12.10.1.6";
const X509_CERTIFICATE = "1.2.840.113549.1.9.22.1";
const FRIENDLY_NAME = "1.2.840.113549.1.9.20";
const LOCAL_KEY_ID = "1.2.840.113549.1.9.21";
const PBE_SHA1_3DES = "1.2.840.113549.1.12.1.3";
const PBES2 = "1.2.840.113549.1.5.13";
const PBKDF2 = "1.2.840.113549.1.5.12";
const HMAC_SHA256 = "1.2.840.113549.2.9";
const SHA256 = "2.16.840.1.101.3.4.2.1";
const AES_256_CBC = "2.16.840.1.101.3.4.1.42";

/** By object identifier: node:crypto's name, key and IV length in bytes. */
const CIPHERS: Readonly<Record<string, { name: string; key: number; iv: number }>> = {
  "2.16.840.1.101.3.4.1.2": { name: "aes-128-cbc", key: 16, iv: 16 },
  [AES_256_CBC]: { name: "aes-256-cbc", key: 32, iv: 16 },
  "1.2.840.113549.3.7": { name: "des-ede3-cbc", key: 24, iv: 8 },
};
const PRFS: Readonly<Record<string, string>> = {
  "1.2.840.113549.2.7": "sha1",
  [HMAC_SHA256]: "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};
/** Hashes of the MAC: name, output and block length in bytes (RFC 7292 §B.2: u and v). */
const HASHES: Readonly<Record<string, { name: string; output: number; block: number }>> = {
  "1.3.14.3.2.26": { name: "sha1", output: 20, block: 64 },
  [SHA256]: { name: "sha256", output: 32, block: 64 },
  "2.16.840.1.101.3.4.2.2": { name: "sha384", output: 48, block: 128 },
  "2.16.840.1.101.3.4.2.3": { name: "sha512", output: 64, block: 128 },
};

/** Files are some kilobytes; more iterations than this (about 4 s) are an attack, not a protection. */
export const MAX_FILE_BYTES = 1024 * 1024;
const MAX_PBKDF2_ITERATIONS = 10_000_000;
const MAX_KDF_ITERATIONS = 1_000_000;
const MAX_NESTING = 4;

const derive = promisify(pbkdf2);

/** What a file holds. `keys` are PKCS #8 (RFC 5208), to be wiped by the caller. */
export interface Pkcs12Contents {
  keys: Uint8Array[];
  certificates: Uint8Array[];
}

/**
 * Opens a file.
 *
 * @param password UTF-8; not changed
 * @throws {SignerError} `pin_incorrect` (the tries are not counted), `mechanism_unsupported` where it is encrypted in
 *   a way that is not read here, `driver_error` where it is damaged
 */
export async function readPkcs12(
  file: Uint8Array,
  password: Uint8Array,
): Promise<Pkcs12Contents> {
  try {
    const { authSafe, mac } = readPfx(file);
    if (mac) await checkMac(mac, authSafe, password);
    const contents: Pkcs12Contents = { keys: [], certificates: [] };
    try {
      await readAuthenticatedSafe(authSafe, { password, checked: mac !== undefined }, contents);
    } catch (error) {
      for (const key of contents.keys) key.fill(0);
      throw error;
    }
    return contents;
  } catch (error) {
    throw asSignerError(error);
  }
}

/**
 * The certificates that a file shows without its password; often none. They are as little proven as those of any
 * token: a signature is checked against its certificate before it is used.
 *
 * @throws {SignerError} `driver_error` where the file is damaged
 */
export async function publicCertificates(file: Uint8Array): Promise<Uint8Array[]> {
  try {
    const contents: Pkcs12Contents = { keys: [], certificates: [] };
    await readAuthenticatedSafe(readPfx(file).authSafe, null, contents);
    return contents.certificates;
  } catch (error) {
    throw asSignerError(error);
  }
}

function asSignerError(error: unknown): unknown {
  if (!(error instanceof FormatError)) return error;
  return new SignerError("driver_error", "The key file is damaged or is no PKCS #12 file.", {
    cause: error.message,
  });
}

const unsupported = (what: string) =>
  new SignerError(
    "mechanism_unsupported",
    `The key file is protected by ${what}, which is not read here. ` +
      "Export the key again with AES-256 encryption.",
  );
const wrongPassword = () =>
  new SignerError("pin_incorrect", "The password of the key file is wrong.", {
    triesLeft: "unknown",
  });

const ber = (bytes: Uint8Array) => readAsn1(bytes, { ber: true });

/** What unlocks encrypted parts; `checked`: the MAC already proved the password. */
interface Unlock {
  password: Uint8Array;
  checked: boolean;
}

/** PFX (RFC 7292 §4). */
function readPfx(file: Uint8Array): { authSafe: Uint8Array; mac?: Asn1Node } {
  if (file.length > MAX_FILE_BYTES) {
    throw new SignerError("driver_error", "The key file is larger than 1 MiB.");
  }
  const pfx = new Fields(ber(file), "a PKCS #12 file");
  if (readInteger(pfx.take(Tag.INTEGER)) !== 3) throw unsupported("another version of PKCS #12");
  const content = new Fields(pfx.take(Tag.SEQUENCE), "the authenticated safe");
  if (readOid(content.take(Tag.OID)) !== DATA) throw unsupported("a public key");
  const authSafe = readOctetString(only(content.take(0xa0), "The authenticated safe"));
  const mac = pfx.maybe(Tag.SEQUENCE);
  pfx.end();
  return { authSafe, mac };
}

/** MacData (RFC 7292 §4): an HMAC over the authenticated safe. */
async function checkMac(node: Asn1Node, authSafe: Uint8Array, password: Uint8Array) {
  const mac = new Fields(node, "the MAC");
  const info = new Fields(mac.take(Tag.SEQUENCE), "the MAC's digest");
  const algorithm = readOid(new Fields(info.take(Tag.SEQUENCE), "the MAC's hash").take(Tag.OID));
  const hash = HASHES[algorithm];
  if (!hash) throw unsupported(`a MAC of algorithm ${algorithm}`);
  const expected = readOctetString(info.take());
  const salt = readOctetString(mac.take());
  const iterationField = mac.maybe(Tag.INTEGER);
  const iterations = iterationField ? readInteger(iterationField) : 1;
  const key = await pkcs12Kdf(3, hash, password, salt, iterations, hash.output);
  const actual = createHmac(hash.name, key).update(authSafe).digest();
  key.fill(0);
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) {
    throw wrongPassword();
  }
}

async function readAuthenticatedSafe(
  bytes: Uint8Array,
  unlock: Unlock | null,
  contents: Pkcs12Contents,
): Promise<void> {
  for (const node of expect(ber(bytes), Tag.SEQUENCE, "The authenticated safe").children) {
    const info = new Fields(node, "a safe");
    const type = readOid(info.take(Tag.OID));
    const value = only(info.take(0xa0), "A safe");
    if (type === DATA) {
      await readSafeContents(readOctetString(value), unlock, contents, 0);
    } else if (type === ENCRYPTED_DATA) {
      if (unlock) await readEncryptedSafe(value, unlock, contents);
    } else throw unsupported("a public key");
  }
}

/** EncryptedData (RFC 5652 §8) around SafeContents. */
async function readEncryptedSafe(node: Asn1Node, unlock: Unlock, contents: Pkcs12Contents) {
  const data = new Fields(node, "an encrypted safe");
  data.take(Tag.INTEGER);
  const info = new Fields(data.take(Tag.SEQUENCE), "an encrypted safe");
  info.take(Tag.OID);
  const algorithm = info.take(Tag.SEQUENCE);
  const encrypted = readOctetString(info.take(), primitiveTag(0));
  let safe: Uint8Array;
  try {
    safe = await decrypt(algorithm, encrypted, unlock);
  } catch (error) {
    // Old files have their certificates under RC2; the key may be readable all the same.
    if (error instanceof SignerError && error.code === "mechanism_unsupported") return;
    throw error;
  }
  await readSafeContents(safe, unlock, contents, 0);
  safe.fill(0);
}

/** SafeContents (RFC 7292 §4.2). */
async function readSafeContents(
  bytes: Uint8Array,
  unlock: Unlock | null,
  contents: Pkcs12Contents,
  depth: number,
): Promise<void> {
  if (depth > MAX_NESTING) throw new FormatError("limit_exceeded", "Safes are nested too deeply.");
  for (const node of expect(ber(bytes), Tag.SEQUENCE, "A safe's contents").children) {
    const bag = new Fields(node, "a bag");
    const type = readOid(bag.take(Tag.OID));
    const value = only(bag.take(0xa0), "A bag");
    if (type === CERT_BAG) {
      const certificate = new Fields(value, "a certificate bag");
      if (readOid(certificate.take(Tag.OID)) !== X509_CERTIFICATE) continue;
      contents.certificates.push(
        readOctetString(only(certificate.take(0xa0), "A certificate bag")).slice(),
      );
    } else if (type === KEY_BAG && unlock) {
      contents.keys.push(value.bytes.slice());
    } else if (type === SHROUDED_KEY_BAG && unlock) {
      const shrouded = new Fields(value, "an encrypted key");
      const algorithm = shrouded.take(Tag.SEQUENCE);
      contents.keys.push(await decrypt(algorithm, readOctetString(shrouded.take()), unlock));
    } else if (type === SAFE_CONTENTS_BAG) {
      await readSafeContents(value.bytes, unlock, contents, depth + 1);
    }
  }
}

async function decrypt(algorithm: Asn1Node, encrypted: Uint8Array, unlock: Unlock) {
  const fields = new Fields(algorithm, "an encryption algorithm");
  const id = readOid(fields.take(Tag.OID));
  const parameters = fields.take(Tag.SEQUENCE);
  const { cipher, key, iv } = id === PBES2
    ? await pbes2(parameters, unlock.password)
    : id === PBE_SHA1_3DES
    ? await pbe3Des(parameters, unlock.password)
    : (() => {
      throw unsupported(`encryption of algorithm ${id}`);
    })();
  try {
    const decipher = createDecipheriv(cipher, key, iv);
    const plain = concat(decipher.update(encrypted), decipher.final());
    ber(plain); // One wrong password in 256 yields proper padding, but no ASN.1.
    return plain;
  } catch {
    if (!unlock.checked) throw wrongPassword();
    throw new FormatError(
      "asn1_malformed",
      "An encrypted part does not decrypt to what it must be.",
    );
  } finally {
    key.fill(0);
  }
}

/** PBES2-params (RFC 8018 §A.4). */
async function pbes2(parameters: Asn1Node, password: Uint8Array) {
  const fields = new Fields(parameters, "PBES2");
  const derivation = new Fields(fields.take(Tag.SEQUENCE), "a key derivation");
  const id = readOid(derivation.take(Tag.OID));
  if (id !== PBKDF2) throw unsupported(`key derivation ${id}`);
  const kdf = new Fields(derivation.take(Tag.SEQUENCE), "PBKDF2");
  const salt = readOctetString(kdf.take());
  const iterations = readInteger(kdf.take(Tag.INTEGER));
  kdf.maybe(Tag.INTEGER); // keyLength: the cipher has only one
  const prfField = kdf.maybe(Tag.SEQUENCE);
  const prfId = prfField ? readOid(new Fields(prfField, "a PRF").take(Tag.OID)) : undefined;
  const prf = prfId === undefined ? "sha1" : PRFS[prfId];
  if (!prf) throw unsupported(`PBKDF2 over ${prfId}`);
  const scheme = new Fields(fields.take(Tag.SEQUENCE), "a cipher");
  const cipherId = readOid(scheme.take(Tag.OID));
  const cipher = CIPHERS[cipherId];
  if (!cipher) throw unsupported(`the cipher ${cipherId}`);
  const iv = readOctetString(scheme.take());
  if (iv.length !== cipher.iv || iterations < 1 || iterations > MAX_PBKDF2_ITERATIONS) {
    throw new FormatError("limit_exceeded", "The encryption's parameters are out of range.");
  }
  const key = await derive(password, salt, iterations, cipher.key, prf);
  return { cipher: cipher.name, key, iv };
}

/** pkcs-12PbeParams (RFC 7292 Appendix C). */
async function pbe3Des(parameters: Asn1Node, password: Uint8Array) {
  const fields = new Fields(parameters, "an encryption algorithm");
  const salt = readOctetString(fields.take());
  const iterations = readInteger(fields.take(Tag.INTEGER));
  const sha1 = HASHES["1.3.14.3.2.26"];
  return {
    cipher: "des-ede3-cbc",
    key: await pkcs12Kdf(1, sha1, password, salt, iterations, 24),
    iv: await pkcs12Kdf(2, sha1, password, salt, iterations, 8),
  };
}

/**
 * The key derivation of RFC 7292 §B.2.
 *
 * @param id 1: key, 2: IV, 3: MAC key
 * @param length bytes wanted
 */
async function pkcs12Kdf(
  id: 1 | 2 | 3,
  hash: { name: string; output: number; block: number },
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Promise<Uint8Array> {
  if (iterations < 1 || iterations > MAX_KDF_ITERATIONS) {
    throw new FormatError("limit_exceeded", "The number of iterations is out of range.");
  }
  const { block } = hash;
  const fill = (bytes: Uint8Array) => {
    const filled = new Uint8Array(Math.ceil(bytes.length / block) * block);
    for (let i = 0; i < filled.length; i++) filled[i] = bytes[i % bytes.length];
    return filled;
  };
  const diversifier = new Uint8Array(block).fill(id);
  const wide = bmpString(password);
  const [filledSalt, filledPassword] = [fill(salt), fill(wide)];
  const input = concat(filledSalt, filledPassword);
  wide.fill(0);
  filledPassword.fill(0);
  const out = new Uint8Array(Math.ceil(length / hash.output) * hash.output);
  for (let at = 0; at < out.length; at += hash.output) {
    let a = createHash(hash.name).update(diversifier).update(input).digest();
    for (let i = 1; i < iterations; i++) {
      a = createHash(hash.name).update(a).digest();
      // A hostile count must not keep the program from everything else.
      if (i % 20_000 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    out.set(a, at);
    const b = fill(a).subarray(0, block);
    for (let start = 0; start < input.length; start += block) {
      let carry = 1; // I_j = (I_j + B + 1) mod 2^v
      for (let i = block - 1; i >= 0; i--) {
        carry += input[start + i] + b[i];
        input[start + i] = carry;
        carry >>= 8;
      }
    }
  }
  input.fill(0);
  return out.slice(0, length);
}

/** UTF-8 to UTF-16BE with two zero bytes behind it (RFC 7292 §B.1), without a string in between. */
function bmpString(utf8: Uint8Array): Uint8Array {
  const wide = new Uint8Array(2 * utf8.length + 2);
  let end = 0;
  for (let i = 0; i < utf8.length;) {
    const first = utf8[i++];
    const more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let point = more === 0 ? first : first & (0x3f >> more);
    for (let n = 0; n < more; n++) point = (point << 6) | (utf8[i++] & 0x3f);
    const units = point < 0x10000
      ? [point]
      : [0xd800 | ((point - 0x10000) >> 10), 0xdc00 | ((point - 0x10000) & 0x3ff)];
    for (const unit of units) {
      wide[end++] = unit >> 8;
      wide[end++] = unit & 0xff;
    }
  }
  return wide.subarray(0, end + 2);
}

/** What {@link writePkcs12} puts into the file. */
export interface Pkcs12Options {
  /** PKCS #8 (RFC 5208), DER. */
  key: Uint8Array;
  /** DER; the key's own first. */
  certificates: readonly Uint8Array[];
  /** UTF-8. */
  password: Uint8Array;
  /** Shown by programs that import the file. */
  friendlyName: string;
  /** Of PBKDF2 and the MAC; 100,000 unless told. */
  iterations?: number;
}

/** Writes a file as described at the top of this module; `openssl pkcs12` reads it. */
export async function writePkcs12(options: Pkcs12Options): Promise<Uint8Array<ArrayBuffer>> {
  const { key, certificates, password, friendlyName, iterations = 100_000 } = options;
  const utf16 = concat(...Array.from(friendlyName, (character) => {
    return Uint8Array.from({ length: 2 * character.length }, (_, i) => {
      const unit = character.charCodeAt(i >> 1);
      return i % 2 === 0 ? unit >> 8 : unit & 0xff;
    });
  }));
  const attribute = (type: string, value: Uint8Array) => sequence(oid(type), setOf([value]));
  const attributes = setOf([
    attribute(FRIENDLY_NAME, tlv(Tag.BMP_STRING, utf16)),
    attribute(LOCAL_KEY_ID, octetString(createHash("sha256").update(certificates[0]).digest())),
  ]);
  const certificateBags = certificates.map((certificate, i) =>
    sequence(
      oid(CERT_BAG),
      explicit(0, sequence(oid(X509_CERTIFICATE), explicit(0, octetString(certificate)))),
      ...(i === 0 ? [attributes] : []),
    )
  );
  const keyBag = sequence(
    oid(SHROUDED_KEY_BAG),
    explicit(0, await encryptKey(key, password, iterations)),
    attributes,
  );
  const data = (content: Uint8Array) => sequence(oid(DATA), explicit(0, octetString(content)));
  const authSafe = sequence(data(sequence(...certificateBags)), data(sequence(keyBag)));
  const salt = randomBytes(16);
  const macKey = await pkcs12Kdf(3, HASHES[SHA256], password, salt, iterations, 32);
  const mac = createHmac("sha256", macKey).update(authSafe).digest();
  macKey.fill(0);
  return sequence(
    integer(3),
    data(authSafe),
    sequence(
      sequence(sequence(oid(SHA256), nullValue()), octetString(mac)),
      octetString(salt),
      integer(iterations),
    ),
  );
}

/** EncryptedPrivateKeyInfo (RFC 5208 §6). */
async function encryptKey(key: Uint8Array, password: Uint8Array, iterations: number) {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const secret = await derive(password, salt, iterations, 32, "sha256");
  const cipher = createCipheriv("aes-256-cbc", secret, iv);
  const encrypted = concat(cipher.update(key), cipher.final());
  secret.fill(0);
  const prf = sequence(oid(HMAC_SHA256), nullValue());
  return sequence(
    sequence(
      oid(PBES2),
      sequence(
        sequence(oid(PBKDF2), sequence(octetString(salt), integer(iterations), prf)),
        sequence(oid(AES_256_CBC), octetString(iv)),
      ),
    ),
    octetString(encrypted),
  );
}
