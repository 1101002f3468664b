/** Signed files at the command line, and what stands beside them. */
import { dirname, join } from "node:path";
import type { Source } from "../formats/source.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { DsignError } from "../protocol/errors.ts";
import { loadAnchors } from "../settings/anchors.ts";
import { FileSource } from "../signing/file_source.ts";
import { FileError, UsageError } from "./failure.ts";

/** Files that stay open until disposed of. */
export class OpenFiles implements Disposable {
  readonly #open: Deno.FsFile[] = [];

  /** @throws {FileError} */
  open(path: string): Source {
    try {
      const { isDirectory, isFile, size } = Deno.statSync(path);
      if (isDirectory) throw new Deno.errors.IsADirectory();
      if (!isFile) throw new Deno.errors.NotSupported();
      const file = Deno.openSync(path);
      this.#open.push(file);
      return new FileSource(file, size);
    } catch (error) {
      throw new FileError(path, error);
    }
  }

  [Symbol.dispose](): void {
    for (const file of this.#open) file.close();
  }
}

/**
 * The content of a detached signature: the named file, or the one beside the signature (FILE for FILE.p7s; in XML and
 * routes, the name in the signature).
 */
export function contentOf(
  files: OpenFiles,
  path: string,
  given: string | undefined,
  name: string | null,
): Source | null {
  if (given !== undefined) return files.open(given);
  const beside = /^(.+)\.(?:p7[sm]|sig|jws|jose)$/i.exec(path)?.[1];
  // A name from an untrusted file must not lead into other folders.
  const named = name !== null && /^[^/\\:]+$/.test(name) && !/^\.+$/.test(name)
    ? join(dirname(path), name)
    : undefined;
  const found = name === null ? beside : named;
  if (found === undefined) return null;
  try {
    if (!Deno.statSync(found).isFile) return null;
  } catch {
    return null;
  }
  return files.open(found);
}

/** @throws {UsageError} where there is none */
export async function readCertificates(
  option: string,
  paths: readonly string[],
  trial = false,
): Promise<Certificate[]> {
  try {
    const anchors = (await Promise.all(paths.map((path) => loadAnchors(path, trial)))).flat();
    if (anchors.length > 0) return anchors;
  } catch (error) {
    if (error instanceof DsignError) throw new UsageError(`${option}: ${error.message}`);
    throw error;
  }
  throw new UsageError(`${option}: there is no certificate in it.`);
}
