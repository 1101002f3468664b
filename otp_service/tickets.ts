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

/** A sealed ticket begins with it. */
const ASKED = "asked-";
/** Characters of a sealed ticket: it travels in a header, of which proxies take 8 KiB. */
const LONGEST = 6000;
const NAME = "ticket";

export class Tickets {
  readonly #store: Store;
  readonly #secrets: Secrets;

  constructor(store: Store, secrets: Secrets) {
    this.#store = store;
    this.#secrets = secrets;
  }

  /** Null where so much is asked for that it must be pushed. */
  ask(ticket: Ticket): string | null {
    const expires = this.#store.now() + RULES.lifetime;
    const text = new TextEncoder().encode(JSON.stringify({ ticket, expires }));
    const value = ASKED + this.#secrets.seal(NAME, text);
    return value.length > LONGEST ? null : value;
  }

  /** Null where it is none, or no longer. */
  async read(tx: Tx, value: string): Promise<Ticket | null> {
    if (!value.startsWith(ASKED)) return (await tx.read("ticket", value))?.data ?? null;
    return await tx.read("answered", value) ? null : this.#asked(value);
  }

  /** As {@linkcode read}, once. Of a sealed ticket the person who answers is locked before, so that this is one after another. */
  async take(tx: Tx, value: string): Promise<boolean> {
    if (!value.startsWith(ASKED)) return await tx.take("ticket", value) !== null;
    if (await this.read(tx, value) === null) return false;
    await tx.issue({ kind: "answered" }, RULES.lifetime, null, value);
    return true;
  }

  #asked(value: string): Ticket | null {
    try {
      const text = this.#secrets.open(NAME, value.slice(ASKED.length));
      const { ticket, expires } = JSON.parse(new TextDecoder().decode(text));
      return expires > this.#store.now() ? ticket : null;
    } catch (error) {
      // made up, or cut
      if (error instanceof SetupError || error instanceof SyntaxError) return null;
      throw error;
    }
  }
}
