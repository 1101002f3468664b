/**
 * The reader process: it has no permissions, answers one question after another and gets every byte over its pipe. The
 * thread in it parses; this one passes messages on and ends the process when a question takes too much.
 */
import {
  type Ask,
  decodeMessage,
  encodeMessage,
  type Need,
  readFrames,
  writeFrame,
} from "./messages.ts";
import { type Breach, ReaderBreach, ReaderThread } from "./thread.ts";

/** Exit codes of a process whose question took too long or too much memory. */
export const EXIT_CODES: Readonly<Record<Breach, number>> = { deadline: 3, memory: 4 };

/**
 * Runs until standard input ends.
 *
 * @param module URL of the thread's script
 */
export async function runReaderHost(module: URL): Promise<void> {
  const thread = new ReaderThread(module);
  await thread.ready;
  // The thread's are the same.
  await Deno.permissions.revoke({ name: "read" });
  const output = Deno.stdout.writable.getWriter();
  let given: ((bytes: Uint8Array) => void) | undefined;
  const serve = async (need: Need): Promise<Uint8Array> => {
    const bytes = new Promise<Uint8Array>((resolve) => given = resolve);
    await writeFrame(output, encodeMessage(need));
    return await bytes;
  };
  for await (const frame of readFrames(Deno.stdin.readable)) {
    if (given) {
      const give = given;
      given = undefined;
      give(frame);
    } else void answer(frame);
  }
  Deno.exit(0);

  async function answer(frame: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      const { deadline } = decodeMessage<Ask>(frame);
      await writeFrame(output, await thread.ask(frame, deadline, serve));
    } catch (error) {
      if (error instanceof ReaderBreach) Deno.exit(EXIT_CODES[error.breach]);
      console.error(error);
      Deno.exit(1);
    }
  }
}
