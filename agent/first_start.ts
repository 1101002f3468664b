/**
 * The console's requests about the first start: the next step, whether the agent starts at login, and the phrase. Only
 * the agent's own page reaches this (server.ts).
 */
import * as z from "zod";
import { DsignError } from "../protocol/errors.ts";
import type { NextStep, StartView } from "../protocol/start.ts";
import { toDsignError } from "../signing/errors.ts";
import { SAFE_HEADERS } from "../signing/consent/headers.ts";
import { readPhrase, writePhrase } from "../signing/consent/phrase.ts";

/** Work that the command line does for the agent. */
export interface FirstStart {
  /** The first trouble that keeps the person from signing; null: ready. */
  nextStep(language: string): Promise<NextStep | null>;
  startsAtLogin(): Promise<boolean>;
  startAtLogin(wanted: boolean): Promise<void>;
  /** File of the phrase. */
  phrase: string;
}

/** A request is small. */
const MAX_REQUEST = 4096;

const AutostartRequest = z.strictObject({ enabled: z.boolean() });
const PhraseRequest = z.strictObject({ phrase: z.string() });

/** Answers the requests below `/console/`. */
export class FirstStartPages {
  #examination: { language: string; next: Promise<NextStep | null> } | undefined;

  constructor(readonly first: FirstStart) {}

  /** Ends once no examination is under way: it has files and drivers open. */
  async close(): Promise<void> {
    await this.#examination?.next.catch(() => {}); // its own request has reported the failure
  }

  async respond(request: Request, url: URL): Promise<Response> {
    try {
      switch (`${request.method} ${url.pathname}`) {
        case "GET /console/start":
          return json(await this.#view(url.searchParams.get("language") ?? "en"));
        case "POST /console/autostart":
          await this.first.startAtLogin((await read(request, AutostartRequest)).enabled);
          return json({});
        case "POST /console/phrase":
          await writePhrase(this.first.phrase, (await read(request, PhraseRequest)).phrase);
          return json({});
        default:
          return json({}, 404);
      }
    } catch (error) {
      const failure = toDsignError(error);
      return json(failure.toJSON(), failure.code === "invalid_params" ? 400 : 500);
    }
  }

  async #view(language: string): Promise<StartView> {
    const [next, autostart, phrase] = await Promise.all([
      this.#nextStep(language),
      this.first.startsAtLogin(),
      readPhrase(this.first.phrase),
    ]);
    return { next, autostart, phrase };
  }

  /** Drivers are not examined twice at a time, however many pages ask. */
  #nextStep(language: string): Promise<NextStep | null> {
    if (this.#examination?.language === language) return this.#examination.next;
    const examination = {
      language,
      next: this.first.nextStep(language).finally(() => {
        if (this.#examination === examination) this.#examination = undefined;
      }),
    };
    this.#examination = examination;
    return examination.next;
  }
}

/**
 * @param most bytes
 * @throws {DsignError} `invalid_params`, `too_large`
 */
export async function read<T>(
  request: Request,
  schema: z.ZodType<T>,
  most = MAX_REQUEST,
): Promise<T> {
  if (Number(request.headers.get("content-length") ?? Infinity) > most) {
    throw new DsignError("too_large");
  }
  let value;
  try {
    value = await request.json();
  } catch {
    throw new DsignError("invalid_params", "This is not JSON.");
  }
  const { success, data } = schema.safeParse(value);
  if (!success) throw new DsignError("invalid_params");
  return data;
}

export const json = (value: unknown, status = 200): Response =>
  Response.json(value, { status, headers: SAFE_HEADERS });
