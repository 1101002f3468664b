/** Output files: there whole, or not there. */
import { dirname, join } from "node:path";
import { FileError } from "./failure.ts";

/** A file on its way: under another name until {@linkcode OutputFile.finish}. */
export interface OutputFile {
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes to the disk and gives the file its name. */
  finish(): Promise<void>;
  /** Forgets the file; does nothing once it is finished. */
  abandon(): void;
}

/** What is under way, to be removed when a signal ends the program. */
const unfinished = new Set<OutputFile>();

/**
 * Starts an output file beside its place.
 *
 * @param force whether a file of that name may be replaced
 * @throws {FileError}
 */
export async function createOutput(path: string, force: boolean): Promise<OutputFile> {
  const temporary = join(dirname(path), `.dsign-${crypto.randomUUID()}`);
  const failing = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw new FileError(path, error);
    }
  };
  if (!force) await failing(mustBeFree(path));
  const file = await failing(Deno.open(temporary, { write: true, createNew: true }));
  const output: OutputFile = {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await failing(file.write(bytes.subarray(at)));
    },
    async finish() {
      await failing(file.sync());
      // link() refuses to replace what came to be meanwhile; rename() would not.
      if (force) await failing(Deno.rename(temporary, path));
      else {
        await failing(linkOrRename(temporary, path));
        await Deno.remove(temporary).catch(() => {}); // renamed
      }
      file.close();
      unfinished.delete(output);
    },
    abandon() {
      if (!unfinished.delete(output)) return;
      file.close();
      Deno.removeSync(temporary);
    },
  };
  unfinished.add(output);
  return output;
}

/** @throws {Deno.errors.AlreadyExists} */
async function mustBeFree(path: string): Promise<void> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Deno.errors.AlreadyExists();
}

async function linkOrRename(from: string, to: string): Promise<void> {
  try {
    await Deno.link(from, to);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) throw error;
    // A file system without links, such as FAT.
    await mustBeFree(to);
    await Deno.rename(from, to);
  }
}

/** Removes what is not finished. */
export function abandonAll(): void {
  for (const output of unfinished) output.abandon();
}
