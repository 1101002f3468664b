/**
 * Records which items of a batch are signed, so that an interrupted batch resumes without signing anything
 * twice: each result is recorded before it is returned.
 *
 * The file is a row of records: item, length of the field's name, length of the result (4 bytes each, big-endian), the
 * name (UTF-8), the result, and the SHA-256 of all of these. A record that is not whole is the last, and is cut off.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { sameBytes } from "../formats/x509/certificate.ts";
import { DsignError } from "../protocol/errors.ts";

const HEADER = 12;
const HASH = 32;
/** No result is larger; a length beyond it is damage. */
const MAX_RESULT = 256 * 1024 * 1024;
/** Journals that nobody came back to are removed after this time, in milliseconds. */
const KEPT = 30 * 24 * 3600_000;
/** Written records are on the disk after at most this time, in milliseconds. */
const SYNC_EVERY = 1000;

/** Result of one item. */
export interface Signed {
  /** Name of the signed field; empty where there is none. */
  field: string;
  /** Bytes appended to the PDF, or the detached CMS. */
  bytes: Uint8Array;
}

/** A page that went away and came back: the item under way ends its first batch within this, in milliseconds. */
const HANDOVER = 2_000;

async function lock(file: Deno.FsFile): Promise<boolean> {
  const end = Date.now() + HANDOVER;
  while (!await file.tryLock(true)) {
    if (Date.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

/** The journals of a folder. */
export class Journals {
  constructor(readonly folder: string) {}

  /**
   * Which items a journal has.
   *
   * @param name hexadecimal digits
   */
  async signed(name: string): Promise<number[]> {
    const there = await Deno.stat(join(this.folder, name)).then(() => true, () => false);
    if (!there) return [];
    const journal = await this.open(name);
    journal.close();
    return journal.items;
  }

  /**
   * Opens a journal, a new one if there is none.
   *
   * @throws {DsignError} `storage_failed`; `busy` where another process has it open
   */
  async open(name: string): Promise<Journal> {
    try {
      await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
      const path = join(this.folder, name);
      const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
      if (!await lock(file)) {
        file.close();
        throw new DsignError("busy", "This batch is already being signed.");
      }
      return new Journal(file, path);
    } catch (error) {
      if (error instanceof DsignError) throw error;
      throw new DsignError("storage_failed", undefined, { cause: String(error) });
    }
  }

  /** Removes journals that are too old. */
  async tidy(now: Date): Promise<void> {
    try {
      for await (const { name } of Deno.readDir(this.folder)) {
        const path = join(this.folder, name);
        const { mtime } = await Deno.stat(path);
        if (mtime && now.getTime() - mtime.getTime() > KEPT) await Deno.remove(path);
      }
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return; // there was no batch yet, or another process tidies too
      throw new DsignError("storage_failed", undefined, { cause: String(error) });
    }
  }
}

export class Journal {
  readonly #places = new Map<number, number>();
  #end = 0;
  #synced = 0;
  #open = true;

  constructor(readonly file: Deno.FsFile, readonly path: string) {
    for (;;) {
      const record = this.#read(this.#end);
      if (!record) break;
      this.#places.set(record.item, this.#end);
      this.#end += record.length;
    }
    file.truncateSync(this.#end);
  }

  /** Items that are signed, in the order in which they were. */
  get items(): number[] {
    return [...this.#places.keys()];
  }

  /** Result of an item, if it is signed. */
  find(item: number): Signed | undefined {
    const place = this.#places.get(item);
    return place === undefined ? undefined : this.#read(place);
  }

  /** @throws {DsignError} `storage_failed` */
  add(item: number, { field, bytes }: Signed): void {
    const name = new TextEncoder().encode(field);
    const record = new Uint8Array(HEADER + name.length + bytes.length + HASH);
    const header = new DataView(record.buffer);
    [item, name.length, bytes.length].forEach((value, i) => header.setUint32(4 * i, value));
    record.set(name, HEADER);
    record.set(bytes, HEADER + name.length);
    const end = record.length - HASH;
    record.set(createHash("sha256").update(record.subarray(0, end)).digest(), end);
    try {
      this.file.seekSync(this.#end, Deno.SeekMode.Start);
      for (let n = 0; n < record.length;) n += this.file.writeSync(record.subarray(n));
      if (Date.now() - this.#synced > SYNC_EVERY) {
        this.#synced = Date.now();
        // The rest goes on meanwhile; a disk that fails makes the writing fail too.
        this.file.syncData().catch(() => {});
      }
    } catch (error) {
      throw new DsignError("storage_failed", undefined, { cause: String(error) });
    }
    this.#places.set(item, this.#end);
    this.#end += record.length;
  }

  /** @param forget everything has been given out, and nobody will come back for it */
  close(forget = false): void {
    if (!this.#open) return;
    this.#open = false;
    if (!forget) this.file.syncDataSync();
    // At once, though what is being written to the disk keeps the file open a little longer.
    this.file.unlockSync();
    this.file.close();
    if (forget) Deno.removeSync(this.path);
  }

  #read(at: number): Signed & { item: number; length: number } | undefined {
    const header = this.#bytes(at, HEADER);
    if (!header) return undefined;
    const view = new DataView(header.buffer);
    const [item, nameLength, bytesLength] = [0, 4, 8].map((offset) => view.getUint32(offset));
    if (nameLength > 1024 || bytesLength > MAX_RESULT) return undefined;
    const length = HEADER + nameLength + bytesLength + HASH;
    const record = this.#bytes(at, length);
    if (!record) return undefined;
    const hash = createHash("sha256").update(record.subarray(0, length - HASH)).digest();
    if (!sameBytes(hash, record.subarray(length - HASH))) return undefined;
    const bytes = record.subarray(HEADER + nameLength, length - HASH);
    const field = new TextDecoder().decode(record.subarray(HEADER, HEADER + nameLength));
    return { item, field, bytes, length };
  }

  #bytes(at: number, length: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(length);
    this.file.seekSync(at, Deno.SeekMode.Start);
    for (let n = 0; n < length;) {
      const more = this.file.readSync(bytes.subarray(n));
      if (more === null) return undefined;
      n += more;
    }
    return bytes;
  }
}
