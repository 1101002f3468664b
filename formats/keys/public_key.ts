/** Reading public keys (RFC 3279, 4055, 5480, 8410, 9881). */
import { type Asn1Node, Fields, readAsn1, readBitString, readOid, Tag } from "../asn1/read.ts";
import { bitString, oid, sequence } from "../asn1/der.ts";
import type { MlDsa } from "../signer.ts";
import { keyAlgorithms } from "./algorithm.ts";
import { mlDsaByOid } from "./ml_dsa.ts";

const { RSA, RSA_PSS, EC, DSA, ED25519 } = keyAlgorithms;

export type KeyType = "rsa" | "rsa-pss" | "ec" | "dsa" | "ed25519" | "ml-dsa" | "unknown";

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
  /** ML-DSA keys only. */
  readonly parameterSet?: MlDsa;
}

const curves: Readonly<Record<string, { name: string; bits: number }>> = {
  "1.2.840.10045.3.1.7": { name: "P-256", bits: 256 },
  "1.3.132.0.34": { name: "P-384", bits: 384 },
  "1.3.132.0.35": { name: "P-521", bits: 521 },
};

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
    default: {
      const parameterSet = mlDsaByOid(algorithm);
      return parameterSet
        ? { type: "ml-dsa", bits: 0, parameterSet } as const
        : { type: "unknown", bits: 0 } as const;
    }
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
