/** Tokens, the state of their PINs as they report it, and their certificates. */
import {
  type Certificate,
  isSelfIssued,
  signingUse,
  type UnusableReason,
} from "../../formats/x509/certificate.ts";
import { chainOf, find } from "../../signers/certificates.ts";
import type { TokenInfo } from "../../signers/provider.ts";
import { type Finding, ok, skipped, type Ticket } from "./tickets.ts";

export interface InsertedToken {
  token: TokenInfo;
  /** DER; only those that the token shows without a login, or has shown since it was unlocked. */
  certificates: Uint8Array[];
  /** Its driver failed at something. */
  hasProblem: boolean;
}

const TOKEN_TICKETS: readonly Ticket[] = [
  "token_not_initialised",
  "pin_not_set",
  "pin_locked",
  "pin_last_try",
  "pin_few_tries",
  "pin_default",
  "certificate_hidden",
  "certificate_unreadable",
  "certificate_missing",
  "certificate_encryption_only",
  "certificate_not_yet_valid",
  "certificate_expired",
  "chain_incomplete",
];

/**
 * Findings about the inserted tokens.
 *
 * @param works whether any driver could have found a token
 */
export function checkTokens(
  tokens: readonly InsertedToken[],
  works: boolean,
  now: Date,
): Finding[] {
  if (tokens.length === 0) {
    const missing: Finding = works
      ? { id: "token_missing", status: "error" }
      : skipped("token_missing");
    return [missing, ...TOKEN_TICKETS.map(skipped)];
  }
  const findings = tokens.flatMap((token) => [...ofPin(token), ...ofCertificates(token, now)]);
  const isReady = tokens.some(({ token: { state }, certificates }) =>
    !["empty", "pin_not_set", "pin_locked"].includes(state) &&
    certificates.some((der) => isUsable(der, now))
  );
  // If one token can sign, a problem of another is only a warning.
  if (isReady) {
    for (const finding of findings) if (finding.status === "error") finding.status = "warning";
  }
  // Without certificates there is nothing to check.
  const hides = findings.some(({ id }) => id.startsWith("certificate_")) && !isReady;
  const isSeen = (id: Ticket) => !hides || !/^certificate_|^chain_/.test(id);
  const anyInitialised = tokens.some(({ token }) => token.state !== "empty");
  return [
    ok("token_missing"),
    ...TOKEN_TICKETS.flatMap((id) => {
      const found = findings.filter((finding) => finding.id === id);
      if (found.length > 0) return found;
      const isOk = id === "token_not_initialised" || (anyInitialised && isSeen(id));
      return [isOk ? ok(id) : skipped(id)];
    }),
  ];
}

/** Findings for states of a PIN; those of an empty token are about its driver. */
const STATES: Partial<Record<TokenInfo["state"], Pick<Finding, "id" | "status">>> = {
  empty: { id: "token_not_initialised", status: "error" },
  pin_locked: { id: "pin_locked", status: "error" },
  pin_not_set: { id: "pin_not_set", status: "error" },
  pin_final_try: { id: "pin_last_try", status: "warning" },
  pin_low: { id: "pin_few_tries", status: "warning" },
};

function ofPin({ token: { driver, label, state, firstPin } }: InsertedToken): Finding[] {
  const values = { token: label, driver };
  const finding = STATES[state];
  return [
    ...finding ? [{ ...finding, values }] : [],
    ...firstPin ? [{ id: "pin_default", status: "warning", values } as const] : [],
  ];
}

function ofCertificates(inserted: InsertedToken, now: Date): Finding[] {
  const { token, certificates, hasProblem } = inserted;
  if (token.state === "empty") return [];
  const values = { token: token.label };
  const found = certificates.map(find);
  const own = found.filter(({ parsed }) => parsed && parsed.basicConstraints?.ca !== true);
  const isUnread = found.some(({ parsed }) => !parsed);
  if (own.length === 0) {
    if (token.hidesCertificates) return [{ id: "certificate_hidden", status: "warning", values }];
    if (isUnread || hasProblem) return [{ id: "certificate_unreadable", status: "error", values }];
    return [{ id: "certificate_missing", status: "error", values }];
  }
  const findings = ofReadable(token, own, found, now);
  if (isUnread) findings.push({ id: "certificate_unreadable", status: "warning", values });
  return findings;
}

function ofReadable(
  token: TokenInfo,
  own: readonly Found[],
  found: readonly Found[],
  now: Date,
): Finding[] {
  const values = { token: token.label };
  const usable = own.find(({ der }) => isUsable(der, now));
  if (usable) {
    const missing = missingIssuer([usable.der, ...chainOf(usable, found)]);
    if (missing === null) return [];
    return [{
      id: "chain_incomplete",
      status: "warning",
      values: { ...values, issuer: missing },
    }];
  }
  const reasons = own.map(({ parsed }) => ({
    parsed: parsed!,
    reason: signingUse(parsed!, now).reason,
  }));
  const ended = newest(reasons, "certificate_expired");
  if (ended) {
    const date = ended.notAfter.toISOString().slice(0, 10);
    return [{ id: "certificate_expired", status: "error", values: { name: nameOf(ended), date } }];
  }
  const future = newest(reasons, "certificate_not_yet_valid");
  if (future) {
    const date = future.notBefore.toISOString().slice(0, 10);
    return [{
      id: "certificate_not_yet_valid",
      status: "error",
      values: { name: nameOf(future), date },
    }];
  }
  return [{ id: "certificate_encryption_only", status: "error", values }];
}

type Found = ReturnType<typeof find>;

const isUsable = (der: Uint8Array, now: Date) => {
  const { parsed } = find(der);
  return parsed !== null && signingUse(parsed, now).usable;
};

/** Of the certificates that are unusable for this reason, the one that expires last. */
function newest(
  certificates: readonly { parsed: Certificate; reason?: UnusableReason }[],
  reason: UnusableReason,
): Certificate | undefined {
  return certificates.filter((each) => each.reason === reason).map(({ parsed }) => parsed)
    .sort((a, b) => b.notAfter.getTime() - a.notAfter.getTime())[0];
}

/** The missing issuer, unless it is a root: recipients have their own roots. */
function missingIssuer(chain: readonly Uint8Array[]): string | null {
  const last = find(chain.at(-1)!).parsed;
  if (!last || isSelfIssued(last)) return null;
  const issuer = last.issuer.commonName ?? last.issuer.toString();
  // Name of India's root, as set by the Controller of Certifying Authorities.
  return /^CCA India\b/.test(issuer) ? null : issuer;
}

const nameOf = ({ subject }: Certificate) => subject.commonName ?? subject.toString();
