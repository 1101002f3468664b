/** Findings of the verification of one CMS signer. */
import { FormatError } from "../error.ts";

/** Consequence of a finding for the signature. */
export type Severity =
  /** The signature is wrong. */
  | "invalid"
  /** It cannot be told whether it is right. */
  | "indeterminate"
  /** It is right, but a policy may refuse it. */
  | "policy";

const severities = {
  /** The content is not what was signed. */
  digest_mismatch: "invalid",
  /** The signature value is not the key's over the signed attributes. */
  signature_invalid: "invalid",
  /** An attribute that must be there is not (RFC 5652 §5.3). */
  attribute_missing: "invalid",
  /** An attribute that must be there once, with one value, is there more often (§11). */
  attribute_repeated: "invalid",
  attribute_malformed: "invalid",
  /** The content-type attribute names another type than the content has (§11.1). */
  content_type_mismatch: "invalid",
  /** The signing-certificate attribute means another certificate (RFC 5035 §3). */
  signing_certificate_mismatch: "invalid",
  /** The protected algorithms are others than those stated (RFC 6211 §2). */
  algorithm_protection_mismatch: "invalid",
  /** The signer's certificate is neither in the signature nor given. */
  certificate_missing: "indeterminate",
  certificate_malformed: "indeterminate",
  /** The signature is detached and its content, or its digest, was not given. */
  content_missing: "indeterminate",
  algorithm_unsupported: "indeterminate",
  countersignature_malformed: "indeterminate",
  /** Countersignatures beyond 8 levels or 64 in all are not looked at. */
  countersignatures_unchecked: "indeterminate",
  /** SHA-1 or MD5. */
  weak_digest: "policy",
  /** RSA below 2048 bits. */
  weak_key: "policy",
  /** The attributes were digested by another algorithm than the content. */
  digest_algorithms_differ: "policy",
  /** The content's digest is weaker than the key (RFC 9882 §3.3). */
  digest_weaker: "policy",
  /** The signature is over the bare content: no time, type or certificate is bound to it. */
  signed_attributes_absent: "policy",
  /** Nothing signed says which certificate was meant; CAdES and PAdES ask for it. */
  signing_certificate_absent: "policy",
} as const satisfies Record<string, Severity>;

export type CmsFindingCode = keyof typeof severities;

export interface CmsFinding {
  code: CmsFindingCode;
  severity: Severity;
  /** A sentence for people. */
  message: string;
}

/** The worst of the findings; `valid` if none is worse than `policy`. */
export type SignatureStatus = "valid" | "invalid" | "indeterminate";

/** Collects what is found about one signer. */
export class Findings {
  readonly list: CmsFinding[] = [];

  add(code: CmsFindingCode, message: string): void {
    this.list.push({ code, severity: severities[code], message });
  }

  /** Runs a reading or checking step; its typed error becomes a finding. */
  attempt<T>(code: CmsFindingCode, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const unsupported = error.code === "algorithm_unsupported";
      this.add(unsupported ? "algorithm_unsupported" : code, error.message);
      return undefined;
    }
  }

  get status(): SignatureStatus {
    const has = (severity: Severity) => this.list.some((each) => each.severity === severity);
    return has("invalid") ? "invalid" : has("indeterminate") ? "indeterminate" : "valid";
  }
}
