/**
 * Where documents stand that must be read more than once: small ones in memory, others in files without a name, which
 * the system frees when the agent ends, whatever ends it.
 */
import { join } from "node:path";
import { bytesSource, type Source } from "../formats/source.ts";
import { DsignError } from "../protocol/errors.ts";
import { FileSource } from "./file_source.ts";

/** Documents of no more bytes stay in memory. */
const SMALL = 256 * 1024;
/** Bytes that all kept documents together may have, and how many of them may be files, which take descriptors. */
const MAX_KEPT = 4 * 1024 * 1024 * 1024;
const MAX_FILES = 128;

/** A document that is being kept. Bytes are appended until it has its size; then it can be read. */
export interface Kept extends Source {
  /** @throws {DsignError} `storage_failed` */
  append(bytes: Uint8Array): void;
  /** For reading from beginning to end: a piece is good until the next one. */
  sequential(): Source;
  close(): void;
}

export class Spool {
  #kept = 0;
  #files = 0;

  private constructor(readonly folder: string) {}

  /**
   * Opens the spool in a folder, and removes what an agent left there that could not.
   *
   * @param folder is made, for this user alone
   * @throws {DsignError} `storage_failed`
   */
  static open(folder: string): Spool {
    return failing(() => {
      Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const { name } of Deno.readDirSync(folder)) Deno.removeSync(join(folder, name));
      return new Spool(folder);
    });
  }

  /**
   * Makes room for a document of `size` bytes.
   *
   * @throws {DsignError} `busy` where too much is kept already; `storage_failed`
   */
  keep(size: number): Kept {
    const files = size <= SMALL ? 0 : 1;
    if (this.#kept + size > MAX_KEPT || this.#files + files > MAX_FILES) {
      throw new DsignError("busy", "Too many large documents are open. Close some first.");
    }
    const kept = files === 0 ? keepInMemory(size) : keepInFile(this.folder, size);
    this.#kept += size;
    this.#files += files;
    let open = true;
    return {
      ...kept,
      close: () => {
        if (!open) return;
        open = false;
        this.#kept -= size;
        this.#files -= files;
        kept.close();
      },
    };
  }
}

function keepInMemory(size: number): Kept {
  const bytes = new Uint8Array(size);
  const source = bytesSource(bytes);
  let at = 0;
  return {
    ...source,
    append(piece) {
      bytes.set(piece, at);
      at += piece.length;
    },
    sequential: () => source,
    close() {},
  };
}

function keepInFile(folder: string, size: number): Kept {
  const path = join(folder, crypto.randomUUID());
  const file = failing(() =>
    Deno.openSync(path, { read: true, write: true, createNew: true, mode: 0o600 })
  );
  try {
    // From now on it can be reached through the open file alone.
    failing(() => Deno.removeSync(path));
  } catch (error) {
    file.close();
    throw error;
  }
  const source = new FileSource(file, size);
  return {
    size,
    read: (offset, length) => source.read(offset, length),
    append(piece) {
      failing(() => {
        for (let n = 0; n < piece.length;) n += file.writeSync(piece.subarray(n));
      });
    },
    sequential: () => source.sequential(),
    close: () => file.close(),
  };
}

function failing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new DsignError("storage_failed", undefined, { cause: String(error) });
  }
}
