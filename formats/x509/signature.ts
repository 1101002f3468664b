/** Checking one signature with a public key, from the message or from its digest. */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { Fields, readAsn1, readBigInteger, Tag } from "../asn1/read.ts";
import { concat, integer, sequence } from "../asn1/der.ts";
import { digest, HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { PublicKey } from "../keys/public_key.ts";
import { type RsaPublicKey, verifyPkcs1, verifyPss } from "../keys/rsa.ts";
import { readPss, type VerificationAlgorithm } from "../keys/algorithm.ts";
import { ML_DSA, verifyMlDsa } from "../keys/ml_dsa.ts";
import type { MlDsa, SigningInput } from "../signer.ts";
import { readKnownCertificate, sameBytes } from "./certificate.ts";

/**
 * A key made ready to check signatures. RSA is computed here (five times as fast as by the runtime),
 * ECDSA too (the runtime refuses digests that are short for their curve), DSA and Ed25519 by the
 * runtime, ML-DSA by a library that is loaded when needed (keys/ml_dsa.ts).
 */
type CheckingKey =
  | { type: "RSA"; rsa: RsaPublicKey; pssOnly: boolean; pss?: VerificationAlgorithm }
  | { type: "EC"; point: typeof p256.Point.BASE; bits: number; uses: number }
  | { type: "ML-DSA"; scheme: MlDsa; bytes: Uint8Array }
  | { type: "other"; scheme: "DSA" | "Ed25519"; object: KeyObject };

const unsupported = (message: string, cause?: unknown) =>
  new FormatError("algorithm_unsupported", message, { cause });

/** Larger numbers are refused: they make one check take seconds. */
const MAX_KEY_BITS = 8_192;
const MAX_EXPONENT = 1n << 64n;

function prepareKey(key: PublicKey): CheckingKey {
  if (key.bits > MAX_KEY_BITS) throw unsupported("The key is too large to check.");
  switch (key.type) {
    case "rsa":
    case "rsa-pss":
      return prepareRsa(key);
    case "ec":
      return prepareEc(key);
    case "ml-dsa":
      return prepareMlDsa(key);
    case "dsa":
    case "ed25519":
      try {
        const spki = concat(key.spki) as Uint8Array & string; // the runtime takes bytes too
        const object = createPublicKey({ key: spki, format: "der", type: "spki" });
        return { type: "other", scheme: key.type === "dsa" ? "DSA" : "Ed25519", object };
      } catch (cause) {
        throw unsupported("The public key cannot be used.", cause);
      }
    case "unknown":
      throw unsupported("The key's type is not supported.");
  }
}

function prepareRsa(key: PublicKey): CheckingKey {
  const fields = new Fields(readAsn1(key.bytes), "an RSA key");
  const modulus = readBigInteger(fields.take(Tag.INTEGER));
  const exponent = readBigInteger(fields.take(Tag.INTEGER));
  fields.end();
  if (modulus < 3n || exponent < 3n || (modulus & 1n) === 0n || (exponent & 1n) === 0n) {
    throw new FormatError("key_malformed", "The RSA key is malformed.");
  }
  if (exponent >= MAX_EXPONENT) throw unsupported("The RSA exponent is too large.");
  const pssOnly = key.type === "rsa-pss";
  return {
    type: "RSA",
    rsa: { modulus, exponent, bits: key.bits },
    pssOnly,
    pss: pssOnly && key.parameters ? readPss(readAsn1(key.parameters)) : undefined,
  };
}

const curves: Readonly<Record<string, typeof p256>> = {
  "P-256": p256,
  "P-384": p384,
  "P-521": p521,
};

/** Only named curves: with parameters of its own a key could pass for another (CVE-2020-0601). */
function prepareEc(key: PublicKey): CheckingKey {
  const curve = curves[key.curve ?? ""];
  if (!curve) throw unsupported("The key's curve is not supported.");
  try {
    return { type: "EC", point: curve.Point.fromBytes(key.bytes), bits: key.bits, uses: 0 };
  } catch (cause) {
    throw new FormatError("key_malformed", "The key is not a point on its curve.", { cause });
  }
}

function prepareMlDsa({ bytes, parameters, parameterSet }: PublicKey): CheckingKey {
  const scheme = parameterSet!;
  // RFC 9881 §2, §4: no parameters, and the key's one length.
  if (parameters || bytes.length !== ML_DSA[scheme].publicKey) {
    throw new FormatError("key_malformed", `The ${scheme} key is malformed.`);
  }
  return { type: "ML-DSA", scheme, bytes };
}

const checkingKeys = new WeakMap<PublicKey, CheckingKey>();

function keyOf(holder: PublicKey | Uint8Array): CheckingKey {
  const publicKey = holder instanceof Uint8Array ? readKnownCertificate(holder).publicKey : holder;
  let key = checkingKeys.get(publicKey);
  if (!key) checkingKeys.set(publicKey, key = prepareKey(publicKey));
  return key;
}

/**
 * Checks a signature with a public key. Judges neither the certificate nor the strength of the algorithm.
 * ML-DSA: within `withMlDsa` (keys/ml_dsa.ts).
 *
 * @param holder the key, or a certificate (DER) that holds it
 * @param input DSA, Ed25519 and ML-DSA: the message
 * @param signature RSA: of the modulus' length; ECDSA and DSA: DER `SEQUENCE { r, s }`
 * @returns false also if the algorithm is not one that this key may be used with
 * @throws {FormatError} `certificate_malformed`, `key_malformed`, `asn1_malformed`,
 *   `algorithm_unsupported`; `invalid_argument` if a digest has not the algorithm's length, or the
 *   message itself is needed
 */
export function verifySignature(
  holder: PublicKey | Uint8Array,
  algorithm: VerificationAlgorithm,
  input: SigningInput,
  signature: Uint8Array,
): boolean {
  const { scheme, hash } = algorithm;
  const key = keyOf(holder);
  if (key.type === "other") {
    return scheme === key.scheme && verifyByRuntime(key.object, hash, messageOf(input), signature);
  }
  if (key.type === "ML-DSA") {
    return scheme === key.scheme && verifyMlDsa(scheme, key.bytes, messageOf(input), signature);
  }
  if (!hash) return false; // Ed25519 or ML-DSA, which is not this key's
  const hashed = "digest" in input ? input.digest : digest(hash, input.message);
  if (hashed.length !== HASHES[hash].length) {
    throw new FormatError("invalid_argument", `The digest has the wrong length for ${hash}.`);
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

function messageOf(input: SigningInput): Uint8Array {
  if ("message" in input) return input.message;
  throw new FormatError(
    "invalid_argument",
    "This kind of signature can only be checked with the whole message.",
  );
}

function verifyByRuntime(
  key: KeyObject,
  hash: VerificationAlgorithm["hash"],
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const name = hash && HASHES[hash].node;
  try {
    return verify(name, message, { key, dsaEncoding: "der" }, signature);
  } catch {
    return false; // a signature that cannot even be decoded is not this key's
  }
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
 * @throws {FormatError} as {@link verifySignature}; `algorithm_unsupported` for keys that are not
 *   signed with here
 */
export function maxSignatureLength(certificate: Uint8Array): number {
  const key = keyOf(certificate);
  if (key.type === "RSA") return Math.ceil(key.rsa.bits / 8);
  if (key.type === "ML-DSA") return ML_DSA[key.scheme].signature;
  if (key.type !== "EC") {
    throw unsupported(`Keys of type ${key.scheme} are not supported for signing.`);
  }
  // SEQUENCE of two INTEGERs, each with a leading zero where its first bit would be a sign.
  const integers = 2 * (2 + Math.floor(key.bits / 8) + 1);
  return integers + (integers < 0x80 ? 2 : 3);
}
