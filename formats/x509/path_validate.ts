/** Validation of one certification path (RFC 5280 §6.1), without revocation. */
import { FormatError } from "../error.ts";
import { nameConstraintsViolation } from "./name_constraints.ts";
import { anyPolicy, PolicyGraph } from "./policy_tree.ts";
import { type PathFailure, pathFailure } from "./path_failure.ts";
import { inheritParameters, type PublicKey } from "../keys/public_key.ts";
import { readSignatureAlgorithm } from "../keys/algorithm.ts";
import { isSignedWith } from "./signed.ts";
import { type Certificate, isSelfIssued } from "./certificate.ts";
import { extensionIds, keyPurposes, type NameConstraints } from "./extensions.ts";

/** The caller's demands on a path (RFC 5280 §6.1.1). */
export interface PathInputs {
  /** Every certificate must be valid at this time. */
  readonly at: Date;
  /** Policies that the caller accepts, dotted; absent: any. */
  readonly initialPolicies?: readonly string[];
  /** One of {@link initialPolicies} must be valid for the whole path. */
  readonly requireExplicitPolicy?: boolean;
  readonly inhibitPolicyMapping?: boolean;
  readonly inhibitAnyPolicy?: boolean;
  /** Purpose (dotted) that the end certificate must allow, if it has an extKeyUsage. */
  readonly purpose?: string;
  /**
   * SHA-1 and keys that are too short: RSA and DSA below 2048 bits, EC below 256. Refused unless
   * `"accept"`.
   */
  readonly weakAlgorithms?: "refuse" | "accept";
}

/** A path that is valid but for revocation. */
export interface ValidPath {
  /** From the certificate that the anchor issued down to the end certificate. */
  readonly certificates: readonly Certificate[];
  readonly anchor: Certificate;
  /** Key of the end certificate, with parameters that it may inherit. */
  readonly publicKey: PublicKey;
  /** Key that signed each of {@link certificates}. */
  readonly issuerKeys: readonly PublicKey[];
  /** Policies valid for the whole path; may be empty. */
  readonly policies: readonly string[];
}

/** Extensions that are processed here or with revocation; others must not be critical. */
const processed: ReadonlySet<string> = new Set([
  extensionIds.keyUsage,
  extensionIds.subjectAltName,
  extensionIds.basicConstraints,
  extensionIds.nameConstraints,
  extensionIds.cRLDistributionPoints,
  extensionIds.certificatePolicies,
  extensionIds.policyMappings,
  extensionIds.policyConstraints,
  extensionIds.extKeyUsage,
  extensionIds.inhibitAnyPolicy,
]);

/** State of the algorithm, named as in RFC 5280 §6.1.2. */
interface State {
  workingPublicKey: PublicKey;
  workingIssuer: Certificate;
  maxPathLength: number;
  explicitPolicy: number;
  policyMapping: number;
  inhibitAnyPolicy: number;
  readonly constraints: NameConstraints[];
  readonly policies: PolicyGraph;
}

/**
 * Validates a path (RFC 5280 §6.1).
 *
 * @param anchor gives name and key; its own validity and constraints are not looked at (§6.1.1 d)
 * @param certificates from the one that the anchor issued down to the end certificate, at least one
 */
export function validatePath(
  anchor: Certificate,
  certificates: readonly Certificate[],
  inputs: PathInputs,
): ValidPath | PathFailure {
  const unlimited = certificates.length + 1;
  const state: State = {
    workingPublicKey: anchor.publicKey,
    workingIssuer: anchor,
    maxPathLength: certificates.length,
    explicitPolicy: inputs.requireExplicitPolicy ? 0 : unlimited,
    policyMapping: inputs.inhibitPolicyMapping ? 0 : unlimited,
    inhibitAnyPolicy: inputs.inhibitAnyPolicy ? 0 : unlimited,
    constraints: [],
    policies: new PolicyGraph(),
  };
  const issuerKeys: PublicKey[] = [];
  for (const [index, certificate] of certificates.entries()) {
    const final = index === certificates.length - 1;
    issuerKeys.push(state.workingPublicKey);
    const failure = checkCertificate(certificate, final, state, inputs) ??
      (final ? checkEnd(certificate, state, inputs) : prepareNext(certificate, state));
    if (failure) return failure;
    state.workingPublicKey = inheritParameters(certificate.publicKey, state.workingPublicKey);
    state.workingIssuer = certificate;
  }
  const end = certificates[certificates.length - 1];
  const policies = state.policies.validPolicies(inputs.initialPolicies ?? [anyPolicy]);
  if (state.explicitPolicy === 0 && policies.length === 0) {
    return pathFailure("policy", end, "is not valid for any policy that is asked for");
  }
  return { certificates, anchor, publicKey: state.workingPublicKey, issuerKeys, policies };
}

/** §6.1.3 Basic Certificate Processing. */
function checkCertificate(
  certificate: Certificate,
  final: boolean,
  state: State,
  inputs: PathInputs,
): PathFailure | undefined {
  if (!certificate.issuer.equals(state.workingIssuer.subject)) {
    return pathFailure("name_chaining", certificate, "was not issued by the authority above it");
  }
  const failure = checkSignature(certificate, state.workingPublicKey, inputs);
  if (failure) return failure;
  const untimely = outsideValidity(certificate, inputs.at);
  if (untimely) return untimely;
  const selfIssued = isSelfIssued(certificate);
  if (final || !selfIssued) {
    const violation = nameConstraintsViolation(certificate, state.constraints);
    if (violation) return pathFailure("name_constraints", certificate, violation);
  }
  const anyAllowed = state.inhibitAnyPolicy > 0 || (!final && selfIssued);
  state.policies.add(certificate.policies, anyAllowed);
  if (state.explicitPolicy === 0 && state.policies.isEmpty) {
    return pathFailure("policy", certificate, "has no policy that its authority may give");
  }
  const unknown = unknownCriticalExtension(certificate);
  return unknown
    ? pathFailure(
      "critical_extension",
      certificate,
      `has a critical extension (${unknown}) that is not understood`,
    )
    : undefined;
}

/** Identifier of a critical extension that is not processed, if there is one (§4.2). */
export function unknownCriticalExtension(certificate: Certificate): string | undefined {
  for (const [id, { critical }] of certificate.extensions) {
    if (critical && !processed.has(id)) return id;
  }
  return undefined;
}

/** The failure if a certificate is not valid at a time. Both bounds belong to the validity (§4.1.2.5). */
export function outsideValidity(certificate: Certificate, at: Date): PathFailure | undefined {
  const { notBefore, notAfter } = certificate;
  if (at < notBefore) {
    const message = `is not valid before ${notBefore.toISOString()}`;
    return pathFailure("certificate_not_yet_valid", certificate, message);
  }
  if (at > notAfter) {
    const message = `expired on ${notAfter.toISOString()}`;
    return pathFailure("certificate_expired", certificate, message);
  }
  return undefined;
}

function checkSignature(
  certificate: Certificate,
  issuerKey: PublicKey,
  inputs: PathInputs,
): PathFailure | undefined {
  try {
    const algorithm = readSignatureAlgorithm(certificate.signatureAlgorithm);
    if (inputs.weakAlgorithms !== "accept") {
      if (algorithm.hash === "SHA-1" || isShort(issuerKey)) {
        return pathFailure("algorithm_weak", certificate, "is signed in a way that is too weak");
      }
      if (isShort(certificate.publicKey)) {
        return pathFailure("algorithm_weak", certificate, "has a key that is too short");
      }
    }
    return isSignedWith(certificate, issuerKey)
      ? undefined
      : pathFailure("signature_invalid", certificate, "does not have a valid signature");
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const reason = error.message.replace(/\.$/, "");
    return pathFailure("algorithm_unsupported", certificate, `cannot be checked: ${reason}`);
  }
}

/** Whether a key is shorter than accepted today (SOG-IS, NIST SP 800-131A). */
function isShort({ type, bits }: PublicKey): boolean {
  if (type === "unknown" || type === "ml-dsa") return false; // unusable; without short variants
  return type === "ec" || type === "ed25519" ? bits > 0 && bits < 256 : bits < 2048;
}

/** §6.1.4 Preparation for the next certificate: this one must be an authority's. */
function prepareNext(certificate: Certificate, state: State): PathFailure | undefined {
  const { policyMappings, policyConstraints, nameConstraints, basicConstraints } = certificate;
  if (policyMappings) {
    if (policyMappings.some(({ issuer, subject }) => [issuer, subject].includes(anyPolicy))) {
      return pathFailure("policy_mapping", certificate, "maps a policy from or to anyPolicy");
    }
    state.policies.map(policyMappings, state.policyMapping > 0);
  }
  if (nameConstraints) state.constraints.push(nameConstraints);
  const selfIssued = isSelfIssued(certificate);
  if (!selfIssued) {
    state.explicitPolicy = Math.max(0, state.explicitPolicy - 1);
    state.policyMapping = Math.max(0, state.policyMapping - 1);
    state.inhibitAnyPolicy = Math.max(0, state.inhibitAnyPolicy - 1);
  }
  const { requireExplicitPolicy = Infinity, inhibitPolicyMapping = Infinity } = policyConstraints ??
    {};
  state.explicitPolicy = Math.min(state.explicitPolicy, requireExplicitPolicy);
  state.policyMapping = Math.min(state.policyMapping, inhibitPolicyMapping);
  state.inhibitAnyPolicy = Math.min(
    state.inhibitAnyPolicy,
    certificate.inhibitAnyPolicy ?? Infinity,
  );
  if (certificate.version !== 3 || !basicConstraints?.ca) {
    return pathFailure("not_a_ca", certificate, "is not that of a certification authority");
  }
  if (!selfIssued) {
    if (state.maxPathLength === 0) {
      return pathFailure("path_length", certificate, "stands deeper than the path may be long");
    }
    state.maxPathLength--;
  }
  state.maxPathLength = Math.min(state.maxPathLength, basicConstraints.pathLength ?? Infinity);
  if (certificate.keyUsage && !certificate.keyUsage.has("keyCertSign")) {
    return pathFailure("key_usage", certificate, "may not be used to sign certificates");
  }
  return undefined;
}

/** §6.1.5 Wrap-up, and the purpose. */
function checkEnd(
  certificate: Certificate,
  state: State,
  inputs: PathInputs,
): PathFailure | undefined {
  state.explicitPolicy = Math.max(0, state.explicitPolicy - 1);
  if (certificate.policyConstraints?.requireExplicitPolicy === 0) state.explicitPolicy = 0;
  const { purpose } = inputs;
  const { extKeyUsage } = certificate;
  if (
    purpose && extKeyUsage && !extKeyUsage.includes(purpose) &&
    !extKeyUsage.includes(keyPurposes.any)
  ) return pathFailure("key_purpose", certificate, "may not be used for this purpose");
  return undefined;
}
