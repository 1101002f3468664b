/**
 * Requests come in: their bodies are read before anything else is done for them, so that who sends slowly, or not at all,
 * holds nothing but a place here.
 */
import { CscError } from "./error.ts";

/** Bodies that are waited for at a time. One more, and the one that was waited for longest is given up. */
const MOST = 512;
/** Bytes of them in all, after which the same happens. */
const MOST_BYTES = 64 * 1024 * 1024;
/** How long a body may take, in milliseconds. */
const TIMEOUT = 15_000;
/** Larger ones are read by who has a token, at a pace of at least this many bytes a millisecond. */
const SMALL = 512 * 1024;
const PACE = 16;

interface Incoming {
  bytes: number;
  giveUp(): void;
}

export interface IntakeOptions {
  most?: number;
  timeout?: number;
}

/** Reads the bodies of requests. */
export class Intake {
  /** In the order in which they began. */
  readonly #incoming = new Set<Incoming>();
  readonly #most: number;
  readonly #timeout: number;
  #bytes = 0;

  constructor({ most = MOST, timeout = TIMEOUT }: IntakeOptions = {}) {
    this.#most = most;
    this.#timeout = timeout;
  }

  /**
   * The request with its body read, or, of a large one, with a body that ends in time or fails.
   *
   * @throws {CscError} `body_too_slow`
   */
  async receive(request: Request): Promise<Request> {
    if (request.body === null) return request;
    const reader = request.body.getReader();
    const announced = Number(request.headers.get("content-length") ?? 0);
    if (announced > SMALL) {
      return withBody(request, rest([], reader, this.#timeout + announced / PACE));
    }
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    const { promise: tooSlow, reject } = Promise.withResolvers<never>();
    tooSlow.catch(() => {}); // where the body came in time
    const incoming: Incoming = { bytes: 0, giveUp: () => reject(new CscError("body_too_slow")) };
    const timer = setTimeout(incoming.giveUp, this.#timeout);
    this.#incoming.add(incoming);
    this.#makeRoom();
    try {
      while (incoming.bytes <= SMALL) {
        const { done, value } = await Promise.race([reader.read(), tooSlow]);
        if (done) return withBody(request, await new Blob(pieces).arrayBuffer());
        pieces.push(value);
        incoming.bytes += value.length;
        this.#bytes += value.length;
        this.#makeRoom();
      }
      return withBody(request, rest(pieces, reader, this.#timeout));
    } catch (error) {
      reader.cancel().catch(() => {}); // who sent it is gone, or will see that nobody listens
      throw error instanceof CscError ? error : new CscError("body_too_slow", String(error));
    } finally {
      clearTimeout(timer);
      this.#incoming.delete(incoming);
      this.#bytes -= incoming.bytes;
    }
  }

  #makeRoom(): void {
    if (this.#incoming.size <= this.#most && this.#bytes <= MOST_BYTES) return;
    const [oldest] = this.#incoming;
    oldest.giveUp();
    this.#incoming.delete(oldest);
  }
}

/** The pieces that were read, then the rest, for as long as it may take. */
function rest(
  pieces: Uint8Array<ArrayBuffer>[],
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  time: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      timer = setTimeout(() => {
        controller.error(new CscError("body_too_slow"));
        reader.cancel().catch(() => {});
      }, time);
    },
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
      clearTimeout(timer);
      controller.close();
    },
    async cancel() {
      clearTimeout(timer);
      await reader.cancel();
    },
  });
}

const withBody = (request: Request, body: BodyInit) =>
  new Request(request.url, { method: request.method, headers: request.headers, body });
