/**
 * Checking XML signatures (XMLDSIG core 1.1 §3.2) and their XAdES properties. Only transforms whose effect is known are
 * accepted, and every reference says what it covers, so that wrapped content cannot pass for signed content.
 */
import { canonicalizeXml } from "./c14n.ts";
import { digest } from "../digest.ts";
import { ecdsaFromRaw } from "../keys/ecdsa.ts";
import { FormatError } from "../error.ts";
import { verifySignature } from "../x509/signature.ts";
import type { HashName, SignatureAlgorithm } from "../signer.ts";
import { isSignature } from "./xades.ts";
import { parseXml, XML_LIMITS, type XmlDocument } from "./document.ts";
import {
  canonicalizations,
  digestAlgorithm,
  DS,
  NO_SIGNATURES,
  signatureAlgorithm,
  SIGNED_PROPERTIES_TYPE,
  Transform,
  XADES,
} from "./algorithms.ts";

/** Why a signature does not hold. */
export type XmlProblem =
  /** The signed content is not what was signed. */
  | "content_changed"
  /** The signature value does not fit the key and the signed information. */
  | "signature_wrong"
  /** A part of the signature is missing, doubled or not as the standard says. */
  | "malformed"
  /** An algorithm or transform that is not accepted. */
  | "algorithm_unsupported"
  /** No certificate in the signature. */
  | "certificate_missing"
  /** The certificate is not the one that the signer signed for (EN 319 132-1 §5.2.2). */
  | "certificate_not_as_signed"
  /** A detached file was not given. */
  | "content_missing";

/** What a reference covers. */
export type XmlCoverage =
  /** Everything but the signatures. */
  | { kind: "document" }
  /** One element with all below it: its name and position, `/order[1]/item[2]`. */
  | { kind: "element"; path: string }
  /** Content inside the signature's own `ds:Object`. */
  | { kind: "object"; mediaType: string | null; content: Uint8Array }
  | { kind: "file"; uri: string }
  | { kind: "properties" };

export interface XmlSignature {
  id: string | null;
  /** Empty: the signature is right. It says nothing of the certificate. */
  problems: XmlProblem[];
  covers: XmlCoverage[];
  /** The signer's certificate, DER, and whatever others the signature carries. */
  certificate: Uint8Array | null;
  certificates: Uint8Array[];
  algorithm: SignatureAlgorithm | null;
  /** Digest algorithms of the references, for the algorithm policy. */
  digests: HashName[];
  /** The signer's claim. */
  signingTime: Date | null;
  role: string | null;
  isXades: boolean;
  /** The signature is the whole document, with or around its content. */
  isDocument: boolean;
  /** Within it stands other content than signatures are made of, which it does not sign. */
  holdsUnsigned: boolean;
  /** RFC 3161 tokens (DER), each with the bytes it covers. */
  timestamps: { token: Uint8Array; input: Uint8Array }[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
}

const MAX_SIGNATURES = 100;
const MAX_REFERENCES = 100;
/** Characters that all references may canonicalize together, some seconds' work: four signers of the largest document. */
const MAX_COVERED = 8 * XML_LIMITS.size;
const MAX_CERTIFICATES = 20;
const utf8 = new TextEncoder();

/** Ends the check of one signature; others go on. */
class Problem extends Error {
  constructor(readonly problem: XmlProblem) {
    super(problem);
  }
}

/**
 * Checks every signature of a document.
 *
 * @param file gives a detached file's digest by the URI in the signature, or null where it is not at hand
 * @param signers certificates (DER) to try besides those in the signatures
 * @returns signatures in document order; none where there are none
 * @throws {FormatError} `xml_malformed`, `xml_forbidden`, `limit_exceeded`
 */
export function verifyXml(
  bytes: Uint8Array,
  file: (uri: string, hash: HashName) => Uint8Array | null = () => null,
  signers: readonly Uint8Array[] = [],
): XmlSignature[] {
  const source = parseXml(bytes);
  const ids = indexIds(source);
  const found = [
    ...(isSignature(source.root) ? [source.root] : []),
    ...Array.from(source.root.getElementsByTagNameNS(DS, "Signature")),
  ];
  if (found.length > MAX_SIGNATURES) {
    throw new FormatError("limit_exceeded", "The document has more than 100 signatures.");
  }
  const references = source.root.getElementsByTagNameNS(DS, "Reference").length;
  if (references * source.text.length > MAX_COVERED) {
    throw new FormatError("limit_exceeded", "The signatures refer to the document too often.");
  }
  return found.map((element) => verifyOne(element, { source, ids, file, signers }));
}

interface Context {
  source: XmlDocument;
  /** Elements by Id; null where two have the same. */
  ids: ReadonlyMap<string, Element | null>;
  file: (uri: string, hash: HashName) => Uint8Array | null;
  signers: readonly Uint8Array[];
}

function indexIds({ root }: XmlDocument): Map<string, Element | null> {
  const ids = new Map<string, Element | null>();
  const visit = (element: Element) => {
    const values = new Set<string>();
    for (const { localName, name, value } of Array.from(element.attributes)) {
      if (/^id$/i.test(localName ?? name)) values.add(value);
    }
    for (const value of values) ids.set(value, ids.has(value) ? null : element);
    for (const child of childElements(element)) visit(child);
  };
  visit(root);
  return ids;
}

function verifyOne(element: Element, context: Context): XmlSignature {
  const report: XmlSignature = {
    id: element.getAttribute("Id") || null,
    problems: [],
    covers: [],
    certificate: null,
    certificates: [],
    algorithm: null,
    digests: [],
    signingTime: null,
    role: null,
    isXades: false,
    isDocument: element === context.source.root,
    holdsUnsigned: false,
    timestamps: [],
    crls: [],
    ocspResponses: [],
  };
  const attempt = (check: () => void) => {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Problem) && !(error instanceof FormatError)) throw error;
      const problem = error instanceof Problem
        ? error.problem
        : error.code === "algorithm_unsupported"
        ? "algorithm_unsupported"
        : "malformed";
      if (!report.problems.includes(problem)) report.problems.push(problem);
    }
  };
  attempt(() => readCertificates(element, report));
  attempt(() => checkValue(element, report, context.signers));
  const signed = new Set<Node>();
  attempt(() => checkReferences(element, report, { ...context, signed }, attempt));
  report.holdsUnsigned = holdsUnsigned(element, signed);
  attempt(() => readProperties(element, report));
  return report;
}

/** The signature value over the canonical SignedInfo. */
function checkValue(
  signature: Element,
  report: XmlSignature,
  signers: readonly Uint8Array[],
): void {
  const signedInfo = child(signature, DS, "SignedInfo");
  const uri = child(signedInfo, DS, "SignatureMethod").getAttribute("Algorithm") ?? "";
  const algorithm = signatureAlgorithm(uri);
  if (!algorithm) throw new Problem("algorithm_unsupported");
  report.algorithm = algorithm;
  const method = canonicalization(child(signedInfo, DS, "CanonicalizationMethod"));
  const message = utf8.encode(canonicalizeXml(signedInfo, method));
  const value = base64(child(signature, DS, "SignatureValue"));
  const candidates = [...report.certificates, ...signers];
  if (candidates.length === 0) throw new Problem("certificate_missing");
  const encoded = algorithm.scheme === "ECDSA" ? ecdsaFromRaw(value) : value;
  // XMLDSIG §4.5.4 leaves the order of the certificates open: the signer's is the one whose key fits.
  const signer = candidates.find((certificate) =>
    verifySignature(certificate, algorithm, { message }, encoded)
  );
  if (!signer) throw new Problem("signature_wrong");
  report.certificate = signer;
}

function checkReferences(
  signature: Element,
  report: XmlSignature,
  context: Context & { signed: Set<Node> },
  attempt: (check: () => void) => void,
): void {
  const references = childElements(child(signature, DS, "SignedInfo"))
    .filter((element) => isNamed(element, DS, "Reference"));
  if (references.length === 0 || references.length > MAX_REFERENCES) throw new Problem("malformed");
  for (const reference of references) {
    attempt(() => {
      const hash = digestAlgorithm(
        child(reference, DS, "DigestMethod").getAttribute("Algorithm") ?? "",
      );
      if (!hash) throw new Problem("algorithm_unsupported");
      report.digests.push(hash);
      const { covers, actual, target } = dereference(reference, signature, hash, context);
      report.covers.push(covers);
      if (target) context.signed.add(target);
      if (actual.toBase64() !== base64(child(reference, DS, "DigestValue")).toBase64()) {
        throw new Problem("content_changed");
      }
    });
  }
}

/** Follows a reference through its transforms (§4.4.3): what it covers, and the digest of that. */
function dereference(
  reference: Element,
  signature: Element,
  hash: HashName,
  { source, ids, file }: Context,
): { covers: XmlCoverage; actual: Uint8Array; target?: Node } {
  const uri = reference.getAttributeNode("URI")?.value;
  if (uri === undefined) throw new Problem("malformed");
  const { omit, octets, canonical } = transforms(reference, signature);
  if (uri !== "" && !uri.startsWith("#")) {
    if (omit || octets || canonical) throw new Problem("algorithm_unsupported");
    const actual = file(uri, hash);
    if (!actual) throw new Problem("content_missing");
    return { covers: { kind: "file", uri }, actual };
  }
  const target = uri === "" ? source.document : ids.get(uri.slice(1));
  if (!target) throw new Problem("malformed"); // absent, or two elements have the Id
  if (octets) {
    // Of a whole document only its text would count, and nothing can be left out of it.
    if (target.nodeType === 9 || omit) throw new Problem("algorithm_unsupported");
    const content = base64(target as Element);
    return {
      covers: coverage(target, signature, reference, content),
      actual: digest(hash, content),
      target,
    };
  }
  // Without a canonicalization the default is inclusive c14n 1.0; "" and "#id" leave comments out (§4.4.3.3).
  const method = canonical ?? { exclusive: false, withComments: false };
  const covered = utf8.encode(canonicalizeXml(target, { ...method, withComments: false, omit }));
  return {
    covers: coverage(target, signature, reference, covered),
    actual: digest(hash, covered),
    target,
  };
}

/** What signatures are made of (XMLDSIG core 1.1, EN 319 132-1). */
const SIGNATURE_NAMESPACES: ReadonlySet<string | null> = new Set([
  DS,
  "http://www.w3.org/2009/xmldsig11#",
  XADES,
  "http://uri.etsi.org/01903/v1.4.1#",
  Transform.exclusive,
]);

/**
 * An enveloped signature leaves itself out, an enveloping one signs some of its objects: whoever else puts content into
 * it would have that content pass for signed.
 */
function holdsUnsigned(signature: Element, signed: ReadonlySet<Node>): boolean {
  const isForeign = (element: Element): boolean => {
    if (signed.has(element) || isSignature(element)) return false; // others are checked themselves
    if (!SIGNATURE_NAMESPACES.has(element.namespaceURI)) return true;
    if (isNamed(element, DS, "Object")) {
      const isKnown = (each: Element) =>
        signed.has(each) || isNamed(each, XADES, "QualifyingProperties");
      if (hasText(element) || !childElements(element).every(isKnown)) return true;
    }
    return childElements(element).some(isForeign);
  };
  const parts = childElements(signature).filter((each) => !isNamed(each, DS, "SignedInfo"));
  return hasText(signature) || parts.some(isForeign);
}

function hasText(element: Element): boolean {
  for (let node = element.firstChild; node; node = node.nextSibling) {
    if ((node.nodeType === 3 || node.nodeType === 4) && node.nodeValue?.trim()) return true;
  }
  return false;
}

interface Transforms {
  omit?: (element: Element) => boolean;
  /** Base64: the octets are the content. */
  octets: boolean;
  canonical?: ReturnType<typeof canonicalization>;
}

function transforms(reference: Element, signature: Element): Transforms {
  const list = childElements(reference).find((element) => isNamed(element, DS, "Transforms"));
  const result: Transforms = { octets: false };
  for (const transform of list ? childElements(list) : []) {
    const algorithm = transform.getAttribute("Algorithm") ?? "";
    // Once the result is octets no further transform of ours applies.
    if (result.octets || result.canonical) throw new Problem("algorithm_unsupported");
    if (algorithm === Transform.enveloped) {
      const before = result.omit;
      result.omit = (element) => element === signature || (before?.(element) ?? false);
    } else if (algorithm === Transform.xpath) {
      const xpath = child(transform, DS, "XPath");
      const expression = (xpath.textContent ?? "").replaceAll(/\s+/g, "");
      if (expression !== NO_SIGNATURES || xpath.lookupNamespaceURI("ds") !== DS) {
        throw new Problem("algorithm_unsupported");
      }
      result.omit = isSignature;
    } else if (algorithm === Transform.base64) result.octets = true;
    else result.canonical = canonicalization(transform);
  }
  return result;
}

function canonicalization(method: Element) {
  const algorithm = method.getAttribute("Algorithm") ?? "";
  if (!Object.hasOwn(canonicalizations, algorithm)) throw new Problem("algorithm_unsupported");
  const list = method.getElementsByTagNameNS(Transform.exclusive, "InclusiveNamespaces")[0];
  const prefixes = list?.getAttribute("PrefixList")?.split(/\s+/).filter(Boolean);
  return { ...canonicalizations[algorithm], inclusivePrefixes: prefixes ?? [] };
}

function coverage(
  target: Document | Element,
  signature: Element,
  reference: Element,
  content: Uint8Array,
): XmlCoverage {
  if (target.nodeType === 9) return { kind: "document" };
  const element = target as Element;
  if (reference.getAttribute("Type") === SIGNED_PROPERTIES_TYPE) {
    // Exactly where readProperties reads them, else others could be shown than those that are signed.
    const parent = element.parentNode as Element;
    const isTheSigned = isNamed(element, XADES, "SignedProperties") &&
      isNamed(parent, XADES, "QualifyingProperties") && parent.parentNode?.parentNode === signature;
    if (!isTheSigned) throw new Problem("malformed");
    return { kind: "properties" };
  }
  if (isNamed(element, DS, "Object") && element.parentNode === signature) {
    return { kind: "object", mediaType: element.getAttribute("MimeType") || null, content };
  }
  if (element.parentNode?.nodeType === 9 && contains(element, signature)) {
    return { kind: "document" };
  }
  return { kind: "element", path: pathOf(element) };
}

function readCertificates(signature: Element, report: XmlSignature): void {
  const keyInfo = childElements(signature).find((element) => isNamed(element, DS, "KeyInfo"));
  const found = keyInfo?.getElementsByTagNameNS(DS, "X509Certificate") ?? [];
  report.certificates = Array.from(found).slice(0, MAX_CERTIFICATES).map(base64);
  report.certificate = report.certificates[0] ?? null;
}

/** EN 319 132-1: what the signed properties claim, and the material in the unsigned ones. */
function readProperties(signature: Element, report: XmlSignature): void {
  const qualifying = childElements(signature).filter((element) => isNamed(element, DS, "Object"))
    .flatMap(childElements).filter((element) => isNamed(element, XADES, "QualifyingProperties"));
  if (qualifying.length === 0) return;
  if (qualifying.length > 1) throw new Problem("malformed");
  const [properties] = qualifying;
  if (!report.id || properties.getAttribute("Target") !== `#${report.id}`) {
    throw new Problem("malformed");
  }
  const values = (name: string) => Array.from(properties.getElementsByTagNameNS(XADES, name));
  report.certificates.push(...values("EncapsulatedX509Certificate").map(base64));
  report.crls = values("EncapsulatedCRLValue").map(base64);
  report.ocspResponses = values("EncapsulatedOCSPValue").map(base64);
  for (const stamp of values("SignatureTimeStamp")) {
    const method = childElements(stamp).find((e) => isNamed(e, DS, "CanonicalizationMethod"));
    const options = method ? canonicalization(method) : { exclusive: false, withComments: false };
    const covered = canonicalizeXml(child(signature, DS, "SignatureValue"), options);
    const token = base64(child(stamp, XADES, "EncapsulatedTimeStamp"));
    report.timestamps.push({ token, input: utf8.encode(covered) });
  }

  // Properties count only where a reference covers them.
  if (!report.covers.some((covers) => covers.kind === "properties")) throw new Problem("malformed");
  report.isXades = true;
  const signed = child(properties, XADES, "SignedProperties");
  const text = (name: string) =>
    signed.getElementsByTagNameNS(XADES, name)[0]?.textContent?.trim() || null;
  const time = text("SigningTime");
  report.signingTime = time && !Number.isNaN(Date.parse(time)) ? new Date(time) : null;
  report.role = text("ClaimedRole");
  checkSigningCertificate(signed, report);
}

function checkSigningCertificate(signed: Element, report: XmlSignature): void {
  const property = ["SigningCertificateV2", "SigningCertificate"]
    .map((name) => signed.getElementsByTagNameNS(XADES, name)[0]).find(Boolean);
  if (!property || !report.certificate) throw new Problem("certificate_not_as_signed");
  const certDigest = child(child(property, XADES, "Cert"), XADES, "CertDigest");
  const hash = digestAlgorithm(
    child(certDigest, DS, "DigestMethod").getAttribute("Algorithm") ?? "",
  );
  if (!hash) throw new Problem("algorithm_unsupported");
  const wanted = base64(child(certDigest, DS, "DigestValue")).toBase64();
  if (digest(hash, report.certificate).toBase64() !== wanted) {
    throw new Problem("certificate_not_as_signed");
  }
}

function childElements(element: Element): Element[] {
  const found: Element[] = [];
  for (let node = element.firstChild; node; node = node.nextSibling) {
    if (node.nodeType === 1) found.push(node as Element);
  }
  return found;
}

const isNamed = (element: Element, namespace: string, name: string) =>
  element.localName === name && element.namespaceURI === namespace;

/** The only child of that name (for `Cert`: the first, which is the signer's). */
function child(element: Element, namespace: string, name: string): Element {
  const found = childElements(element).filter((each) => isNamed(each, namespace, name));
  if (found.length === 0 || (found.length > 1 && name !== "Cert")) throw new Problem("malformed");
  return found[0];
}

function contains(outer: Element, inner: Element): boolean {
  for (let node: Node | null = inner; node; node = node.parentNode) if (node === outer) return true;
  return false;
}

function pathOf(element: Element): string {
  const steps: string[] = [];
  for (let node: Element = element; node.nodeType === 1; node = node.parentNode as Element) {
    let position = 1;
    for (let before = node.previousSibling; before; before = before.previousSibling) {
      if (before.nodeName === node.nodeName) position++;
    }
    steps.unshift(`${node.nodeName}[${position}]`);
  }
  return "/" + steps.join("/");
}

function base64(element: Element): Uint8Array {
  try {
    return Uint8Array.fromBase64(element.textContent ?? "");
  } catch {
    throw new Problem("malformed");
  }
}
