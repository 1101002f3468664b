/** Writing files completely or not at all. */
import { DsignError } from "../protocol/errors.ts";

/**
 * Replaces a file of the state folder ({@linkcode replaceFile}), which nobody else can read.
 *
 * @throws {DsignError} `storage_failed`
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  try {
    await replaceFile(path, text, 0o600);
  } catch (error) {
    throw new DsignError("storage_failed", undefined, { cause: String(error) });
  }
}

/** Replaces a file atomically: writes a temporary file, flushes it, renames it. Rejects with the system's error. */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  mode: number,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    const file = await Deno.open(temporary, { write: true, createNew: true, mode });
    try {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await writeAll(file, bytes);
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may never have come to be
    throw error;
  }
}

/** Writes all bytes; the system may take only some of them at a time. */
async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}

/** {@linkcode writeAll} for a few bytes: synchronous, because a hop to another thread costs more than the write. */
export function writeAllSync(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) {
    written += file.writeSync(bytes.subarray(written));
  }
}
