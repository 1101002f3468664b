/** The two encodings of an ECDSA signature. */
import { Fields, readAsn1, Tag } from "../asn1/read.ts";
import { sequence, unsignedInteger } from "../asn1/der.ts";
import { FormatError } from "../error.ts";

/**
 * DER `ECDSA-Sig-Value` (RFC 3279 §2.2.3) → r || s, each of the curve order's length, as XML Signature and JWS want it.
 *
 * @param length bytes of r and of s: 32 for P-256, 48 for P-384, 66 for P-521
 * @throws {FormatError} `asn1_malformed`, or `signature_mismatch` where a number is too long for the curve
 */
export function ecdsaToRaw(signature: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const fields = new Fields(readAsn1(signature), "an ECDSA signature");
  const raw = new Uint8Array(2 * length);
  for (const end of [length, 2 * length]) {
    const content = fields.take(Tag.INTEGER).content;
    const number = content[0] === 0 ? content.subarray(1) : content;
    if (number.length > length || (content[0] & 0x80) !== 0) {
      throw new FormatError(
        "signature_mismatch",
        "The ECDSA signature does not fit the key's curve.",
      );
    }
    raw.set(number, end - number.length);
  }
  fields.end();
  return raw;
}

/**
 * r || s → DER `ECDSA-Sig-Value`.
 *
 * @throws {FormatError} `signature_mismatch` where the length is odd or zero
 */
export function ecdsaFromRaw(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  if (raw.length === 0 || raw.length % 2 !== 0) {
    throw new FormatError("signature_mismatch", "The ECDSA signature has an odd length.");
  }
  const half = raw.length / 2;
  return sequence(unsignedInteger(raw.subarray(0, half)), unsignedInteger(raw.subarray(half)));
}
