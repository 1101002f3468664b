import * as C from "./constants.ts";
import { Pkcs11Error } from "./error.ts";

/** Hash by its WebCrypto name. SHA-1 is for old servers; the caller decides whether it is allowed. */
export type Hash = "SHA-1" | "SHA-256" | "SHA-384" | "SHA-512";

/** A parameter set of ML-DSA (FIPS 204 §4). */
export type MlDsa = "ML-DSA-44" | "ML-DSA-65" | "ML-DSA-87";

/**
 * Signature scheme by its name in RFC 8017 or FIPS 204. RSASSA-PSS: MGF1 with the same hash, salt as long as it; ML-DSA:
 * pure, with an empty context.
 */
export type Scheme = "RSASSA-PKCS1-v1_5" | "RSASSA-PSS" | "ECDSA" | MlDsa;

interface HashRow {
  /** Length of the digest in bytes. */
  length: number;
  mechanism: number;
  mgf: number;
  rsa: number;
  pss: number;
  ecdsa: number;
  /** DER of DigestInfo up to the digest (RFC 8017 §9.2, note 1). */
  digestInfo: Uint8Array;
}

function digestInfo(oidLastByte: number, length: number): Uint8Array {
  // SEQUENCE { SEQUENCE { OID 2.16.840.1.101.3.4.2.x, NULL }, OCTET STRING }
  const oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, oidLastByte];
  return Uint8Array.from([0x30, 17 + length, 0x30, 0x0d, ...oid, 0x05, 0x00, 0x04, length]);
}

const HASHES: Record<Exclude<Hash, "SHA-1">, HashRow> = {
  "SHA-256": {
    length: 32,
    mechanism: C.CKM_SHA256,
    mgf: C.CKG_MGF1_SHA256,
    rsa: C.CKM_SHA256_RSA_PKCS,
    pss: C.CKM_SHA256_RSA_PKCS_PSS,
    ecdsa: C.CKM_ECDSA_SHA256,
    digestInfo: digestInfo(1, 32),
  },
  "SHA-384": {
    length: 48,
    mechanism: C.CKM_SHA384,
    mgf: C.CKG_MGF1_SHA384,
    rsa: C.CKM_SHA384_RSA_PKCS,
    pss: C.CKM_SHA384_RSA_PKCS_PSS,
    ecdsa: C.CKM_ECDSA_SHA384,
    digestInfo: digestInfo(2, 48),
  },
  "SHA-512": {
    length: 64,
    mechanism: C.CKM_SHA512,
    mgf: C.CKG_MGF1_SHA512,
    rsa: C.CKM_SHA512_RSA_PKCS,
    pss: C.CKM_SHA512_RSA_PKCS_PSS,
    ecdsa: C.CKM_ECDSA_SHA512,
    digestInfo: digestInfo(3, 64),
  },
};

/** Parameters of CKM_*_PKCS_PSS, as in CK_RSA_PKCS_PSS_PARAMS. */
export interface PssParams {
  hashAlg: number;
  mgf: number;
  saltLength: number;
}

/** How to make one signature. */
export interface MechanismChoice {
  mechanism: number;
  pss?: PssParams;
  /**
   * Input of C_Sign: the message itself, or `prefix` and the digest cut to at most `maxDigest`
   * bytes (FIPS 186-5 §6.4.1: ECDSA uses the leftmost bits of the digest).
   */
  feed: "message" | { prefix: Uint8Array; maxDigest: number };
}

/** RFC 8017 §9.2, note 1. */
const SHA1_DIGEST_INFO = Uint8Array.fromHex("3021300906052b0e03021a05000414");
const SHA1_LENGTH = 20;

/** Length of a digest in bytes. */
export function digestLength(hash: Hash): number {
  return hash === "SHA-1" ? SHA1_LENGTH : HASHES[hash].length;
}

/**
 * Chooses the mechanism. A digest needs a raw mechanism; a message takes the combined one where
 * the token has it and else a raw one over its digest. SHA-1: RSASSA-PKCS1-v1_5 alone, by the raw mechanism.
 *
 * @param key type and size, or parameter set, of the key
 * @param offered the token's C_GetMechanismList
 * @throws {Pkcs11Error} `mechanism_unsupported`
 */
export function chooseMechanism(
  key: { type: "rsa" | "ec" | "ml-dsa"; bits: number; parameterSet?: MlDsa },
  scheme: Scheme,
  hash: Hash,
  input: "message" | "digest",
  offered: ReadonlySet<number>,
): MechanismChoice {
  if (hash === "SHA-1" && scheme === "RSASSA-PKCS1-v1_5" && key.type === "rsa") {
    if (!offered.has(C.CKM_RSA_PKCS)) throw unsupported(`${scheme} with ${hash}`);
    const feed = { prefix: SHA1_DIGEST_INFO, maxDigest: SHA1_LENGTH };
    return { mechanism: C.CKM_RSA_PKCS, feed };
  }
  if (key.type === "ml-dsa") {
    if (key.parameterSet !== scheme) {
      throw unsupported(`${scheme} with a key of ${key.parameterSet}`);
    }
    // FIPS 204 §5.2: pure ML-DSA is over the message. Without a parameter the context is empty.
    if (input === "digest" || !offered.has(C.CKM_ML_DSA)) {
      throw unsupported(`${scheme} over a ${input}`);
    }
    return { mechanism: C.CKM_ML_DSA, feed: "message" };
  }
  const row = HASHES[hash as Exclude<Hash, "SHA-1">];
  if (!row) throw unsupported(`hash ${hash}`);
  const [type, combined, raw, prefix]: ["rsa" | "ec", number, number, Uint8Array] = (() => {
    switch (scheme) {
      case "RSASSA-PKCS1-v1_5":
        return ["rsa", row.rsa, C.CKM_RSA_PKCS, row.digestInfo];
      case "RSASSA-PSS":
        return ["rsa", row.pss, C.CKM_RSA_PKCS_PSS, NO_PREFIX];
      case "ECDSA":
        return ["ec", row.ecdsa, C.CKM_ECDSA, NO_PREFIX];
      default:
        throw unsupported(`scheme ${scheme}`);
    }
  })();
  if (key.type !== type) throw unsupported(`${scheme} with a key of type ${key.type}`);
  const pss = scheme === "RSASSA-PSS"
    ? { hashAlg: row.mechanism, mgf: row.mgf, saltLength: row.length }
    : undefined;
  if (input === "message" && offered.has(combined)) {
    return { mechanism: combined, pss, feed: "message" };
  }
  if (offered.has(raw)) {
    const maxDigest = type === "ec" ? Math.ceil(key.bits / 8) : row.length;
    return { mechanism: raw, pss, feed: { prefix, maxDigest } };
  }
  throw unsupported(`${scheme} with ${hash} over a ${input}`);
}

const NO_PREFIX = new Uint8Array(0);

function unsupported(reason: string): Pkcs11Error {
  return new Pkcs11Error("mechanism_unsupported", { reason });
}

/**
 * ECDSA signature from PKCS#11 (`r ‖ s`, each as long as the curve's order) to DER
 * `ECDSA-Sig-Value` (RFC 3279 §2.2.3), as CMS and X.509 want it.
 *
 * @throws {Pkcs11Error} `driver_nonsense` when the length is odd, zero or absurd
 */
export function ecdsaToDer(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const half = raw.length / 2;
  if (raw.length === 0 || !Number.isInteger(half) || half > 72) {
    throw new Pkcs11Error("driver_nonsense", { reason: `ECDSA signature of ${raw.length} bytes` });
  }
  const body = [...derInteger(raw.subarray(0, half)), ...derInteger(raw.subarray(half))];
  const length = body.length < 0x80 ? [body.length] : [0x81, body.length];
  return Uint8Array.from([0x30, ...length, ...body]);
}

function derInteger(bytes: Uint8Array): number[] {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const value = [...bytes.subarray(start)];
  if (value[0] & 0x80) value.unshift(0);
  return [0x02, value.length, ...value];
}
