/** Certificates and revocation information that stand in signatures, as far as they can be read. */
import { type Asn1Node, Fields, readAsn1, Tag } from "../asn1/read.ts";
import { type Attribute, attributeValues, readSignedData } from "../cms/read.ts";
import { type Crl, readCrl } from "../x509/crl.ts";
import { explicit, octetString, oid, sequence, tlv } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { type OcspResponse, readOcspResponse } from "../x509/ocsp.ts";
import { ocspIds } from "../x509/ocsp_ids.ts";
import { type Certificate, readKnownCertificate } from "../x509/certificate.ts";

/** Material for judging certificates; nothing in it is trusted by itself. */
export interface Material {
  certificates: readonly Certificate[];
  crls: readonly Crl[];
  ocspResponses: readonly OcspResponse[];
}

/** The same as received, DER. */
export interface RawMaterial {
  certificates?: readonly Uint8Array[];
  crls?: readonly Uint8Array[];
  ocspResponses?: readonly Uint8Array[];
}

/** Of each kind; hostile files bring more. */
const MAX_ITEMS = 500;
/** In bytes; larger ones are known by their digests. */
const LARGE = 1 << 16;

/** Reads what can be read; what cannot is left out, as nothing follows from it. */
export function readMaterial(...raw: readonly RawMaterial[]): Material {
  return {
    certificates: readEach(
      raw.flatMap(({ certificates = [] }) => certificates),
      readKnownCertificate,
    ),
    crls: readEach(raw.flatMap(({ crls = [] }) => crls), readCrl)
      .toSorted((a, b) => b.thisUpdate.getTime() - a.thisUpdate.getTime()),
    ocspResponses: readEach(
      raw.flatMap(({ ocspResponses = [] }) => ocspResponses),
      readOcspResponse,
    )
      .toSorted((a, b) => b.producedAt.getTime() - a.producedAt.getTime()),
  };
}

function readEach<T>(ders: readonly Uint8Array[], read: (der: Uint8Array) => T): T[] {
  const seen = new Set<string>();
  return ders.slice(0, MAX_ITEMS).flatMap((der) => {
    const id = der.length < LARGE ? der.toBase64() : digest("SHA-256", der).toBase64();
    if (seen.has(id)) return [];
    seen.add(id);
    try {
      return [read(der)];
    } catch (error) {
      if (error instanceof FormatError) return [];
      throw error;
    }
  });
}

/** All of several; newest revocation information first, so that it is asked first. */
export function joinMaterial(...parts: readonly Material[]): Material {
  const full = parts.filter(({ certificates, crls, ocspResponses }) =>
    certificates.length + crls.length + ocspResponses.length > 0
  );
  if (full.length === 1) return full[0];
  const join = <T>(lists: readonly (readonly T[])[]) => lists.flat();
  return {
    certificates: join(parts.map(({ certificates }) => certificates)),
    crls: join(parts.map(({ crls }) => crls))
      .toSorted((a, b) => b.thisUpdate.getTime() - a.thisUpdate.getTime()),
    ocspResponses: join(parts.map(({ ocspResponses }) => ocspResponses))
      .toSorted((a, b) => b.producedAt.getTime() - a.producedAt.getTime()),
  };
}

/** Content of a timestamp token besides its statement. */
export function tokenMaterial(token: Uint8Array): RawMaterial[] {
  return attempt(() => {
    const cms = readSignedData(token, { zeroPadded: true });
    return [
      cms,
      ...cms.signers.flatMap(({ unsignedAttributes, signedAttributes }) =>
        attributeMaterial(unsignedAttributes, signedAttributes?.attributes)
      ),
    ];
  }) ?? [];
}

const CERTIFICATE_VALUES = "1.2.840.113549.1.9.16.2.23";
const REVOCATION_VALUES = "1.2.840.113549.1.9.16.2.24";
/** ISO 32000-2 §12.8.3.3.2: signed, in signatures of the older form. */
const ADOBE_REVOCATION = "1.2.840.113583.1.1.8";

/** Values in attributes (EN 319 122-1 Annex A.1.1), and those of the older PDF signatures. */
export function attributeMaterial(
  unsigned: readonly Attribute[],
  signed: readonly Attribute[] = [],
): RawMaterial[] {
  const list = (node: Asn1Node | undefined) => node?.children.map(({ bytes }) => bytes) ?? [];
  const read = (values: readonly Asn1Node[], each: (value: Asn1Node) => RawMaterial) =>
    values.flatMap((value) => attempt(() => [each(value)]) ?? []);
  return [
    ...read(attributeValues(unsigned, CERTIFICATE_VALUES), (value) => ({
      certificates: list(value),
    })),
    ...read(attributeValues(unsigned, REVOCATION_VALUES), (value) => {
      const fields = new Fields(value, "Revocation values");
      const crls = list(fields.maybe(0xa0)?.children[0]);
      return { crls, ocspResponses: list(fields.maybe(0xa1)?.children[0]).map(wrapOcsp) };
    }),
    ...read(attributeValues(signed, ADOBE_REVOCATION), (value) => {
      const fields = new Fields(value, "Revocation values");
      const crls = list(fields.maybe(0xa0)?.children[0]);
      return { crls, ocspResponses: list(fields.maybe(0xa1)?.children[0]) };
    }),
  ];
}

/** BasicOCSPResponse → OCSPResponse (RFC 6960 §4.2.1). */
function wrapOcsp(basic: Uint8Array): Uint8Array {
  readAsn1(basic);
  const bytes = sequence(oid(ocspIds.basicResponse), octetString(basic));
  return sequence(tlv(Tag.ENUMERATED, Uint8Array.of(0)), explicit(0, bytes));
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
