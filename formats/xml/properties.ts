/** XAdES qualifying properties (EN 319 132-1 §5, §6): what the signed ones claim, and what the unsigned ones hold. */
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { digestAlgorithm, DS, XADES, XADES_141 } from "./algorithms.ts";
import { type C14nMethod, canonicalOctets } from "./c14n.ts";
import { Problem, Unsupported } from "./problem.ts";
import {
  canonicalization,
  fromBase64,
  type ReferenceContext,
  referenceOctets,
} from "./reference.ts";
import {
  attribute,
  childElements,
  childrenNamed,
  descendantsNamed,
  isNamed,
  textOf,
  type XmlElement,
} from "./tree.ts";

/** An RFC 3161 token (DER) with the bytes that it covers, in pieces. */
export interface XmlTimestamp {
  kind: "signature" | "archive";
  token: Uint8Array;
  /** Place of its property among the others. */
  position: number;
  input: readonly Uint8Array[];
}

export interface UnsignedProperties {
  timestamps: XmlTimestamp[];
  certificates: Uint8Array[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
  /** Properties that are not known, not supported or malformed; nothing follows from them. */
  ignored: string[];
}

export interface SignedProperties {
  signingTime: Date | null;
  role: string | null;
  /** The signer's certificate is named by these; none: the property is missing. */
  certificates: { algorithm: string; digest: Uint8Array }[];
  /** Media types of what is signed, by the Id of its reference. */
  mediaTypes: ReadonlyMap<string, string>;
}

const DEFAULT: C14nMethod = { kind: "inclusive", withComments: false };

/**
 * The `xades:QualifyingProperties` of a signature.
 *
 * @throws {Problem} `malformed` where there are several, or they are of another signature
 */
export function qualifyingProperties(signature: XmlElement): XmlElement | undefined {
  const [properties, ...more] = childrenNamed(signature, DS, "Object")
    .flatMap((object) => childrenNamed(object, XADES, "QualifyingProperties"));
  if (!properties) return undefined;
  const id = attribute(signature, "Id");
  if (more.length > 0 || !id || attribute(properties, "Target") !== `#${id}`) {
    throw new Problem("malformed");
  }
  return properties;
}

/** @throws {Problem} `malformed` */
export function readSignedProperties(properties: XmlElement): SignedProperties {
  const signed = only(properties, XADES, "SignedProperties");
  const text = (name: string) => {
    const [found] = descendantsNamed(signed, XADES, name);
    return found ? textOf(found).trim() || null : null;
  };
  const time = text("SigningTime");
  const [property] = ["SigningCertificateV2", "SigningCertificate"]
    .flatMap((name) => descendantsNamed(signed, XADES, name));
  return {
    signingTime: time && !Number.isNaN(Date.parse(time)) ? new Date(time) : null,
    role: text("ClaimedRole"),
    mediaTypes: new Map(
      descendantsNamed(signed, XADES, "DataObjectFormat").flatMap((format) => {
        const [mediaType] = childrenNamed(format, XADES, "MimeType");
        const of = attribute(format, "ObjectReference")?.replace(/^#/, "");
        return mediaType && of ? [[of, textOf(mediaType).trim()] as const] : [];
      }),
    ),
    certificates: (property ? childrenNamed(property, XADES, "Cert") : []).map((cert) => {
      const certDigest = only(cert, XADES, "CertDigest");
      return {
        algorithm: attribute(only(certDigest, DS, "DigestMethod"), "Algorithm") ?? "",
        digest: fromBase64(textOf(only(certDigest, DS, "DigestValue"))),
      };
    }),
  };
}

/**
 * Whether the signed properties name this certificate.
 *
 * @throws {Problem} `algorithm_unsupported` if its digest algorithm is not supported
 */
export function namesCertificate({ certificates }: SignedProperties, der: Uint8Array): boolean {
  const known = certificates.flatMap((each) => {
    const hash = digestAlgorithm(each.algorithm);
    return hash ? [digest(hash, der).toBase64() === each.digest.toBase64()] : [];
  });
  if (known.includes(true)) return true;
  const unknown = certificates.find(({ algorithm }) => !digestAlgorithm(algorithm));
  if (unknown) throw new Unsupported(unknown.algorithm);
  return false;
}

/** Reads the properties it can and reports the others: anybody may have added them. */
export function readUnsignedProperties(
  properties: XmlElement,
  signature: XmlElement,
  context: ReferenceContext,
): UnsignedProperties {
  const found: UnsignedProperties = {
    timestamps: [],
    certificates: [],
    crls: [],
    ocspResponses: [],
    ignored: [],
  };
  // One of each (EN 319 132-1 §4.3): an archive timestamp says nothing of properties in another list.
  const [all, ...others] = childrenNamed(properties, XADES, "UnsignedProperties");
  const parts = all ? childElements(all) : [];
  const list = parts.find((part) => isNamed(part, XADES, "UnsignedSignatureProperties"));
  const left = [...parts.filter((part) => part !== list), ...others];
  found.ignored.push(...left.map(({ name }) => name));
  for (const property of list ? childElements(list) : []) {
    try {
      readUnsigned(property, signature, context, found);
    } catch (error) {
      if (!(error instanceof Problem) && !(error instanceof FormatError)) throw error;
      found.ignored.push(property.name);
    }
  }
  return found;
}

function readUnsigned(
  property: XmlElement,
  signature: XmlElement,
  context: ReferenceContext,
  found: UnsignedProperties,
): void {
  const values = (name: string) =>
    descendantsNamed(property, XADES, name).map((each) => fromBase64(textOf(each)));
  const is = (...names: string[]) =>
    names.some((name) => isNamed(property, XADES, name) || isNamed(property, XADES_141, name));
  if (is("CertificateValues", "RevocationValues", "TimeStampValidationData")) {
    found.certificates.push(...values("EncapsulatedX509Certificate"));
    found.crls.push(...values("EncapsulatedCRLValue"));
    found.ocspResponses.push(...values("EncapsulatedOCSPValue"));
  } else if (is("SignatureTimeStamp") || isNamed(property, XADES_141, "ArchiveTimeStamp")) {
    const kind = is("SignatureTimeStamp") ? "signature" : "archive";
    const [given] = childrenNamed(property, DS, "CanonicalizationMethod");
    const method = given ? canonicalization(given) : DEFAULT;
    const before = propertiesBefore(property);
    const input = kind === "signature"
      ? [canonicalForm(only(signature, DS, "SignatureValue"), method)]
      : archiveInput(signature, before, context, method);
    const tokens = childrenNamed(property, XADES, "EncapsulatedTimeStamp");
    if (tokens.length === 0) throw new Unsupported("a timestamp in XML");
    const position = before.length;
    found.timestamps.push(
      ...tokens.map((
        each,
      ) => ({ kind, token: fromBase64(textOf(each)), position, input } as const)),
    );
  } else if (!is("CounterSignature") && !isPlain(property)) found.ignored.push(property.name);
}

/** Properties that only repeat by digest what is found anyway. */
const isPlain = ({ namespace, local }: XmlElement) =>
  (namespace === XADES || namespace === XADES_141) &&
  /^(CompleteCertificateRefs|CompleteRevocationRefs|AttributeCertificateRefs|AttributeRevocationRefs)(V2)?$/
    .test(local);

/** The canonical form of an element, in UTF-8. */
export const canonicalForm = (element: XmlElement, method: C14nMethod): Uint8Array =>
  canonicalOctets(element, method);

function propertiesBefore(property: XmlElement): XmlElement[] {
  const all = childElements(property.parent!);
  return all.slice(0, all.indexOf(property));
}

/**
 * What an archive timestamp covers (EN 319 132-1 §5.5.2.2): what is signed, the signature, and unsigned properties.
 *
 * @param before the unsigned properties before the timestamp
 * @throws {Problem}
 */
export function archiveInput(
  signature: XmlElement,
  before: readonly XmlElement[],
  context: ReferenceContext,
  method: C14nMethod,
): Uint8Array[] {
  const signedInfo = only(signature, DS, "SignedInfo");
  const references = childrenNamed(signedInfo, DS, "Reference");
  const covered = [
    signedInfo,
    only(signature, DS, "SignatureValue"),
    ...childrenNamed(signature, DS, "KeyInfo"),
    ...before,
    ...childrenNamed(signature, DS, "Object").filter((object) =>
      childrenNamed(object, XADES, "QualifyingProperties").length === 0
    ),
  ];
  return [
    ...references.map((each) => referenceOctets(each, signature, context, method)),
    ...covered.map((each) => canonicalForm(each, method)),
  ];
}

/** The only child of that name. @throws {Problem} `malformed` */
export function only(element: XmlElement, namespace: string, name: string): XmlElement {
  const [found, ...more] = childrenNamed(element, namespace, name);
  if (!found || more.length > 0) throw new Problem("malformed");
  return found;
}
