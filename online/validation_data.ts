/**
 * What a later validation will ask for: certificates up to the root, and for each below it an OCSP answer or a CRL. Read
 * in a reader (questions.ts); services.ts fetches.
 */
import { attributeValues, readSignedData } from "../formats/cms/read.ts";
import { verifyCms } from "../formats/cms/verify.ts";
import { Oid } from "../formats/asn1/oids.ts";
import type { ValidationData } from "../formats/pades/dss.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import { verifyTimestamp } from "../formats/cms/timestamp.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { OnlineError } from "./error.ts";
import { collectEvidence } from "./evidence.ts";

/**
 * Collects what the validation of signatures will need (EN 319 142-1 §5.4), and checks that it suffices today.
 *
 * @param http as {@linkcode collectEvidence}
 * @throws {OnlineError} `validation_data_unavailable`, `certificate_revoked`
 */
export async function validationData(
  { ends, known }: EndsAndKnown,
  now: Date,
  http: Parameters<typeof collectEvidence>[3],
): Promise<ValidationData> {
  const evidence = await collectEvidence(ends, known, known.filter(isSelfSigned), http, now);
  const all = [...known, ...evidence.certificates];
  for (const end of ends) {
    const anchors = all.filter(isSelfSigned);
    const result = validateCertificate(end, {
      ...evidence,
      anchors,
      intermediates: all,
      revocation: "require",
      at: now,
    });
    if (result.trusted) continue;
    const { code, message } = result.failure;
    if (code === "certificate_revoked" || code === "certificate_on_hold") {
      throw new OnlineError("certificate_revoked", message);
    }
    const detail = evidence.problems.join(" ") || undefined;
    throw new OnlineError("validation_data_unavailable", message, detail);
  }
  return {
    certificates: all.map(({ der }) => der),
    crls: evidence.crls.map(({ der }) => der),
    ocsps: evidence.ocspResponses.map(({ der }) => der),
  };
}

export interface EndsAndKnown {
  /** Certificates of signers and timestamp authorities. */
  ends: Certificate[];
  /** Others at hand. */
  known: Certificate[];
}

/** The certificates of signers and of their timestamp authorities, and all that the signature holds. */
export function certificatesOf(cms: Uint8Array): EndsAndKnown {
  const { certificates, content, signers } = readSignedData(cms);
  const verified = verifyCms(cms, content ? {} : { detached: { digests: {} } });
  const ends = verified.signers.flatMap(({ certificate }) => certificate ?? []);
  const ders = [...certificates];
  for (const { unsignedAttributes } of signers) {
    for (const { bytes } of attributeValues(unsignedAttributes, Oid.signatureTimestamp)) {
      const token = tokenCertificates(bytes);
      ends.push(...token.ends);
      ders.push(...token.known.map(({ der }) => der));
    }
  }
  const known = new Map(
    ders.map((der) => readCertificate(der)).map((each) => [each.fingerprint, each]),
  );
  return { ends, known: [...known.values()] };
}

/** The certificate of a timestamp's authority, and all that the token holds. */
export function tokenCertificates(token: Uint8Array): EndsAndKnown {
  const { certificate, certificates } = verifyTimestamp(token, { digestOf: () => undefined });
  return {
    ends: certificate ? [certificate] : [],
    known: certificates.map((der) => readCertificate(der)),
  };
}

const isSelfSigned = (certificate: Certificate): boolean =>
  certificate.subject.equals(certificate.issuer) &&
  isSignedWith(certificate, certificate.publicKey);
