/** Signing in at a remote signing service: who the person is there, before anything is signed. */
import { createHash, randomBytes } from "node:crypto";
import * as z from "zod";
import { type CscHttp, CscRefusal } from "./csc_http.ts";
import { SignerError } from "./provider.ts";

/** How to sign in. Files hold their secret and nothing else. */
export type CscLogin =
  /** `auth/login` with HTTP Basic authentication (CSC API v2 §11.2). */
  | { type: "basic"; user: string; passwordFile: string }
  /** An access token of the service. */
  | { type: "bearer"; tokenFile: string }
  /** The person signs in at the service's own page in a browser (RFC 8252, RFC 7636). */
  | { type: "browser"; clientId: string; clientSecretFile?: string; redirectUri: string };

/** Shows an address to the person. */
export type OpenBrowser = (url: string) => Promise<void>;

const Tokens = z.object({
  access_token: z.string().min(1).max(4096),
  refresh_token: z.string().max(4096).optional(),
  expires_in: z.number().positive().default(3600),
});
export type Tokens = z.output<typeof Tokens>;

/** An access token is given up this much before its end, in milliseconds. */
const MARGIN = 30_000;
/** How long a browser is waited for, in milliseconds. */
const BROWSER_TIMEOUT = 10 * 60_000;
const MAX_SECRET = 4096;

/** Keeps the person signed in; tokens are in memory only. */
export class CscSession {
  #tokens: (Tokens & { until: number }) | undefined;
  #signingIn: Promise<void> | undefined;
  /** After a failed login, no window opens by itself for a while. */
  #notBefore = 0;
  /** Why the last login failed, for the next listing. */
  #failure: string | undefined;

  constructor(
    readonly http: CscHttp,
    readonly login: CscLogin,
    readonly open: OpenBrowser,
    /** Called after the person has logged in. */
    readonly changed: () => void,
    readonly end: AbortSignal,
  ) {}

  /**
   * Value of the Authorization header.
   *
   * @param oauth2 where the service has its OAuth 2.0 endpoints
   * @throws {SignerError} `token_not_present` while the person has to log in first
   */
  async authorization(oauth2: string | undefined, signal?: AbortSignal): Promise<string> {
    const { login, http } = this;
    if (login.type === "bearer") return `Bearer ${await readSecret(login.tokenFile)}`;
    if (!this.#tokens || this.#tokens.until < Date.now()) {
      if (login.type === "basic") {
        const password = await readSecret(login.passwordFile);
        const basic = new TextEncoder().encode(`${login.user}:${password}`).toBase64();
        this.#keep(
          await http.call("auth/login", { rememberMe: false }, Tokens, {
            authorization: `Basic ${basic}`,
            signal,
          }),
        );
      } else await this.#inBrowser(login, oauth2, signal);
    }
    return `Bearer ${this.#tokens!.access_token}`;
  }

  /** The service no longer knows the token. */
  forget(): void {
    this.#tokens = undefined;
  }

  #keep(tokens: Tokens): void {
    const { refresh_token = this.#tokens?.refresh_token } = tokens;
    this.#tokens = {
      ...tokens,
      refresh_token,
      until: Date.now() + tokens.expires_in * 1000 - MARGIN,
    };
  }

  /** Uses a refresh token if there is one; else opens a window, and listings say so meanwhile. */
  async #inBrowser(
    login: CscLogin & { type: "browser" },
    oauth2: string | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    if (!oauth2) {
      throw new SignerError("driver_error", `${this.http.name} offers no login in a browser.`);
    }
    const refresh = this.#tokens?.refresh_token;
    if (refresh && !this.#signingIn) {
      try {
        const fields = { grant_type: "refresh_token", refresh_token: refresh };
        return this.#keep(await redeem(this.http, login, oauth2, fields, Tokens, signal));
      } catch (error) {
        if (!(error instanceof CscRefusal)) throw error;
        this.#tokens = undefined;
      }
    }
    if (!this.#signingIn && Date.now() >= this.#notBefore) {
      this.#notBefore = Date.now() + BROWSER_TIMEOUT;
      this.#failure = undefined;
      const wanted = { scope: "service" };
      this.#signingIn = codeByBrowser(this.http, login, oauth2, wanted, this.open, this.end)
        .then((fields) => redeem(this.http, login, oauth2, fields, Tokens))
        .then((tokens) => {
          this.#keep(tokens);
          this.changed();
        })
        .catch((error) => {
          this.#failure = error instanceof Error ? error.message : String(error);
        })
        .finally(() => this.#signingIn = undefined);
    }
    const { name } = this.http;
    throw new SignerError(
      "token_not_present",
      this.#failure === undefined
        ? `Log in to ${name} in the browser window that D-Sign has opened.`
        : `Signing in to ${name} failed: ${this.#failure} D-Sign will ask again in ten minutes.`,
    );
  }
}

/** Exchanges the code from the browser for tokens (RFC 6749 §4.1.3). */
export async function redeem<T>(
  http: CscHttp,
  { clientId, clientSecretFile }: CscLogin & { type: "browser" },
  oauth2: string,
  fields: Record<string, string>,
  result: z.ZodType<T>,
  signal?: AbortSignal,
): Promise<T> {
  const secret = clientSecretFile && { client_secret: await readSecret(clientSecretFile) };
  const url = http.at(`${oauth2}/oauth2/token`);
  return await http.form(url, { client_id: clientId, ...secret, ...fields }, result, signal);
}

/**
 * Sends the person's browser to `oauth2/authorize` and waits on a loopback address until it comes back
 * (RFC 8252 §7.3, RFC 7636).
 *
 * @returns the fields with which the code is redeemed
 * @throws {SignerError} `user_cancelled` if the service or the person said no
 */
export async function codeByBrowser(
  http: CscHttp,
  { clientId, redirectUri }: CscLogin & { type: "browser" },
  oauth2: string,
  parameters: Record<string, string>,
  open: OpenBrowser,
  signal?: AbortSignal,
): Promise<Record<string, string>> {
  const { hostname, port, pathname } = new URL(redirectUri);
  const [state, verifier] = [0, 0].map(() => randomBytes(32).toString("base64url"));
  const url = http.at(`${oauth2}/oauth2/authorize`);
  url.search = `${new URLSearchParams({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...parameters,
  })}`;
  const back = Promise.withResolvers<URLSearchParams>();
  const limit = AbortSignal.timeout(BROWSER_TIMEOUT);
  const end = signal ? AbortSignal.any([signal, limit]) : limit;
  const stop = () => back.reject(new SignerError("request_cancelled", "The request has ended."));
  end.addEventListener("abort", stop, { once: true });
  const server = Deno.serve(
    { hostname, port: Number(port), onListen() {} },
    (request) => {
      const { pathname: path, searchParams } = new URL(request.url);
      if (path !== pathname || searchParams.get("state") !== state) {
        return new Response(null, { status: 404 });
      }
      back.resolve(searchParams);
      return new Response("You can close this window and go back to D-Sign.\n");
    },
  );
  try {
    await open(url.href);
    const code = (await back.promise).get("code");
    if (!code) {
      throw new SignerError(
        "user_cancelled",
        `${http.name} reports that the request was declined.`,
      );
    }
    return {
      grant_type: "authorization_code",
      code,
      redirect_uri: redirectUri,
      code_verifier: verifier,
    };
  } finally {
    end.removeEventListener("abort", stop);
    back.promise.catch(() => {}); // it may fail after nobody waits for it
    await server.shutdown();
  }
}

/** @throws {SignerError} `driver_error` if the file is missing, or others may read it */
async function readSecret(path: string): Promise<string> {
  const bad = (why: string) => new SignerError("driver_error", `The file ${path} ${why}.`);
  let info;
  try {
    info = await Deno.stat(path);
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? bad("is missing") : bad("cannot be read");
  }
  if (info.mode !== null && (info.mode & 0o077) !== 0) throw bad("can be read by others");
  if (info.size > MAX_SECRET) throw bad("is too large for a secret");
  return (await Deno.readTextFile(path)).replace(/\r?\n$/, "");
}
