/** Information about a credential (CSC API v2.0 §11.5). */
import { readCertificate } from "../formats/x509/certificate.ts";
import { type CredentialInfo, CSC_LIMITS } from "../protocol/csc.ts";
import { algorithmsOf } from "./algorithms.ts";
import { keySpec, schemeOf } from "./keys.ts";
import { isUsable } from "./people.ts";
import type { Credential, PersonRow } from "./rows.ts";
import type { Service } from "./service.ts";

/** A credential in the specification's words. */
export async function describe(
  { store, authority, language, organization }: Service,
  credential: Credential,
  person: PersonRow,
  wanted: { certificates: "none" | "single" | "chain"; certInfo: boolean; authInfo: boolean },
): Promise<CredentialInfo> {
  const { bits, curve } = keySpec(credential.keyType);
  const row = credential.serial === undefined
    ? null
    : await store.read((tx) => tx.certificate(credential.serial!));
  const chain = row ? [row.der, ...authority.issuerOf(row.der).chain] : [];
  const parsed = row && wanted.certInfo ? readCertificate(row.der) : null;
  const time = (date: Date) => date.toISOString().slice(0, 19).replace(/[-:T]/g, "") + "Z";
  return {
    description: `Departmental PIN/OTP signature, ${organization}`.slice(0, 255),
    key: {
      status: isUsable(person) ? "enabled" : "disabled",
      algo: algorithmsOf(schemeOf(credential.keyType)),
      len: bits,
      ...curve && { curve },
    },
    cert: {
      ...row && {
        status: row.revokedAt !== null
          ? "revoked" as const
          : row.notAfter <= store.now()
          ? "expired" as const
          : "valid" as const,
      },
      ...wanted.certificates !== "none" && {
        certificates: chain.slice(0, wanted.certificates === "single" ? 1 : undefined)
          .map((der) => new Uint8Array(der).toBase64()),
      },
      ...parsed && {
        issuerDN: parsed.issuer.toString(),
        serialNumber: row!.serial.toUpperCase(),
        subjectDN: parsed.subject.toString(),
        validFrom: time(parsed.notBefore),
        validTo: time(parsed.notAfter),
      },
    },
    auth: {
      mode: credential.mode,
      ...wanted.authInfo && credential.mode === "explicit" && {
        expression: "PIN AND OTP",
        objects: [
          {
            type: "Password" as const,
            id: "PIN" as const,
            format: "N" as const,
            label: "PIN",
            description: "The signing PIN",
          },
          {
            type: "Password" as const,
            id: "OTP" as const,
            format: "N" as const,
            ...person.person.otp === "totp" && { generator: "totp" },
            label: "OTP",
            description: person.person.otp === "totp"
              ? "The digits of the authenticator app"
              : `The digits sent by ${person.person.otp}`,
          },
        ],
      },
    },
    // Only where PIN and OTP never pass through the portal (EN 419 241-1: sole control, level 2).
    SCAL: credential.mode === "oauth2code" ? "2" : "1",
    multisign: CSC_LIMITS.signatures,
    lang: language,
  };
}
