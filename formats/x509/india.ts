/**
 * Reads the fields that India's PKI puts into certificates (CCA, Interoperability Guidelines for Digital Signature
 * Certificates). It only reports what the certificate states: a court decides whether a signature is valid in law, and
 * path validation whether the certificate is genuine.
 */
import { digest } from "../digest.ts";
import type { Certificate } from "./certificate.ts";

const CCA = "2.16.356.100.2";
/** Document signer certificates, issued to organisations. */
const DOCUMENT_SIGNER = "2.16.356.100.10.1";
/** Identifier for examples (ITU-T X.660), used by the guides and the demonstration. */
const EXAMPLE_POLICIES = ["2.999.6.1"];

/** Root certificates of India's PKI, by the SHA-256 of the certificate. */
const ROOTS: Readonly<Record<string, string>> = {
  "9a3fd3176798e842ddcb12c262f11cfacca70a8b84c6ea6fda30842a95a94cd8": "CCA India 2022",
};

/**
 * Which known root a certificate is.
 *
 * @returns its name; knowing a root is no reason to trust it
 */
export const knownRoot = ({ fingerprint }: Certificate): string | undefined => ROOTS[fingerprint];

/** Whether a name belongs to a root of India's Controller of Certifying Authorities. */
export const isOfCca = (name: string): boolean => /\bCCA India\b/.test(name);

const classes: Readonly<Record<string, 1 | 2 | 3>> = {
  [`${CCA}.1`]: 1,
  [`${CCA}.2`]: 2,
  [`${CCA}.3`]: 3,
};

/**
 * Kind of signature a certificate gives.
 * - `token_dsc`: a certificate of class 1 to 3, whose key belongs to the person for its lifetime
 * - `esign`: made by an eSign service provider for one transaction after eKYC
 * - `document_signer`: of an organisation, whose systems sign with it
 * - `departmental`: made by a department's own PIN/OTP service, outside the CCA's hierarchy
 * - `unknown`: the certificate says none of these
 */
export type SignatureKind =
  | "token_dsc"
  | "esign"
  | "document_signer"
  | "departmental"
  | "unknown";

export interface IndiaFacts {
  /** Highest class among the certificate's policies. */
  readonly class?: 1 | 2 | 3;
  readonly kind: SignatureKind;
  /** How the person was identified, for eSign certificates. */
  readonly eKyc?: "otp" | "other";
  /** Whether the subject has a serialNumber that can be compared with a PAN. */
  readonly hasPanHash: boolean;
}

/**
 * Reads India's facts.
 *
 * @param departmentalPolicies policy identifiers of departments' own PIN/OTP services, as their
 *   configuration says; they cannot be known in advance
 */
export function indiaFacts(
  certificate: Certificate,
  departmentalPolicies: readonly string[] = EXAMPLE_POLICIES,
): IndiaFacts {
  const policies = certificate.policies ?? [];
  const found = policies.flatMap((policy) => classes[policy] ?? []);
  const eKyc = policies.map(eKycOf).find((each) => each !== undefined);
  return {
    class: found.length > 0 ? Math.max(...found) as 1 | 2 | 3 : undefined,
    kind: policies.some((policy) => departmentalPolicies.includes(policy))
      ? "departmental"
      : eKyc
      ? "esign"
      : policies.includes(DOCUMENT_SIGNER)
      ? "document_signer"
      : found.length > 0
      ? "token_dsc"
      : "unknown",
    eKyc,
    hasPanHash: panHash(certificate) !== undefined,
  };
}

/** The arc under which the eSign service's certificates are: the person was identified by eKYC. */
function eKycOf(policy: string): "otp" | "other" | undefined {
  return policy === `${CCA}.4.1` ? "otp" : policy.startsWith(`${CCA}.4.`) ? "other" : undefined;
}

function panHash(certificate: Certificate): string | undefined {
  const serial = certificate.subject.text("serialNumber");
  return serial && /^[0-9a-f]{64}$/i.test(serial) ? serial.toLowerCase() : undefined;
}

/**
 * Whether the certificate belongs to the holder of a PAN: the subject's serialNumber is the SHA-256
 * of the PAN in hex.
 *
 * @param pan ten characters, or their SHA-256 in hex; spaces around it and lower case are forgiven
 * @returns `undefined` if the certificate has nothing to compare with
 */
export function panMatches(certificate: Certificate, pan: string): boolean | undefined {
  const expected = panHash(certificate);
  if (expected === undefined) return undefined;
  const normal = pan.trim().toUpperCase();
  const hash = normal.length === 64
    ? normal.toLowerCase()
    : digest("SHA-256", new TextEncoder().encode(normal)).toHex();
  return hash === expected;
}
