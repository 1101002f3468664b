/**
 * The reader process: it has no permissions, answers one question after another and gets every byte over its pipe. The
 * thread in it parses, and has the pipe; this one ends the process when a question takes too much.
 */
import { type Breach, MAX_MEMORY, WATCH } from "./thread.ts";
import { CLOCK, DEADLINE, type FromThread, QUESTION, WORKING } from "./thread_messages.ts";

/** Exit codes of a process whose question took too long or too much memory. */
export const EXIT_CODES: Readonly<Record<Breach, number>> = { deadline: 3, memory: 4 };

/**
 * Runs until standard input ends.
 *
 * @param module URL of the thread's script
 */
export function runReaderHost(module: URL): void {
  const clock = new Int32Array(new SharedArrayBuffer(CLOCK));
  const thread = new Worker(module, { type: "module" });
  thread.onmessage = async ({ data }: MessageEvent<FromThread>) => {
    if ("ended" in data) Deno.exit(0);
    // Everything is loaded. The thread's permissions are the same.
    await Deno.permissions.revoke({ name: "read" });
    thread.postMessage({ clock: clock.buffer });
  };
  thread.onerror = (event) => {
    event.preventDefault();
    console.error(event.message);
    Deno.exit(1);
  };
  let question = 0, worked = 0, last = performance.now();
  setInterval(() => {
    const now = performance.now();
    const passed = now - last;
    last = now;
    if (Atomics.load(clock, WORKING) === 0) return;
    const current = Atomics.load(clock, QUESTION);
    worked = current === question ? worked + passed : 0;
    question = current;
    if (worked > Atomics.load(clock, DEADLINE)) Deno.exit(EXIT_CODES.deadline);
    if (Deno.memoryUsage().rss > MAX_MEMORY) Deno.exit(EXIT_CODES.memory);
  }, WATCH);
}
