/**
 * Reading PKCS #12 files (RFC 7292): a private key and certificates under a password.
 *
 * BER or DER; Id.pbes2 with Id.pbkdf2 and AES-CBC or 3DES-CBC (RFC 8018 §6.2), and pbeWithSHAAnd3-KeyTripleDES-CBC,
 * in which most older files keep the key. RC2, in which such files keep their certificates, is not: those
 * certificates are left out. Written: Id.pbes2 with AES-256-CBC and Id.pbkdf2 over HMAC-SHA-256 for the key, the
 * certificates in the clear (they are public, and so can be listed before the password is known), and an
 * HMAC-SHA-256 over all.
 *
 * Passwords are UTF-8 bytes and never become a string, which could not be wiped.
 */
import { createDecipheriv, createHmac, pbkdf2Sync, timingSafeEqual } from "node:crypto";
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
} from "../formats/asn1/read.ts";
import { concat } from "../formats/asn1/der.ts";
import { hashByOid, HASHES } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { Id, MAX_FILE_BYTES, pkcs12Kdf } from "./pkcs12_kdf.ts";
import { SignerError } from "./provider.ts";

/** By object identifier: node:crypto's name, key and IV length in bytes. */
const CIPHERS: Readonly<Record<string, { name: string; key: number; iv: number }>> = {
  "2.16.840.1.101.3.4.1.2": { name: "aes-128-cbc", key: 16, iv: 16 },
  [Id.aes256Cbc]: { name: "aes-256-cbc", key: 32, iv: 16 },
  "1.2.840.113549.3.7": { name: "des-ede3-cbc", key: 24, iv: 8 },
};
const PRFS: Readonly<Record<string, string>> = {
  "1.2.840.113549.2.7": "sha1",
  [Id.hmacWithSha256]: "sha256",
  "1.2.840.113549.2.10": "sha384",
  "1.2.840.113549.2.11": "sha512",
};
/** More iterations than this in one file (about 4 s) are an attack. */
const MAX_PBKDF2_ITERATIONS = 10_000_000;
const MAX_NESTING = 4;
/** Encrypted parts of one file; each derives a key. */
const MAX_ENCRYPTED = 8;

/** Content of a file. `keys` are PKCS #8 (RFC 5208), to be wiped by the caller. */
export interface Pkcs12Contents {
  keys: Uint8Array[];
  certificates: Uint8Array[];
}

/**
 * Opens a file.
 *
 * @param password UTF-8; not changed
 * @throws {SignerError} `password_incorrect`, `key_file_unsupported` if it is encrypted in a way that is not read here,
 *   `key_file_unreadable` if it is damaged
 */
export function readPkcs12(file: Uint8Array, password: Uint8Array): Pkcs12Contents {
  try {
    const { authSafe, mac } = readPfx(file);
    if (mac) checkMac(mac, authSafe, password);
    const contents: Pkcs12Contents = { keys: [], certificates: [] };
    try {
      readAuthenticatedSafe(
        authSafe,
        { password, checked: mac !== undefined, parts: 0, iterations: 0 },
        contents,
      );
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
 * The unencrypted certificates of a file; often none. They are not proven, like those of any token: a signature is
 * checked against its certificate before it is used.
 *
 * @throws {SignerError} `key_file_unreadable` if the file is damaged
 */
export function publicCertificates(file: Uint8Array): Uint8Array[] {
  try {
    const contents: Pkcs12Contents = { keys: [], certificates: [] };
    readAuthenticatedSafe(readPfx(file).authSafe, null, contents);
    return contents.certificates;
  } catch (error) {
    throw asSignerError(error);
  }
}

function asSignerError(error: unknown): unknown {
  if (!(error instanceof FormatError)) return error;
  return new SignerError(
    "key_file_unreadable",
    "The key file is damaged, or it is no key file (.p12, .pfx).",
    { cause: error.message },
  );
}

const unsupported = (what: string) =>
  new SignerError(
    "key_file_unsupported",
    `The key file uses ${what}, which D-Sign cannot read. ` +
      "Export the key again with AES-256 encryption.",
  );
const wrongPassword = () =>
  new SignerError(
    "password_incorrect",
    "The password of the key file is wrong. Check it and try again.",
  );

const ber = (bytes: Uint8Array) => readAsn1(bytes, { ber: true });

/** The password of encrypted parts; `checked`: the MAC already proved it. */
interface Unlock {
  password: Uint8Array;
  checked: boolean;
  /** Parts that were decrypted. */
  parts: number;
  /** Iterations of PBKDF2 that they took. */
  iterations: number;
}

/** PFX (RFC 7292 §4). */
function readPfx(file: Uint8Array): { authSafe: Uint8Array; mac?: Asn1Node } {
  if (file.length > MAX_FILE_BYTES) {
    throw new SignerError("key_file_unreadable", "The key file is larger than 1 MiB.");
  }
  const pfx = new Fields(ber(file), "a PKCS #12 file");
  if (readInteger(pfx.take(Tag.INTEGER)) !== 3) throw unsupported("another version of PKCS #12");
  const content = new Fields(pfx.take(Tag.SEQUENCE), "the authenticated safe");
  if (readOid(content.take(Tag.OID)) !== Id.data) throw unsupported("a public key");
  const authSafe = readOctetString(only(content.take(0xa0), "The authenticated safe"));
  const mac = pfx.maybe(Tag.SEQUENCE);
  pfx.end();
  return { authSafe, mac };
}

/** MacData (RFC 7292 §4): an HMAC over the authenticated safe. */
function checkMac(node: Asn1Node, authSafe: Uint8Array, password: Uint8Array) {
  const mac = new Fields(node, "the MAC");
  const info = new Fields(mac.take(Tag.SEQUENCE), "the MAC's digest");
  const algorithm = readOid(new Fields(info.take(Tag.SEQUENCE), "the MAC's hash").take(Tag.OID));
  const hash = hashByOid(algorithm);
  if (!hash) throw unsupported(`a MAC of algorithm ${algorithm}`);
  const expected = readOctetString(info.take());
  const salt = readOctetString(mac.take());
  const iterationField = mac.maybe(Tag.INTEGER);
  const iterations = iterationField ? readInteger(iterationField) : 1;
  const key = pkcs12Kdf(3, hash, password, salt, iterations, HASHES[hash].length);
  const actual = createHmac(HASHES[hash].node, key).update(authSafe).digest();
  key.fill(0);
  if (expected.length !== actual.length || !timingSafeEqual(expected, actual)) {
    throw wrongPassword();
  }
}

function readAuthenticatedSafe(
  bytes: Uint8Array,
  unlock: Unlock | null,
  contents: Pkcs12Contents,
): void {
  for (const node of expect(ber(bytes), Tag.SEQUENCE, "The authenticated safe").children) {
    const info = new Fields(node, "a safe");
    const type = readOid(info.take(Tag.OID));
    const value = only(info.take(0xa0), "A safe");
    if (type === Id.data) {
      readSafeContents(readOctetString(value), unlock, contents, 0);
    } else if (type === Id.encryptedData) {
      if (unlock) readEncryptedSafe(value, unlock, contents);
    } else throw unsupported("a public key");
  }
}

/** EncryptedData (RFC 5652 §8) around SafeContents. */
function readEncryptedSafe(node: Asn1Node, unlock: Unlock, contents: Pkcs12Contents) {
  const data = new Fields(node, "an encrypted safe");
  data.take(Tag.INTEGER);
  const info = new Fields(data.take(Tag.SEQUENCE), "an encrypted safe");
  info.take(Tag.OID);
  const algorithm = info.take(Tag.SEQUENCE);
  const encrypted = readOctetString(info.take(), primitiveTag(0));
  let safe: Uint8Array;
  try {
    safe = decrypt(algorithm, encrypted, unlock);
  } catch (error) {
    // Old files encrypt their certificates with RC2; the key may still be readable.
    if (error instanceof SignerError && error.code === "key_file_unsupported") return;
    throw error;
  }
  readSafeContents(safe, unlock, contents, 0);
  safe.fill(0);
}

/** SafeContents (RFC 7292 §4.2). */
function readSafeContents(
  bytes: Uint8Array,
  unlock: Unlock | null,
  contents: Pkcs12Contents,
  depth: number,
): void {
  if (depth > MAX_NESTING) throw new FormatError("limit_exceeded", "Safes are nested too deeply.");
  for (const node of expect(ber(bytes), Tag.SEQUENCE, "A safe's contents").children) {
    const bag = new Fields(node, "a bag");
    const type = readOid(bag.take(Tag.OID));
    const value = only(bag.take(0xa0), "A bag");
    if (type === Id.certBag) {
      const certificate = new Fields(value, "a certificate bag");
      if (readOid(certificate.take(Tag.OID)) !== Id.x509Certificate) continue;
      contents.certificates.push(
        readOctetString(only(certificate.take(0xa0), "A certificate bag")).slice(),
      );
    } else if (type === Id.keyBag && unlock) {
      contents.keys.push(value.bytes.slice());
    } else if (type === Id.shroudedKeyBag && unlock) {
      const shrouded = new Fields(value, "an encrypted key");
      const algorithm = shrouded.take(Tag.SEQUENCE);
      contents.keys.push(decrypt(algorithm, readOctetString(shrouded.take()), unlock));
    } else if (type === Id.safeContentsBag) {
      readSafeContents(value.bytes, unlock, contents, depth + 1);
    }
  }
}

function decrypt(algorithm: Asn1Node, encrypted: Uint8Array, unlock: Unlock) {
  if (++unlock.parts > MAX_ENCRYPTED) {
    throw new FormatError("limit_exceeded", "The file has too many encrypted parts.");
  }
  const fields = new Fields(algorithm, "an encryption algorithm");
  const id = readOid(fields.take(Tag.OID));
  const parameters = fields.take(Tag.SEQUENCE);
  const { cipher, key, iv } = id === Id.pbes2
    ? pbes2(parameters, unlock)
    : id === Id.pbeWithSha1And3Des
    ? pbe3Des(parameters, unlock.password)
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
      "An encrypted part decrypts to something unexpected.",
    );
  } finally {
    key.fill(0);
  }
}

/** Id.pbes2-params (RFC 8018 §A.4). */
function pbes2(parameters: Asn1Node, unlock: Unlock) {
  const fields = new Fields(parameters, "Id.pbes2");
  const derivation = new Fields(fields.take(Tag.SEQUENCE), "a key derivation");
  const id = readOid(derivation.take(Tag.OID));
  if (id !== Id.pbkdf2) throw unsupported(`key derivation ${id}`);
  const kdf = new Fields(derivation.take(Tag.SEQUENCE), "Id.pbkdf2");
  const salt = readOctetString(kdf.take());
  const iterations = readInteger(kdf.take(Tag.INTEGER));
  kdf.maybe(Tag.INTEGER); // keyLength: the cipher has only one
  const prfField = kdf.maybe(Tag.SEQUENCE);
  const prfId = prfField ? readOid(new Fields(prfField, "a PRF").take(Tag.OID)) : undefined;
  const prf = prfId === undefined ? "sha1" : PRFS[prfId];
  if (!prf) throw unsupported(`Id.pbkdf2 over ${prfId}`);
  const scheme = new Fields(fields.take(Tag.SEQUENCE), "a cipher");
  const cipherId = readOid(scheme.take(Tag.OID));
  const cipher = CIPHERS[cipherId];
  if (!cipher) throw unsupported(`the cipher ${cipherId}`);
  const iv = readOctetString(scheme.take());
  unlock.iterations += iterations;
  const isCostly = unlock.iterations > MAX_PBKDF2_ITERATIONS;
  if (iv.length !== cipher.iv || iterations < 1 || isCostly) {
    throw new FormatError("limit_exceeded", "The encryption's parameters are out of range.");
  }
  const key = pbkdf2Sync(unlock.password, salt, iterations, cipher.key, prf);
  return { cipher: cipher.name, key, iv };
}

/** pkcs-12PbeParams (RFC 7292 Appendix C). */
function pbe3Des(parameters: Asn1Node, password: Uint8Array) {
  const fields = new Fields(parameters, "an encryption algorithm");
  const salt = readOctetString(fields.take());
  const iterations = readInteger(fields.take(Tag.INTEGER));
  return {
    cipher: "des-ede3-cbc",
    key: pkcs12Kdf(1, "SHA-1", password, salt, iterations, 24),
    iv: pkcs12Kdf(2, "SHA-1", password, salt, iterations, 8),
  };
}
