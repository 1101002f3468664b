import assert from "node:assert/strict";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { ServiceError } from "./error.ts";
import { PersistentReaders } from "./persistent_readers.ts";

/** Asks readers that run a script when they are asked. @returns the error, and how many readers there were */
function ask(script: string): Promise<[error: unknown, readers: number]> {
  return inTempDir(async (dir) => {
    const program = `
      Deno.stdin.readSync(new Uint8Array(1));
      Deno.writeTextFileSync("${dir}/" + Deno.pid, "");
      ${script};
    `;
    const command = [Deno.execPath(), "eval", "--no-lock", program];
    const reader = new PersistentReaders({ command, inLine: true });
    try {
      const error = await reader.ask("judge", null).catch((error) => error);
      return [error, (await Array.fromAsync(Deno.readDir(dir))).length];
    } finally {
      await reader.close();
    }
  });
}

Deno.test("a file that ends two readers is refused", async () => {
  const [error, readers] = await ask("Deno.exit(1)");
  assert.ok(error instanceof ServiceError);
  assert.deepEqual([error.code, readers], ["document_malformed", 2]);
});

Deno.test("a file whose readers are killed by the system may come again", {
  ignore: Deno.build.os === "windows", // which has no signals
}, async () => {
  const [error, readers] = await ask(`Deno.kill(Deno.pid, "SIGKILL")`);
  assert.ok(error instanceof ServiceError);
  assert.deepEqual([error.code, error.status, readers], ["busy", 503, 4]);
});
