/** Checking one signature against a certificate's key, from the message or from its digest. */
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { Fields, readAsn1, readBigInteger, Tag } from "./asn1.ts";
import { integer, sequence } from "./der.ts";
import { digest } from "./digest.ts";
import { FormatError } from "./error.ts";
import type { PublicKey } from "./public_key.ts";
import { type RsaPublicKey, verifyPkcs1, verifyPss } from "./rsa.ts";
import { hashLengths, readPss } from "./signature_algorithm.ts";
import type { SignatureAlgorithm, SigningInput } from "./signer.ts";
import { readCertificate, sameBytes } from "./x509.ts";

const curves = { "P-256": p256, "P-384": p384, "P-521": p521 };

/** A key made ready to check signatures. */
type CheckingKey =
  | { type: "RSA"; rsa: RsaPublicKey; pssOnly: boolean; pss?: Partial<SignatureAlgorithm> }
  | { type: "EC"; point: typeof p256.Point.BASE; bits: number; uses: number };

const unsupported = (message: string) => new FormatError("algorithm_unsupported", message);

/** Larger numbers are refused: they make one check take seconds. */
const MAX_RSA_BITS = 8_192;
const MAX_EXPONENT = 1n << 64n;

function prepareKey(key: PublicKey): CheckingKey {
  if (key.type === "ec") {
    const curve = curves[key.curve as keyof typeof curves];
    if (!curve) throw unsupported("The key is on a curve that is not supported.");
    try {
      return { type: "EC", point: curve.Point.fromBytes(key.bytes), bits: key.bits, uses: 0 };
    } catch (cause) {
      throw new FormatError("key_malformed", "The key is no point of its curve.", { cause });
    }
  }
  if (key.type !== "rsa" && key.type !== "rsa-pss") {
    throw unsupported("The key is of a type that is not supported.");
  }
  if (key.bits > MAX_RSA_BITS) throw unsupported("The RSA key is too large to be checked.");
  const fields = new Fields(readAsn1(key.bytes), "an RSA key");
  const modulus = readBigInteger(fields.take(Tag.INTEGER));
  const exponent = readBigInteger(fields.take(Tag.INTEGER));
  if (modulus < 3n || exponent < 3n || (modulus & 1n) === 0n || (exponent & 1n) === 0n) {
    throw new FormatError("key_malformed", "The RSA key is malformed.");
  }
  if (exponent >= MAX_EXPONENT) throw unsupported("The RSA exponent is too large.");
  return {
    type: "RSA",
    rsa: { modulus, exponent, bits: key.bits },
    pssOnly: key.type === "rsa-pss",
    pss: key.type === "rsa-pss" && key.parameters
      ? readPss(readAsn1(key.parameters)) as Partial<SignatureAlgorithm>
      : undefined,
  };
}

const keys = new Map<string, CheckingKey>();
const MAX_KEYS = 64;

/** Keys are kept by their certificate's content, so that a frequent signer's is read once. */
function keyOf(certificate: Uint8Array): CheckingKey {
  const id = certificate.toBase64();
  const known = keys.get(id);
  if (known) return known;
  const key = prepareKey(readCertificate(certificate.slice()).publicKey);
  if (keys.size === MAX_KEYS) keys.delete(keys.keys().next().value!);
  keys.set(id, key);
  return key;
}

/**
 * Whether a signature is right for the certificate's key. It says nothing of the certificate, nor
 * of the strength of the algorithm.
 *
 * @param certificate DER
 * @param signature RSA: of the modulus' length; ECDSA: DER `ECDSA-Sig-Value`
 * @returns false also if the algorithm does not belong to the type of the key
 * @throws {FormatError} `certificate_malformed`, `key_malformed`, `algorithm_unsupported`;
 *   `invalid_argument` if a digest has not the algorithm's length
 */
export function verifySignature(
  certificate: Uint8Array,
  algorithm: SignatureAlgorithm,
  input: SigningInput,
  signature: Uint8Array,
): boolean {
  const { scheme, hash } = algorithm;
  const key = keyOf(certificate);
  const hashed = "digest" in input ? input.digest : digest(hash, input.message);
  if (hashed.length !== hashLengths[hash]) {
    throw new FormatError("invalid_argument", `The digest has not the length of ${hash}.`);
  }
  if (key.type === "EC") return scheme === "ECDSA" && verifyEcdsa(key, hashed, signature);
  if (scheme === "RSASSA-PKCS1-v1_5") {
    return !key.pssOnly && verifyPkcs1(key.rsa, hash, hashed, signature);
  }
  if (scheme !== "RSASSA-PSS") return false;
  const saltLength = algorithm.saltLength ?? hashed.length;
  // RFC 4055 §3.3: the digest must be the key's own; the salt may be longer than the key asks for.
  if (key.pss && (key.pss.hash !== hash || saltLength < key.pss.saltLength!)) return false;
  return verifyPss(key.rsa, hash, hashed, saltLength, signature);
}

/**
 * A table of multiples of the key (4 bits wide: 0.2 MB) costs as much time as ten verifications and
 * makes them three times as fast; wider ones cost memory and gain little.
 */
const USES_BEFORE_TABLE = 20;
const TABLE_BITS = 4;

/** FIPS 186-5 §6.4.2. Both `s` and `n - s` are right, as there. */
function verifyEcdsa(
  key: CheckingKey & { type: "EC" },
  hashed: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { point } = key;
  const { BASE, Fn } = point.constructor as typeof p256.Point;
  const numbers = readEcdsaSignature(signature);
  if (!numbers?.every((number) => number > 0n && number < Fn.ORDER)) return false;
  const [r, s] = numbers;
  const excess = Math.max(0, 8 * hashed.length - Fn.BITS);
  const z = BigInt("0x" + hashed.toHex()) >> BigInt(excess);
  if (++key.uses === USES_BEFORE_TABLE) point.precompute(TABLE_BITS, false);
  const inverse = Fn.inv(s);
  const sum = BASE.multiplyUnsafe(Fn.create(z * inverse))
    .add(point.multiplyUnsafe(Fn.create(r * inverse)));
  return !sum.is0() && Fn.create(sum.toAffine().x) === r;
}

/** `ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }` in its one DER form. */
function readEcdsaSignature(signature: Uint8Array): [r: bigint, s: bigint] | undefined {
  try {
    const fields = new Fields(readAsn1(signature), "an ECDSA signature");
    const r = readBigInteger(fields.take(Tag.INTEGER));
    const s = readBigInteger(fields.take(Tag.INTEGER));
    return sameBytes(sequence(integer(r), integer(s)), signature) ? [r, s] : undefined;
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/**
 * The longest signature in bytes that the certificate's key makes.
 *
 * @throws {FormatError} as {@link verifySignature}
 */
export function maxSignatureLength(certificate: Uint8Array): number {
  const key = keyOf(certificate);
  if (key.type === "RSA") return Math.ceil(key.rsa.bits / 8);
  // SEQUENCE of two INTEGERs, each with a leading zero where its first bit would be a sign.
  const integers = 2 * (2 + Math.floor(key.bits / 8) + 1);
  return integers + (integers < 0x80 ? 2 : 3);
}
