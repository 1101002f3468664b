/** Shared by reading and writing PKCS #12 (RFC 7292): identifiers, and its special key derivation. */
import { concat } from "../formats/asn1/der.ts";
import { hasher, HASHES } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import type { DigestName } from "../formats/signer.ts";

/** Object identifiers. */
export const Id = {
  data: "1.2.840.113549.1.7.1",
  encryptedData: "1.2.840.113549.1.7.6",
  keyBag: "1.2.840.113549.1.12.10.1.1",
  shroudedKeyBag: "1.2.840.113549.1.12.10.1.2",
  certBag: "1.2.840.113549.1.12.10.1.3",
  safeContentsBag: "1.2.840.113549.1.12.10.1.6",
  x509Certificate: "1.2.840.113549.1.9.22.1",
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
  pbeWithSha1And3Des: "1.2.840.113549.1.12.1.3",
  pbes2: "1.2.840.113549.1.5.13",
  pbkdf2: "1.2.840.113549.1.5.12",
  hmacWithSha256: "1.2.840.113549.2.9",
  aes256Cbc: "2.16.840.1.101.3.4.1.42",
} as const;

/** Of a key file. */
export const MAX_FILE_BYTES = 1024 * 1024;
/** More iterations than this (about 1 s) are an attack. */
const MAX_ITERATIONS = 1_000_000;

/**
 * The key derivation of RFC 7292 §B.2.
 *
 * @param id 1: key, 2: IV, 3: MAC key
 * @param length bytes wanted
 */
export function pkcs12Kdf(
  id: 1 | 2 | 3,
  hash: DigestName,
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  length: number,
): Uint8Array {
  if (iterations < 1 || iterations > MAX_ITERATIONS) {
    throw new FormatError("limit_exceeded", "The number of iterations is out of range.");
  }
  const output = HASHES[hash].length;
  const block = output > 32 ? 128 : 64; // §B.2: v
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
  const out = new Uint8Array(Math.ceil(length / output) * output);
  for (let at = 0; at < out.length; at += output) {
    let a = hasher(hash).update(diversifier).update(input).digest();
    for (let i = 1; i < iterations; i++) a = hasher(hash).update(a).digest();
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
