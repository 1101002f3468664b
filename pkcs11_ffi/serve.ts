/**
 * The child's side of the pipe: reads frames from standard input, writes frames to standard output. One thread, one
 * request after another.
 */
import { Buffer } from "node:buffer";
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameReader,
  type Reply,
  type Request,
  type StartMessage,
  toFailure,
} from "./messages.ts";

/** What a child does. Whatever its methods throw is the reply. */
export interface Host {
  /** @param blob the bytes of the request; they are wiped once this has returned */
  answer(
    request: Request,
    blob: Uint8Array<ArrayBuffer>,
  ): { value?: unknown; blob?: Uint8Array };
  /** The parent has closed the pipe. */
  close(): void;
}

/** Replies are gathered for at most so long, in milliseconds, before they are written. */
const GATHER_MS = 2;

/**
 * Answers requests until standard input ends, and then ends the process. The first frame tells `start` what to load;
 * neither it nor a PIN ever stands in argv or the environment.
 */
export function serve(start: (message: StartMessage) => Host): never {
  const input = new FrameReader();
  let served: Served | undefined;
  for (;;) {
    const read = Deno.stdin.readSync(input.space());
    if (read === null) break;
    input.take(read, (body) => {
      if (served) served.handle(decodeFrame<Request>(body));
      else served = started(decodeFrame<StartMessage>(body), start);
    });
    served?.flush();
  }
  served?.host.close();
  Deno.exit(0);
}

function started(
  { id, header }: Frame<StartMessage>,
  start: (message: StartMessage) => Host,
): Served {
  const marker = Uint8Array.fromHex(header.marker);
  try {
    const host = start(header);
    write(encodeFrame(id, { ok: null }, undefined, marker, marker));
    return new Served(host, marker);
  } catch (error) {
    write(encodeFrame(id, { error: toFailure(error) }, undefined, marker, marker));
    Deno.exit(1);
  }
}

class Served {
  #replies: Uint8Array[] = [];
  #gatheringSince = 0;

  constructor(readonly host: Host, readonly marker: Uint8Array) {}

  handle({ id, header, blob }: Frame<Request>): void {
    let reply: Reply;
    let bytes: Uint8Array | undefined;
    try {
      const { value, blob: out } = this.host.answer(header, blob);
      reply = { ok: value ?? null };
      bytes = out;
    } catch (error) {
      reply = { error: toFailure(error) };
    }
    this.#replies.push(encodeFrame(id, reply, bytes, this.marker, this.marker));
    const now = performance.now();
    if (this.#replies.length === 1) this.#gatheringSince = now;
    else if (now - this.#gatheringSince > GATHER_MS) this.flush();
  }

  flush(): void {
    const [first, ...more] = this.#replies;
    if (first) write(more.length === 0 ? first : Buffer.concat(this.#replies));
    this.#replies = [];
  }
}

function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}
