/** Public keys and the checking of signatures with them (RFC 3279, 4055, 5758, 8410). */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import {
  type Asn1Node,
  Fields,
  readAsn1,
  readBigInteger,
  readBitString,
  readOid,
  Tag,
} from "./asn1.ts";
import { bitString, concat, oid, sequence } from "./der.ts";
import { digest } from "./digest.ts";
import { FormatError } from "./error.ts";
import { type RsaPublicKey, verifyPkcs1, verifyPss } from "./rsa.ts";
import { keyAlgorithms, readPss, type VerificationAlgorithm } from "./signature_algorithm.ts";

const { RSA, RSA_PSS, EC, DSA, ED25519 } = keyAlgorithms;

export type KeyType = "rsa" | "rsa-pss" | "ec" | "dsa" | "ed25519" | "unknown";

export interface PublicKey {
  /** SubjectPublicKeyInfo, DER as received. */
  readonly spki: Uint8Array;
  readonly type: KeyType;
  /** Algorithm of the key, dotted. */
  readonly algorithm: string;
  /** Algorithm parameters, DER as received. */
  readonly parameters?: Uint8Array;
  /** The subjectPublicKey without its BIT STRING wrapping; RFC 5280 key identifiers hash this. */
  readonly bytes: Uint8Array;
  /** Bits of the modulus (RSA), the prime (DSA) or the field (EC); 0 if not known. */
  readonly bits: number;
  /** `P-256`, `P-384` or `P-521`, else the curve's object identifier; EC keys only. */
  readonly curve?: string;
}

const curves: Readonly<Record<string, { name: string; bits: number }>> = {
  "1.2.840.10045.3.1.7": { name: "P-256", bits: 256 },
  "1.3.132.0.34": { name: "P-384", bits: 384 },
  "1.3.132.0.35": { name: "P-521", bits: 521 },
};

const curveArithmetic: Readonly<Record<string, typeof p256>> = {
  "P-256": p256,
  "P-384": p384,
  "P-521": p521,
};

/** Larger numbers are refused: they make one check take seconds. */
const MAX_KEY_BITS = 8_192;
const MAX_EXPONENT = 1n << 64n;

const unsupported = (message: string) => new FormatError("algorithm_unsupported", message);

/**
 * Reads a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). Key types that we cannot check are read too.
 *
 * @throws {FormatError} `asn1_malformed`
 */
export function readPublicKey(node: Asn1Node | Uint8Array): PublicKey {
  const spki = node instanceof Uint8Array ? readAsn1(node) : node;
  const fields = new Fields(spki, "a public key");
  const identifier = new Fields(fields.take(Tag.SEQUENCE), "a key algorithm");
  const { bytes } = readBitString(fields.take(Tag.BIT_STRING));
  fields.end();
  const algorithm = readOid(identifier.take(Tag.OID));
  const parameters = identifier.done ? undefined : identifier.take();
  identifier.end();
  return {
    spki: spki.bytes,
    algorithm,
    parameters: parameters?.bytes,
    bytes,
    ...describe(algorithm, parameters, bytes),
  };
}

function describe(algorithm: string, parameters: Asn1Node | undefined, bytes: Uint8Array) {
  switch (algorithm) {
    case RSA:
    case RSA_PSS: {
      const modulus = new Fields(readAsn1(bytes), "an RSA key").take(Tag.INTEGER).content;
      return { type: algorithm === RSA ? "rsa" : "rsa-pss", bits: bitLength(modulus) } as const;
    }
    case EC: {
      if (parameters?.tag !== Tag.OID) return { type: "ec", bits: 0 } as const;
      const curve = readOid(parameters);
      const known = curves[curve];
      return { type: "ec", bits: known?.bits ?? 0, curve: known?.name ?? curve } as const;
    }
    case DSA: {
      const prime = parameters?.tag === Tag.SEQUENCE ? parameters.children[0] : undefined;
      return { type: "dsa", bits: prime ? bitLength(prime.content) : 0 } as const;
    }
    case ED25519:
      return { type: "ed25519", bits: 256 } as const;
    default:
      return { type: "unknown", bits: 0 } as const;
  }
}

function bitLength(unsigned: Uint8Array): number {
  const first = unsigned.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : 8 * (unsigned.length - first) - Math.clz32(unsigned[first]) + 24;
}

/**
 * Gives a DSA key without parameters those of its issuer (RFC 3279 §2.3.2).
 *
 * @returns the key itself if it needs none or the issuer has none
 */
export function inheritParameters(key: PublicKey, issuer: PublicKey): PublicKey {
  if (key.type !== "dsa" || key.parameters || issuer.type !== "dsa" || !issuer.parameters) {
    return key;
  }
  return readPublicKey(sequence(sequence(oid(DSA), issuer.parameters), bitString(key.bytes)));
}

/** Keys made ready to check signatures, by the key they were made from. */
const rsaKeys = new WeakMap<PublicKey, RsaPublicKey>();
const keyObjects = new WeakMap<PublicKey, KeyObject>();

const keyTypes: Readonly<Record<VerificationAlgorithm["scheme"], readonly KeyType[]>> = {
  "RSASSA-PKCS1-v1_5": ["rsa"],
  "RSASSA-PSS": ["rsa", "rsa-pss"],
  ECDSA: ["ec"],
  DSA: ["dsa"],
  Ed25519: ["ed25519"],
};

/**
 * Checks a signature over `message` with a key. RSA is computed here (five times as fast as by the
 * runtime), ECDSA too (the runtime refuses digests that are short for their curve), DSA and Ed25519
 * by the runtime.
 *
 * @param signature RSA: the bytes of the modulus' length; ECDSA, DSA: DER `SEQUENCE { r, s }`
 * @returns false if the signature is not this key's over these bytes
 * @throws {FormatError} `algorithm_unsupported` if the key cannot be used with the algorithm
 */
export function verifyWithKey(
  key: PublicKey,
  algorithm: VerificationAlgorithm,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { scheme, hash, saltLength } = algorithm;
  if (!keyTypes[scheme].includes(key.type)) {
    throw unsupported("The signature's algorithm does not belong to the type of the key.");
  }
  if (key.bits > MAX_KEY_BITS) throw unsupported("The key is too large to be checked.");
  if (scheme === "RSASSA-PKCS1-v1_5") {
    return verifyPkcs1(rsaKey(key), hash!, digest(hash!, message), signature);
  }
  if (scheme === "RSASSA-PSS") {
    checkPssBinding(key, algorithm);
    return verifyPss(rsaKey(key), hash!, digest(hash!, message), saltLength!, signature);
  }
  if (scheme === "ECDSA") return verifyEcdsa(key, digest(hash!, message), signature);
  const object = keyObject(key);
  const options = { key: object, dsaEncoding: "der" } as const;
  try {
    return verify(hash?.replace("-", "").toLowerCase(), message, options, signature);
  } catch {
    return false; // A signature that cannot even be decoded is not this key's.
  }
}

/** Only named curves: with parameters of its own a key could pass for another (CVE-2020-0601). */
function verifyEcdsa(key: PublicKey, hashed: Uint8Array, signature: Uint8Array): boolean {
  const curve = curveArithmetic[key.curve ?? ""];
  if (!curve) throw unsupported("The key is on a curve that is not supported.");
  try {
    return curve.verify(signature, hashed, key.bytes, {
      prehash: false,
      lowS: false, // FIPS 186-5 allows both halves
      format: "der",
    });
  } catch {
    return false; // no DER signature, numbers out of range, or no point of the curve
  }
}

/** An RSASSA-PSS key may be bound to one hash and a least salt length (RFC 4055 §3.3). */
function checkPssBinding(key: PublicKey, algorithm: VerificationAlgorithm): void {
  if (key.type !== "rsa-pss" || !key.parameters) return;
  const bound = readPss(readAsn1(key.parameters));
  if (bound.hash !== algorithm.hash || bound.saltLength! > algorithm.saltLength!) {
    throw unsupported("The key is bound to another hash algorithm or a longer salt.");
  }
}

function rsaKey(key: PublicKey): RsaPublicKey {
  const known = rsaKeys.get(key);
  if (known) return known;
  const fields = new Fields(readAsn1(key.bytes), "an RSA key");
  const modulus = BigInt("0x" + fields.take(Tag.INTEGER).content.toHex());
  const exponent = readBigInteger(fields.take(Tag.INTEGER));
  fields.end();
  if (exponent < 3n || (exponent & 1n) === 0n || (modulus & 1n) === 0n) {
    throw unsupported("The RSA key is malformed.");
  }
  if (exponent >= MAX_EXPONENT) throw unsupported("The RSA exponent is too large.");
  const ready = { modulus, exponent, bits: key.bits };
  rsaKeys.set(key, ready);
  return ready;
}

function keyObject(key: PublicKey): KeyObject {
  const known = keyObjects.get(key);
  if (known) return known;
  try {
    const spki = concat(key.spki) as Uint8Array & string; // the runtime takes bytes too
    const object = createPublicKey({ key: spki, format: "der", type: "spki" });
    keyObjects.set(key, object);
    return object;
  } catch (cause) {
    throw new FormatError("algorithm_unsupported", "The public key cannot be used.", { cause });
  }
}
