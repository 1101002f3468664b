/**
 * Consent in a browser window that the agent opens on its own page. See protocol/consent.ts for what the two say to
 * each other. Each question has a ticket of its own, which opens one window once; a window that is closed has declined.
 */
import { timingSafeEqual } from "node:crypto";
import type {
  ChooseRequest,
  ConsentEvent,
  ConsentReply,
  ConsentRequest,
  ConsentView,
  GrantRequest,
  OtpRequest,
  PinRequest,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";
import { DsignError, type ErrorCode } from "../../protocol/errors.ts";
import * as z from "zod";
import {
  CONSENT_LIMIT,
  CONSENT_TIMEOUT,
  type PageConsent,
  type PinAnswer,
  type ShowPdf,
  type SignAnswer,
  timeToAnswer,
} from "./port.ts";
import { documentResponse } from "./document_response.ts";
import { SHOWN_LENGTH } from "../../formats/shown.ts";
import { shownItem } from "../documents.ts";
import { toCancelled, toDsignError } from "../errors.ts";
import { SAFE_HEADERS } from "./headers.ts";

export interface WindowOptions {
  /** The agent's own, as in `http://127.0.0.1:7791`. */
  origin: string;
  /**
   * Shows an address of the agent to the person; rejects with `consent_unavailable`. `unseen` fires if the question ends
   * before a window has come.
   */
  openWindow: (url: string, unseen: AbortSignal) => Promise<void>;
  /** BCP 47 */
  language: string;
  /** Keeps the language that the person chose, for all of D-Sign. */
  keepLanguage?: (language: string) => Promise<void>;
  /** The person's own words; null where none were chosen. */
  phrase?: () => Promise<string | null>;
  /** How long the person has at least, and at most with more time; in milliseconds. */
  timeout?: number;
  limit?: number;
  /** Milliseconds between signs of life, which is how a closed window is noticed. */
  heartbeat?: number;
}

const Reply: z.ZodType<ConsentReply> = z.union([
  z.strictObject({ decision: z.literal("decline") }),
  z.strictObject({ decision: z.literal("more_time") }),
  z.strictObject({ decision: z.literal("resend") }),
  z.strictObject({
    decision: z.literal("approve"),
    certificate: z.string().max(1000).optional(),
    pin: z.string().max(255).optional(),
    newPin: z.string().max(255).optional(),
    binding: z.string().max(64).optional(),
    revision: z.string().max(128).optional(),
    finalTry: z.literal(true).optional(),
    acceptsUnproven: z.literal(true).optional(),
  }),
]);

const LanguageChoice = z.strictObject({ language: z.enum(["en", "bn", "hi"]) });

/** A reply is small. */
const MAX_REPLY = 4096;

/** One question while it is shown. */
interface Question {
  ticket: Uint8Array;
  view: ConsentView;
  /** The window that shows it; the first to come. */
  window: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** An answer is being tried. */
  busy: boolean;
  show: ShowPdf;
  /** For an OTP: has it sent again. */
  resend?: () => Promise<void>;
  answer(reply: ConsentReply & { decision: "approve" }): Promise<Unlocked>;
  /** Gives more time. */
  extend(): void;
  /** Ends the question; null: answered. */
  end(error: DsignError | null): void;
}

export class WindowConsent implements PageConsent {
  readonly #questions = new Set<Question>();

  constructor(readonly options: WindowOptions) {}

  grant(request: GrantRequest, signal: AbortSignal): Promise<void> {
    return this.#ask(request, () => Promise.resolve({ ok: true }), signal);
  }

  async choose(
    request: ChooseRequest,
    signal: AbortSignal,
  ): Promise<string> {
    let chosen = "";
    await this.#ask(
      request,
      ({ certificate }) => {
        chosen = certificate ?? "";
        return Promise.resolve({ ok: true });
      },
      signal,
    );
    return chosen;
  }

  sign(
    request: SignRequest,
    unlock: (answer: SignAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
    show: ShowPdf = nothingToShow,
  ): Promise<void> {
    return this.#ask(
      request,
      ({
        certificate = "",
        pin,
        binding = "",
        revision,
        finalTry = false,
        acceptsUnproven = false,
      }) =>
        unlock({
          certificate,
          pin: bytesOf(pin),
          binding,
          revision,
          finalTry,
          acceptsUnproven,
        }),
      signal,
      show,
    );
  }

  async otp(
    request: OtpRequest,
    resend: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    let typed = "";
    await this.#ask(
      request,
      ({ pin = "" }) => {
        typed = pin;
        return Promise.resolve({ ok: true });
      },
      signal,
      undefined,
      request.canResend ? resend : undefined,
    );
    return new TextEncoder().encode(typed);
  }

  pin(
    request: PinRequest,
    attempt: (answer: PinAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#ask(
      request,
      ({ pin, newPin, finalTry = false }) =>
        attempt({ pin: bytesOf(pin), newPin: bytesOf(newPin), finalTry }),
      signal,
    );
  }

  #ask(
    request: ConsentRequest,
    answer: Question["answer"],
    signal: AbortSignal,
    show: ShowPdf = nothingToShow,
    resend?: () => Promise<void>,
  ): Promise<void> {
    const { timeout = CONSENT_TIMEOUT, limit = CONSENT_LIMIT, heartbeat = 1000 } = this.options;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(toCancelled(signal));
      const latest = Date.now() + limit;
      let until = Date.now() + timeToAnswer(request, timeout, limit);
      const unseen = new AbortController();
      const question: Question = {
        ticket: crypto.getRandomValues(new Uint8Array(32)),
        view: {
          request,
          language: this.options.language,
          deadline: new Date(until).toISOString(),
          latest: new Date(latest).toISOString(),
        },
        window: undefined,
        busy: false,
        show,
        resend,
        answer,
        extend: () => {
          until = Math.min(latest, until + timeout);
          clearTimeout(lapse);
          lapse = lapseInTime();
          question.view.deadline = new Date(until).toISOString();
          tell(question, { event: "extended", deadline: question.view.deadline });
        },
        end: (error) => {
          if (!this.#questions.delete(question)) return;
          clearTimeout(lapse);
          clearInterval(pulse);
          signal.removeEventListener("abort", cancelled);
          if (!question.window) unseen.abort();
          tell(question, { event: "ended", code: error?.code ?? null });
          try {
            question.window?.close();
          } catch {
            // The window went first.
          }
          if (error) reject(error);
          else resolve();
        },
      };
      this.#questions.add(question);
      const lapseInTime = () =>
        setTimeout(() => question.end(new DsignError("consent_timeout")), until - Date.now());
      let lapse = lapseInTime();
      const pulse = setInterval(() => tell(question, { event: "waiting" }), heartbeat);
      const cancelled = () => question.end(toCancelled(signal));
      signal.addEventListener("abort", cancelled);
      const ticket = question.ticket.toBase64({ alphabet: "base64url", omitPadding: true });
      this.options.openWindow(`${this.options.origin}/consent#${ticket}`, unseen.signal)
        .catch((error) => question.end(toDsignError(error)));
    });
  }

  /** Answers the page. Host and origin of the request were checked before. */
  async respond(request: Request, path: string): Promise<Response> {
    const question = this.#find(request.headers.get("authorization") ?? "");
    if (!question) return failure(404, "request_cancelled", "This request is over.");
    const [, part, item] = /^\/consent\/(document|signatures|look|revision)\/(\d{1,5})$/
      .exec(path) ?? [];
    if (part && request.method === "GET") {
      return await this.#item(question, Number(item), part, request);
    }
    switch (`${request.method} ${path}`) {
      case "GET /consent/view":
        return await this.#view(question);
      case "GET /consent/alive":
        return this.#alive(question);
      case "POST /consent/answer":
        return await this.#answer(question, request);
      case "POST /consent/language":
        return await this.#language(request);
      default:
        return failure(404, "invalid_request", "Not found.");
    }
  }

  async #view({ view }: Question): Promise<Response> {
    const phrase = await this.options.phrase?.();
    return Response.json({ ...view, ...phrase && { phrase } }, { headers: SAFE_HEADERS });
  }

  /** Every ticket is compared in full, so that the time taken tells nothing of any. */
  #find(authorization: string): Question | undefined {
    const match = /^Bearer ([A-Za-z0-9_-]{43})$/.exec(authorization);
    if (!match) return undefined;
    const ticket = Uint8Array.fromBase64(match[1], { alphabet: "base64url" });
    let found: Question | undefined;
    for (const question of this.#questions) {
      if (timingSafeEqual(question.ticket, ticket)) found = question;
    }
    return found;
  }

  /** The stream's end, found by the next sign of life at the latest, tells that the window was closed. */
  #alive(question: Question): Response {
    if (question.window) {
      return failure(409, "invalid_request", "This request is shown in another window.");
    }
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        question.window = controller;
        tell(question, { event: "waiting" });
      },
      cancel: () => question.end(new DsignError("user_cancelled")),
    });
    return new Response(stream, {
      headers: { ...SAFE_HEADERS, "content-type": "application/x-ndjson" },
    });
  }

  /** A document's bytes, its earlier signatures, what it is, or what of it is signed. */
  async #item(
    question: Question,
    item: number,
    part: string,
    request: Request,
  ): Promise<Response> {
    const asked = new URL(request.url).searchParams;
    try {
      const shown = await question.show(item, asked.get("certificate") ?? undefined);
      switch (part) {
        case "look": {
          const { source } = shown;
          const beginning = source.read(0, Math.min(source.size, SHOWN_LENGTH));
          return Response.json(shownItem(beginning, source.size, ""), { headers: SAFE_HEADERS });
        }
        case "signatures":
          return Response.json(await shown.facts(), { headers: SAFE_HEADERS });
        case "revision":
          return Response.json(shown.revision ?? null, { headers: SAFE_HEADERS });
      }
      // While its pages are fetched, it may have been prepared anew.
      if ((asked.get("revision") ?? undefined) !== shown.revision?.digest) {
        throw new DsignError("document_not_found");
      }
      return documentResponse(
        shown,
        request.headers.get("range"),
        () => this.#questions.has(question),
      );
    } catch (error) {
      const { code, message } = toDsignError(error);
      return failure(404, code, message);
    }
  }

  async #language(request: Request): Promise<Response> {
    const choice = await readBody(request, LanguageChoice);
    if (!choice) return failure(400, "invalid_params", "This language is not known.");
    await this.options.keepLanguage?.(choice.language);
    return Response.json({}, { headers: SAFE_HEADERS });
  }

  async #answer(question: Question, request: Request): Promise<Response> {
    if (question.busy) return failure(409, "busy", "The last answer is still being tried.");
    question.busy = true;
    try {
      const reply = await readBody(request, Reply);
      if (!reply) return failure(400, "invalid_params", "This is no answer to the request.");
      let unlocked: Unlocked = { ok: true };
      if (reply.decision === "decline") {
        question.end(new DsignError("user_cancelled"));
      } else if (reply.decision === "more_time") {
        question.extend();
      } else if (reply.decision === "resend") {
        unlocked = await resend(question);
      } else {
        unlocked = await question.answer(reply);
        if (unlocked.ok) question.end(null);
        else if (!unlocked.again) question.end(new DsignError(unlocked.code, unlocked.message));
      }
      return Response.json(unlocked, { headers: SAFE_HEADERS });
    } finally {
      question.busy = false;
    }
  }
}

/** The question stays open, whatever becomes of it. */
async function resend({ resend }: Question): Promise<Unlocked> {
  try {
    if (!resend) throw new DsignError("invalid_request");
    await resend();
    return { ok: true };
  } catch (error) {
    const { code, message } = toDsignError(error);
    return { ok: false, code, message, again: true };
  }
}

/** A small JSON body of the page; null if it is not as `schema` has it. */
async function readBody<T>(request: Request, schema: z.ZodType<T>): Promise<T | null> {
  if (request.headers.get("content-type") !== "application/json") return null;
  const bytes = new Uint8Array(MAX_REPLY);
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      if (length + chunk.length > MAX_REPLY) return null;
      bytes.set(chunk, length);
      length += chunk.length;
      chunk.fill(0);
    }
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null; // not JSON, not UTF-8, or the window went while sending
  } finally {
    bytes.fill(0); // it held the PIN
  }
}

function tell(question: Question, event: ConsentEvent): void {
  try {
    question.window?.enqueue(new TextEncoder().encode(JSON.stringify(event) + "\n"));
  } catch {
    // The stream is closed: its cancel has said so already.
  }
}

const bytesOf = (typed: string | undefined) =>
  typed === undefined ? null : new TextEncoder().encode(typed);

const nothingToShow: ShowPdf = () => Promise.reject(new DsignError("document_not_found"));

const failure = (status: number, code: ErrorCode, message: string): Response =>
  Response.json({ code, message }, { status, headers: SAFE_HEADERS });
