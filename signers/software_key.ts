/** Signing with a private key in this process's memory: RSA by node:crypto, ECDSA and ML-DSA by @noble. */
import { constants, createPrivateKey, privateEncrypt, sign } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { expect, Fields, readAsn1, readOctetString, readOid, Tag } from "../formats/asn1/read.ts";
import {
  bitString,
  concat,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  tlv,
} from "../formats/asn1/der.ts";
import { digest, HASHES } from "../formats/digest.ts";
import type { MlDsa, SignatureAlgorithm, SigningInput } from "../formats/signer.ts";
import { sameBytes } from "../formats/x509/certificate.ts";
import { ML_DSA, mlDsaByOid } from "../formats/keys/ml_dsa.ts";
import { MAX_ML_DSA_MESSAGE, notInPureMode, SignerError } from "./provider.ts";

const RSA = "1.2.840.113549.1.1.1";
const RSA_PSS = "1.2.840.113549.1.1.10";
const EC = "1.2.840.10045.2.1";
/** Bits of an RSA key. With 8192 a signature takes 0.1 s, in which nobody else is answered; with 65536, a minute. */
const MIN_RSA = 1024, MAX_RSA = 8192;
const CURVES: Readonly<Record<string, typeof p256>> = {
  "1.2.840.10045.3.1.7": p256,
  "1.3.132.0.34": p384,
  "1.3.132.0.35": p521,
};

/** A key ready to sign. */
export interface SoftwareKey {
  /** Whether this is the private key of `publicKey` (the content of a subjectPublicKey). */
  fits(publicKey: Uint8Array): boolean;
  /**
   * @returns RSA: of the modulus' length; ECDSA: DER `ECDSA-Sig-Value` (RFC 3279 §2.2.3), nonce by RFC 6979
   * @throws {SignerError} `mechanism_unsupported` for RSASSA-PSS and ML-DSA over a digest
   */
  sign(algorithm: SignatureAlgorithm, input: SigningInput): Uint8Array;
  /** Clears an EC or ML-DSA key. The runtime owns the memory of an RSA key and frees it later. */
  wipe(): void;
}

/**
 * Imports a private key.
 *
 * @param key PKCS #8 (RFC 5208 §5), DER; not kept
 * @throws {SignerError} `mechanism_unsupported`
 * @throws {FormatError} if it is malformed
 */
export async function softwareKey(key: Uint8Array): Promise<SoftwareKey> {
  const info = new Fields(readAsn1(key), "a private key");
  info.take(Tag.INTEGER);
  const algorithm = new Fields(info.take(Tag.SEQUENCE), "a key's algorithm");
  const id = readOid(algorithm.take(Tag.OID));
  const inner = readOctetString(info.take());
  if (id === RSA || id === RSA_PSS) return rsaKey(inner);
  const curve = id === EC
    ? CURVES[readOid(expect(algorithm.take(), Tag.OID, "A curve"))]
    : undefined;
  if (curve) return ecKey(curve, inner);
  const mlDsa = mlDsaByOid(id);
  if (mlDsa) return await mlDsaKey(mlDsa, inner);
  throw new SignerError("mechanism_unsupported", "D-Sign does not sign with this type of key.");
}

/** @param bytes ECPrivateKey (RFC 5915 §3) */
function ecKey(curve: typeof p256, bytes: Uint8Array): SoftwareKey {
  const fields = new Fields(readAsn1(bytes), "an EC private key");
  fields.take(Tag.INTEGER);
  const scalar = readOctetString(fields.take()).slice();
  if (!curve.utils.isValidSecretKey(scalar)) throw damaged();
  return {
    fits: (publicKey) => {
      const compressed = publicKey[0] !== 4;
      return sameBytes(curve.getPublicKey(scalar, compressed), publicKey);
    },
    sign: ({ hash }, input) =>
      curve.sign("digest" in input ? input.digest : digest(hash, input.message), scalar, {
        prehash: false,
        format: "der",
        lowS: false,
      }),
    wipe: () => scalar.fill(0),
  };
}

/** @param bytes RSAPrivateKey (RFC 8017 §A.1.2) */
function rsaKey(bytes: Uint8Array): SoftwareKey {
  const fields = new Fields(readAsn1(bytes), "an RSA private key");
  fields.take(Tag.INTEGER);
  const modulus = fields.take(Tag.INTEGER);
  const bits = 8 * (modulus.content.length - (modulus.content[0] === 0 ? 1 : 0));
  if (bits < MIN_RSA || bits > MAX_RSA) {
    throw new SignerError(
      "mechanism_unsupported",
      `D-Sign signs with RSA keys of ${MIN_RSA} to ${MAX_RSA} bits; this one has ${bits}.`,
    );
  }
  const own = sequence(modulus.bytes, fields.take(Tag.INTEGER).bytes);
  const key = privateKeyObject(bytes);
  return {
    fits: (publicKey) => sameBytes(own, publicKey),
    sign({ scheme, hash, saltLength }, input) {
      if (scheme === "RSASSA-PSS") {
        if ("digest" in input) {
          throw new SignerError(
            "mechanism_unsupported",
            "A key file cannot make RSASSA-PSS signatures over a digest.",
          );
        }
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        const options = {
          key,
          padding,
          saltLength: saltLength ?? constants.RSA_PSS_SALTLEN_DIGEST,
        };
        return rsaSignature(() => sign(HASHES[hash].node, input.message, options));
      }
      const hashed = "digest" in input ? input.digest : digest(hash, input.message);
      // RFC 8017 §9.2: privateEncrypt() pads, DigestInfo is ours.
      const info = sequence(sequence(oid(HASHES[hash].oid), nullValue()), octetString(hashed));
      return rsaSignature(() =>
        privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info)
      );
    },
    wipe: () => {},
  };
}

/** A key whose numbers do not fit each other may be noticed by the signature only. */
function rsaSignature(make: () => Uint8Array): Uint8Array {
  try {
    return make();
  } catch {
    throw damaged();
  }
}

function privateKeyObject(pkcs1: Uint8Array) {
  const key = concat(pkcs1) as Uint8Array & string; // the types know Buffer only
  try {
    return createPrivateKey(
      { key, format: "der", type: "pkcs1" } as Parameters<typeof createPrivateKey>[0],
    );
  } catch {
    throw damaged();
  } finally {
    key.fill(0);
  }
}

/** Tag of the seed alone: `[0] IMPLICIT OCTET STRING`. */
const SEED = 0x80;

/**
 * Its code is loaded for the first key. Signatures take fresh randomness too (FIPS 204 §3.4, "hedged").
 *
 * @param bytes ML-DSA-PrivateKey (RFC 9881 §6): a seed, an expanded key, or both
 * @throws {SignerError} `driver_error` if the key has the wrong length, or seed and expanded key do not belong together
 */
async function mlDsaKey(parameterSet: MlDsa, bytes: Uint8Array): Promise<SoftwareKey> {
  const by = await mlDsaLibrary(parameterSet);
  const { seed, expanded } = readForms(bytes);
  if (
    (seed && seed.length !== by.lengths.seed) ||
    (expanded && expanded.length !== by.lengths.secretKey)
  ) throw damaged();
  const secretKey = seed ? by.keygen(seed).secretKey : expanded!.slice();
  if (expanded && !sameBytes(secretKey, expanded)) throw damaged();
  return {
    fits: (publicKey) => sameBytes(by.getPublicKey(secretKey), publicKey),
    sign(_, input) {
      if ("digest" in input || input.message.length > MAX_ML_DSA_MESSAGE) throw notInPureMode();
      return by.sign(input.message, secretKey);
    },
    wipe: () => secretKey.fill(0),
  };
}

/** Makes a key: PKCS #8 with the seed alone, and its SubjectPublicKeyInfo, DER. The caller wipes `pkcs8`. */
export async function newMlDsaKey(
  parameterSet: MlDsa,
): Promise<{ pkcs8: Uint8Array; publicKey: Uint8Array }> {
  const by = await mlDsaLibrary(parameterSet);
  const seed = crypto.getRandomValues(new Uint8Array(by.lengths.seed!));
  const { publicKey, secretKey } = by.keygen(seed);
  secretKey.fill(0);
  const algorithm = sequence(oid(ML_DSA[parameterSet].oid));
  const pkcs8 = sequence(integer(0), algorithm, octetString(tlv(SEED, seed)));
  seed.fill(0);
  return { pkcs8, publicKey: sequence(algorithm, bitString(publicKey)) };
}

async function mlDsaLibrary(parameterSet: MlDsa) {
  const { ml_dsa44, ml_dsa65, ml_dsa87 } = await import("@noble/post-quantum/ml-dsa.js");
  return { "ML-DSA-44": ml_dsa44, "ML-DSA-65": ml_dsa65, "ML-DSA-87": ml_dsa87 }[parameterSet];
}

const damaged = () => new SignerError("driver_error", "The private key in the file is damaged.");

function readForms(bytes: Uint8Array): { seed?: Uint8Array; expanded?: Uint8Array } {
  const node = readAsn1(bytes);
  if (node.tag === SEED) return { seed: readOctetString(node, SEED) };
  if (node.tag === Tag.OCTET_STRING) return { expanded: readOctetString(node) };
  const both = new Fields(node, "an ML-DSA private key");
  const seed = readOctetString(both.take());
  const expanded = readOctetString(both.take());
  both.end();
  return { seed, expanded };
}
