/**
 * Archive timestamps, for CAdES-B-LTA (EN 319 122-1 §5.5): an RFC 3161 token over one signature and
 * everything that its verification will need. The token is made elsewhere, from the imprint here.
 */
import { type Asn1Node, Fields, readOctetString, Tag } from "../asn1/read.ts";
import { addUnsignedAttributes, encodeAttribute } from "./add.ts";
import { attributeValues, readSignedData, type SignedData, type SignerInfo } from "./read.ts";
import { octetString, oid, sequence } from "../asn1/der.ts";
import { digest, HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import { encodeHash, readHash } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";

/** An archive timestamp in the making. */
export interface PreparedArchiveTimestamp {
  /** The expected digest of the timestamp, by the requested algorithm. */
  readonly imprint: Uint8Array;
  /**
   * Puts the timestamp in, with the index of what it covers.
   *
   * @param token TimeStampToken, DER; checking it is up to the caller
   * @returns the complete ContentInfo
   */
  complete(token: Uint8Array): Uint8Array;
}

/**
 * Prepares an archive timestamp (archive-time-stamp-v3) over one signer's signature.
 *
 * @param target index of the signer
 * @param hash digest algorithm of the imprint and of the index
 * @param contentDigest digest of the content by `hash`, where the signature is detached
 * @throws {FormatError} `not_found`, `invalid_argument` if the content's digest is missing or has
 *   not the right length, `cms_malformed`, `limit_exceeded`
 */
export function prepareArchiveTimestamp(
  bytes: Uint8Array,
  target: number,
  hash: DigestName,
  contentDigest?: Uint8Array,
): PreparedArchiveTimestamp {
  const cms = readSignedData(bytes);
  const signer = cms.signers[target];
  if (!signer) {
    throw new FormatError("not_found", "The signature does not contain this signer.");
  }
  const { certificates, revocation, attributes } = coveredHashes(cms, signer, hash);
  const index = sequence(
    encodeHash(hash),
    ...[certificates, revocation, attributes].map((hashes) =>
      sequence(...hashes.map((each) => octetString(each)))
    ),
  );
  return {
    imprint: imprintOf(cms, signer, index, hash, contentDigest),
    complete(token) {
      const indexed = addUnsignedAttributes(token, [0], [
        encodeAttribute(Oid.atsHashIndexV3, index),
      ]);
      return addUnsignedAttributes(bytes, [target], [
        encodeAttribute(Oid.archiveTimestampV3, indexed),
      ]);
    },
  };
}

/**
 * The imprint that an archive timestamp must have to cover the signature as it is now.
 *
 * @param token TimeStampToken with its ats-hash-index-v3, as in the signer's unsigned attributes
 * @param hash digest algorithm of the token's message imprint
 * @param contentDigest digest of the content by `hash`, where the signature is detached
 * @throws {FormatError} `timestamp_malformed` without a readable index; `signature_mismatch` if
 *   something that was covered is changed or gone; `algorithm_unsupported`, `invalid_argument`
 */
export function archiveImprint(
  cms: SignedData,
  signer: SignerInfo,
  token: Uint8Array,
  hash: DigestName,
  contentDigest?: Uint8Array,
): Uint8Array {
  const index = readIndex(token);
  const present = coveredHashes(cms, signer, index.hash);
  for (const part of ["certificates", "revocation", "attributes"] as const) {
    const known = new Set(present[part].map((each) => each.toHex()));
    if (!index[part].every((each) => known.has(each.toHex()))) {
      throw new FormatError(
        "signature_mismatch",
        "Data covered by the archive timestamp was changed or removed.",
      );
    }
  }
  return imprintOf(cms, signer, index.bytes, hash, contentDigest);
}

/**
 * Whether the index of an archive timestamp lists an unsigned attribute of the signer, e.g. an earlier timestamp.
 *
 * @param token as in {@link archiveImprint}
 * @param type the attribute's object identifier, dotted
 * @param value one value of it
 * @throws {FormatError} as {@link archiveImprint}
 */
export function archiveCovers(token: Uint8Array, type: string, value: Asn1Node): boolean {
  const { hash, attributes } = readIndex(token);
  const wanted = digest(hash, oid(type), value.bytes).toHex();
  return attributes.some((each) => each.toHex() === wanted);
}

/** ATSHashIndexV3 (EN 319 122-1 §5.5.2), from the token's own unsigned attributes. */
function readIndex(token: Uint8Array) {
  try {
    const [value, ...more] = attributeValues(
      readSignedData(token).signers[0]?.unsignedAttributes ?? [],
      Oid.atsHashIndexV3,
    );
    if (!value || more.length > 0) {
      throw new FormatError(
        "timestamp_malformed",
        "The archive timestamp does not state which data it covers.",
      );
    }
    const fields = new Fields(value, "The archive timestamp's index");
    const hash = readHash(fields.take(Tag.SEQUENCE));
    const [certificates, revocation, attributes] = [1, 2, 3].map(() =>
      fields.take(Tag.SEQUENCE).children.map((node) => readOctetString(node))
    );
    fields.end();
    return { bytes: value.bytes, hash, certificates, revocation, attributes };
  } catch (cause) {
    if (!(cause instanceof FormatError) || !/^(asn1|cms)_malformed$/.test(cause.code)) throw cause;
    throw new FormatError("timestamp_malformed", "The archive timestamp cannot be read.", {
      cause,
    });
  }
}

/** Digests of all that an archive timestamp covers beside the signature itself (§5.5.2). */
function coveredHashes(cms: SignedData, signer: SignerInfo, hash: DigestName) {
  const hashAll = (node?: Asn1Node) =>
    node?.children.map((child) => digest(hash, child.bytes)) ?? [];
  return {
    certificates: hashAll(cms.certificatesNode),
    revocation: hashAll(cms.crlsNode),
    // The attribute's type joined with each of its values.
    attributes:
      signer.unsignedNode?.children.flatMap(({ children: [type, values] }) =>
        values.children.map((value) => digest(hash, type.bytes, value.bytes))
      ) ?? [],
  };
}

/** The message imprint (§5.5.3): type and digest of the content, the SignerInfo, the index. */
function imprintOf(
  cms: SignedData,
  signer: SignerInfo,
  index: Uint8Array,
  hash: DigestName,
  contentDigest: Uint8Array | undefined,
): Uint8Array {
  const content = cms.content ? digest(hash, ...cms.content) : contentDigest;
  if (content?.length !== HASHES[hash].length) {
    throw new FormatError(
      "invalid_argument",
      `The ${hash} digest of the detached content is required.`,
    );
  }
  const [contentType] = cms.encapsulated.children;
  const signed = signer.node.children.filter((child) => child !== signer.unsignedNode);
  return digest(hash, contentType.bytes, content, ...signed.map(({ bytes }) => bytes), index);
}
