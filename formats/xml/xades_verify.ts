/**
 * Checking XML signatures (XMLDSIG core 1.1 §3.2) and their XAdES properties. Every reference says what it covers, so
 * that wrapped content cannot pass for signed content.
 */
import { canonicalOctets } from "./c14n.ts";
import { ecdsaFromRaw } from "../keys/ecdsa.ts";
import { FormatError } from "../error.ts";
import { verifySignature } from "../x509/signature.ts";
import type { VerificationAlgorithm } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { parseXml, XML_LIMITS } from "./document.ts";
import { ASIC, digestAlgorithm, DS, ODF_SIGNATURES, signatureAlgorithm } from "./algorithms.ts";
import { Problem, Unsupported, type XmlProblem } from "./problem.ts";
import {
  namesCertificate,
  only,
  qualifyingProperties,
  readSignedProperties,
  readUnsignedProperties,
  type XmlTimestamp,
} from "./properties.ts";
import {
  canonicalization,
  countersignedBy,
  type Followed,
  followReference,
  fromBase64,
  hasInstructions,
  isSignature,
  type ReferenceContext,
  type XmlCoverage,
} from "./reference.ts";
import {
  attribute,
  childElements,
  childrenNamed,
  descendants,
  hasText,
  isNamed,
  textOf,
  type XmlElement,
} from "./tree.ts";
import { unsignedContent } from "./unsigned_content.ts";

export type { XmlProblem } from "./problem.ts";
export type { XmlCoverage } from "./reference.ts";

export interface XmlSignature {
  id: string | null;
  /** Empty: the signature is right. It says nothing of the certificate. */
  problems: XmlProblem[];
  /** With `algorithm_unsupported`: what is not supported, by its URI or in words. */
  unsupported: string[];
  covers: XmlCoverage[];
  /** The signer's certificate, DER, and whatever others the signature carries. */
  certificate: Uint8Array | null;
  certificates: Uint8Array[];
  algorithm: VerificationAlgorithm | null;
  /** The signature as a key makes it: ECDSA in DER. Null where it cannot be read. */
  value: Uint8Array | null;
  /** Digest algorithms of the references, for the algorithm policy. */
  digests: DigestName[];
  /** The signer's claim. */
  signingTime: Date | null;
  role: string | null;
  /** It signs XAdES properties, and which certificate is meant among them. */
  isXades: boolean;
  /** The signature is the whole document, with or around its content. */
  isDocument: boolean;
  /** Within it stands other content than signatures are made of, which it does not sign. */
  holdsUnsigned: boolean;
  /** Names of parts that anybody could add and that say nothing here: unsigned properties, `ds:KeyName`. */
  ignored: string[];
  timestamps: XmlTimestamp[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
  /** Those among its unsigned properties (EN 319 132-1 §5.2.7). */
  countersignatures: XmlSignature[];
}

const MAX_SIGNATURES = 100;
const MAX_REFERENCES = 100;
/** Characters that all references may canonicalize together, some seconds' work: four signers of the largest document. */
const MAX_COVERED = 8 * XML_LIMITS.size;
const MAX_CERTIFICATES = 20;

/**
 * Checks every signature of a document.
 *
 * @param file gives a detached file by the URI in the signature, or null where it is not at hand
 * @param signers certificates (DER) to try besides those in the signatures
 * @returns signatures in document order, countersignatures with what they countersign; none where there are none
 * @throws {FormatError} `xml_malformed`, `xml_forbidden`, `limit_exceeded`
 */
export function verifyXml(
  bytes: Uint8Array,
  file: ReferenceContext["file"] = () => null,
  signers: readonly Uint8Array[] = [],
): XmlSignature[] {
  const { context, found } = find(bytes, file);
  const reports = new Map(
    found.map((element) => [element, verifyOne(element, { ...context, signers })]),
  );
  return found.flatMap((element) => {
    const report = reports.get(element)!;
    const countersigned = countersignedBy(element);
    if (!countersigned) return [report];
    reports.get(countersigned)!.countersignatures.push(report);
    return [];
  });
}

/**
 * The signatures of a document, in the order of {@linkcode verifyXml}, with what their references need.
 *
 * @throws {FormatError} as there
 */
export function openSignatures(bytes: Uint8Array, file: ReferenceContext["file"]) {
  const { document, context, found } = find(bytes, file);
  return { document, context, signatures: found.filter((each) => !countersignedBy(each)) };
}

function find(bytes: Uint8Array, file: ReferenceContext["file"]) {
  const document = parseXml(bytes);
  const { tree, root, text } = document;
  const found: XmlElement[] = [];
  const ids = new Map<string, XmlElement | null>();
  let references = 0;
  const visit = (element: XmlElement) => {
    if (isSignature(element)) found.push(element);
    if (isNamed(element, DS, "Reference")) references++;
    const own = element.attributes.filter(({ local }) => /^id$/i.test(local));
    for (const value of new Set(own.map(({ value }) => value))) {
      ids.set(value, ids.has(value) ? null : element);
    }
  };
  visit(root);
  for (const each of descendants(root)) visit(each);
  if (found.length > MAX_SIGNATURES) {
    throw new FormatError("limit_exceeded", "The document has more than 100 signatures.");
  }
  if (references * text.length > MAX_COVERED) {
    throw new FormatError(
      "limit_exceeded",
      "The signatures contain too many references to the document.",
    );
  }
  return { document, context: { tree, ids, file }, found };
}

interface Context extends ReferenceContext {
  signers: readonly Uint8Array[];
}

function verifyOne(element: XmlElement, context: Context): XmlSignature {
  const report: XmlSignature = {
    id: attribute(element, "Id") || null,
    problems: [],
    unsupported: [],
    covers: [],
    certificate: null,
    certificates: [],
    algorithm: null,
    value: null,
    digests: [],
    signingTime: null,
    role: null,
    isXades: false,
    isDocument: element === context.tree.root ? !hasInstructions(context.tree) : isListed(element),
    holdsUnsigned: false,
    ignored: [],
    timestamps: [],
    crls: [],
    ocspResponses: [],
    countersignatures: [],
  };
  const attempt = (check: () => void) => {
    try {
      check();
    } catch (error) {
      const problem = problemOf(error);
      if (!report.problems.includes(problem)) report.problems.push(problem);
      if (error instanceof Unsupported && !report.unsupported.includes(error.what)) {
        report.unsupported.push(error.what);
      }
    }
  };
  let signers: Uint8Array[] = [];
  attempt(() => report.certificates = keyInfoCertificates(element));
  attempt(() => signers = signersOf(element, report, context.signers));
  const followed: (Followed & { id: string | null })[] = [];
  attempt(() => checkReferences(element, report, context, followed, attempt));
  const unsigned = unsignedContent(element, followed);
  report.holdsUnsigned = unsigned.isForeign;
  report.ignored.push(...unsigned.texts);
  let mediaTypes: ReadonlyMap<string, string> = new Map();
  attempt(() => mediaTypes = readProperties(element, report, context, signers));
  for (const { covers, id, isTextOnly } of followed) {
    if (covers.kind !== "object" || !isTextOnly) continue;
    const signed = mediaTypes.get(id ?? "");
    if (covers.mediaType !== null) {
      if (signed === undefined) report.ignored.push("MimeType");
      else if (signed.toLowerCase() !== covers.mediaType.toLowerCase()) report.holdsUnsigned = true;
    }
    covers.mediaType = signed ?? null;
  }
  return report;
}

/** In the list of a container, which holds nothing but signatures. */
function isListed({ parent: list }: XmlElement): boolean {
  return list !== undefined && list.parent === undefined &&
    (isNamed(list, ASIC, "XAdESSignatures") ||
      isNamed(list, ODF_SIGNATURES, "document-signatures")) &&
    !hasText(list) && childElements(list).every(isSignature);
}

function problemOf(error: unknown): XmlProblem {
  if (error instanceof Problem) return error.problem;
  if (!(error instanceof FormatError)) throw error;
  return error.code === "algorithm_unsupported" ? "algorithm_unsupported" : "malformed";
}

function keyInfoCertificates(signature: XmlElement): Uint8Array[] {
  return ["KeyInfo", "X509Data", "X509Certificate"].reduce(
    (found, name) => found.flatMap((each) => childrenNamed(each, DS, name)),
    [signature],
  ).slice(0, MAX_CERTIFICATES).map((each) => fromBase64(textOf(each)));
}

/** Checks the signature value over the canonical SignedInfo. @returns the certificates whose key fits */
function signersOf(
  signature: XmlElement,
  report: XmlSignature,
  given: readonly Uint8Array[],
): Uint8Array[] {
  // Until its key is found to fit, the first is as good a guess as any.
  report.certificate = report.certificates[0] ?? null;
  const signedInfo = only(signature, DS, "SignedInfo");
  const uri = attribute(only(signedInfo, DS, "SignatureMethod"), "Algorithm") ?? "";
  const algorithm = signatureAlgorithm(uri);
  if (!algorithm) throw new Unsupported(uri);
  report.algorithm = algorithm;
  const method = canonicalization(only(signedInfo, DS, "CanonicalizationMethod"));
  const message = canonicalOctets(signedInfo, method);
  const value = fromBase64(textOf(only(signature, DS, "SignatureValue")));
  const candidates = [...report.certificates, ...given];
  if (candidates.length === 0) throw new Problem("certificate_missing");
  const encoded = report.value = algorithm.scheme === "ECDSA" ? ecdsaFromRaw(value) : value;
  // XMLDSIG §4.5.4 leaves the order of the certificates open: the signer's is the one whose key fits.
  const signers = candidates.filter((certificate) =>
    verifySignature(certificate, algorithm, { message }, encoded)
  );
  // The key that made it may belong to none of the certificates that happen to be here.
  if (signers.length === 0) {
    throw new Problem(report.certificates.length > 0 ? "signature_wrong" : "certificate_missing");
  }
  report.certificate = signers[0];
  return signers;
}

function checkReferences(
  signature: XmlElement,
  report: XmlSignature,
  context: Context,
  followed: (Followed & { id: string | null })[],
  attempt: (check: () => void) => void,
): void {
  const references = childElements(only(signature, DS, "SignedInfo"))
    .filter((element) => isNamed(element, DS, "Reference"));
  if (references.length === 0 || references.length > MAX_REFERENCES) throw new Problem("malformed");
  for (const reference of references) {
    attempt(() => {
      const uri = attribute(only(reference, DS, "DigestMethod"), "Algorithm") ?? "";
      const hash = digestAlgorithm(uri);
      if (!hash) throw new Unsupported(uri);
      report.digests.push(hash);
      const found = followReference(reference, signature, hash, context);
      const { covers, digest } = found;
      report.covers.push(covers);
      followed.push({ ...found, id: attribute(reference, "Id") });
      const wanted = fromBase64(textOf(only(reference, DS, "DigestValue")));
      if (digest.toBase64() !== wanted.toBase64()) throw new Problem("content_changed");
    });
  }
}

/** @returns the signed media types, by the Id of the reference */
function readProperties(
  signature: XmlElement,
  report: XmlSignature,
  context: Context,
  signers: readonly Uint8Array[],
): ReadonlyMap<string, string> {
  const properties = qualifyingProperties(signature);
  if (!properties) return new Map();
  const { ignored, certificates, ...unsigned } = readUnsignedProperties(
    properties,
    signature,
    context,
  );
  Object.assign(report, unsigned);
  report.ignored.push(...ignored);
  report.certificates.push(...certificates);
  if (!report.covers.some(({ kind }) => kind === "properties")) {
    // A reference that cannot be followed may well cover them.
    if (report.problems.includes("algorithm_unsupported")) return new Map();
    throw new Problem("properties_unsigned");
  }
  const signed = readSignedProperties(properties);
  report.signingTime = signed.signingTime;
  report.role = signed.role;
  report.isXades = signed.certificates.length > 0;
  if (!report.isXades || !report.certificate) return signed.mediaTypes;
  const named = (signers.length > 0 ? signers : [report.certificate])
    .find((certificate) => namesCertificate(signed, certificate));
  if (!named) throw new Problem("certificate_not_as_signed");
  report.certificate = named;
  return signed.mediaTypes;
}
