/** Why a certificate is not trusted, in the terms of EN 319 102-1. */
import type { Certificate } from "./certificate.ts";

/** Sub-indications of EN 319 102-1 §5.1.3 that certificate validation can give. */
export type SubIndication =
  | "NO_CERTIFICATE_CHAIN_FOUND"
  | "CERTIFICATE_CHAIN_GENERAL_FAILURE"
  | "CHAIN_CONSTRAINTS_FAILURE"
  | "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
  | "OUT_OF_BOUNDS_NOT_REVOKED"
  | "OUT_OF_BOUNDS_NO_POE"
  | "REVOKED_NO_POE"
  | "REVOKED_CA_NO_POE"
  | "TRY_LATER";

/** The exact failure. */
export type PathFailureCode =
  | "no_issuer"
  | "limit_exceeded"
  | "name_chaining"
  | "signature_invalid"
  | "algorithm_unsupported"
  | "algorithm_weak"
  | "certificate_expired"
  | "certificate_not_yet_valid"
  | "not_a_ca"
  | "path_length"
  | "key_usage"
  | "key_purpose"
  | "critical_extension"
  | "name_constraints"
  | "policy"
  | "policy_mapping"
  | "revocation_unknown"
  | "certificate_on_hold"
  | "certificate_revoked";

const subIndications: Readonly<Record<PathFailureCode, SubIndication>> = {
  no_issuer: "NO_CERTIFICATE_CHAIN_FOUND",
  limit_exceeded: "CERTIFICATE_CHAIN_GENERAL_FAILURE",
  name_chaining: "CERTIFICATE_CHAIN_GENERAL_FAILURE",
  signature_invalid: "CERTIFICATE_CHAIN_GENERAL_FAILURE",
  algorithm_unsupported: "CERTIFICATE_CHAIN_GENERAL_FAILURE",
  algorithm_weak: "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
  certificate_expired: "OUT_OF_BOUNDS_NO_POE",
  certificate_not_yet_valid: "OUT_OF_BOUNDS_NO_POE",
  not_a_ca: "CHAIN_CONSTRAINTS_FAILURE",
  path_length: "CHAIN_CONSTRAINTS_FAILURE",
  key_usage: "CHAIN_CONSTRAINTS_FAILURE",
  key_purpose: "CHAIN_CONSTRAINTS_FAILURE",
  critical_extension: "CHAIN_CONSTRAINTS_FAILURE",
  name_constraints: "CHAIN_CONSTRAINTS_FAILURE",
  policy: "CHAIN_CONSTRAINTS_FAILURE",
  policy_mapping: "CHAIN_CONSTRAINTS_FAILURE",
  revocation_unknown: "TRY_LATER",
  certificate_on_hold: "TRY_LATER",
  certificate_revoked: "REVOKED_NO_POE",
};

/** Why a certificate is not trusted. */
export interface PathFailure {
  readonly code: PathFailureCode;
  readonly subIndication: SubIndication;
  /** The certificate of the path that failed. */
  readonly certificate: Certificate;
  /** A sentence for people. */
  readonly message: string;
}

/** @param message what follows the certificate's name in the sentence */
export function pathFailure(
  code: PathFailureCode,
  certificate: Certificate,
  message: string,
  subIndication: SubIndication = subIndications[code],
): PathFailure {
  const name = certificate.subject.commonName ?? certificate.subject.toString();
  return { code, subIndication, certificate, message: `The certificate of "${name}" ${message}.` };
}
