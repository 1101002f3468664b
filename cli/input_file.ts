/** Reading files of any size in pieces. */
import type { Hash } from "node:crypto";
import { FileError } from "./failure.ts";
import { startProgress } from "./progress.ts";

const PIECE = 1024 * 1024;

/** Size of a regular file, in bytes. @throws {FileError} */
export async function fileSize(path: string): Promise<number> {
  try {
    const { isDirectory, isFile, size } = await Deno.stat(path);
    if (isDirectory) throw new Deno.errors.IsADirectory();
    if (!isFile) throw new Deno.errors.NotSupported();
    return size;
  } catch (error) {
    throw new FileError(path, error);
  }
}

/**
 * Yields a file's bytes in pieces, with a progress bar on a terminal. A piece is valid until the next one is requested.
 *
 * @throws {FileError}
 */
export async function* readPieces(
  path: string,
  size: number,
  label: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const progress = startProgress(label, size);
  let file: Deno.FsFile | undefined;
  try {
    file = await Deno.open(path);
    const piece = new Uint8Array(Math.max(1, Math.min(size, PIECE)));
    let done = 0;
    for (let n = await file.read(piece); n !== null; n = await file.read(piece)) {
      signal.throwIfAborted();
      yield piece.subarray(0, n);
      progress.update(done += n);
    }
  } catch (error) {
    if (error instanceof Error && "code" in error) throw new FileError(path, error);
    throw error;
  } finally {
    progress.end();
    file?.close();
  }
}

/** Feeds a file to digests. @throws {FileError} */
export async function hashFile(
  path: string,
  states: readonly Hash[],
  signal: AbortSignal,
): Promise<void> {
  for await (const piece of readPieces(path, await fileSize(path), "Reading", signal)) {
    for (const state of states) state.update(piece);
  }
}
