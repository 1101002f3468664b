/** Signing with a private key in this process's memory: RSA by node:crypto, ECDSA by @noble/curves. */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  privateEncrypt,
  sign,
  X509Certificate,
} from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { expect, Fields, readAsn1, readOctetString, readOid, Tag } from "../formats/asn1.ts";
import { concat, nullValue, octetString, oid, sequence } from "../formats/der.ts";
import { digest } from "../formats/digest.ts";
import type { HashName, SignatureAlgorithm, SigningInput } from "../formats/signer.ts";
import { SignerError } from "./provider.ts";

const EC = "1.2.840.10045.2.1";
const CURVES: Readonly<Record<string, typeof p256>> = {
  "1.2.840.10045.3.1.7": p256,
  "1.3.132.0.34": p384,
  "1.3.132.0.35": p521,
};
const HASH_OIDS: Readonly<Record<HashName, string>> = {
  "SHA-1": "1.3.14.3.2.26",
  "SHA-256": "2.16.840.1.101.3.4.2.1",
  "SHA-384": "2.16.840.1.101.3.4.2.2",
  "SHA-512": "2.16.840.1.101.3.4.2.3",
};

/** A key that is ready to sign. */
export interface SoftwareKey {
  /**
   * @returns RSA: of the modulus' length; ECDSA: DER `ECDSA-Sig-Value` (RFC 3279 §2.2.3), nonce by RFC 6979
   * @throws {SignerError} `mechanism_unsupported` for RSASSA-PSS over a digest
   */
  sign(algorithm: SignatureAlgorithm, input: SigningInput): Uint8Array;
  /** Clears an EC key; the memory of an RSA key belongs to the runtime, which frees it in its own time. */
  wipe(): void;
}

/** Whether the certificate's public key belongs to this private key (PKCS #8). */
export function belongsTo(key: Uint8Array, certificate: Uint8Array): boolean {
  try {
    return createPublicKey(privateKeyObject(key)).equals(
      new X509Certificate(certificate).publicKey,
    );
  } catch {
    return false; // of a type that the runtime does not know
  }
}

/**
 * Takes a private key.
 *
 * @param key PKCS #8 (RFC 5208 §5), DER; not kept
 * @throws {SignerError} `mechanism_unsupported`; FormatError where it is malformed
 */
export function softwareKey(key: Uint8Array): SoftwareKey {
  const info = new Fields(readAsn1(key), "a private key");
  info.take(Tag.INTEGER);
  const algorithm = new Fields(info.take(Tag.SEQUENCE), "a key's algorithm");
  if (readOid(algorithm.take(Tag.OID)) !== EC) return rsaKey(key);
  const parameters = expect(algorithm.take(), Tag.OID, "The curve");
  const curve = CURVES[readOid(parameters)];
  if (!curve) {
    throw new SignerError("mechanism_unsupported", "The key is on a curve that is not used here.");
  }
  // ECPrivateKey (RFC 5915 §3)
  const inner = new Fields(readAsn1(readOctetString(info.take())), "an EC private key");
  inner.take(Tag.INTEGER);
  return ecKey(curve, readOctetString(inner.take()).slice());
}

function ecKey(curve: typeof p256, scalar: Uint8Array): SoftwareKey {
  return {
    sign: ({ hash }, input) =>
      curve.sign("digest" in input ? input.digest : digest(hash, input.message), scalar, {
        prehash: false,
        format: "der",
        lowS: false,
      }),
    wipe: () => scalar.fill(0),
  };
}

function rsaKey(bytes: Uint8Array): SoftwareKey {
  const key = privateKeyObject(bytes);
  return {
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
        return sign(hash.replace("-", "").toLowerCase(), input.message, options);
      }
      const hashed = "digest" in input ? input.digest : digest(hash, input.message);
      // RFC 8017 §9.2: privateEncrypt pads, DigestInfo is ours.
      const info = sequence(
        sequence(oid(HASH_OIDS[hash]), nullValue()),
        octetString(hashed),
      );
      return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info);
    },
    wipe: () => {},
  };
}

function privateKeyObject(pkcs8: Uint8Array) {
  const copy = concat(pkcs8);
  try {
    return createPrivateKey(
      {
        key: copy as Uint8Array & string,
        format: "der",
        type: "pkcs8",
      } as Parameters<typeof createPrivateKey>[0],
    );
  } finally {
    copy.fill(0);
  }
}
