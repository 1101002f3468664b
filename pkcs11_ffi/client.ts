/**
 * A PKCS#11 driver behind a process boundary: the same verbs as `module.ts`, asynchronous.
 *
 * ```ts ignore
 * const client = new Pkcs11Client({ modulePath, command: [Deno.execPath(), ..., "pkcs11-host"] });
 * const [token] = await client.tokens();
 * const [certificate] = await client.certificates(token.uri);
 * const session = await client.openSession(token.uri);
 * await session.login(pin); // the one C_Login; `pin` is wiped
 * const key = await session.key({ id: certificate.id, certificate: certificate.der });
 * const signature = await key.sign({
 *   scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256", input: "message", data,
 * });
 * await session.close();
 * await client.close();
 * ```
 */
import { DriverChild } from "./child.ts";
import {
  type CallOptions,
  Pkcs11Key,
  Pkcs11Session,
  type Share,
  type Timeouts,
  toCertificates,
} from "./client_session.ts";
import { Pkcs11Error } from "./error.ts";
import type {
  CertificateObject,
  KeyInfo,
  KeySelector,
  KeySpec,
  ModuleInfo,
  PublicPart,
  Request,
  SignRequest,
  TokenInfo,
} from "./messages.ts";
import type { Answer, ChildOptions } from "./process.ts";

export { Pkcs11Error, Pkcs11Key, Pkcs11Session };
export type { CallOptions, Timeouts };
export type {
  CertificateObject,
  KeyInfo,
  KeySelector,
  KeySpec,
  ModuleInfo,
  PublicPart,
  SignRequest,
  TokenInfo,
};
export { PKCS11_ERROR_CODES, type Pkcs11ErrorCode, type TriesLeft } from "./error.ts";
export type { Hash, Scheme } from "./mechanism.ts";
export { formatUri, matchesObject, matchesToken, parseUri, type Pkcs11Uri } from "./uri.ts";

const DEFAULT_TIMEOUTS: Timeouts = {
  startMs: 30_000,
  requestMs: 30_000,
  loginMs: 60_000,
  pinPadMs: 180_000,
};

/** Options of {@link Pkcs11Client}. */
export interface ClientOptions extends Omit<ChildOptions, "startMs"> {
  timeouts?: Partial<Timeouts>;
  /**
   * Number of child processes that sign in parallel; 1 if not given. Each does its own C_Login
   * with the PIN of the one login. For HSMs and SoftHSM only: a dongle must stay at 1.
   */
  poolSize?: number;
}

/** One driver. The process starts with the first call. */
export class Pkcs11Client {
  readonly #children: DriverChild[];
  readonly #timeouts: Timeouts;

  constructor(options: ClientOptions) {
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...options.timeouts };
    const child = { ...options, startMs: this.#timeouts.startMs };
    this.#children = Array.from(
      { length: options.poolSize ?? 1 },
      () => new DriverChild(child),
    );
  }

  /** Process ids of the children that run now, for diagnosis. */
  get pids(): number[] {
    return this.#children.flatMap((child) => child.pid ?? []);
  }

  /**
   * The driver's description of itself.
   *
   * @throws {Pkcs11Error} `driver_*`
   */
  async info(options: CallOptions = {}): Promise<ModuleInfo> {
    return (await this.#call({ op: "info" }, options)).value as ModuleInfo;
  }

  /**
   * The tokens that are plugged in now.
   *
   * @throws {Pkcs11Error} `driver_*`
   */
  async tokens(options: CallOptions = {}): Promise<TokenInfo[]> {
    return (await this.#call({ op: "tokens" }, options)).value as TokenInfo[];
  }

  /**
   * The X.509 certificates that a token shows without a login.
   *
   * @param token RFC 7512 URI that matches one token, e.g. {@link TokenInfo.uri}
   * @throws {Pkcs11Error} `token_not_found`, `token_ambiguous`, `uri_invalid`, `driver_*`
   */
  async certificates(token: string, options: CallOptions = {}): Promise<CertificateObject[]> {
    return toCertificates(await this.#call({ op: "certificates", token }, options));
  }

  /**
   * Opens a session; it is not logged in. Close it, or its login lasts as long as the process.
   *
   * @param token RFC 7512 URI that matches one token
   * @throws {Pkcs11Error} `token_not_found`, `token_ambiguous`, `uri_invalid`, `driver_*`
   */
  async openSession(token: string, options: CallOptions = {}): Promise<Pkcs11Session> {
    const share = await this.#open(this.#children[0], token, options);
    const more = this.#children.slice(1).map((child) => () => this.#open(child, token, options));
    return new Pkcs11Session(share, more, this.#timeouts);
  }

  /**
   * Watches tokens come and go by asking the driver every `intervalMs` (C_WaitForSlotEvent hangs
   * or crashes in too many drivers). `onChange` gets the first list and each that differs.
   * Nothing is asked while the driver has other work. When the driver fails the next question
   * comes later and later, up to a minute; `onError` hears of it.
   *
   * @returns ends the watch
   */
  watch(
    onChange: (tokens: TokenInfo[]) => void,
    intervalMs: number,
    onError: (error: Pkcs11Error) => void = () => {},
  ): () => void {
    let last: string | undefined;
    let pause = intervalMs;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = new AbortController();
    const ask = async () => {
      try {
        if (this.#children[0].load === 0) {
          const tokens = await this.tokens({ signal: stop.signal });
          pause = intervalMs;
          const now = JSON.stringify(tokens);
          if (now !== last && !stop.signal.aborted) onChange(tokens);
          last = now;
        }
      } catch (error) {
        if (stop.signal.aborted) return;
        if (!(error instanceof Pkcs11Error)) throw error;
        pause = Math.min(pause * 2, 60_000);
        onError(error);
        if (error.code === "closed") return;
      }
      if (!stop.signal.aborted) timer = setTimeout(ask, pause);
    };
    ask();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }

  /** Ends the children. Pending requests fail with `closed`. */
  async close(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.close()));
  }

  #call(request: Request, { signal }: CallOptions): Promise<Answer> {
    return this.#children[0].request(request, { timeoutMs: this.#timeouts.requestMs, signal });
  }

  async #open(child: DriverChild, token: string, { signal }: CallOptions): Promise<Share> {
    const { value, incarnation } = await child.request(
      { op: "open", token },
      { timeoutMs: this.#timeouts.requestMs, signal },
    );
    return { child, incarnation, session: value as number };
  }
}
