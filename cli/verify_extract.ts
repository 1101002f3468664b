/** The versions of a PDF that its signatures cover, each as a file that can be opened. */
import { join } from "node:path";
import type { VerificationReport } from "../formats/verify/verify.ts";
import { FileError } from "./failure.ts";
import { createOutput } from "./output_file.ts";

const PIECE = 1 << 20;

/**
 * Writes each signed revision of a PDF into a folder, as `order-revision-1.pdf`.
 *
 * @returns the files that were written
 * @throws {FileError}
 */
export async function extractRevisions(
  { file, name, report }: { file: string; name: string; report: VerificationReport },
  folder: string,
  force: boolean,
): Promise<string[]> {
  const sizes = new Map(
    report.signatures.flatMap(({ coverage: { revision } }) =>
      revision ? [[revision.number, revision.size] as const] : []
    ),
  );
  const written: string[] = [];
  for (const [number, size] of sizes) {
    const path = join(folder, `${name.replace(/\.pdf$/i, "")}-revision-${number}.pdf`);
    await copyStart(file, size, path, force);
    written.push(path);
  }
  return written;
}

async function copyStart(from: string, size: number, to: string, force: boolean): Promise<void> {
  await Deno.mkdir(join(to, ".."), { recursive: true }).catch((error) => {
    throw new FileError(to, error);
  });
  using source = await Deno.open(from);
  const output = await createOutput(to, force);
  try {
    const piece = new Uint8Array(PIECE);
    for (let left = size; left > 0;) {
      const read = await source.read(piece.subarray(0, Math.min(PIECE, left)));
      if (read === null) throw new FileError(from, new Deno.errors.UnexpectedEof());
      await output.write(piece.subarray(0, read));
      left -= read;
    }
    await output.finish();
  } finally {
    output.abandon();
  }
}
