/**
 * The audit: one line of JSON an event. It is only ever added to, and holds no PIN, OTP, SAD or content of a document. It must
 * be kept for seven years; nothing here deletes.
 *
 * Lines are leaves of a Merkle log (`log.ts`). The log holds the SHA-256 of a line, and each line a salt, so that what is public
 * of the log tells nothing of the lines. `rows` of a line are the versions of the rows that were changed with it. Lines that
 * were written before there was a log form a chain: each has its number, and as `previous` the SHA-256 of the line before.
 */
import { createHash, randomBytes } from "node:crypto";
import { readCheckpointByAny } from "../formats/log/checkpoint.ts";
import type { NoteKey } from "../formats/log/note.ts";
import { leafHash } from "../formats/log/tree.ts";
import { extend, type Tile } from "../formats/log/tiles.ts";

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
  | "secret.in_use"
  | "secret.retired"
  | "log_key.rotated"
  | "audit.exported";

export interface AuditEntry {
  readonly event: AuditEvent;
  readonly [fact: string]: unknown;
}

/** The next line. */
export function auditLine({ event, ...facts }: AuditEntry, now: number): string {
  const salt = randomBytes(16).toString("base64url");
  return JSON.stringify({ time: new Date(now).toISOString(), event, ...facts, salt });
}

/** What the log holds for a line. */
export const entryOf = (line: string): Uint8Array =>
  new Uint8Array(createHash("sha256").update(line).digest());

/** Follows the chain that lines formed before there was a log. */
export class Chain {
  #last = "0".repeat(64);
  #count = 0;
  #isOver = false;

  /** SHA-256 of the last line of the chain, hex. */
  get hash(): string {
    return this.#last;
  }

  /** @returns what is wrong with the line */
  follow(line: string, number: number): string | undefined {
    let value: { seq?: unknown; previous?: unknown };
    try {
      value = JSON.parse(line);
    } catch {
      return `Line ${number} is no JSON.`;
    }
    if (value.previous === undefined) {
      this.#isOver = true;
      return undefined;
    }
    if (this.#isOver || value.seq !== this.#count + 1) return `Line ${number} is out of place.`;
    if (value.previous !== this.#last) return `Line ${number - 1} was changed.`;
    this.#count++;
    this.#last = entryOf(line).toHex();
    return undefined;
  }
}

/** Result of {@linkcode verifyAudit}. */
export interface AuditCheck {
  readonly ok: boolean;
  /** Lines that were read. */
  readonly lines: number;
  /** The root of their tree, hex. */
  readonly root: string;
  readonly problem?: string;
}

/** What lines are compared with. */
export interface Expected {
  /** Signed checkpoints; each must be of a tree that these lines begin with. */
  checkpoints: readonly string[];
  /** The log's key, and those that it had before. */
  keys: readonly NoteKey[];
  /** Stored tiles; each must be what follows from the lines. */
  tiles?: (level: number, number: number) => Promise<Uint8Array>;
}

/** Lines that are hashed at a time. */
const PIECE = 1000;

/**
 * Checks lines from the first on: the chain of the old ones, and that they are what checkpoints were signed for.
 *
 * @throws {FormatError} `log_malformed` where a checkpoint is not signed by the log's key
 */
export async function verifyAudit(
  lines: AsyncIterable<string>,
  { checkpoints, keys, tiles: stored }: Expected,
): Promise<AuditCheck> {
  const expected = checkpoints.map((note) => readCheckpointByAny(note, keys));
  const sizes = new Set(expected.map(({ size }) => size));
  const chain = new Chain();
  const tiles = new Map<string, Tile>();
  let [size, root, piece] = [0, (await extend(() => Promise.reject(), 0, [])).root, [] as string[]];
  const broken = (problem: string): AuditCheck => ({ ok: false, ...now(), problem });
  const now = () => ({ lines: size, root: new Uint8Array(root).toHex() });
  const add = async (): Promise<string | undefined> => {
    const read = (level: number, number: number) =>
      Promise.resolve(tiles.get(`${level}/${number}`)!.hashes);
    const made = await extend(read, size, piece.map((line) => leafHash(entryOf(line))));
    for (const tile of made.tiles) tiles.set(`${tile.level}/${tile.number}`, tile);
    [size, root, piece] = [size + piece.length, made.root, []];
    for (const each of expected) {
      if (each.size === size && each.root.toHex() !== now().root) {
        return `The first ${size} lines are not those that the checkpoint of ${size} was signed for.`;
      }
    }
    return undefined;
  };
  for (const each of expected) {
    if (each.size === 0 && each.root.toHex() !== now().root) {
      return broken("A checkpoint is wrong.");
    }
  }
  for await (const line of lines) {
    const problem = chain.follow(line, size + piece.length + 1);
    if (problem) return broken(problem);
    piece.push(line);
    if (piece.length < PIECE && !sizes.has(size + piece.length)) continue;
    const wrong = await add();
    if (wrong) return broken(wrong);
  }
  const wrong = await add();
  if (wrong) return broken(wrong);
  const longest = Math.max(0, ...sizes);
  if (longest > size) {
    return broken(`Lines at the end are missing: a checkpoint was signed for ${longest}.`);
  }
  for (const { level, number, hashes } of tiles.values()) {
    const there = await stored?.(level, number);
    // more lines may have come meanwhile
    if (there && there.subarray(0, hashes.length).toHex() !== hashes.toHex()) {
      return broken(`The tile ${number} of level ${level} does not fit the lines.`);
    }
  }
  return { ok: true, ...now() };
}
