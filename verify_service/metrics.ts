/** Figures of one instance, for Prometheus; none tells anything of files or people. */
import { Gauge, Histogram, Registry } from "prom-client";

/** Seconds: from an answer out of the cache to a document of 1 GiB. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];

/** What is looked at when the figures are asked for. */
export type Sources = Readonly<Record<string, { help: string; value: () => number }>>;

export class Metrics {
  readonly #registry = new Registry();
  readonly #requests = new Histogram({
    name: "dsign_verify_request_seconds",
    help: "Time to answer a verification, by status and indication.",
    labelNames: ["status", "indication"],
    buckets: BUCKETS,
    registers: [this.#registry],
  });

  /** @param sources by the end of their names */
  constructor(sources: Sources) {
    for (const [name, { help, value }] of Object.entries(sources)) {
      new Gauge({
        name: `dsign_verify_${name}`,
        help,
        registers: [this.#registry],
        collect() {
          this.set(value());
        },
      });
    }
  }

  /** @param indication of the report; empty where there is none */
  answered(status: number, indication: string, seconds: number): void {
    this.#requests.observe({ status, indication }, seconds);
  }

  /** What Prometheus reads. */
  async text(): Promise<{ type: string; text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }
}
