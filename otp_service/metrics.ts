/**
 * Figures of one instance, for Prometheus. Labels come from closed lists, so that no caller can make more of them, and tell
 * nothing of people.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { AuditEntry, AuditEvent } from "./audit.ts";
import type { Database } from "./database.ts";
import type { Delivery } from "./delivery.ts";
import type { KeyStore, OpenKey } from "./keys.ts";
import type { Ways } from "./messages.ts";
import type { Lane } from "./pin.ts";

/** Events whose `reason` is a word of a closed list. */
const REASONED: readonly AuditEvent[] = [
  "answer.refused",
  "authorization.ended",
  "otp.refused",
  "sad.refused",
];

/** Seconds: what is usual here lies between a row that is read and a timestamp that is waited for. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** What is asked for when the figures are. */
export interface Sources {
  /** Who waits to have a PIN looked at, and the places that are taken. */
  pins: { waiting(): Readonly<Record<Lane, number>> };
  inFlight(): Readonly<Record<string, number>>;
  /** Milliseconds by which this clock is ahead of the database's. */
  clockDifference(): Promise<number>;
  /** Lines of the audit that wait longer than promised to be sealed. */
  overdue(): Promise<number>;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = this.#histogram("http_request_seconds", "Time to answer a request.", [
    "route",
    "status",
  ]);
  readonly #database = this.#histogram(
    "database_seconds",
    "Time of a transaction, or of reading, with the wait for a connection.",
    ["kind", "outcome"],
  );
  readonly #keys = this.#histogram(
    "key_seconds",
    "Time of making, opening and using signing keys.",
    ["operation", "outcome"],
  );
  readonly #deliveries = this.#histogram(
    "delivery_seconds",
    "Time until the next server took a message over, or did not.",
    ["way", "outcome"],
  );
  readonly #events = new Counter({
    name: "dsign_otp_events_total",
    help: "Lines of the audit, by event; of refusals and ends, by reason.",
    labelNames: ["event", "reason"],
    registers: [this.#registry],
  });

  #histogram<L extends string>(name: string, help: string, labelNames: L[]): Histogram<L> {
    return new Histogram({
      name: `dsign_otp_${name}`,
      help,
      labelNames,
      buckets: BUCKETS,
      registers: [this.#registry],
    });
  }

  /** Adds what is looked at only when it is asked for. */
  watch({ pins, inFlight, clockDifference, overdue }: Sources): void {
    const registers = [this.#registry];
    const each = (
      gauge: Gauge<string>,
      label: string,
      values: Readonly<Record<string, number>>,
    ) => {
      for (const [name, value] of Object.entries(values)) gauge.set({ [label]: name }, value);
    };
    new Gauge({
      name: "dsign_otp_pin_queue",
      help: "Answers that wait to have their PIN looked at, by lane.",
      labelNames: ["lane"],
      registers,
      collect() {
        each(this, "lane", pins.waiting());
      },
    });
    new Gauge({
      name: "dsign_otp_requests_in_flight",
      help: "Requests that are worked on, by who asks.",
      labelNames: ["who"],
      registers,
      collect() {
        each(this, "who", inFlight());
      },
    });
    new Gauge({
      name: "dsign_otp_clock_difference_seconds",
      help: "How far this clock is ahead of the database's.",
      registers,
      async collect() {
        // without an answer there is no figure: an old one would be untrue
        this.reset();
        this.set(await clockDifference().then((ms) => ms / 1000, () => NaN));
      },
    });
    new Gauge({
      name: "dsign_otp_audit_lines_overdue",
      help: "Lines of the audit that wait longer than promised to be sealed.",
      registers,
      async collect() {
        this.set(await overdue());
      },
    });
    new Gauge({
      name: "dsign_otp_resident_memory_bytes",
      help: "Memory of this process.",
      registers,
      collect() {
        this.set(Deno.memoryUsage().rss);
      },
    });
  }

  /** What Prometheus reads. */
  async text(): Promise<{ type: string; text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** @param route as the service knows it, not as the caller wrote it */
  answered(route: string, status: number, seconds: number): void {
    this.#requests.observe({ route, status }, seconds);
  }

  /** Lines of the audit that are kept now. */
  kept(entries: readonly AuditEntry[]): void {
    for (const { event, reason } of entries) {
      this.#events.inc({ event, reason: REASONED.includes(event) ? String(reason) : "" });
    }
  }

  async #timed<T, L extends string>(
    histogram: Histogram<L | "outcome">,
    labels: Record<L, string>,
    work: () => Promise<T>,
  ): Promise<T> {
    const end = histogram.startTimer();
    const told = (outcome: string) =>
      end({ ...labels, outcome } as Partial<Record<L | "outcome", string>>);
    try {
      const value = await work();
      told("ok");
      return value;
    } catch (error) {
      told("failed");
      throw error;
    }
  }

  /** The database, with its times taken. */
  database(inner: Database): Database {
    return {
      ...inner,
      read: (work) => this.#timed(this.#database, { kind: "read" }, () => inner.read(work)),
      transaction: (work) =>
        this.#timed(this.#database, { kind: "transaction" }, () => inner.transaction(work)),
    };
  }

  /** The keys, with their times taken. */
  keys(inner: KeyStore): KeyStore {
    const timed = <T>(operation: string, work: () => Promise<T>) =>
      this.#timed(this.#keys, { operation }, work);
    const open = (key: OpenKey): OpenKey => ({
      sign: (...args) => timed("sign", () => key.sign(...args)),
      close: () => key.close(),
    });
    return {
      async oneTime(type) {
        const { key, publicKey } = await timed("generate", () => inner.oneTime(type));
        return { key: open(key), publicKey };
      },
      create: (type) => timed("generate", () => inner.create(type)),
      open: async (id) => open(await timed("open", () => inner.open(id))),
      check: () => inner.check(),
    };
  }

  /** Mail and SMS, with what became of them. */
  ways(inner: Ways): Ways {
    const counted = (way: string, delivery: Delivery | undefined): Delivery | undefined =>
      delivery && {
        send: (...args) => this.#timed(this.#deliveries, { way }, () => delivery.send(...args)),
      };
    return { mail: counted("mail", inner.mail), sms: counted("sms", inner.sms) };
  }
}
