/**
 * The audit log: what was asked for in this person's name, and what came of it. One JSON object a line, in files that
 * are only ever added to; each line carries the hash of the one before it, so that a line that is changed, taken out or
 * put in is found. It holds no PIN, no OTP and nothing of a document but its name and hash.
 *
 * It cannot show that somebody with write access cut off its end: to detect that, record the last hash
 * elsewhere.
 */
import { hash as digest } from "node:crypto";
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import * as z from "zod";
import canonicalize from "canonicalize";
import { isWellFormed } from "../protocol/envelope.ts";
import { type ErrorCode } from "../protocol/errors.ts";
import { DsignError } from "../protocol/errors.ts";
import { Scope } from "../protocol/methods.ts";
import { writeAllSync } from "../settings/files.ts";

const log = getLogger(["dsign", "audit"]);

const hex = z.string().regex(/^[0-9a-f]{64}$/);

/** The event. */
const Event = z.strictObject({
  /**
   * `sign`: a signature was asked for; `grant`, `revoke`: what a site may do was changed; `unlock`, `change_pin`: a
   * token's PIN was asked for, to see its certificates or to change it.
   */
  action: z.enum(["sign", "authenticate", "grant", "revoke", "unlock", "change_pin"]),
  /** Web origin; null: the command line. */
  origin: z.string().nullable(),
  /** As in `PAdES B-T`; for `sign`. */
  format: z.string().optional(),
  documents: z.array(z.strictObject({
    name: z.string(),
    /** As in `SHA-256`, and hexadecimal digits. */
    algorithm: z.string(),
    hash: z.string(),
  })).optional(),
  /** How many documents there were, where not all are listed. */
  documentCount: z.int().optional(),
  /** Of a batch: SHA-256 of its list, to which the person agreed; and how many of it were signed at its end. */
  manifest: hex.optional(),
  signed: z.int().optional(),
  certificate: z.strictObject({ id: hex, name: z.string() }).optional(),
  /** Of the second key, which signed the whole signed file. */
  also: z.strictObject({ id: hex, name: z.string() }).optional(),
  scopes: z.array(Scope).optional(),
  /** For `unlock` and `change_pin`. */
  token: z.strictObject({ uri: z.string(), label: z.string() }).optional(),
  /** `done`; `begun`: signatures of a batch go out from here on; or the error code. */
  outcome: z.string(),
});
export type AuditEvent = z.output<typeof Event> & { outcome: "done" | "begun" | ErrorCode };

/** One line. `hash`: SHA-256 of the canonical form (RFC 8785) of all its other members. */
const Entry = Event.extend({
  number: z.int().min(1),
  time: z.iso.datetime(),
  previous: hex,
  hash: hex,
});
export type AuditEntry = z.output<typeof Entry>;

/** `previous` of the first line. */
const BEGINNING = "0".repeat(64);

/** Documents of one event that are listed; of larger batches the list, whose hash is here, is kept by whoever asked. */
const MAX_LISTED = 100;

/** A file that is as long as this many bytes is followed by another. */
const MAX_SIZE = 8 * 1024 * 1024;

/** Milliseconds between two flushes. */
const FLUSH_INTERVAL = 100;

const FILE = /^(\d{6})\.jsonl$/;
const fileName = (number: number) => `${String(number).padStart(6, "0")}.jsonl`;

/** End of the chain. */
interface Tip {
  file: number;
  size: number;
  number: number;
  hash: string;
}

interface Waiting {
  event: AuditEvent;
  time: Date;
  done: PromiseWithResolvers<void>;
}

export class Audit {
  #tip: Tip | undefined;
  /** The newest file, open; undefined before it is known which that is. */
  #log: Deno.FsFile | undefined;
  /** Kept open, since opening it takes longer than the rest of a line. */
  #lockFile: Deno.FsFile | undefined;
  #waiting: Waiting[] = [];
  #writing = false;
  #flushing = false;
  #unflushed: Deno.FsFile | undefined;

  /**
   * @param folder this user's alone; several programs may write to it at a time
   * @param maxSize bytes after which a file is followed by another
   */
  constructor(
    readonly folder: string,
    readonly now: () => Date = () => new Date(),
    readonly maxSize = MAX_SIZE,
  ) {}

  /**
   * Adds a line. It resolves when the system has the line, which then outlives this program: before that, nothing that
   * it speaks of may be given out. The disk is flushed right after, so that only a power cut can cost the last lines.
   *
   * @throws {DsignError} `storage_failed`
   */
  record(event: AuditEvent): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ event: shortened(event), time: this.now(), done });
    if (!this.#writing) this.#write();
    return done.promise;
  }

  /** Lets go of the files. What is recorded later opens them again. */
  close(): void {
    if (this.#log && this.#unflushed === this.#log) this.#log.syncDataSync();
    this.#log?.close();
    this.#lockFile?.close();
    this.#log = this.#lockFile = this.#tip = undefined;
  }

  /** Writes in one go all lines queued while the previous write ran. */
  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        await this.#append(batch);
        for (const { done } of batch) done.resolve();
      } catch (error) {
        this.close();
        log.error("The audit log cannot be written: {error}", { error });
        const failure = new DsignError("storage_failed", "The audit log cannot be written.", {
          cause: String(error),
        });
        for (const { done } of batch) done.reject(failure);
      }
    }
    this.#writing = false;
  }

  async #append(batch: readonly Waiting[]): Promise<void> {
    const lock = await this.#lock();
    // Synchronous on purpose: a hop to another thread costs as much as the write.
    try {
      let tip = this.#unchanged() ?? await this.#current();
      if (tip.size >= this.maxSize) tip = { ...tip, file: tip.file + 1, size: 0 };
      if (!this.#log || tip !== this.#tip) {
        this.#log?.close();
        this.#log = Deno.openSync(join(this.folder, fileName(tip.file)), {
          create: true,
          append: true,
          mode: 0o600,
        });
      }
      let text = "";
      let { number, hash } = tip;
      for (const { event, time } of batch) {
        const line = canonicalLine(event, ++number, time.toISOString(), hash);
        hash = digest("sha256", line, "hex");
        text += `${line.slice(0, -1)},"hash":"${hash}"}\n`;
      }
      const bytes = new TextEncoder().encode(text);
      writeAllSync(this.#log, bytes);
      this.#tip = { file: tip.file, size: tip.size + bytes.length, number, hash };
      this.#flush(this.#log);
    } finally {
      this.#unlock(lock);
    }
  }

  /** Closing lets go of it too, where the system cannot unlock it: Wine refuses a second time, and Deno tries twice. */
  #unlock(lock: Deno.FsFile): void {
    try {
      lock.unlockSync();
    } catch {
      lock.close();
      this.#lockFile = undefined;
    }
  }

  /** Keeps other programs from writing. The system lets go of it with the process, however that ends. */
  async #lock(): Promise<Deno.FsFile> {
    if (!this.#lockFile) await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
    for (;;) {
      const lock = this.#lockFile ??= Deno.openSync(join(this.folder, "lock"), {
        create: true,
        write: true,
        mode: 0o600,
      });
      if (!lock.tryLockSync(true)) await lock.lock(true);
      // One that was removed meanwhile keeps nobody away any more.
      if (lock.statSync().nlink !== 0) return lock;
      lock.close();
      this.#lockFile = undefined;
    }
  }

  /** Where the chain stood, if nobody else has written since: a file is left only once it is full. */
  #unchanged(): Tip | undefined {
    const tip = this.#tip;
    if (!tip || !this.#log || tip.size >= this.maxSize) return undefined;
    const { size, nlink } = this.#log.statSync();
    return size === tip.size && nlink !== 0 ? tip : undefined;
  }

  /** The first line is flushed at once; those that follow it soon are flushed together. */
  async #flush(file: Deno.FsFile): Promise<void> {
    this.#unflushed = file;
    if (this.#flushing) return;
    this.#flushing = true;
    while (this.#unflushed) {
      const unflushed = this.#unflushed;
      this.#unflushed = undefined;
      try {
        await unflushed.syncData();
      } catch (error) {
        // One that was closed in the meantime is left to the system.
        if (error instanceof Deno.errors.BadResource) continue;
        log.error("The audit log cannot be flushed: {error}", { error });
      }
      await new Promise<void>((resolve) => Deno.unrefTimer(setTimeout(resolve, FLUSH_INTERVAL)));
    }
    this.#flushing = false;
  }

  /** The end of the chain; what a program that was killed left of a line is cut off first. The lock is held. */
  async #current(): Promise<Tip> {
    const numbers = await this.#numbers();
    const file = numbers.at(-1);
    if (file === undefined) return { file: 1, size: 0, number: 0, hash: BEGINNING };
    const path = join(this.folder, fileName(file));
    const bytes = await Deno.readFile(path);
    const whole = bytes.lastIndexOf(0x0a) + 1;
    if (whole < bytes.length) {
      // It was never acknowledged, so nothing of what it spoke of was given out.
      log.warn("The last line of the audit log was not written to its end: it is removed.");
      await Deno.truncate(path, whole);
    }
    const last = lastEntry(bytes.subarray(0, whole));
    if (last) return { file, size: whole, number: last.number, hash: last.hash };
    // A file that was begun and never written to.
    if (whole > 0) throw new Error(`the last line of ${path} is damaged`);
    const before = numbers.at(-2);
    if (before === undefined) return { file, size: 0, number: 0, hash: BEGINNING };
    const ended = lastEntry(await Deno.readFile(join(this.folder, fileName(before))));
    if (!ended) throw new Error(`the last line of ${fileName(before)} cannot be read`);
    return { file, size: 0, number: ended.number, hash: ended.hash };
  }

  /** Numbers of the files there are, in order. */
  async #numbers(): Promise<number[]> {
    const numbers: number[] = [];
    try {
      for await (const { name } of Deno.readDir(this.folder)) {
        const match = FILE.exec(name);
        if (match) numbers.push(Number(match[1]));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return numbers.sort((a, b) => a - b);
  }

  /**
   * The newest entries, newest first, as far as they can be read; they are not checked.
   *
   * @param before only entries with lower numbers
   */
  async newest(count: number, before = Infinity): Promise<AuditEntry[]> {
    const found: AuditEntry[] = [];
    for (const file of (await this.#numbers()).reverse()) {
      const text = await Deno.readTextFile(join(this.folder, fileName(file)));
      for (const line of text.split("\n").reverse()) {
        const entry = parseLine(line);
        if (entry && entry.number < before) found.push(entry);
        if (found.length === count) return found;
      }
    }
    return found;
  }

  /** Checks the whole chain. */
  async verify(): Promise<AuditReport> {
    const report: AuditReport = { first: 0, entries: 0, last: BEGINNING, torn: false, fault: null };
    let previous: string | null = null;
    for (const file of await this.#numbers()) {
      const text = await Deno.readTextFile(join(this.folder, fileName(file)));
      const lines = text.split("\n");
      const rest = lines.pop();
      report.torn = rest !== "";
      for (const [index, line] of lines.entries()) {
        const entry = parseLine(line);
        const where = { file: fileName(file), line: index + 1 };
        const faulty = (why: AuditFault["why"]) => ({ ...report, fault: { ...where, why } });
        if (!entry || !isWellFormed(line)) return faulty("unreadable");
        const { hash, ...rest } = entry;
        if (hashOf(rest) !== hash) return faulty("changed");
        // Older files may have been put away: then the chain begins with the first that is left.
        if (previous === null) {
          report.first = entry.number;
          if (entry.number === 1 && entry.previous !== BEGINNING) return faulty("broken");
        } else if (
          entry.previous !== previous || entry.number !== report.first + report.entries
        ) return faulty("broken");
        previous = report.last = hash;
        report.entries++;
      }
    }
    return report;
  }
}

export interface AuditFault {
  file: string;
  /** Counted from 1. */
  line: number;
  /** `changed`: the line's own hash is wrong. `broken`: it does not follow the one before it. */
  why: "unreadable" | "changed" | "broken";
}

export interface AuditReport {
  /** Number of the first entry; 1 unless older files were put away. */
  first: number;
  /** How many are sound and follow each other. */
  entries: number;
  /** Hash of the last of them. */
  last: string;
  /** The last line was not written to its end; the next entry takes its place. */
  torn: boolean;
  fault: AuditFault | null;
}

function hashOf(line: Omit<AuditEntry, "hash">): string {
  return digest("sha256", canonicalize(line)!, "hex");
}

function parseLine(line: string): AuditEntry | null {
  try {
    return Entry.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

function lastEntry(bytes: Uint8Array): AuditEntry | null {
  const end = bytes.length - 1;
  const start = bytes.lastIndexOf(0x0a, end - 1) + 1;
  return end < 0 ? null : parseLine(new TextDecoder().decode(bytes.subarray(start, end)));
}

/**
 * The canonical form (RFC 8785) of a line, which JSON.stringify writes where the members come in order.
 * Names of files and in certificates may hold half of a character, which no hash is computed over.
 */
function canonicalLine(event: AuditEvent, number: number, time: string, previous: string): string {
  const { action, also, certificate, documentCount, documents, format, manifest } = event;
  const { origin, outcome, scopes, signed, token } = event;
  const named = (certificate: AuditEvent["certificate"]) =>
    certificate && { id: certificate.id, name: certificate.name };
  const text = JSON.stringify(
    {
      action,
      also: named(also),
      certificate: named(certificate),
      documentCount,
      documents: documents?.map(({ algorithm, hash, name }) => ({ algorithm, hash, name })),
      format,
      manifest,
      number,
      origin,
      outcome,
      previous,
      scopes,
      signed,
      time,
      token: token && { label: token.label, uri: token.uri },
    } satisfies Record<Exclude<keyof AuditEntry, "hash">, unknown>,
  );
  // JSON.stringify escapes no other characters above the control characters.
  if (!text.includes("\\ud")) return text;
  const whole = (_: string, value: unknown) =>
    typeof value === "string" ? value.toWellFormed() : value;
  return JSON.stringify(JSON.parse(text, whole));
}

function shortened(event: AuditEvent): AuditEvent {
  const { documents = [] } = event;
  if (documents.length <= MAX_LISTED) return event;
  return {
    ...event,
    documents: documents.slice(0, MAX_LISTED),
    documentCount: documents.length,
  };
}
