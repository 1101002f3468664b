/** Talking to one remote signing service (Cloud Signature Consortium API): to its own address and to no other. */
import * as z from "zod";
import { readBounded } from "../online/http.ts";
import { SignerError } from "./provider.ts";

const TIMEOUT = 20_000;
const MAX_ANSWER = 1024 * 1024;
/** Of a service's own words, as far as they are repeated. */
const MAX_WORDS = 200;

const Failure = z.object({ error: z.string(), error_description: z.string().default("") });

/** A no of the service: HTTP status, `error` and `error_description` (CSC API v2 §10.2). */
export class CscRefusal extends Error {
  override readonly name = "CscRefusal";

  constructor(readonly status: number, readonly error: string, readonly description: string) {
    super(`${error}: ${description}`);
  }
}

export class CscHttp {
  readonly #base: URL;

  /**
   * @param base as `https://sign.example/csc/v2`; `http:` on this machine only
   * @throws {SignerError} `driver_error` for another address
   */
  constructor(readonly name: string, base: string) {
    this.#base = new URL(`${base}/`);
    if (!isSafe(this.#base)) {
      throw new SignerError("driver_error", `The address of ${name} does not start with https.`);
    }
  }

  /** An address below the service's, or one that the service named: of the same origin, or it is refused. */
  at(path: string): URL {
    const url = new URL(path, this.#base);
    if (url.origin !== this.#base.origin) {
      throw new SignerError(
        "driver_error",
        `${this.name} redirects D-Sign to another address, which is not followed.`,
      );
    }
    return url;
  }

  /** Calls a method with JSON. @throws {CscRefusal | SignerError} */
  async call<T>(
    method: string,
    body: unknown,
    result: z.ZodType<T>,
    { authorization, signal }: { authorization?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    const headers = { "content-type": "application/json", ...authorization && { authorization } };
    const init = { method: "POST", headers, body: JSON.stringify(body), signal };
    return await this.#send(this.at(method), init, result);
  }

  /** POSTs a form (RFC 6749 §4). @throws {CscRefusal | SignerError} */
  async form<T>(
    url: URL,
    fields: Record<string, string>,
    result: z.ZodType<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return await this.#send(
      this.at(url.href),
      { method: "POST", body: new URLSearchParams(fields), signal },
      result,
    );
  }

  async #send<T>(url: URL, init: RequestInit, result: z.ZodType<T>): Promise<T> {
    const limit = AbortSignal.timeout(TIMEOUT);
    const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
    let status: number;
    let text: string;
    try {
      const response = await fetch(url, { ...init, signal, redirect: "error" });
      status = response.status;
      text = new TextDecoder().decode(await readBounded(response, MAX_ANSWER));
    } catch (error) {
      if (init.signal?.aborted) {
        throw new SignerError("request_cancelled", "The request was cancelled.");
      }
      throw new SignerError("driver_timeout", `${this.name} does not answer. Try again later.`, {
        cause: String(error),
      });
    }
    const value = parseJson(text);
    if (status >= 400) {
      const { error, error_description } = Failure.safeParse(value).data ??
        { error: `http_${status}`, error_description: "" };
      throw new CscRefusal(status, inWords(error), inWords(error_description));
    }
    const { data, success } = result.safeParse(value);
    if (!success) {
      throw new SignerError(
        "driver_error",
        `${this.name} sent a response that D-Sign does not understand.`,
      );
    }
    return data as T;
  }
}

/** Whether credentials may be sent there. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" ||
    (protocol === "http:" && ["127.0.0.1", "[::1]", "localhost"].includes(hostname));
}

/** An empty answer is one of nothing. */
function parseJson(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The service's message, without control characters. */
const inWords = (text: string) => text.replace(/[\p{C}\p{Z}]+/gu, " ").slice(0, MAX_WORDS);
