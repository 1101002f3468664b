/** Figures of a benchmark, each with its limit. */

export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** The bound that `value` must keep; without one it is for information. */
  atLeast?: number;
  atMost?: number;
  ok: boolean;
}

/** The figures of one run, in the order in which they were found. */
export class Figures {
  readonly all: Figure[] = [];

  add(name: string, value: number, unit: string, bound: Pick<Figure, "atLeast" | "atMost"> = {}) {
    const { atLeast = -Infinity, atMost = Infinity } = bound;
    this.all.push({ name, value, unit, ...bound, ok: value >= atLeast && value <= atMost });
  }

  /** The figure of that name. */
  value(name: string): number {
    return this.all.find((each) => each.name === name)!.value;
  }

  get ok(): boolean {
    return this.all.every(({ ok }) => ok);
  }

  table(): string {
    const rows = this.all.map(({ name, value, unit, atLeast, atMost, ok }) => {
      const bound = atLeast !== undefined
        ? `≥ ${atLeast}`
        : atMost !== undefined
        ? `≤ ${atMost}`
        : "";
      const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
      const shown = `${value.toFixed(digits)} ${unit}`.trim();
      return [name, shown, bound, bound && (ok ? "ok" : "FAILED")];
    });
    const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
    return rows
      .map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd())
      .join("\n");
  }
}

/** The middle value; of an even number, the higher of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
