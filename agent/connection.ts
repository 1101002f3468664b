/** One page's WebSocket: frames in, replies and notifications out, and everything it holds freed at its end. */
import { getLogger } from "@logtape/logtape";
import {
  formatChunk,
  formatError,
  formatNotification,
  formatResult,
  HANDLE_LENGTH,
  isWellFormed,
  LIMITS,
  parseChunk,
  parseRequest,
  type Request,
  type RequestId,
} from "../protocol/envelope.ts";
import { DsignError } from "../protocol/errors.ts";
import {
  type NotificationName,
  type NotificationParams,
  NOTIFICATIONS,
} from "../protocol/methods.ts";
import { Batches } from "../signing/batch.ts";
import { Documents } from "../signing/documents.ts";
import { toDsignError } from "../signing/errors.ts";
import type { Dispatch } from "./handlers.ts";
import { CLOSE, type MessageLimits, type ServerSocket } from "./websocket.ts";

const log = getLogger(["dsign", "agent"]);

/** The longest messages that a connection takes. */
export const MESSAGES: MessageLimits = {
  text: LIMITS.textFrame,
  binary: HANDLE_LENGTH + LIMITS.chunk,
};

/** Milliseconds until a page is told how far a request is: sooner, nobody would notice. */
const PROGRESS_AFTER = 100;

const HALF_A_CHARACTER = "The request contains half of a character (a lone surrogate).";

type Progress = Omit<NotificationParams<"request.progress">, "id">;

export class Connection {
  readonly #documents = new Documents();
  readonly #batches = new Batches();
  readonly #inFlight = new Map<RequestId, AbortController>();
  /** What the page is told next. */
  readonly #progress = new Map<RequestId, Progress>();
  #progressTimer: ReturnType<typeof setTimeout> | undefined;
  #bytesInFlight = 0;
  #open = true;

  /**
   * @param origin the site that makes the requests
   * @param own whether the page is one of the agent's
   */
  constructor(
    readonly socket: ServerSocket,
    readonly origin: string,
    readonly port: number,
    readonly own: boolean,
    readonly dispatch: Dispatch,
    closed: () => void,
  ) {
    socket.start({
      text: (frame) => this.#receive(() => this.#receiveText(frame)),
      binary: (frame) => {
        this.#receive(() => this.#receiveChunk(frame));
        // Frees the bytes now. The garbage collector lets hundreds of megabytes pile up first.
        frame.buffer.transfer(0);
      },
      tooLarge: () => this.#complain(new DsignError("too_large")),
      closed: () => {
        this.#end();
        closed();
      },
    });
  }

  notify<N extends NotificationName>(name: N, params: NotificationParams<N>): void {
    this.#send(formatNotification(name, params));
  }

  /** Ends the connection because the agent does. */
  close(): void {
    this.#close(CLOSE.goingAway, "D-Sign ends");
  }

  /** Closes the connection in favour of another one. */
  giveWay(): void {
    this.#close(CLOSE.policy, "too many connections");
  }

  #receive(take: () => void): void {
    try {
      take();
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Answers a message without a readable id. */
  #complain(error: unknown): void {
    this.#send(formatError(null, toDsignError(error).toJSON()));
  }

  #receiveText(frame: string): void {
    const request = parseRequest(frame);
    if (request.id === undefined) this.#receiveNotification(request);
    else this.#answer(request.id, request, frame);
  }

  /** JSON-RPC 2.0 §4.1: notifications are never answered, not even with an error. */
  #receiveNotification({ method, params }: Request): void {
    if (method !== "$/cancelRequest") return;
    const cancelled = NOTIFICATIONS["$/cancelRequest"].params.safeParse(params);
    if (cancelled.success) {
      this.#inFlight.get(cancelled.data.id)?.abort(new DsignError("request_cancelled"));
    }
  }

  async #answer(id: RequestId, { method, params }: Request, frame: string): Promise<void> {
    const { length } = frame;
    if (this.#inFlight.has(id)) {
      return this.#send(formatError(
        id,
        new DsignError("invalid_request", "An unanswered request already uses this id.").toJSON(),
      ));
    }
    if (
      this.#inFlight.size >= LIMITS.requestsInFlight ||
      this.#bytesInFlight + length > LIMITS.bytesInFlight
    ) return this.#send(formatError(id, new DsignError("busy").toJSON()));
    const cancel = new AbortController();
    this.#inFlight.set(id, cancel);
    this.#bytesInFlight += length;
    let reply: string;
    try {
      if (!isWellFormed(frame)) throw new DsignError("invalid_params", HALF_A_CHARACTER);
      const result = await this.dispatch(method, params, {
        origin: this.origin,
        port: this.port,
        own: this.own,
        id,
        documents: this.#documents,
        batches: this.#batches,
        signal: cancel.signal,
        progress: (progress) => this.#tellSoon(id, progress),
        wantItem: (item) => this.notify("batch.wanted", { id, item }),
        sendChunk: async (handle, bytes) => {
          this.#send(formatChunk(handle, bytes));
          await this.#drained();
        },
      });
      reply = formatResult(id, result);
    } catch (error) {
      const failure = toDsignError(error);
      const { code, details: { cause } } = failure;
      // If a driver or the system is the cause, the help desk needs it.
      log[cause ? "warn" : "debug"]("A request of {origin} failed: {code} {cause}", {
        origin: this.origin,
        code,
        cause,
      });
      reply = formatError(id, failure.toJSON());
    } finally {
      this.#inFlight.delete(id);
      this.#progress.delete(id);
      this.#bytesInFlight -= length;
    }
    this.#send(reply);
  }

  /** Tells the newest of what comes meanwhile. */
  #tellSoon(id: RequestId, progress: Progress): void {
    this.#progress.set(id, progress);
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = undefined;
      for (const [id, progress] of this.#progress) {
        this.notify("request.progress", { id, ...progress });
      }
      this.#progress.clear();
    }, PROGRESS_AFTER);
  }

  #receiveChunk(frame: Uint8Array): void {
    const { handle, bytes } = parseChunk(frame);
    const document = this.#documents.get(handle);
    document.append(bytes);
    if (!document.acknowledgementDue()) return;
    this.notify("document.ack", { document: handle, received: document.received });
  }

  #send(frame: string | Uint8Array<ArrayBuffer>): void {
    if (!this.#open) return;
    // What waits already counts: one reply alone may be larger.
    if (this.socket.unread > LIMITS.unread) return this.#close(CLOSE.policy, "not reading");
    this.socket.send(frame);
  }

  /** Waits for a page that reads more slowly than results are made. */
  async #drained(): Promise<void> {
    while (this.#open && this.socket.unread > LIMITS.unread / 2) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #close(code: number, reason: string): void {
    if (!this.#open) return;
    this.#end();
    this.socket.close(code, reason);
  }

  /** Cancels the requests of a page that is gone. */
  #end(): void {
    this.#open = false;
    clearTimeout(this.#progressTimer);
    for (const cancel of this.#inFlight.values()) {
      cancel.abort(new DsignError("request_cancelled"));
    }
    this.#batches.clear();
    this.#documents.clear();
  }
}
