/**
 * The desk at which the person is asked: one request at a time, and no asker keeps the others away. Askers that the
 * person knows come before strangers, which may be as many as a site has names.
 */
import { DsignError } from "../protocol/errors.ts";
import { toCancelled } from "./errors.ts";

/** After so many questions in vain within this time (milliseconds), an asker is not heard for as long. */
const MANY_NOES = 5;
const QUIET = 60_000;

/** The same for all strangers together: a site has as many names as it likes. */
const MANY_NOES_TO_STRANGERS = 20;
const STRANGERS = "*";

/** How many may wait, and how many of them strangers. One connection can have 256 requests in flight. */
const MAX_WAITING = 1024;
const MAX_STRANGERS = 256;

/** The asker: its name, and whether it has a grant. */
export interface DeskAsker {
  name: string;
  known: boolean;
}

/** Names below a country's domain under which others register theirs. */
const REGISTRIES = new Set(
  "ac co com ed edu firm gen go gob gouv gov govt ind info mil ne net nic nom or org res sch school"
    .split(" "),
);

/**
 * What of an origin's host name its holder registered, who can have any number of names below it: two labels, or three
 * below names such as `co.in`; an address in whole. The public suffix list knows more such names, and changes daily.
 */
export function siteOf(origin: string): string {
  const { hostname } = new URL(origin);
  if (/^[\d.]+$|^\[/.test(hostname)) return hostname;
  const labels = hostname.split(".").filter((label) => label !== "");
  const [second = "", top = ""] = labels.slice(-2);
  return labels.slice(top.length === 2 && REGISTRIES.has(second) ? -3 : -2).join(".");
}

interface Waiting {
  admit(): void;
  refuse(error: DsignError): void;
}

export class Desk {
  #taken = false;
  /** By asker, in the order in which they are next served: known ones, and strangers. */
  readonly #known = new Line(MAX_WAITING);
  readonly #strangers = new Line(MAX_STRANGERS);
  /** Times of questions in vain, by asker, newest last. */
  #noes = new Map<string, number[]>();

  constructor(readonly now: () => number = Date.now) {}

  /**
   * Waits for the desk. Askers are served in turn, whatever the number of requests of each; strangers while no asker
   * waits that is known.
   *
   * @returns leaves the desk; further calls do nothing
   * @throws {DsignError} `busy`; `request_cancelled` when `signal` fires; what {@linkcode dismiss} was called with
   */
  async enter({ name, known }: DeskAsker, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw toCancelled(signal);
    if (
      this.#recentNoes(name).length >= MANY_NOES ||
      !known && this.#recentNoes(STRANGERS).length >= MANY_NOES_TO_STRANGERS
    ) {
      throw new DsignError(
        "busy",
        "Several requests were declined, withdrawn or could not be shown. Try again in a minute.",
      );
    }
    if (this.#taken) await (known ? this.#known : this.#strangers).wait(name, signal);
    this.#taken = true;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      // Taken already here where somebody waits, lest another step in before the admitted one runs.
      this.#taken = this.#known.next() || this.#strangers.next();
    };
  }

  /** A question was in vain: each has opened a window, or tried to, and a page could go on so without end. */
  note({ name, known }: DeskAsker): void {
    for (const each of this.#noes.keys()) this.#recentNoes(each);
    for (const each of known ? [name] : [name, STRANGERS]) {
      this.#noes.set(each, [...this.#recentNoes(each), this.now()]);
    }
  }

  /** The person said no: all that this asker has waiting is sent away with it. */
  dismiss(asker: DeskAsker, error: DsignError): void {
    this.note(asker);
    for (const line of [this.#known, this.#strangers]) line.dismiss(asker.name, error);
  }

  #recentNoes(asker: string): number[] {
    const recent = (this.#noes.get(asker) ?? []).filter((time) => this.now() - time < QUIET);
    if (recent.length === 0) this.#noes.delete(asker);
    return recent;
  }
}

/** Requests that wait, of askers that are served in turn. */
class Line {
  readonly #queues = new Map<string, Waiting[]>();
  #length = 0;

  constructor(readonly most: number) {}

  /** @throws {DsignError} as {@linkcode Desk.enter} */
  wait(asker: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(asker) ?? [];
      if (this.#length >= this.most) {
        // One asker's requests may fill the line: the newest of whoever has most there gives way.
        const [longest] = [...this.#queues.values()].sort((a, b) => b.length - a.length);
        if (longest.length <= queue.length + 1) return reject(new DsignError("busy"));
        longest.at(-1)!.refuse(new DsignError("busy"));
      }
      this.#queues.set(asker, queue);
      const leave = () => {
        queue.splice(queue.indexOf(waiting), 1);
        if (queue.length === 0) this.#queues.delete(asker);
        this.#length--;
        signal.removeEventListener("abort", cancelled);
      };
      const waiting: Waiting = {
        admit: () => (leave(), resolve()),
        refuse: (error) => (leave(), reject(error)),
      };
      const cancelled = () => waiting.refuse(toCancelled(signal));
      signal.addEventListener("abort", cancelled);
      queue.push(waiting);
      this.#length++;
    });
  }

  dismiss(asker: string, error: DsignError): void {
    for (const waiting of [...this.#queues.get(asker) ?? []]) waiting.refuse(error);
  }

  /** Admits the next one, and says whether there was one. */
  next(): boolean {
    const turn = this.#queues.entries().next().value;
    if (!turn) return false;
    const [asker, queue] = turn;
    queue[0].admit();
    if (this.#queues.delete(asker) && queue.length > 0) this.#queues.set(asker, queue);
    return true;
  }
}
