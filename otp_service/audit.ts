/**
 * The audit: one line of JSON an event, each with the SHA-256 of the line before it, so that no line can be changed, taken
 * out or put in without all later ones telling. It is only ever added to, and holds no PIN, OTP, SAD or content of a
 * document. It must be kept for seven years; nothing here deletes.
 *
 * Its end is sealed with the service's secret (`store_tx.ts`), with the sum of all rows' versions; `rows` of a line are the
 * versions of the rows that were changed with it.
 */
import { createHash } from "node:crypto";

/** Events. Their names are part of the export. */
export type AuditEvent =
  | "person.added"
  | "person.role_changed"
  | "person.enrolment_sent"
  | "person.enrolment_failed"
  | "person.pin_set"
  | "person.pin_changed"
  | "person.warned"
  | "person.locked"
  | "person.unlocked"
  | "person.signed_in"
  | "person.authenticator_set"
  | "credential.added"
  | "authorization.opened"
  | "authorization.ended"
  | "otp.sent"
  | "otp.delivery_failed"
  | "otp.refused"
  | "answer.received"
  | "answer.refused"
  | "authorization.given"
  | "authorization.extended"
  | "sad.used"
  | "sad.refused"
  | "certificate.issued"
  | "certificate.revoked"
  | "signature.made"
  | "signature.failed"
  | "esign.started"
  | "esign.signed"
  | "esign.timestamped"
  | "esign.timestamp_failed"
  | "esign.extended"
  | "esign.failed"
  | "esign.refused"
  | "esign.fetched"
  | "esign.deleted"
  | "client.signed_in"
  | "token.used_again"
  | "rows.sealed"
  | "audit.exported";

export interface AuditEntry {
  readonly event: AuditEvent;
  readonly [fact: string]: unknown;
}

/** The end of the chain. */
export interface AuditHead {
  /** Number of the last line; 0 before the first. */
  readonly seq: number;
  /** SHA-256 of it in hex; zeros before the first. */
  readonly hash: string;
}

export const NO_LINE: AuditHead = { seq: 0, hash: "0".repeat(64) };

/** The next line of the chain. */
export function auditLine(
  head: AuditHead,
  entry: AuditEntry,
  now: number,
): AuditHead & { line: string } {
  const { event, ...facts } = entry;
  const seq = head.seq + 1;
  const time = new Date(now).toISOString();
  const line = JSON.stringify({ seq, time, event, ...facts, previous: head.hash });
  return { seq, hash: createHash("sha256").update(line).digest("hex"), line };
}

/** Result of {@linkcode verifyAudit}. */
export interface AuditCheck {
  readonly ok: boolean;
  /** Lines that are in order. */
  readonly lines: number;
  /** SHA-256 of the last line in order, hex: what an anchor elsewhere is compared with. */
  readonly hash: string;
  readonly problem?: string;
}

/**
 * Checks lines from the first on.
 *
 * @param head the end of the chain as the database has it, if it is known
 */
export async function verifyAudit(
  lines: AsyncIterable<string>,
  head?: AuditHead,
): Promise<AuditCheck> {
  let last = NO_LINE;
  const broken = (problem: string): AuditCheck => ({
    ok: false,
    lines: last.seq,
    hash: last.hash,
    problem,
  });
  for await (const line of lines) {
    let value: { seq?: unknown; previous?: unknown };
    try {
      value = JSON.parse(line);
    } catch {
      return broken(`Line ${last.seq + 1} is no JSON.`);
    }
    if (value.seq !== last.seq + 1) return broken(`Line ${last.seq + 1} is missing.`);
    if (value.previous !== last.hash) return broken(`Line ${last.seq} was changed.`);
    last = { seq: last.seq + 1, hash: createHash("sha256").update(line).digest("hex") };
  }
  if (head && (head.seq !== last.seq || head.hash !== last.hash)) {
    return broken(
      head.seq > last.seq ? "Lines at the end are missing." : `Line ${last.seq} was changed.`,
    );
  }
  return { ok: true, lines: last.seq, hash: last.hash };
}
