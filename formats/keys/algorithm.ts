/** AlgorithmIdentifiers of digests and signatures (RFC 3370, 4055, 5754, 5758, 8410, 9881). */
import { hashByOid, HASHES } from "../digest.ts";
import { type Asn1Node, Fields, only, readAsn1, readInteger, readOid, Tag } from "../asn1/read.ts";
import { explicit, integer, nullValue, oid, sequence } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import type { DigestName, MlDsa, SignatureAlgorithm } from "../signer.ts";
import { isMlDsa, ML_DSA, mlDsaByOid } from "./ml_dsa.ts";

/** How a signature was made, as its AlgorithmIdentifier says. */
export interface VerificationAlgorithm {
  readonly scheme: "RSASSA-PKCS1-v1_5" | "RSASSA-PSS" | "ECDSA" | "DSA" | "Ed25519" | MlDsa;
  /** Absent for Ed25519 and ML-DSA, which hash by themselves. */
  readonly hash?: DigestName;
  /** RSASSA-PSS only, in bytes. */
  readonly saltLength?: number;
}

/** Object identifiers of key types. */
export const keyAlgorithms = {
  RSA: "1.2.840.113549.1.1.1",
  RSA_PSS: "1.2.840.113549.1.1.10",
  EC: "1.2.840.10045.2.1",
  DSA: "1.2.840.10040.4.1",
  ED25519: "1.3.101.112",
} as const;

const { RSA, RSA_PSS, EC, DSA, ED25519 } = keyAlgorithms;
const MGF1 = "1.2.840.113549.1.1.8";

const signatures: Readonly<Record<string, VerificationAlgorithm>> = {
  "1.2.840.113549.1.1.5": { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-1" },
  "1.2.840.113549.1.1.14": { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-224" },
  "1.2.840.113549.1.1.11": { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  "1.2.840.113549.1.1.12": { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  "1.2.840.113549.1.1.13": { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  "1.2.840.10045.4.1": { scheme: "ECDSA", hash: "SHA-1" },
  "1.2.840.10045.4.3.1": { scheme: "ECDSA", hash: "SHA-224" },
  "1.2.840.10045.4.3.2": { scheme: "ECDSA", hash: "SHA-256" },
  "1.2.840.10045.4.3.3": { scheme: "ECDSA", hash: "SHA-384" },
  "1.2.840.10045.4.3.4": { scheme: "ECDSA", hash: "SHA-512" },
  "1.2.840.10040.4.3": { scheme: "DSA", hash: "SHA-1" },
  "2.16.840.1.101.3.4.3.1": { scheme: "DSA", hash: "SHA-224" },
  "2.16.840.1.101.3.4.3.2": { scheme: "DSA", hash: "SHA-256" },
  [ED25519]: { scheme: "Ed25519" },
};

const unsupported = (message: string) => new FormatError("algorithm_unsupported", message);

/**
 * Reads the AlgorithmIdentifier of a signature.
 *
 * @param digest for CMS, where the key's algorithm may stand in place of the signature's
 *   (RFC 3370 §3.2): the digest algorithm of the SignerInfo
 * @throws {FormatError} `algorithm_unsupported`, `asn1_malformed`
 */
export function readSignatureAlgorithm(
  node: Asn1Node | Uint8Array,
  digest?: DigestName,
): VerificationAlgorithm {
  const fields = new Fields(node instanceof Uint8Array ? readAsn1(node) : node, "an algorithm");
  const id = readOid(fields.take(Tag.OID));
  const parameters = fields.done ? undefined : fields.take();
  fields.end();
  if (id === RSA_PSS) return readPss(parameters);
  const mlDsa = mlDsaByOid(id);
  if (mlDsa) {
    // RFC 9881 §2: not even NULL.
    if (parameters) {
      throw unsupported("The signature algorithm has parameters that it must not have.");
    }
    return { scheme: mlDsa };
  }
  const bare = digest && bareScheme(id);
  const algorithm = bare ? { scheme: bare, hash: digest } : signatures[id];
  if (!algorithm) throw unsupported(`Signatures of algorithm ${id} cannot be checked.`);
  if (parameters && parameters.tag !== Tag.NULL && !bare) {
    throw unsupported("The signature algorithm has parameters that it must not have.");
  }
  return algorithm;
}

function bareScheme(id: string): VerificationAlgorithm["scheme"] | undefined {
  return id === RSA ? "RSASSA-PKCS1-v1_5" : id === EC ? "ECDSA" : id === DSA ? "DSA" : undefined;
}

/** RSASSA-PSS-params (RFC 4055 §3.1); absent fields mean SHA-1 and a salt of 20 bytes. */
export function readPss(parameters: Asn1Node | undefined): VerificationAlgorithm {
  let hash: DigestName = "SHA-1";
  let mask: DigestName = "SHA-1";
  let saltLength = 20;
  if (parameters) {
    const fields = new Fields(parameters, "PSS parameters");
    const hashField = fields.maybe(0xa0);
    if (hashField) hash = readHash(only(hashField, "A hash algorithm"));
    const maskField = fields.maybe(0xa1);
    if (maskField) {
      const generator = new Fields(only(maskField, "A mask generator"), "a mask generator");
      if (readOid(generator.take(Tag.OID)) !== MGF1) {
        throw unsupported("The mask function of the PSS signature is not MGF1.");
      }
      mask = readHash(generator.take(Tag.SEQUENCE));
    }
    const saltField = fields.maybe(0xa2);
    if (saltField) saltLength = readInteger(only(saltField, "A salt length"));
    const trailer = fields.maybe(0xa3);
    if (trailer && readInteger(only(trailer, "A trailer")) !== 1) {
      throw unsupported("The PSS signature has an unknown trailer.");
    }
    fields.end();
  }
  if (mask !== hash) throw unsupported("PSS with two different hash algorithms is not supported.");
  if (saltLength < 0 || saltLength > 512) throw unsupported("The PSS salt length is out of range.");
  return { scheme: "RSASSA-PSS", hash, saltLength };
}

/**
 * Reads the AlgorithmIdentifier of a digest.
 *
 * @throws {FormatError} `algorithm_unsupported`, `asn1_malformed`
 */
export function readHash(node: Asn1Node): DigestName {
  const id = readOid(new Fields(node, "a hash algorithm").take(Tag.OID));
  const hash = hashByOid(id);
  if (!hash) throw unsupported(`The hash algorithm ${id} is not supported.`);
  return hash;
}

const hashOid = (hash: DigestName) => oid(HASHES[hash].oid);

/** Encodes the AlgorithmIdentifier of a digest, without parameters (RFC 5754 §2). */
export function encodeHash(hash: DigestName): Uint8Array {
  return sequence(hashOid(hash));
}

/**
 * Encodes the AlgorithmIdentifier of a signature.
 *
 * @returns DER: with NULL for RSA (RFC 4055 §5), no parameters for ECDSA (RFC 5758 §3.2) and ML-DSA (RFC 9881 §2),
 *   MGF1 over the same digest for PSS (RFC 4055 §3.1)
 */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  const { scheme, hash } = algorithm;
  if (isMlDsa(scheme)) return sequence(oid(ML_DSA[scheme].oid));
  if (scheme === "RSASSA-PSS") {
    const digest = sequence(hashOid(hash), nullValue());
    return sequence(
      oid(RSA_PSS),
      sequence(
        explicit(0, digest),
        explicit(1, sequence(oid(MGF1), digest)),
        explicit(2, integer(algorithm.saltLength ?? HASHES[hash].length)),
      ),
    );
  }
  const id = Object.keys(signatures).find((each) =>
    signatures[each].scheme === scheme && signatures[each].hash === hash
  )!;
  return scheme === "ECDSA" ? sequence(oid(id)) : sequence(oid(id), nullValue());
}
