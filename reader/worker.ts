/** The thread in which strangers' bytes are parsed: answers questions, one after another. */
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import { BlockSource, bytesSource, type Source } from "../formats/source.ts";
import {
  type Answer,
  type Ask,
  decodeMessage,
  encodeMessage,
  MAX_PIECE,
  type Need,
  PIECE_HEAD,
  readMessageSync,
  writeMessageSync,
} from "./messages.ts";
import {
  DEADLINE,
  type FromThread,
  HEAD,
  LENGTH,
  QUESTION,
  type StartThread,
  STATE,
  WORKING,
} from "./thread_messages.ts";

/** A document of a question, as the reader has it. */
export type ReadDocument = Source & Required<Pick<Source, "digest">>;

/**
 * A question: a function of plain values and documents to a plain value. Numbers, strings, booleans, null, arrays,
 * objects and Uint8Arrays are plain; dates are not.
 */
// deno-lint-ignore no-explicit-any -- each question has its own input
export type Question = (input: any, documents: ReadDocument[]) => unknown;
/** Questions by name. */
export type Questions = Readonly<Record<string, Question>>;

interface Thread {
  postMessage(message: FromThread, transfer?: Transferable[]): void;
  onmessage: (event: MessageEvent<StartThread | Uint8Array>) => void;
}

/** Makes this thread answer questions: those of its keeper, or those that come over the process's pipe. */
export function answerQuestions(questions: Questions): void {
  // Printed output would reach the person as if the program had written it.
  console.log =
    console.info =
    console.warn =
    console.error =
      () => {};
  const thread = self as unknown as Thread;
  thread.onmessage = async ({ data }) => {
    const start = data as StartThread;
    if ("mailbox" in start) return answerKeeper(questions, thread, start.mailbox);
    await answerPipe(questions, new Int32Array(start.clock));
    thread.postMessage({ ended: true });
  };
  // The asker waits for this: messages sent while modules were loading would be lost.
  thread.postMessage({ ready: true });
}

/** Answers what its keeper asks, who goes on with other work. */
function answerKeeper(questions: Questions, thread: Thread, mailbox: SharedArrayBuffer): void {
  const fetch = (need: Need): Uint8Array => {
    const state = new Int32Array(mailbox, 0, 2);
    Atomics.store(state, STATE, 0);
    thread.postMessage({ need: encodeMessage(need) });
    Atomics.wait(state, STATE, 0);
    if (state[LENGTH] < 0) throw new Error("The document can no longer be read.");
    return new Uint8Array(mailbox, HEAD, state[LENGTH]).slice();
  };
  thread.onmessage = async ({ data }) => {
    const asked = decodeMessage<Ask>(data as Uint8Array);
    const answer = await answerTo(questions, asked, fetch);
    thread.postMessage({ answer }, [answer.buffer]);
  };
}

/**
 * Answers what comes over standard input until that ends. It waits for the pipe without turning to other work: each
 * question costs two system calls, and no other thread has to wake up for it.
 */
async function answerPipe(questions: Questions, clock: Int32Array): Promise<void> {
  const fetch = (need: Need): Uint8Array => {
    Atomics.store(clock, WORKING, 0);
    writeMessageSync(Deno.stdout, encodeMessage(need));
    const piece = readMessageSync(Deno.stdin);
    if (!piece) throw new Error("The document can no longer be read.");
    Atomics.store(clock, WORKING, 1);
    return piece.subarray(PIECE_HEAD);
  };
  for (let message; (message = readMessageSync(Deno.stdin));) {
    const asked = decodeMessage<Ask>(message);
    Atomics.store(clock, DEADLINE, asked.deadline);
    Atomics.add(clock, QUESTION, 1);
    Atomics.store(clock, WORKING, 1);
    const answer = await answerTo(questions, asked, fetch);
    Atomics.store(clock, WORKING, 0);
    writeMessageSync(Deno.stdout, answer);
  }
}

async function answerTo(
  questions: Questions,
  { ask, input, documents }: Ask,
  fetch: (need: Need) => Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const given = read(documents, fetch);
    return encodeMessage({ ok: await withMlDsa(() => questions[ask](input, given)) });
  } catch (error) {
    return encodeMessage(failureOf(error));
  }
}

function failureOf(error: unknown): Answer {
  if (!(error instanceof Error)) return { failure: { name: "Error", message: String(error) } };
  const { code, detail } = error as { code?: unknown; detail?: unknown };
  // Recursive parsers end this way on input that is nested too deeply; our own state stays intact.
  if (error instanceof RangeError && /call stack/.test(error.message)) {
    const { name, code, message } = new FormatError("limit_exceeded", "It is nested too deeply.");
    return { failure: { name, code, message } };
  }
  return {
    failure: {
      name: error.name,
      code: typeof code === "string" ? code : undefined,
      message: error instanceof FormatError || code !== undefined
        ? error.message
        : error.stack ?? error.message,
      detail: typeof detail === "string" ? detail : undefined,
    },
  };
}

function read(
  announced: Ask["documents"],
  fetch: (need: Need) => Uint8Array,
): ReadDocument[] {
  return announced.map(({ size, bytes }, document) => {
    if (bytes) {
      return {
        ...bytesSource(bytes),
        digest(hash, ranges, then = new Uint8Array()) {
          const pieces = ranges.map(([offset, length]) => bytes.subarray(offset, offset + length));
          return new Uint8Array(digest(hash, ...pieces, then));
        },
      };
    }
    const source = new BlockSource(size, (offset, length) => {
      const pieceAt = (at: number) => {
        const wanted = Math.min(MAX_PIECE, length - at);
        const piece = fetch({ need: "bytes", document, offset: offset + at, length: wanted });
        if (piece.length !== wanted) throw new Error("The document can no longer be read.");
        return piece;
      };
      if (length <= MAX_PIECE) return pieceAt(0);
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += MAX_PIECE) bytes.set(pieceAt(at), at);
      return bytes;
    });
    return {
      size,
      read: (offset, length) => source.read(offset, length),
      digest: (hash, ranges, then) => fetch({ need: "digest", document, hash, ranges, then }),
    };
  });
}
