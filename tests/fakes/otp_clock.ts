/**
 * `dsign` with a clock that a test steps: the milliseconds in the file that DSIGN_TEST_CLOCK names are added to it. Beside
 * that file, with the process's number at its end, stands what the process holds after a collection
 * (`--v8-flags=--expose-gc`).
 */
import { MAIN_URL } from "../fixtures/program.ts";

const path = Deno.env.get("DSIGN_TEST_CLOCK")!;
const real = Date.now;
let ahead = 0;
Date.now = () => real() + ahead;
const read = () => {
  try {
    ahead = Number(Deno.readTextFileSync(path)) || 0;
  } catch {
    // it is being written
  }
};
read();
Deno.unrefTimer(setInterval(read, 100));
Deno.unrefTimer(setInterval(() => {
  (globalThis as { gc?(): void }).gc?.();
  Deno.writeTextFileSync(`${path}.new`, JSON.stringify(Deno.memoryUsage()));
  Deno.renameSync(`${path}.new`, `${path}.${Deno.pid}`);
}, 5000));
await import(MAIN_URL);
