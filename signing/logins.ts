/**
 * Keys that stay open for a while after the person typed the PIN, where the administrator wants that. At most one a
 * token: a second login to the same token would be one that nobody asked for.
 */
import type { HashName, Signer } from "../formats/signer.ts";
import type { Credential } from "./tokens.ts";

/** A key that is open for one request. */
export interface Lease {
  credential: Credential;
  signer: Signer;
  /** The second key of a request that needs two; ends with this one. */
  also?: Lease;
  /** Ends the use. Not `reusable` after a failure, and for keys that want the PIN for every signature. */
  release(reusable: boolean): Promise<void>;
}

interface Login {
  credential: Credential;
  signer: Signer;
  uses: number;
  /** No further use; closed when the last one ends. */
  ended: boolean;
  closing?: Promise<void>;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** When it is over by the clock: timers stand still while the computer sleeps. */
  until: number;
  closed: PromiseWithResolvers<void>;
}

export class Logins {
  /** By token URI, until they are closed. */
  #logins = new Map<string, Login>();

  /** @param duration milliseconds from the login on; 0: no login outlives its request */
  constructor(readonly duration: number, readonly now: () => number = Date.now) {}

  /** The certificate of an open key, without looking at the token. */
  find(id: string): Credential | undefined {
    for (const login of this.#logins.values()) {
      if (login.credential.id === id && !this.#isOver(login)) return login.credential;
    }
    return undefined;
  }

  /** Whether {@linkcode reuse} would return a lease. */
  has(credential: Credential, hash: HashName): boolean {
    const login = this.#logins.get(credential.key.token.uri);
    return login?.credential.id === credential.id && login.signer.algorithm.hash === hash &&
      !this.#isOver(login);
  }

  /** The open key, if this is it. */
  reuse(credential: Credential, hash: HashName): Lease | undefined {
    return this.has(credential, hash)
      ? this.#lease(this.#logins.get(credential.key.token.uri)!)
      : undefined;
  }

  /** Ends what is open on the key's token, so that it can be logged in to. */
  async makeRoom(credential: Credential): Promise<void> {
    const login = this.#logins.get(credential.key.token.uri);
    if (!login) return;
    await this.#end(login);
  }

  /** Takes charge of a key just opened. */
  add(credential: Credential, signer: Signer): Lease {
    const login: Login = {
      credential,
      signer,
      uses: 0,
      ended: this.duration === 0,
      timer: undefined,
      until: this.now() + this.duration,
      closed: Promise.withResolvers(),
    };
    if (!login.ended) {
      this.#logins.set(credential.key.token.uri, login);
      login.timer = setTimeout(() => this.#end(login).catch(() => {}), this.duration);
      Deno.unrefTimer(login.timer);
    }
    return this.#lease(login);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#logins.values()].map((login) => this.#end(login)));
  }

  /** Whether the login has ended or expired. A clock that was set back also expires it. */
  #isOver({ ended, until }: Login): boolean {
    const left = until - this.now();
    return ended || left <= 0 || left > this.duration;
  }

  #lease(login: Login): Lease {
    login.uses++;
    return {
      credential: login.credential,
      signer: login.signer,
      release: async (reusable) => {
        login.uses--;
        if (!reusable) this.#retire(login);
        if (login.ended && login.uses === 0) await this.#closeSigner(login);
      },
    };
  }

  #retire(login: Login): void {
    login.ended = true;
    clearTimeout(login.timer);
  }

  async #end(login: Login): Promise<void> {
    this.#retire(login);
    if (login.uses === 0) await this.#closeSigner(login);
    else await login.closed.promise;
  }

  #closeSigner(login: Login): Promise<void> {
    return login.closing ??= login.signer.close().finally(() => {
      const { uri } = login.credential.key.token;
      if (this.#logins.get(uri) === login) this.#logins.delete(uri);
      login.closed.resolve();
    });
  }
}
