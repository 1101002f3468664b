/**
 * A PKCS#11 driver behind a process boundary: the same verbs as `module.ts`, asynchronous.
 *
 * ```ts
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
import { type Answer, type ChildOptions, DriverChild } from "./child.ts";
import { Pkcs11Error } from "./error.ts";
import {
  type CertificateObject,
  type KeyInfo,
  type KeySelector,
  MAX_MESSAGE,
  type ModuleInfo,
  type Request,
  type SignRequest,
  type TokenInfo,
} from "./messages.ts";

export type { CertificateObject, KeyInfo, KeySelector, ModuleInfo, SignRequest, TokenInfo };
export type { Hash, Scheme } from "./mechanism.ts";
export { Pkcs11Error };
export type { Pkcs11ErrorCode, TriesLeft } from "./error.ts";

/** How long the driver may work on one request, in milliseconds. */
export interface Timeouts {
  /** Load the library and C_Initialize. Some drivers take seven seconds. */
  startMs: number;
  /** Everything that is not named here. */
  requestMs: number;
  /** C_Login with a PIN. */
  loginMs: number;
  /** C_Login where the person types the PIN on the reader. */
  pinPadMs: number;
}

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

/** Options of every call. */
export interface CallOptions {
  signal?: AbortSignal;
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
   * What the driver says about itself.
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

  /** Ends the children. What is under way fails with `closed`. */
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

/** A session in one child. */
interface Share {
  child: DriverChild;
  incarnation: number;
  session: number;
}

/**
 * A session with a token. When the driver's process ends, the login is lost: every later call
 * fails with `user_not_logged_in`, and a new session must be opened.
 */
export class Pkcs11Session {
  #shares: Share[];
  #more: (() => Promise<Share>)[];
  readonly #timeouts: Timeouts;

  /** Made by {@link Pkcs11Client.openSession}. */
  constructor(share: Share, more: (() => Promise<Share>)[], timeouts: Timeouts) {
    this.#shares = [share];
    this.#more = more;
    this.#timeouts = timeouts;
  }

  /**
   * Logs in: exactly one C_Login in each child, never repeated. After a wrong PIN no other child
   * is tried.
   *
   * @param pin UTF-8 bytes; wiped before this returns. `null`: the person types the PIN on the
   * reader (only where {@link TokenInfo.protectedAuthenticationPath})
   * @throws {Pkcs11Error} `pin_incorrect` and `pin_locked` (with `triesLeft`), `pin_expired`,
   * `pin_length`, `cancelled`, `driver_*`
   */
  async login(pin: Uint8Array | null, options: CallOptions = {}): Promise<void> {
    try {
      await this.#login(this.#shares[0], pin, options);
      for (const open of this.#more.splice(0)) {
        const share = await open();
        this.#shares.push(share);
        await this.#login(share, pin, options);
      }
      // A login that is under way cannot be called back, but it can be undone.
      if (options.signal?.aborted) throw new Pkcs11Error("cancelled");
    } catch (error) {
      if (this.#shares.length > 1 || options.signal?.aborted) await this.close();
      throw error;
    } finally {
      pin?.fill(0);
    }
  }

  /**
   * Finds a private key: by CKA_ID, and by its public part in the certificate where the token
   * gave the two different identifiers.
   *
   * @throws {Pkcs11Error} `key_not_found`, `user_not_logged_in`, `driver_*`
   */
  async key(selector: KeySelector, { signal }: CallOptions = {}): Promise<Pkcs11Key> {
    const { id, certificate } = selector;
    const found = await Promise.all(
      this.#live().map(async (share) => {
        const { value } = await share.child.request(
          { op: "key", session: share.session, id, certificate: certificate !== undefined },
          { timeoutMs: this.#timeouts.requestMs, signal, incarnation: share.incarnation },
          certificate,
        );
        return { share, ...value as { key: number; info: KeyInfo } };
      }),
    );
    return new Pkcs11Key(found[0].info, found, this.#timeouts);
  }

  /**
   * The certificates that the token shows to this session; some show more after the login.
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `driver_*`
   */
  async certificates({ signal }: CallOptions = {}): Promise<CertificateObject[]> {
    const { child, session, incarnation } = this.#live()[0];
    return toCertificates(
      await child.request({ op: "certificates", session }, {
        timeoutMs: this.#timeouts.requestMs,
        signal,
        incarnation,
      }),
    );
  }

  /**
   * C_Logout. The session stays open.
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `driver_*`
   */
  async logout(): Promise<void> {
    await Promise.all(this.#live().map((share) => this.#send("logout", share)));
  }

  /** Logs out and closes the session. Does nothing when the driver's process is gone. */
  async close(): Promise<void> {
    const live = this.#shares.filter(isLive);
    this.#shares = [];
    await Promise.all(live.map(async (share) => {
      try {
        await this.#send("close", share);
      } catch (error) {
        // A process that ended meanwhile has closed the session thoroughly.
        if (isLive(share)) throw error;
      }
    }));
  }

  #live(): Share[] {
    const live = this.#shares.filter(isLive);
    if (live.length === 0) throw new Pkcs11Error("user_not_logged_in");
    return live;
  }

  #send(op: "logout" | "close", { child, session, incarnation }: Share): Promise<Answer> {
    return child.request({ op, session }, { timeoutMs: this.#timeouts.requestMs, incarnation });
  }

  #login(share: Share, pin: Uint8Array | null, { signal }: CallOptions): Promise<Answer> {
    const { child, session, incarnation } = share;
    return child.request({ op: "login", session, pin: pin !== null }, {
      timeoutMs: pin ? this.#timeouts.loginMs : this.#timeouts.pinPadMs,
      // A typed PIN is in the driver at once: then wait, so that it is known what became of it.
      signal: pin ? undefined : signal,
      killOnAbort: true,
      incarnation,
    }, pin ?? undefined);
  }
}

/** A private key of a session that is logged in. */
export class Pkcs11Key {
  readonly #places: { share: Share; key: number }[];
  readonly #timeouts: Timeouts;

  /** Made by {@link Pkcs11Session.key}. */
  constructor(
    readonly info: KeyInfo,
    places: { share: Share; key: number }[],
    timeouts: Timeouts,
  ) {
    this.#places = places;
    this.#timeouts = timeouts;
  }

  /**
   * Signs. Calls may overlap: they are pipelined and, with a pool, spread.
   *
   * @param options.pin for a key with `alwaysAuthenticate`: the PIN of this one signature, wiped
   * before this returns, or `null` where it is typed on the reader
   * @returns RSA: as long as the modulus. ECDSA: DER `ECDSA-Sig-Value` (PKCS#11's own form is
   * r ‖ s)
   * @throws {Pkcs11Error} `mechanism_unsupported`, `input_invalid`, `context_login_required`,
   * `pin_*`, `user_not_logged_in`, `token_removed`, `cancelled`, `driver_*`
   */
  async sign(
    request: SignRequest,
    options: CallOptions & { pin?: Uint8Array | null } = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    const { pin, signal } = options;
    try {
      if (request.data.length > MAX_MESSAGE) throw new Pkcs11Error("input_invalid");
      const { share, key } = this.#leastBusy();
      const { scheme, hash, input, data } = request;
      const header: Request = { op: "sign", session: share.session, key, scheme, hash, input };
      let blob = data;
      let timeoutMs = this.#timeouts.requestMs;
      if (pin) {
        header.pinLength = pin.length;
        blob = new Uint8Array(pin.length + data.length);
        blob.set(pin);
        blob.set(data, pin.length);
        timeoutMs = this.#timeouts.loginMs;
      } else if (pin === null) {
        header.pinPad = true;
        timeoutMs = this.#timeouts.pinPadMs;
      }
      const call = { timeoutMs, signal, killOnAbort: pin === null, incarnation: share.incarnation };
      const answer = share.child.request(header, call, blob);
      try {
        return (await answer).blob;
      } finally {
        if (pin) blob.fill(0);
      }
    } finally {
      pin?.fill(0);
    }
  }

  #leastBusy(): { share: Share; key: number } {
    let best: { share: Share; key: number } | undefined;
    for (const place of this.#places) {
      if (!isLive(place.share)) continue;
      if (!best || place.share.child.load < best.share.child.load) best = place;
    }
    if (!best) throw new Pkcs11Error("user_not_logged_in");
    return best;
  }
}

function isLive(share: Share): boolean {
  return share.child.incarnation === share.incarnation;
}

/** The blob holds the certificates one after another. */
function toCertificates({ value, blob }: Answer): CertificateObject[] {
  let at = 0;
  return (value as (Omit<CertificateObject, "der"> & { length: number })[]).map(
    ({ length, ...rest }) => ({ ...rest, der: blob.slice(at, at += length) }),
  );
}
