/** The Online Certificate Status Protocol (RFC 6960): requests, answers, and what they prove. */
import {
  type Asn1Node,
  Fields,
  only,
  readAsn1,
  readBitString,
  readInteger,
  readOid,
  readTime,
  Tag,
} from "../asn1/read.ts";
import { explicit, octetString, oid, sequence } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import { type Name, readName } from "./name.ts";
import { readHash } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { type Certificate, readCertificate } from "./certificate.ts";
import { encodeCertId, ocspIds } from "./ocsp_ids.ts";
import { type CrlReason, crlReasonName, type Extension, readExtensions } from "./extensions.ts";

/** One SingleResponse. */
export interface OcspAnswer {
  readonly hash: DigestName;
  readonly issuerNameHash: Uint8Array;
  readonly issuerKeyHash: Uint8Array;
  readonly serialNumber: Uint8Array;
  readonly status: "good" | "revoked" | "unknown";
  readonly revokedAt?: Date;
  readonly reason?: CrlReason;
  readonly thisUpdate: Date;
  readonly nextUpdate?: Date;
  /** Certificates that expired after this time are still answered for (§4.4.4). */
  readonly archiveCutoff?: Date;
}

/** A successful answer as {@link readOcspResponse} returns it. */
export interface OcspResponse {
  /** The whole OCSPResponse as received. */
  readonly der: Uint8Array;
  /** ResponseData: the bytes under the signature. */
  readonly tbs: Uint8Array;
  readonly responder: { readonly name: Name } | { readonly keyHash: Uint8Array };
  readonly producedAt: Date;
  readonly answers: readonly OcspAnswer[];
  /** Content of the nonce extension, to be compared with the request's. */
  readonly nonce?: Uint8Array;
  /** AlgorithmIdentifier, DER. */
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
  readonly certificates: readonly Certificate[];
}

const MAX_RESPONSE_BYTES = 1024 * 1024;
const MAX_ITEMS = 100;

const malformed = (message: string, cause?: unknown) =>
  new FormatError("ocsp_malformed", message, { cause });

/**
 * Encodes a request about one certificate, without signature (§4.1).
 *
 * @param nonce random bytes, 16 to 32 (RFC 8954 §2.1), to be compared with the answer's
 * @returns DER of the OCSPRequest
 */
export function encodeOcspRequest(
  certificate: Certificate,
  issuer: Certificate,
  nonce?: Uint8Array,
): Uint8Array {
  const request = sequence(sequence(encodeCertId(certificate, issuer)));
  const extensions = nonce
    ? [explicit(2, sequence(sequence(oid(ocspIds.nonce), octetString(octetString(nonce)))))]
    : [];
  return sequence(sequence(request, ...extensions));
}

const responseStatuses: Readonly<Record<number, string>> = {
  1: "malformedRequest",
  2: "internalError",
  3: "tryLater",
  5: "sigRequired",
  6: "unauthorized",
};

/**
 * Reads an OCSPResponse (§4.2.1).
 *
 * @throws {FormatError} `ocsp_malformed`, also for an answer that is only an error;
 *   `extension_unsupported` for a critical extension that is not understood
 */
export function readOcspResponse(der: Uint8Array): OcspResponse {
  if (der.length > MAX_RESPONSE_BYTES) {
    throw new FormatError("limit_exceeded", "The OCSP answer is larger than 1 MiB.");
  }
  try {
    return readResponse(der);
  } catch (error) {
    if (error instanceof FormatError && /^(asn1|certificate)_malformed$/.test(error.code)) {
      throw malformed(`The OCSP answer cannot be read: ${error.message}`, error);
    }
    throw error;
  }
}

function readResponse(der: Uint8Array): OcspResponse {
  const outer = new Fields(readAsn1(der), "an OCSP answer");
  const status = readInteger(outer.take(0x0a));
  if (status !== 0) {
    throw malformed(
      `The OCSP service refused to answer (${responseStatuses[status] ?? status}).`,
    );
  }
  const bytes = new Fields(only(outer.take(0xa0), "The OCSP answer"), "an OCSP answer");
  outer.end();
  if (readOid(bytes.take(Tag.OID)) !== ocspIds.basicResponse) {
    throw malformed("The OCSP answer has an unknown type.");
  }
  const basic = new Fields(readAsn1(bytes.take(Tag.OCTET_STRING).content), "an OCSP answer");
  const data = basic.take(Tag.SEQUENCE);
  const signatureAlgorithm = basic.take(Tag.SEQUENCE).bytes;
  const signature = readBitString(basic.take(Tag.BIT_STRING)).bytes;
  const certificateField = basic.maybe(0xa0);
  basic.end();

  const fields = new Fields(data, "an OCSP answer");
  const version = fields.maybe(0xa0);
  if (version && readInteger(only(version, "A version")) !== 0) {
    throw malformed("The OCSP answer has an unknown version.");
  }
  const responder = readResponder(fields.take());
  const producedAt = readTime(fields.take(Tag.GENERALIZED_TIME));
  const answers = bounded(fields.take(Tag.SEQUENCE)).map(readAnswer);
  const extensions = readOptional(fields.maybe(0xa1), [ocspIds.nonce]);
  fields.end();
  return {
    der,
    tbs: data.bytes,
    responder,
    producedAt,
    answers,
    nonce: extensions.get(ocspIds.nonce)?.value,
    signatureAlgorithm,
    signature,
    certificates: certificateField
      ? bounded(only(certificateField, "The certificates")).map(({ bytes }) =>
        readCertificate(bytes)
      )
      : [],
  };
}

function bounded({ children }: Asn1Node): readonly Asn1Node[] {
  if (children.length > MAX_ITEMS) {
    throw new FormatError("limit_exceeded", `An OCSP answer has more than ${MAX_ITEMS} items.`);
  }
  return children;
}

function readResponder(node: Asn1Node): OcspResponse["responder"] {
  const inner = only(node, "A responder");
  if (node.tag === 0xa1) return { name: readName(inner) };
  if (node.tag === 0xa2 && inner.tag === Tag.OCTET_STRING) return { keyHash: inner.content };
  throw malformed("The OCSP answer does not name its responder.");
}

function readOptional(node: Asn1Node | undefined, known: readonly string[]) {
  const extensions = node
    ? readExtensions(only(node, "The extensions"))
    : new Map<string, Extension>();
  for (const [id, { critical }] of extensions) {
    if (critical && !known.includes(id)) {
      throw new FormatError(
        "extension_unsupported",
        `The OCSP answer has a critical extension (${id}) that D-Sign does not support.`,
      );
    }
  }
  return extensions;
}

function readAnswer(node: Asn1Node): OcspAnswer {
  const fields = new Fields(node, "an OCSP answer");
  const id = new Fields(fields.take(Tag.SEQUENCE), "a certificate identifier");
  const certId = {
    hash: readHash(id.take(Tag.SEQUENCE)),
    issuerNameHash: id.take(Tag.OCTET_STRING).content,
    issuerKeyHash: id.take(Tag.OCTET_STRING).content,
    serialNumber: id.take(Tag.INTEGER).content,
  };
  id.end();
  const status = readStatus(fields.take());
  const thisUpdate = readTime(fields.take(Tag.GENERALIZED_TIME));
  const nextUpdate = fields.maybe(0xa0);
  const extensions = readOptional(fields.maybe(0xa1), [ocspIds.archiveCutoff]);
  fields.end();
  const cutoff = extensions.get(ocspIds.archiveCutoff);
  return {
    ...certId,
    ...status,
    thisUpdate,
    nextUpdate: nextUpdate && readTime(only(nextUpdate, "A time")),
    archiveCutoff: cutoff && readTime(readAsn1(cutoff.value)),
  };
}

function readStatus(node: Asn1Node): Pick<OcspAnswer, "status" | "revokedAt" | "reason"> {
  if (node.tag === 0x80) return { status: "good" };
  if (node.tag === 0x82) return { status: "unknown" };
  const fields = new Fields(node, "a revocation", 0xa1);
  const revokedAt = readTime(fields.take(Tag.GENERALIZED_TIME));
  const reasonField = fields.maybe(0xa0);
  fields.end();
  const reason = reasonField && crlReasonName(readInteger(only(reasonField, "A reason")));
  return { status: "revoked", revokedAt, reason: reason ?? "unspecified" };
}
