/**
 * Tickets with which a browser comes to the service's page. One that a client asked for with its secret is a row. One for
 * which anybody may have asked, by sending a browser here with a client's name, is sealed in the address itself: strangers
 * write nothing into the database.
 */
import { RULES } from "./authorize.ts";
import { SetupError } from "./error.ts";
import type { TokenOf } from "./rows.ts";
import type { Secrets } from "./secrets.ts";
import type { Store, Tx } from "./store.ts";

type Ticket = TokenOf<"ticket">;
type Pushed = TokenOf<"pushed">;

/** A sealed ticket begins with it. */
const ASKED = "asked-";
/** Characters of a sealed ticket: it travels in a header, of which proxies take 8 KiB. */
const LONGEST = 6000;

export class Tickets {
  readonly #store: Store;
  readonly #secrets: Secrets;

  constructor(store: Store, secrets: Secrets) {
    this.#store = store;
    this.#secrets = secrets;
  }

  /** Null where so much is asked for that it must be pushed, with a secret. */
  ask(ticket: Ticket): string | null {
    return this.#seal("ticket", ticket, RULES.lifetime);
  }

  /** The request that anybody may have pushed in a client's name, for some milliseconds. Null where it is too long. */
  push(request: Pushed, lifetime: number): string | null {
    return this.#seal("pushed", request, lifetime);
  }

  /** Null where it is none, or no longer. */
  pushed(value: string): Pushed | null {
    return this.#open("pushed", value);
  }

  /** Null where it is none, or no longer. */
  async read(tx: Tx, value: string): Promise<Ticket | null> {
    if (!value.startsWith(ASKED)) return (await tx.read("ticket", value))?.data ?? null;
    return await tx.read("answered", value) ? null : this.#open("ticket", value);
  }

  /** As {@linkcode read}, once. Of a sealed ticket the person who answers is locked before, so that this is one after another. */
  async take(tx: Tx, value: string): Promise<boolean> {
    if (!value.startsWith(ASKED)) return await tx.take("ticket", value) !== null;
    if (await this.read(tx, value) === null) return false;
    await tx.issue({ kind: "answered" }, RULES.lifetime, null, value);
    return true;
  }

  #seal(kind: "ticket" | "pushed", data: Ticket | Pushed, lifetime: number): string | null {
    const expires = this.#store.now() + lifetime;
    const text = new TextEncoder().encode(JSON.stringify({ data, expires }));
    const value = ASKED + this.#secrets.seal(kind, text);
    return value.length > LONGEST ? null : value;
  }

  #open<K extends "ticket" | "pushed">(kind: K, value: string): TokenOf<K> | null {
    if (!value.startsWith(ASKED)) return null;
    try {
      const text = this.#secrets.open(kind, value.slice(ASKED.length));
      const { data, expires } = JSON.parse(new TextDecoder().decode(text));
      return expires > this.#store.now() ? data : null;
    } catch (error) {
      // made up, or cut
      if (error instanceof SetupError || error instanceof SyntaxError) return null;
      throw error;
    }
  }
}
