/** The signing-certificate attributes (RFC 2634 §5.4, RFC 5035 §3): which certificate was meant. */
import { type Asn1Node, Fields, readOctetString, Tag } from "../asn1/read.ts";
import { type Attribute, attributeValues } from "./read.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { type GeneralName, readGeneralNames } from "../x509/general_name.ts";
import { Oid } from "../asn1/oids.ts";
import { readHash } from "../keys/algorithm.ts";
import type { DigestName } from "../signer.ts";
import { type Certificate, sameBytes } from "../x509/certificate.ts";

/** `ESSCertID` or `ESSCertIDv2`. */
export interface CertificateReference {
  hash: DigestName;
  certHash: Uint8Array;
  issuerSerial?: { issuer: readonly GeneralName[]; serialNumber: Uint8Array };
}

/**
 * The references to the signer's own certificate: the first of each attribute, mostly one.
 *
 * @throws {FormatError} `asn1_malformed`, `algorithm_unsupported`
 */
export function readSigningCertificates(attributes: readonly Attribute[]): CertificateReference[] {
  return [Oid.signingCertificate, Oid.signingCertificateV2].flatMap((oid) => {
    const present = attributes.filter((attribute) => attribute.oid === oid).length;
    const values = attributeValues(attributes, oid);
    if (present > 1 || values.length > present) {
      throw new FormatError(
        "asn1_malformed",
        "The signature names its signing certificate more than once.",
      );
    }
    if (present && values.length === 0) {
      throw new FormatError("asn1_malformed", "The signing-certificate attribute is empty.");
    }
    return values.map((value) => {
      const certificates = new Fields(value, "The signing certificate").take(Tag.SEQUENCE);
      const [first] = certificates.children;
      if (!first) {
        throw new FormatError("asn1_malformed", "The signing-certificate attribute is empty.");
      }
      return readReference(first, oid === Oid.signingCertificate);
    });
  });
}

function readReference(node: Asn1Node, first: boolean): CertificateReference {
  const fields = new Fields(node, "A reference to a certificate");
  const algorithm = first ? undefined : fields.maybe(Tag.SEQUENCE);
  const certHash = readOctetString(fields.take());
  const issuerSerial = fields.maybe(Tag.SEQUENCE);
  fields.end();
  return {
    hash: algorithm ? readHash(algorithm) : first ? "SHA-1" : "SHA-256",
    certHash,
    issuerSerial: issuerSerial && readIssuerSerial(issuerSerial),
  };
}

function readIssuerSerial(node: Asn1Node) {
  const fields = new Fields(node, "An issuer and serial number");
  const issuer = readGeneralNames(fields.take(Tag.SEQUENCE));
  const serialNumber = fields.take(Tag.INTEGER).content;
  return { issuer, serialNumber };
}

/** Whether the reference points to this certificate. */
export function refersTo(reference: CertificateReference, certificate: Certificate): boolean {
  const { hash, certHash, issuerSerial } = reference;
  if (!sameBytes(digest(hash, certificate.der), certHash)) return false;
  return !issuerSerial || (
    sameBytes(issuerSerial.serialNumber, certificate.serialNumber) &&
    issuerSerial.issuer.some((name) =>
      name.kind === "directory" && name.name.equals(certificate.issuer)
    )
  );
}
