/** Output files appear complete or not at all. */
import { dirname, join } from "node:path";
import { FileError } from "./failure.ts";

/** A file being written: it has a temporary name until {@linkcode OutputFile.finish}. */
export interface OutputFile {
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes to disk and renames the file to its final name. */
  finish(): Promise<void>;
  /** Removes the file, unless it is finished. */
  abandon(): void;
}

/** Unfinished files, removed when a signal stops the program. */
const unfinished = new Set<OutputFile>();

/**
 * Creates an output file under a temporary name in the same folder.
 *
 * @param force whether to replace an existing file
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
      // link() refuses to replace a file that appeared meanwhile; rename() would replace it.
      if (force) {
        await failing(keepMode(path, temporary));
        await failing(Deno.rename(temporary, path));
      } else {
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

/** What takes a file's place is readable and writable to the same people. */
async function keepMode(path: string, temporary: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  try {
    const { mode, uid, gid } = await Deno.stat(path);
    // Only root can give files away, and others only to groups that they are in.
    const isKept = await Deno.chown(temporary, Deno.uid() === 0 ? uid : null, gid).then(
      () => true,
      (error) => {
        if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
        return false;
      },
    );
    // Where the group is another, what its people may do is nothing that anybody decided.
    await Deno.chmod(temporary, mode! & (isKept ? 0o777 : 0o707));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
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
    // A file system without hard links, such as FAT.
    await mustBeFree(to);
    await Deno.rename(from, to);
  }
}

/** Removes all unfinished files. */
export function abandonAll(): void {
  for (const output of unfinished) output.abandon();
}
