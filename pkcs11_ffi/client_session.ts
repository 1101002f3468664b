import type { DriverChild } from "./child.ts";
import { Pkcs11Error } from "./error.ts";
import {
  type CertificateObject,
  type KeyInfo,
  type KeySelector,
  type KeySpec,
  MAX_MESSAGE,
  type PublicPart,
  type Request,
  type SignRequest,
} from "./messages.ts";
import type { Answer } from "./process.ts";

/** How long the driver may work on one request, in milliseconds. */
export interface Timeouts {
  /** Load the library and C_Initialize. Some drivers take seven seconds. */
  startMs: number;
  /** Timeout of every other function. */
  requestMs: number;
  /** C_Login with a PIN. */
  loginMs: number;
  /** C_Login with the PIN typed on the reader. */
  pinPadMs: number;
}

/** Options of every call. */
export interface CallOptions {
  signal?: AbortSignal;
}

/** A session in one child. */
export interface Share {
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
      // A running login cannot be cancelled, but it can be undone.
      if (options.signal?.aborted) throw new Pkcs11Error("cancelled");
    } catch (error) {
      if (this.#shares.length > 1 || options.signal?.aborted) await this.close();
      throw error;
    } finally {
      pin?.fill(0);
    }
  }

  /**
   * Changes the PIN; the session need not be logged in. Never repeated.
   *
   * @param pins the old and the new one, UTF-8; wiped before this returns. `null`: they are typed on the reader
   * @throws {Pkcs11Error} `pin_incorrect` and `pin_locked` (with `triesLeft`): the old PIN; `pin_length`: the token does
   * not take the new one; `cancelled`, `driver_*`
   */
  async setPin(
    pins: [old: Uint8Array, next: Uint8Array] | null,
    { signal }: CallOptions = {},
  ): Promise<void> {
    const blob = pins && new Uint8Array([...pins[0], ...pins[1]]);
    try {
      const { child, session, incarnation } = this.#live()[0];
      await child.request({ op: "setPin", session, oldLength: pins?.[0].length }, {
        timeoutMs: pins ? this.#timeouts.loginMs : this.#timeouts.pinPadMs,
        signal: pins ? undefined : signal,
        killOnAbort: true,
        secret: pins !== null,
        incarnation,
      }, blob ?? undefined);
    } finally {
      for (const bytes of [blob, ...pins ?? []]) bytes?.fill(0);
    }
  }

  /**
   * Finds a private key: by CKA_ID, and by its public part in the certificate where the token
   * gave the two different identifiers.
   *
   * @throws {Pkcs11Error} `key_not_found`, `user_not_logged_in`, `driver_*`
   */
  async key(selector: KeySelector, { signal }: CallOptions = {}): Promise<Pkcs11Key> {
    const { id, certificate, publicKey } = selector;
    const found = await Promise.all(
      this.#live().map(async (share) => {
        const { value } = await share.child.request(
          {
            op: "key",
            session: share.session,
            id,
            certificate: certificate !== undefined,
            publicKey,
          },
          { timeoutMs: this.#timeouts.requestMs, signal, incarnation: share.incarnation },
          certificate,
        );
        return { share, ...value as { key: number; info: KeyInfo } };
      }),
    );
    return new Pkcs11Key(found[0].info, found, this.#timeouts);
  }

  /**
   * Makes a key pair in the least busy child. Without an `id` in `spec` it lives until
   * {@link Pkcs11Key.destroy} or the end of this session; with one it stays on the token, where
   * {@link key} finds it in every child.
   *
   * @throws {Pkcs11Error} `mechanism_unsupported`, `user_not_logged_in`, `driver_*`
   */
  async generate(
    spec: KeySpec,
    { signal }: CallOptions = {},
  ): Promise<{ key: Pkcs11Key; publicPart: PublicPart }> {
    const share = this.#live().reduce((a, b) => b.child.load < a.child.load ? b : a);
    const { value } = await share.child.request(
      { op: "generate", session: share.session, spec },
      { timeoutMs: this.#timeouts.requestMs, signal, incarnation: share.incarnation },
    );
    const { key, info, publicPart } = value as {
      key: number;
      info: KeyInfo;
      publicPart: PublicPart;
    };
    return { key: new Pkcs11Key(info, [{ share, key }], this.#timeouts), publicPart };
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
        const { value: ended } = await this.#send("close", share);
        if (!ended) share.child.stop(share.incarnation, "it could not log out");
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
      // The driver already has a typed PIN, so wait for the result.
      signal: pin ? undefined : signal,
      killOnAbort: true,
      secret: pin !== null,
      incarnation,
    }, pin ?? undefined);
  }
}

/** A private key of a logged-in session. */
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
   * before this returns, or `null` if it is typed on the reader
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
      const call = {
        timeoutMs,
        signal,
        killOnAbort: pin === null,
        secret: pin instanceof Uint8Array,
        incarnation: share.incarnation,
      };
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

  /**
   * Destroys a key that {@link Pkcs11Session.generate} made without an `id`. It is gone too when
   * the driver's process is.
   *
   * @throws {Pkcs11Error} `driver_*`
   */
  async destroy(): Promise<void> {
    const [{ share, key }] = this.#places;
    const { child, session, incarnation } = share;
    if (!isLive(share)) return;
    await child.request({ op: "destroy", session, key }, {
      timeoutMs: this.#timeouts.requestMs,
      incarnation,
    });
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
export function toCertificates({ value, blob }: Answer): CertificateObject[] {
  let at = 0;
  return (value as (Omit<CertificateObject, "der"> & { length: number })[]).map(
    ({ length, ...rest }) => ({ ...rest, der: blob.slice(at, at += length) }),
  );
}
