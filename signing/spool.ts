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
/** The same for one asker, so that none keeps the others out: announced counts as sent. */
const MAX_KEPT_EACH = MAX_KEPT / 2;
const MAX_FILES_EACH = MAX_FILES / 2;

/** A document that is being kept. Bytes are appended until it has its size; then it can be read. */
export interface Kept extends Source {
  /** @throws {DsignError} `storage_failed` */
  append(bytes: Uint8Array): void;
  /** For reading from beginning to end: a piece is good until the next one. */
  sequential(): Source;
  close(): void;
}

export class Spool {
  readonly #all = { kept: 0, files: 0 };
  readonly #byAsker = new Map<string, { kept: number; files: number }>();

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
   * @param asker whose document it is
   * @throws {DsignError} `busy` where too much is kept already, of all or of the asker; `storage_failed`
   */
  keep(size: number, asker: string): Kept {
    const files = size <= SMALL ? 0 : 1;
    const all = this.#all;
    const own = this.#byAsker.get(asker) ?? { kept: 0, files: 0 };
    if (
      all.kept + size > MAX_KEPT || all.files + files > MAX_FILES ||
      own.kept + size > MAX_KEPT_EACH || own.files + files > MAX_FILES_EACH
    ) {
      throw new DsignError("busy", "Too many large documents are open. Close some first.");
    }
    const kept = files === 0 ? keepInMemory(size) : keepInFile(this.folder, size);
    this.#byAsker.set(asker, own);
    for (const each of [all, own]) {
      each.kept += size;
      each.files += files;
    }
    let open = true;
    return {
      ...kept,
      close: () => {
        if (!open) return;
        open = false;
        for (const each of [all, own]) {
          each.kept -= size;
          each.files -= files;
        }
        if (own.kept === 0 && own.files === 0) this.#byAsker.delete(asker);
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
    // Freed now: the garbage collector would be called ever again to look for such bytes.
    close: () => void bytes.buffer.transfer(0),
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
