/**
 * Making XML signatures: XAdES baseline (EN 319 132-1) and plain XML Signature (XMLDSIG core 1.1).
 *
 * An enveloped signature is inserted textually as the root's last child, so that the rest of the file stays byte for
 * byte; its reference leaves out every `ds:Signature`, so that further signatures do not break it.
 */
import { canonicalizeXml, canonicalOctets } from "./c14n.ts";
import { digest, HASHES } from "../digest.ts";
import { ecdsaToRaw } from "../keys/ecdsa.ts";
import { FormatError } from "../error.ts";
import type { HashName, SignatureAlgorithm } from "../signer.ts";
import { insertLast, parseXml } from "./document.ts";
import { escapeAttribute, escapeText } from "./escape.ts";
import {
  digestUris,
  DS,
  NO_SIGNATURES,
  signatureUri,
  SIGNED_PROPERTIES_TYPE,
  Transform,
  XADES,
} from "./algorithms.ts";
import { readCertificate } from "../x509/certificate.ts";
import { isSignature } from "./reference.ts";
import { descendantsNamed, type XmlElement, type XmlTree } from "./tree.ts";

/** The content to sign, and the place of the signature. */
export type XmlPackaging =
  /**
   * Into the document, covering all of it but the signatures. `single`: by XML Signature's own transform, which every
   * receiver knows (XMLDSIG core 1.1 §6.6.4), and which leaves no place for a second signature.
   */
  | { kind: "enveloped"; document: Uint8Array; single?: true }
  /** A new document with the content in a `ds:Object`: XML as it is, anything else in Base64. */
  | { kind: "enveloping"; content: Uint8Array; mediaType: string }
  /** A new document that names files; `beside`: the document in which it will stand, whose Ids are taken. */
  | { kind: "detached"; files: readonly DetachedFile[]; beside?: Uint8Array };

/** A file that a signature names. */
export interface DetachedFile {
  uri: string;
  digest: Uint8Array;
  mediaType: string;
}

export interface XmlSignatureOptions {
  /** The signer's certificate, DER. */
  certificate: Uint8Array;
  /** Further certificates towards the root, DER. */
  chain: readonly Uint8Array[];
  algorithm: SignatureAlgorithm;
  packaging: XmlPackaging;
  /** The XAdES properties; without them a plain XML Signature is made. */
  xades?: {
    signingTime: Date;
    /** ClaimedRole, such as "Approver". */
    role?: string;
  };
}

export interface PreparedXml {
  /** Canonical `ds:SignedInfo`: what the key signs. */
  readonly toBeSigned: Uint8Array;
  /** The whole file. `signature` is as a `Signer` gives it: ECDSA in DER. */
  complete(signature: Uint8Array): Uint8Array;
}

const utf8 = new TextEncoder();
const exclusive = { kind: "exclusive", withComments: false } as const;
const curveBytes: Readonly<Record<string, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 };

/**
 * Builds an XML signature up to the bytes to be signed.
 *
 * @throws {FormatError} `xml_malformed`, `xml_forbidden`, `limit_exceeded`, `algorithm_unsupported`,
 *   `certificate_malformed`; `invalid_argument` where a digest has not the hash's length
 */
export function prepareXmlSignature(options: XmlSignatureOptions): PreparedXml {
  const { packaging, algorithm, certificate, chain, xades } = options;
  const { hash } = algorithm;
  const method = signatureUri(algorithm);
  if (!method) {
    throw new FormatError(
      "algorithm_unsupported",
      "XML signatures do not support this algorithm. Use another certificate.",
    );
  }
  const publicKey = readCertificate(certificate).publicKey;
  const source = packaging.kind === "enveloped" ? parseXml(packaging.document) : undefined;
  const around = packaging.kind === "enveloping"
    ? packaging.content
    : packaging.kind === "detached"
    ? packaging.beside
    : undefined;
  const id = freeId(source?.text ?? around ?? "");

  const content = contentReference(packaging, id, hash, source?.tree);
  const objects = content.object + (xades ? qualifyingProperties(options, id) : "");
  const references = content.reference + (xades ? propertiesReference(id, hash, objects) : "");
  const signedInfo = `<ds:SignedInfo>` +
    `<ds:CanonicalizationMethod Algorithm="${Transform.exclusive}"/>` +
    `<ds:SignatureMethod Algorithm="${method}"/>${references}</ds:SignedInfo>`;
  const keyInfo = `<ds:KeyInfo><ds:X509Data>` +
    [certificate, ...chain].map((der) => element("ds:X509Certificate", der.toBase64())).join("") +
    `</ds:X509Data></ds:KeyInfo>`;

  const value = (signature: Uint8Array) => {
    const raw = algorithm.scheme === "ECDSA"
      ? ecdsaToRaw(signature, curveBytes[publicKey.curve ?? ""] ?? 0)
      : signature;
    return `<ds:SignatureValue Id="${id}-value">${raw.toBase64()}</ds:SignatureValue>`;
  };
  return {
    toBeSigned: canonicalIn(signedInfo, DS, "SignedInfo"),
    complete(signature) {
      const text = signatureElement(id, signedInfo + value(signature) + keyInfo + objects);
      return source
        ? insertLast(source, text)
        : utf8.encode(`<?xml version="1.0" encoding="UTF-8"?>\n${text}\n`);
    },
  };
}

const element = (name: string, content: string) => `<${name}>${content}</${name}>`;

const signatureElement = (id: string, content: string) =>
  `<ds:Signature xmlns:ds="${DS}" Id="${id}">${content}</ds:Signature>`;

/** An Id that nothing in the document uses; its derived ones (`…-value`) are free with it. */
function freeId(content: string | Uint8Array): string {
  const text = typeof content === "string" ? content : new TextDecoder().decode(content);
  const used = new Set(Array.from(text.matchAll(/dsign-(\d{1,9})/g), ([, n]) => Number(n)));
  let n = 1;
  while (used.has(n)) n++;
  return `dsign-${n}`;
}

function digestElements(hash: HashName, value: Uint8Array): string {
  return `<ds:DigestMethod Algorithm="${digestUris[hash]}"/>` +
    element("ds:DigestValue", value.toBase64());
}

function reference(
  attributes: string,
  transforms: readonly string[],
  hash: HashName,
  value: Uint8Array,
): string {
  const list = transforms.length === 0 ? "" : element("ds:Transforms", transforms.join(""));
  return `<ds:Reference ${attributes}>${list}${digestElements(hash, value)}</ds:Reference>`;
}

const EXCLUSIVE_TRANSFORM = `<ds:Transform Algorithm="${Transform.exclusive}"/>`;

/** The reference to the signed content, and the `ds:Object` that holds it in an enveloping signature. */
/** The Id of the reference to the content, or to one of several files. */
const contentId = (id: string, index: number) =>
  index === 0 ? `${id}-content` : `${id}-content-${index + 1}`;

function contentReference(
  packaging: XmlPackaging,
  id: string,
  hash: HashName,
  document: XmlTree | undefined,
): { reference: string; object: string } {
  const at = `Id="${contentId(id, 0)}"`;
  if (packaging.kind === "detached") {
    const references = packaging.files.map(({ uri, digest }, index) => {
      if (digest.length !== HASHES[hash].length) {
        throw new FormatError("invalid_argument", `The digest has the wrong length for ${hash}.`);
      }
      const attributes = `Id="${contentId(id, index)}" URI="${escapeAttribute(uri)}"`;
      return reference(attributes, [], hash, digest);
    });
    return { reference: references.join(""), object: "" };
  }
  if (packaging.kind === "enveloped") {
    const covered = canonicalOctets(document!, { ...exclusive, omit: isSignature });
    const filter = packaging.single
      ? `<ds:Transform Algorithm="${Transform.enveloped}"/>`
      : `<ds:Transform Algorithm="${Transform.xpath}">` +
        element("ds:XPath", NO_SIGNATURES) + `</ds:Transform>`;
    const value = digest(hash, covered);
    return {
      reference: reference(`${at} URI=""`, [filter, EXCLUSIVE_TRANSFORM], hash, value),
      object: "",
    };
  }
  const isXml = /^(text|application)\/([^;]+\+)?xml(;|$)/.test(packaging.mediaType);
  const type = escapeAttribute(packaging.mediaType);
  const object = isXml
    ? `<ds:Object Id="${id}-object" MimeType="${type}">${rootText(packaging.content)}</ds:Object>`
    : `<ds:Object Id="${id}-object" MimeType="${type}" Encoding="${Transform.base64}">` +
      `${packaging.content.toBase64()}</ds:Object>`;
  // Base64 content is signed decoded, so that the digest is the file's own.
  const value = isXml
    ? digest(hash, canonicalIn(object, DS, "Object"))
    : digest(hash, packaging.content);
  const transform = isXml ? EXCLUSIVE_TRANSFORM : `<ds:Transform Algorithm="${Transform.base64}"/>`;
  return {
    reference: reference(`${at} URI="#${id}-object"`, [transform], hash, value),
    object,
  };
}

/** The document's root as text, fit to stand inside another element. */
function rootText(content: Uint8Array): string {
  const { root } = parseXml(content);
  return canonicalizeXml(root, { kind: "inclusive", withComments: true });
}

function propertiesReference(id: string, hash: HashName, objects: string): string {
  const value = digest(hash, canonicalIn(objects, XADES, "SignedProperties"));
  const attributes = `Type="${SIGNED_PROPERTIES_TYPE}" URI="#${id}-properties"`;
  return reference(attributes, [EXCLUSIVE_TRANSFORM], hash, value);
}

/** EN 319 132-1 §5.2: signing time, signing certificate, role, and the content's media type. */
function qualifyingProperties(options: XmlSignatureOptions, id: string): string {
  const { xades, certificate, algorithm: { hash }, packaging } = options;
  const { signingTime, role } = xades!;
  const signatureProperties =
    element("xades:SigningTime", signingTime.toISOString().replace(/\.\d+Z$/, "Z")) +
    `<xades:SigningCertificateV2><xades:Cert><xades:CertDigest>` +
    digestElements(hash, digest(hash, certificate)) +
    `</xades:CertDigest></xades:Cert></xades:SigningCertificateV2>` +
    (role
      ? `<xades:SignerRoleV2><xades:ClaimedRoles>` +
        element("xades:ClaimedRole", escapeText(role)) +
        `</xades:ClaimedRoles></xades:SignerRoleV2>`
      : "");
  const mediaTypes = packaging.kind === "enveloped"
    ? ["text/xml"]
    : packaging.kind === "enveloping"
    ? [packaging.mediaType]
    : packaging.files.map(({ mediaType }) => mediaType);
  const formats = mediaTypes.map((mediaType, index) =>
    `<xades:DataObjectFormat ObjectReference="#${contentId(id, index)}">` +
    element("xades:MimeType", escapeText(mediaType)) + `</xades:DataObjectFormat>`
  );
  return `<ds:Object><xades:QualifyingProperties xmlns:xades="${XADES}" Target="#${id}">` +
    `<xades:SignedProperties Id="${id}-properties">` +
    element("xades:SignedSignatureProperties", signatureProperties) +
    `<xades:SignedDataObjectProperties>${formats.join("")}` +
    `</xades:SignedDataObjectProperties></xades:SignedProperties>` +
    `</xades:QualifyingProperties></ds:Object>`;
}

/** Canonical form of the first element of that name in a piece of a signature. */
function canonicalIn(piece: string, namespace: string, name: string): Uint8Array {
  return canonicalOctets(firstElement(signatureElement("x", piece), namespace, name), exclusive);
}

function firstElement(text: string, namespace: string, name: string): XmlElement {
  return descendantsNamed(parseXml(utf8.encode(text)).root, namespace, name)[0];
}
