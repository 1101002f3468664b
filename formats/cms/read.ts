/**
 * Reading CMS SignedData (RFC 5652) as spans over the received bytes, DER or BER. What was signed
 * is never re-encoded, so that odd encodings made elsewhere stay what they are; but for the signed
 * attributes, which are signed in DER, however they are sent (§5.4).
 */
import {
  type Asn1Node,
  expect,
  Fields,
  isPadding,
  octetStringPieces,
  only,
  readAsn1,
  readFirstAsn1,
  readInteger,
  readOctetString,
  readOid,
  Tag,
} from "../asn1/read.ts";
import { derOf, setOf } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import { Oid } from "../asn1/oids.ts";

/** An attribute of a signer (RFC 5652 §5.3). */
export interface Attribute {
  oid: string;
  values: readonly Asn1Node[];
}

/** How a SignerInfo names its certificate (RFC 5652 §5.3). */
export type SignerIdentifier =
  /** The issuer's Name (DER as received) and the content octets of the serial number. */
  | { issuer: Uint8Array; serialNumber: Uint8Array }
  | { subjectKeyIdentifier: Uint8Array };

export interface SignerInfo {
  /** The whole SignerInfo. */
  node: Asn1Node;
  version: number;
  sid: SignerIdentifier;
  /** AlgorithmIdentifier. */
  digestAlgorithm: Asn1Node;
  /** AlgorithmIdentifier. */
  signatureAlgorithm: Asn1Node;
  signature: Uint8Array;
  /** Absent if the signature is over the content itself. */
  signedAttributes?: {
    /** Input of the signature: the DER of the attributes as SET OF, however they were sent (§5.4). */
    toBeSigned: Uint8Array;
    attributes: readonly Attribute[];
  };
  unsignedAttributes: readonly Attribute[];
  /** The `[1] IMPLICIT SET OF` unsigned attributes, if there are any. */
  unsignedNode?: Asn1Node;
}

export interface SignedData {
  /** The ContentInfo around all of it. */
  root: Asn1Node;
  node: Asn1Node;
  version: number;
  /** SET OF AlgorithmIdentifier. */
  digestAlgorithms: Asn1Node;
  /** EncapsulatedContentInfo. */
  encapsulated: Asn1Node;
  /** eContentType, dotted. */
  contentType: string;
  /** The content, in the pieces that BER may cut it into; absent if the signature is detached. */
  content?: readonly Uint8Array[];
  /** X.509 certificates, as received. */
  certificates: readonly Uint8Array[];
  /** The `[0] IMPLICIT` set of certificates, if there is one. */
  certificatesNode?: Asn1Node;
  crls: readonly Uint8Array[];
  /** OCSPResponse values (RFC 5940 §2.1). */
  ocspResponses: readonly Uint8Array[];
  /** The `[1] IMPLICIT` set of revocation information, if there is one. */
  crlsNode?: Asn1Node;
  /** SET OF SignerInfo. */
  signerInfos: Asn1Node;
  signers: readonly SignerInfo[];
}

export interface SignedDataOptions {
  /** Zero bytes may follow: the space a PDF reserved and the signature did not fill. */
  zeroPadded?: boolean;
}

const MAX_SIGNERS = 1024;
const MAX_CERTIFICATES = 1024;
const MAX_ATTRIBUTES = 256;

/** Runs a reading function; malformed ASN.1 comes out as malformed CMS. */
function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FormatError) || cause.code !== "asn1_malformed") throw cause;
    throw new FormatError("cms_malformed", `The signature cannot be read: ${cause.message}`, {
      cause,
    });
  }
}

/**
 * Reads a ContentInfo that holds SignedData (RFC 5652 §3, §5.1), DER or BER.
 *
 * @throws {FormatError} `cms_malformed`; `limit_exceeded` beyond 1,024 signers or certificates, or
 *   256 attributes of one signer
 */
export function readSignedData(bytes: Uint8Array, options: SignedDataOptions = {}): SignedData {
  return reading(() => {
    const root = options.zeroPadded
      ? readFirstAsn1(bytes, { ber: true })
      : readAsn1(bytes, { ber: true });
    if (!isPadding(bytes, root.end)) {
      throw new FormatError("cms_malformed", "Extra bytes follow the signature.");
    }
    const info = new Fields(root, "ContentInfo");
    const type = readOid(info.take(Tag.OID));
    if (type !== Oid.signedData) {
      throw new FormatError("cms_malformed", `The data is not a signature; its type is ${type}.`);
    }
    const node = only(info.take(0xa0), "ContentInfo");
    info.end();
    return { root, ...readFields(node) };
  });
}

function readFields(node: Asn1Node): Omit<SignedData, "root"> {
  const fields = new Fields(node, "SignedData");
  const version = readInteger(fields.take(Tag.INTEGER));
  const digestAlgorithms = fields.take(Tag.SET);
  const encapsulated = fields.take(Tag.SEQUENCE);
  const certificatesNode = fields.maybe(0xa0);
  const crlsNode = fields.maybe(0xa1);
  const signerInfos = fields.take(Tag.SET);
  fields.end();

  const inner = new Fields(encapsulated, "EncapsulatedContentInfo");
  const contentType = readOid(inner.take(Tag.OID));
  const contentNode = inner.maybe(0xa0);
  inner.end();

  const certificates = certificatesNode?.children ?? [];
  if (certificates.length > MAX_CERTIFICATES) throw tooMany("certificates");
  if (signerInfos.children.length > MAX_SIGNERS) throw tooMany("signers");
  const revocation = crlsNode?.children ?? [];
  return {
    node,
    version,
    digestAlgorithms,
    encapsulated,
    contentType,
    content: contentNode && readContent(only(contentNode, "The content")),
    // Other choices (attribute certificates) stand under context tags.
    certificates: certificates.filter(({ tag }) => tag === Tag.SEQUENCE).map(({ bytes }) => bytes),
    certificatesNode,
    crls: revocation.filter(({ tag }) => tag === Tag.SEQUENCE).map(({ bytes }) => bytes),
    ocspResponses: revocation.flatMap(readOcsp),
    crlsNode,
    signerInfos,
    signers: signerInfos.children.map(readSignerInfo),
  };
}

const tooMany = (what: string) =>
  new FormatError("limit_exceeded", `The signature contains too many ${what}.`);

function readContent(node: Asn1Node): Uint8Array[] {
  if ((node.tag & ~0x20) !== Tag.OCTET_STRING) {
    throw new FormatError("cms_malformed", "The signed content is not an OCTET STRING.");
  }
  return octetStringPieces(node);
}

/** `[1] IMPLICIT OtherRevocationInfoFormat` (RFC 5652 §10.2.1). */
function readOcsp(node: Asn1Node): Uint8Array[] {
  if (node.tag !== 0xa1) return [];
  const fields = new Fields(node, "Other revocation information", 0xa1);
  const format = readOid(fields.take(Tag.OID));
  return format === Oid.ocspResponse ? [fields.take(Tag.SEQUENCE).bytes] : [];
}

/**
 * Reads a SignerInfo (RFC 5652 §5.3), also as the value of a countersignature (§11.4).
 *
 * @throws {FormatError} `cms_malformed`, `limit_exceeded`
 */
export function readSignerInfo(node: Asn1Node): SignerInfo {
  return reading(() => {
    const fields = new Fields(node, "SignerInfo");
    const version = readInteger(fields.take(Tag.INTEGER));
    const sid = readSignerIdentifier(fields.take());
    const digestAlgorithm = fields.take(Tag.SEQUENCE);
    const signed = fields.maybe(0xa0);
    const signatureAlgorithm = fields.take(Tag.SEQUENCE);
    const signature = readOctetString(fields.take());
    const unsignedNode = fields.maybe(0xa1);
    fields.end();
    return {
      node,
      version,
      sid,
      digestAlgorithm,
      signatureAlgorithm,
      signature,
      signedAttributes: signed && {
        toBeSigned: setOf(signed.children.map(derOf)),
        attributes: readAttributes(signed),
      },
      unsignedAttributes: unsignedNode ? readAttributes(unsignedNode) : [],
      unsignedNode,
    };
  });
}

function readSignerIdentifier(node: Asn1Node): SignerIdentifier {
  if (node.tag === 0x80 || node.tag === 0xa0) {
    return { subjectKeyIdentifier: readOctetString(node, 0x80) };
  }
  const fields = new Fields(node, "The signer's identifier");
  const issuer = fields.take(Tag.SEQUENCE).bytes;
  const serialNumber = fields.take(Tag.INTEGER).content;
  fields.end();
  return { issuer, serialNumber };
}

function readAttributes(node: Asn1Node): Attribute[] {
  if (node.children.length > MAX_ATTRIBUTES) throw tooMany("attributes");
  return node.children.map((child) => {
    const fields = new Fields(child, "An attribute");
    const attribute = {
      oid: readOid(fields.take(Tag.OID)),
      values: expect(fields.take(), Tag.SET, "An attribute").children,
    };
    fields.end();
    return attribute;
  });
}

/** The values of all attributes of this type, in order. */
export function attributeValues(attributes: readonly Attribute[], oid: string): Asn1Node[] {
  return attributes.flatMap((attribute) => attribute.oid === oid ? attribute.values : []);
}
