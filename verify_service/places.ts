/** Places for requests, and for their bytes on disk: reserved before anything of a request is read. */

interface Used {
  requests: number;
  bytes: number;
}

/** Part of all places that one caller may take, so that others find some. */
const SHARE = 3 / 4;

export class Places {
  readonly #all: Used = { requests: 0, bytes: 0 };
  readonly #callers = new Map<string, Used>();

  /** @param most requests at a time, and their bytes */
  constructor(readonly most: Readonly<Used>) {}

  get requests(): number {
    return this.#all.requests;
  }

  get bytes(): number {
    return this.#all.bytes;
  }

  /**
   * Takes a place until it is disposed of; undefined if there is none.
   *
   * @param caller by whom callers are told apart; undefined where there is only one
   */
  take(caller: string | undefined, bytes: number): Disposable | undefined {
    const { most } = this;
    const all = this.#all;
    const own = this.#callers.get(caller ?? "") ?? { requests: 0, bytes: 0 };
    if (all.requests >= most.requests || all.bytes + bytes > most.bytes) return undefined;
    const isGreedy = own.requests + 1 > most.requests * SHARE ||
      own.bytes + bytes > most.bytes * SHARE;
    // The first one always gets its place.
    if (caller !== undefined && own.requests > 0 && isGreedy) return undefined;
    const add = (sign: 1 | -1) => {
      for (const used of [all, own]) {
        used.requests += sign;
        used.bytes += sign * bytes;
      }
      if (own.requests > 0) this.#callers.set(caller ?? "", own);
      else this.#callers.delete(caller ?? "");
    };
    add(1);
    return { [Symbol.dispose]: () => add(-1) };
  }
}
