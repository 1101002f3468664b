/**
 * The runtime that set-up, tests and releases run in. npm checks a package's integrity only against what the registry
 * says at that moment, so the runtime's own bytes are compared with those that this version was tested with.
 */
import { createHash } from "node:crypto";

/** What one runtime is: `Deno.version.deno`, `Deno.build.target`, and the SHA-256 of its file in hex. */
export interface Runtime {
  version: string;
  target: string;
  sha256: string;
}

/** The version that D-Sign is built and tested with. */
export const VERSION = "2.9.6";

/** SHA-256 of `deno` in npm's `@deno/…` packages. */
const SHA256: Record<string, string> = {
  "x86_64-unknown-linux-gnu": "bceb5b6a6239b0b010418406d8c77a508f67cf4337d94288f1c19fe71304aab0",
  "aarch64-unknown-linux-gnu": "d08d392418df53f4e6e88a08909c0e1bccbf9adcead7232df72b6ad6075ec416",
  "x86_64-apple-darwin": "ec9fbd8e8f5f6ca5ceb0ebe4a564636f2c698bf60e3187460ded400cc0147fd5",
  "aarch64-apple-darwin": "b3ac3bd206e48c26026cadd80c1367e96c149f9c66130952382a642b09fa8a71",
  "x86_64-pc-windows-msvc": "2ff9493dfa356be2975f477025ea770088e9e9cb2c83d983236d13561b96b7a6",
  "aarch64-pc-windows-msvc": "7259fbfaf9fb0d83551b7f85b38b3dc4d7c2c63cf05427b042fbf63bdcb6f778",
};

/** The runtime that this program runs in. @param path of its file */
export async function runtime(path = Deno.execPath()): Promise<Runtime> {
  const hash = createHash("sha256");
  const file = await Deno.open(path);
  for await (const bytes of file.readable) hash.update(bytes);
  return { version: Deno.version.deno, target: Deno.build.target, sha256: hash.digest("hex") };
}

/** Says why `found` is not the runtime that D-Sign was tested with; null if it is. */
export function runtimeProblem(found: Runtime): string | null {
  if (found.version !== VERSION) {
    return `This is Deno ${found.version}. Use ${VERSION}: npx -y deno@${VERSION} …`;
  }
  const expected = SHA256[found.target];
  if (expected === undefined) return `No checksum of Deno is known for ${found.target}.`;
  if (found.sha256 === expected) return null;
  return `This Deno is not the published one: its SHA-256 is ${found.sha256}, not ${expected}. ` +
    `Remove it, and install ${VERSION} from npm or deno.com.`;
}
