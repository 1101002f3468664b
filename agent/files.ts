/** Files of the state folder: never half written, never readable by others. */
import { DsignError } from "../protocol/errors.ts";

/**
 * Replaces a file as a whole: written beside it with mode 0600, flushed to the disk, then renamed.
 *
 * @throws {DsignError} `storage_failed`
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
    try {
      await writeAll(file, new TextEncoder().encode(text));
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may never have come to be
    throw new DsignError("storage_failed", undefined, { cause: String(error) });
  }
}

/** Writes all bytes, however many writes that takes. */
export async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}
