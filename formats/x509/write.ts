/**
 * Building certificates, CRLs and OCSP answers. Each is prepared first: the bytes to be signed come
 * out, and with the signature the whole is completed, so that the key may live anywhere.
 */
import { Buffer } from "node:buffer";
import { Tag } from "../asn1/read.ts";
import {
  bitString,
  boolean,
  concat,
  explicit,
  generalizedTime,
  implicit,
  integer,
  octetString,
  oid,
  sequence,
  time,
  tlv,
  unsignedInteger,
  utf8String,
} from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { encodeCertId, ocspIds } from "./ocsp_ids.ts";
import { readPublicKey } from "../keys/public_key.ts";
import { encodeSignatureAlgorithm } from "../keys/algorithm.ts";
import type { SignatureAlgorithm } from "../signer.ts";
import type { Certificate } from "./certificate.ts";
import {
  type CrlReason,
  crlReasons,
  extensionIds,
  type KeyUsage,
  keyUsages,
} from "./extensions.ts";

/** Something that becomes whole with a signature over {@link Prepared.toBeSigned}. */
export interface Prepared {
  readonly toBeSigned: Uint8Array;
  /** @param signature RSA: modulus' length; ECDSA: DER `ECDSA-Sig-Value` */
  complete(signature: Uint8Array): Uint8Array;
}

function prepare(tbs: Uint8Array, algorithm: Uint8Array): Prepared {
  return {
    toBeSigned: tbs,
    complete: (signature) => sequence(tbs, algorithm, bitString(signature)),
  };
}

export interface CertificateFields {
  /** Unsigned big-endian; at most 20 bytes (RFC 5280 §4.1.2.2). */
  readonly serialNumber: Uint8Array;
  /** Names as DER, from `encodeName` or another certificate. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** The issuer's way of signing. */
  readonly algorithm: SignatureAlgorithm;
  /** Each a whole Extension, from {@link extension} and the functions that use it. */
  readonly extensions: readonly Uint8Array[];
}

/** Prepares a certificate of version 3 (RFC 5280 §4.1). */
export function prepareCertificate(fields: CertificateFields): Prepared {
  const algorithm = encodeSignatureAlgorithm(fields.algorithm);
  const tbs = sequence(
    explicit(0, integer(2)),
    unsignedInteger(fields.serialNumber),
    algorithm,
    fields.issuer,
    sequence(time(fields.notBefore), time(fields.notAfter)),
    fields.subject,
    fields.publicKey,
    ...optionalExtensions(3, fields.extensions),
  );
  return prepare(tbs, algorithm);
}

function optionalExtensions(tag: number, extensions: readonly Uint8Array[]): Uint8Array[] {
  return extensions.length === 0 ? [] : [explicit(tag, sequence(...extensions))];
}

export interface RevokedFields {
  /** Content octets of the serial number, as in the certificate. */
  readonly serialNumber: Uint8Array;
  readonly revokedAt: Date;
  readonly reason?: CrlReason;
}

export interface CrlFields {
  readonly issuer: Uint8Array;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: readonly RevokedFields[];
  readonly algorithm: SignatureAlgorithm;
  /** CRL number, authority key identifier and whatever else belongs to the CRL. */
  readonly extensions: readonly Uint8Array[];
}

/** Prepares a CRL of version 2 (RFC 5280 §5.1). */
export function prepareCrl(fields: CrlFields): Prepared {
  const algorithm = encodeSignatureAlgorithm(fields.algorithm);
  const entries = fields.revoked.map(({ serialNumber, revokedAt, reason }) =>
    sequence(
      tlv(Tag.INTEGER, serialNumber),
      time(revokedAt),
      ...(reason ? [sequence(reasonCode(reason))] : []),
    )
  );
  const tbs = sequence(
    integer(1),
    algorithm,
    fields.issuer,
    time(fields.thisUpdate),
    time(fields.nextUpdate),
    // Lists are longer than a call may have arguments.
    ...(entries.length > 0 ? [tlv(Tag.SEQUENCE, Buffer.concat(entries))] : []),
    ...optionalExtensions(0, fields.extensions),
  );
  return prepare(tbs, algorithm);
}

/** An Extension (RFC 5280 §4.1) around the DER of its value. */
export function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
}

/** A critical basicConstraints for a CA, or for an end entity when `ca` is false. */
export function basicConstraints(ca: boolean, pathLength?: number): Uint8Array {
  const value = ca
    ? sequence(boolean(true), ...(pathLength === undefined ? [] : [integer(pathLength)]))
    : sequence();
  return extension(extensionIds.basicConstraints, value, true);
}

/** A critical keyUsage. */
export function keyUsage(...usages: readonly KeyUsage[]): Uint8Array {
  const bits = usages.map((usage) => keyUsages.indexOf(usage));
  const last = Math.max(...bits);
  const bytes = new Uint8Array((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] |= 0x80 >> (bit & 7);
  return extension(extensionIds.keyUsage, bitString(bytes, 7 - (last & 7)), true);
}

export function extKeyUsage(purposes: readonly string[]): Uint8Array {
  return extension(extensionIds.extKeyUsage, sequence(...purposes.map(oid)));
}

export function certificatePolicies(...policies: readonly string[]): Uint8Array {
  const value = sequence(...policies.map((policy) => sequence(oid(policy))));
  return extension(extensionIds.certificatePolicies, value);
}

/** One policy with a notice for people (RFC 5280 §4.2.1.4, UserNotice): no more than 200 characters. */
export function policyWithNotice(policy: string, notice: string): Uint8Array {
  const qualifier = sequence(oid("1.3.6.1.5.5.7.2.2"), sequence(utf8String(notice)));
  const value = sequence(sequence(oid(policy), sequence(qualifier)));
  return extension(extensionIds.certificatePolicies, value);
}

/** SHA-1 of the key's bits (RFC 5280 §4.2.1.2 (1)): an identifier, not a protection. */
function keyIdentifier(spki: Uint8Array): Uint8Array {
  return digest("SHA-1", readPublicKey(spki).bytes);
}

/** subjectKeyIdentifier of a SubjectPublicKeyInfo. */
export function subjectKeyIdentifier(spki: Uint8Array): Uint8Array {
  return extension(extensionIds.subjectKeyIdentifier, octetString(keyIdentifier(spki)));
}

/** authorityKeyIdentifier that points to the issuer's SubjectPublicKeyInfo. */
export function authorityKeyIdentifier(issuerSpki: Uint8Array): Uint8Array {
  const value = sequence(implicit(0, keyIdentifier(issuerSpki)));
  return extension(extensionIds.authorityKeyIdentifier, value);
}

const uri = (url: string) => implicit(6, new TextEncoder().encode(url));

/** One distribution point of all these addresses of the same full CRL. */
export function crlDistributionPoints(...urls: readonly string[]): Uint8Array {
  const point = sequence(explicit(0, explicit(0, ...urls.map(uri))));
  return extension(extensionIds.cRLDistributionPoints, sequence(point));
}

export function authorityInfoAccess(access: { ocsp?: string; caIssuers?: string }): Uint8Array {
  const describe = (method: string, url?: string) =>
    url === undefined ? [] : [sequence(oid(method), uri(url))];
  const value = sequence(
    ...describe("1.3.6.1.5.5.7.48.1", access.ocsp),
    ...describe("1.3.6.1.5.5.7.48.2", access.caIssuers),
  );
  return extension(extensionIds.authorityInfoAccess, value);
}

/** subjectAltName of e-mail addresses. */
export function subjectAltEmails(...addresses: readonly string[]): Uint8Array {
  const names = addresses.map((address) => implicit(1, new TextEncoder().encode(address)));
  return extension(extensionIds.subjectAltName, sequence(...names));
}

/** Host names and IPv4 addresses, as in `localhost` and `127.0.0.1`. */
export interface HostNames {
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
}

const dnsName = (name: string) => implicit(2, new TextEncoder().encode(name));
const ipv4 = (address: string) => Uint8Array.from(address.split("."), Number);

/** subjectAltName of hosts. */
export function subjectAltHosts({ dns = [], ip = [] }: HostNames): Uint8Array {
  const names = [...dns.map(dnsName), ...ip.map((address) => implicit(7, ipv4(address)))];
  return extension(extensionIds.subjectAltName, sequence(...names));
}

/** A critical nameConstraints that permits these hosts, and no others of their forms (RFC 5280 §4.2.1.10). */
export function permittedHosts({ dns = [], ip = [] }: HostNames): Uint8Array {
  const whole = Uint8Array.of(255, 255, 255, 255);
  const bases = [
    ...dns.map(dnsName),
    ...ip.map((address) => implicit(7, concat(ipv4(address), whole))),
  ];
  const permitted = explicit(0, ...bases.map((base) => sequence(base)));
  return extension(extensionIds.nameConstraints, sequence(permitted), true);
}

/** The CRL extension cRLNumber. */
export const crlNumber = (number: number): Uint8Array =>
  extension(extensionIds.cRLNumber, integer(number));

const reasonCode = (reason: CrlReason): Uint8Array =>
  extension(extensionIds.reasonCode, integer(crlReasons[reason], 0x0a));

export type OcspStatus =
  | { readonly status: "good" | "unknown" }
  | { readonly status: "revoked"; readonly revokedAt: Date; readonly reason?: CrlReason };

export interface OcspFields {
  /** Certificates asked about, with their common issuer, which answers itself. */
  readonly answers: readonly (OcspStatus & { readonly certificate: Certificate })[];
  readonly issuer: Certificate;
  readonly producedAt: Date;
  readonly nextUpdate: Date;
  /** Content of the request's nonce extension, to be repeated. */
  readonly nonce?: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
}

/** Prepares a successful OCSPResponse (RFC 6960 §4.2), with the responder named by its key. */
export function prepareOcspResponse(fields: OcspFields): Prepared {
  const algorithm = encodeSignatureAlgorithm(fields.algorithm);
  const answers = fields.answers.map((answer) =>
    sequence(
      encodeCertId(answer.certificate, fields.issuer),
      encodeStatus(answer),
      generalizedTime(fields.producedAt),
      explicit(0, generalizedTime(fields.nextUpdate)),
    )
  );
  const tbs = sequence(
    explicit(2, octetString(keyIdentifier(fields.issuer.publicKey.spki))),
    generalizedTime(fields.producedAt),
    sequence(...answers),
    ...optionalExtensions(1, fields.nonce ? [extension(ocspIds.nonce, fields.nonce)] : []),
  );
  return {
    toBeSigned: tbs,
    complete(signature) {
      const basic = sequence(tbs, algorithm, bitString(signature));
      return sequence(
        integer(0, 0x0a),
        explicit(0, sequence(oid(ocspIds.basicResponse), octetString(basic))),
      );
    },
  };
}

function encodeStatus(status: OcspStatus): Uint8Array {
  if (status.status !== "revoked") {
    return implicit(status.status === "good" ? 0 : 2, new Uint8Array());
  }
  const reason = status.reason ? [explicit(0, integer(crlReasons[status.reason], 0x0a))] : [];
  return explicit(1, concat(generalizedTime(status.revokedAt), ...reason));
}
