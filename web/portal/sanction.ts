/** Messages between the sample portal's Technical Sanction pages and their server. */

/** `POST /api/sanctions` → {@linkcode SanctionView} */
export interface SanctionDraft {
  project: string;
  scheme: string;
  /** Rupees, as people write it. */
  amount: string;
}

/**
 * `GET /api/sanctions/ID`; its file is `/sanctions/ID.pdf`. `POST /api/sanctions/ID/otp` and `…/esign` give the
 * {@linkcode Leave} to the PIN/OTP service or to the eSign service provider; `PUT /api/sanctions/ID/pdf` takes the file that a token has signed.
 */
export interface SanctionView extends SanctionDraft {
  id: string;
  number: string;
  /** RFC 3339. */
  date: string;
  /** Bytes. */
  size: number;
  verifyUrl: string;
  /** Whether an eSign service provider can sign it. */
  hasEsign: boolean;
  signatures: SanctionSignature[];
}

/** One signature, as the portal's server has verified it just now. */
export interface SanctionSignature {
  name: string;
  /** Its legal kind; `unknown` unless the certificate proves it. */
  kind: "departmental" | "token_dsc" | "esign" | "document_signer" | "unknown";
  level: string | null;
  indication: "TOTAL-PASSED" | "TOTAL-FAILED" | "INDETERMINATE";
  /** RFC 3339. */
  time: string | null;
  /** Whether `time` is proven by a timestamp. */
  isProven: boolean;
  reason: string | null;
  findings: string[];
  /** Where it stands in the log of the department's service, by its receipt `/sanctions/ID.receipt`. */
  logged?: { log: string; number: number; of: number };
}

export interface Leave {
  location: string;
}

/** Body of every failed answer. */
export interface Refusal {
  message: string;
}
