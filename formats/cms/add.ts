/**
 * Adding to a signature: parallel signers, countersignatures, unsigned attributes. The bytes of the
 * content, certificates and SignerInfos that are there stay what they are; only the structures
 * around the addition get a new (definite) length. BER allows that, and nothing of it is signed.
 */
import { type Asn1Node, constructedTag, readOctetString, Tag } from "../asn1/read.ts";
import {
  attributeValues,
  readSignedData,
  readSignerInfo,
  type SignedData,
  type SignerInfo,
} from "./read.ts";
import {
  type CmsSigner,
  type PreparedCms,
  prepareSignerInfo,
  type SignerStatements,
} from "./signer_info.ts";
import type { CmsContent } from "./write.ts";
import { integer, oid, sequence, setOf, tlv } from "../asn1/der.ts";
import { digest, HASH_NAMES } from "../digest.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";
import { encodeHash, readHash } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { sameBytes } from "../x509/certificate.ts";

/** An insertion into a structure: complete values before it, or at the end of its content. */
interface Addition {
  before?: readonly Uint8Array[];
  append?: readonly Uint8Array[];
  /** Another value in its place. */
  replace?: Uint8Array;
}

type Additions = ReadonlyMap<Asn1Node, Addition>;

/** Copies a value with the additions; what holds none is copied as received. */
function rebuild(node: Asn1Node, additions: Additions): Uint8Array {
  const touched = additions.keys().some(({ start, end }) => start >= node.start && end <= node.end);
  if (!touched) return node.bytes;
  const { replace, append = [] } = additions.get(node) ?? {};
  if (replace) return replace;
  const parts: Uint8Array[] = [];
  for (const child of node.children) {
    parts.push(...(additions.get(child)?.before ?? []), rebuild(child, additions));
  }
  return tlv(node.tag, ...parts, ...append);
}

/** Those of `values` that are not among `present`, each once. */
function missingFrom(present: readonly Uint8Array[], values: readonly Uint8Array[]): Uint8Array[] {
  const missing: Uint8Array[] = [];
  for (const value of values) {
    if (![...present, ...missing].some((known) => sameBytes(known, value))) missing.push(value);
  }
  return missing;
}

/** Adds certificates that are not there yet. */
function addCertificates(
  cms: SignedData,
  certificates: readonly Uint8Array[],
  additions: Map<Asn1Node, Addition>,
): void {
  const missing = missingFrom(cms.certificates, certificates);
  if (missing.length === 0) return;
  // The older archive timestamp covers the set of certificates as a whole (RFC 5126 §6.4.1).
  const sealed = cms.signers.some(({ unsignedAttributes }) =>
    unsignedAttributes.some((attribute) => attribute.oid === Oid.archiveTimestampV2)
  );
  if (sealed) {
    throw new FormatError(
      "document_locked",
      "The signature has an archive timestamp of an older kind, which added certificates would break.",
    );
  }
  if (cms.certificatesNode) additions.set(cms.certificatesNode, { append: missing });
  else {
    const set = setOf(missing, constructedTag(0));
    additions.set(cms.crlsNode ?? cms.signerInfos, { before: [set] });
  }
}

/**
 * Names the digest algorithm in SignedData if it is not there yet: readers that work in one pass
 * need it (RFC 5652 §5.1).
 */
function addDigestAlgorithm(
  cms: SignedData,
  hash: DigestName,
  additions: Map<Asn1Node, Addition>,
): void {
  if (!cms.digestAlgorithms.children.some((node) => names(node, hash))) {
    additions.set(cms.digestAlgorithms, { append: [encodeHash(hash)] });
  }
}

function names(algorithm: Asn1Node, hash: DigestName): boolean {
  try {
    return readHash(algorithm) === hash;
  } catch (error) {
    if (error instanceof FormatError && error.code === "algorithm_unsupported") return false;
    throw error;
  }
}

/**
 * Prepares a further, parallel signature on the same content.
 *
 * @param detached the content, or its digest by the new signer's algorithm; only for, and always
 *   for, a signature that does not hold its content
 * @throws {FormatError} `cms_malformed`, `limit_exceeded`, `document_locked`, and what
 *   `prepareSignedData` throws; `invalid_argument` if `detached` is missing or not needed;
 *   `signature_mismatch` if an earlier signer signed other content
 */
export function prepareCosignature(
  bytes: Uint8Array,
  signer: CmsSigner,
  statements: SignerStatements = {},
  detached?: CmsContent,
): PreparedCms {
  const cms = readSignedData(bytes);
  const { hash } = signer.algorithm;
  if ((cms.content === undefined) !== (detached !== undefined)) {
    throw new FormatError(
      "invalid_argument",
      cms.content
        ? "The signature already contains its content; do not pass another."
        : "The signature does not hold its content; it must be given.",
    );
  }
  const pieces = cms.content ??
    (detached && "content" in detached ? [detached.content] : undefined);
  const digestOf = (wanted: DigestName) =>
    pieces
      ? digest(wanted, ...pieces)
      : wanted === hash && detached && "digest" in detached
      ? detached.digest
      : undefined;
  checkSameContent(cms, digestOf);

  const signerInfo = prepareSignerInfo(signer, cms.contentType, digestOf(hash)!, statements);
  const additions = new Map<Asn1Node, Addition>();
  addCertificates(cms, [signer.certificate, ...signer.chain], additions);
  addDigestAlgorithm(cms, hash, additions);
  const before = additions.get(cms.signerInfos)?.before;
  return prepared(cms, signerInfo, (completed) =>
    new Map<Asn1Node, Addition>([
      ...additions,
      [cms.signerInfos, { before, append: [completed] }],
    ]));
}

/** The earlier signers' message digests must be of the content, as far as it can be known. */
function checkSameContent(
  cms: SignedData,
  digestOf: (hash: DigestName) => Uint8Array | undefined,
): void {
  for (const { digestAlgorithm, signedAttributes } of cms.signers) {
    const hash = HASH_NAMES.find((name) => names(digestAlgorithm, name));
    const expected = hash && digestOf(hash);
    if (!expected) continue;
    for (const value of attributeValues(signedAttributes?.attributes ?? [], Oid.messageDigest)) {
      if (!sameBytes(readOctetString(value), expected)) {
        throw new FormatError(
          "signature_mismatch",
          "The existing signature is for other content. Check that file and signature belong together.",
        );
      }
    }
  }
}

/**
 * Prepares a countersignature: a signature of a signature (RFC 5652 §11.4).
 *
 * @param target index of the signer to countersign; further indices lead to its countersignatures,
 *   in their order, and theirs
 * @throws {FormatError} `not_found` if there is no such signer, `document_locked`, and what
 *   `readSignedData` and `prepareSignedData` throw
 */
export function prepareCountersignature(
  bytes: Uint8Array,
  target: readonly number[],
  signer: CmsSigner,
  statements: Omit<SignerStatements, "mimeType"> = {},
): PreparedCms {
  const cms = readSignedData(bytes);
  const parent = findSigner(cms, target);
  const { hash } = signer.algorithm;
  const signerInfo = prepareSignerInfo(
    signer,
    undefined,
    digest(hash, parent.signature),
    statements,
  );
  const additions = new Map<Asn1Node, Addition>();
  addCertificates(cms, [signer.certificate, ...signer.chain], additions);
  return prepared(cms, signerInfo, (completed) => {
    const all = new Map(additions);
    appendUnsigned(parent, [sequence(oid(Oid.countersignature), setOf([completed]))], all);
    return all;
  });
}

function prepared(
  cms: SignedData,
  signerInfo: ReturnType<typeof prepareSignerInfo>,
  additionsFor: (completed: Uint8Array) => Additions,
): PreparedCms {
  const complete = (signature: Uint8Array, timestamp?: Uint8Array) =>
    rebuild(cms.root, additionsFor(signerInfo.complete(signature, timestamp)));
  return {
    toBeSigned: signerInfo.toBeSigned,
    get maxLength() {
      return complete(new Uint8Array(signerInfo.maxSignatureLength)).length;
    },
    complete,
  };
}

function findSigner(cms: SignedData, target: readonly number[]): SignerInfo {
  let found: SignerInfo | undefined;
  for (const [level, index] of target.entries()) {
    if (level === 0) found = cms.signers[index];
    else if (found) {
      const node = attributeValues(found.unsignedAttributes, Oid.countersignature)[index];
      found = node && readSignerInfo(node);
    }
  }
  if (!found) throw new FormatError("not_found", "The signature does not contain this signer.");
  return found;
}

function appendUnsigned(
  signer: SignerInfo,
  attributes: readonly Uint8Array[],
  additions: Map<Asn1Node, Addition>,
): void {
  if (signer.unsignedNode) additions.set(signer.unsignedNode, { append: attributes });
  else additions.set(signer.node, { append: [setOf(attributes, constructedTag(1))] });
}

/**
 * Adds unsigned attributes to a signer, such as a signature timestamp.
 *
 * @param target as for {@link prepareCountersignature}
 * @param attributes complete `Attribute` values, see {@link encodeAttribute}
 * @returns the new ContentInfo
 * @throws {FormatError} `not_found` if there is no such signer, `cms_malformed`, `limit_exceeded`
 */
export function addUnsignedAttributes(
  bytes: Uint8Array,
  target: readonly number[],
  attributes: readonly Uint8Array[],
): Uint8Array {
  const cms = readSignedData(bytes);
  const additions = new Map<Asn1Node, Addition>();
  appendUnsigned(findSigner(cms, target), attributes, additions);
  return rebuild(cms.root, additions);
}

/** Data for a later verification, all DER. */
export interface ValidationData {
  certificates?: readonly Uint8Array[];
  crls?: readonly Uint8Array[];
  /** OCSPResponse values. */
  ocspResponses?: readonly Uint8Array[];
}

/**
 * Adds certificates and revocation information to SignedData, for CAdES-B-LT (EN 319 122-1 §5.4,
 * RFC 5940 §2). What is there already is not added again.
 *
 * @returns the new ContentInfo
 * @throws {FormatError} `document_locked`, `cms_malformed`, `limit_exceeded`
 */
export function addValidationData(bytes: Uint8Array, data: ValidationData): Uint8Array {
  const cms = readSignedData(bytes);
  const additions = new Map<Asn1Node, Addition>();
  const responses = missingFrom(cms.ocspResponses, data.ocspResponses ?? []);
  const missing = [
    ...missingFrom(cms.crls, data.crls ?? []),
    ...responses.map((each) => tlv(constructedTag(1), oid(Oid.ocspResponse), each)),
  ];
  addCertificates(cms, data.certificates ?? [], additions);
  if (missing.length > 0 && cms.crlsNode) additions.set(cms.crlsNode, { append: missing });
  else if (missing.length > 0) {
    const before = additions.get(cms.signerInfos)?.before ?? [];
    const set = setOf(missing, constructedTag(1));
    additions.set(cms.signerInfos, { before: [...before, set] });
  }
  // RFC 5652 §5.1: other revocation information makes it version 5.
  if (responses.length > 0) additions.set(cms.node.children[0], { replace: integer(5) });
  return rebuild(cms.root, additions);
}

/** `Attribute ::= SEQUENCE { attrType, SET OF value }` (RFC 5652 §5.3) of complete values. */
export function encodeAttribute(type: string, ...values: readonly Uint8Array[]): Uint8Array {
  return sequence(oid(type), setOf(values, Tag.SET));
}
