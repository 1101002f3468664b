/** Inputs that guided runs found: the smallest ones that together reach all code that was reached. Tests try them again. */
import { gunzipSync, gzipSync } from "node:zlib";

const fileOf = (target: string) => new URL(`./found/${target}.gz`, import.meta.url);

/** Inputs found for a target; none if nobody looked. */
export async function readFound(target: string): Promise<Uint8Array[]> {
  let packed: Uint8Array;
  try {
    packed = await Deno.readFile(fileOf(target));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  const bytes = new Uint8Array(gunzipSync(packed));
  const view = new DataView(bytes.buffer);
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = view.getUint32(at);
    found.push(bytes.slice(at + 4, at += 4 + length));
  }
  return found;
}

/** Keeps them; similar ones beside each other take little room. */
export async function writeFound(target: string, found: readonly Uint8Array[]): Promise<void> {
  const parts = found.toSorted((a, b) => a.length - b.length).flatMap((bytes) => {
    const head = new DataView(new ArrayBuffer(4));
    head.setUint32(0, bytes.length);
    return [new Uint8Array(head.buffer), bytes];
  });
  await Deno.mkdir(new URL("./found/", import.meta.url), { recursive: true });
  await Deno.writeFile(
    fileOf(target),
    gzipSync(new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer()), { level: 9 }),
  );
}
