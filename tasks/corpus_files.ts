import { join } from "node:path";

/** The PDFs in a folder and in those below it, by name. */
export async function* pdfFiles(folder: string): AsyncGenerator<string> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  entries.sort((a, b) => a.name < b.name ? -1 : 1);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* pdfFiles(path);
    else if (entry.name.toLowerCase().endsWith(".pdf")) yield path;
  }
}
