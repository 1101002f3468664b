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

/** What something costs, by its size. */
export interface Curve {
  name: string;
  /** Of the sizes. */
  unit: string;
  /** By size; cost in milliseconds of processor time. */
  points: { size: number; cost: number }[];
}

/** The exponent with which the cost grows over the upper half of the sizes: 1 is linear, 2 is quadratic. */
export function growth({ points }: Curve): number {
  const last = points.at(-1)!;
  const half = points.findLast(({ size }) => size <= last.size / 2)!;
  return Math.log(last.cost / half.cost) / Math.log(last.size / half.size);
}

/** The figures of one run, in the order in which they were found. */
export class Figures {
  readonly curves: Curve[] = [];

  constructor(readonly all: Figure[] = []) {}

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
    const rows = this.all.map((figure) => {
      const bound = boundOf(figure);
      return [figure.name, shown(figure), bound, bound && (figure.ok ? "ok" : "FAILED")];
    });
    const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((row) => row[i]!.length)));
    return rows
      .map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd())
      .join("\n");
  }
}

/** A value with its unit, in about three digits. */
export function shown({ value, unit }: Pick<Figure, "value" | "unit">): string {
  return `${value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)} ${unit}`.trim();
}

/** What the value must be, or nothing. */
export const boundOf = ({ atLeast, atMost }: Pick<Figure, "atLeast" | "atMost">): string =>
  atLeast !== undefined ? `≥ ${atLeast}` : atMost !== undefined ? `≤ ${atMost}` : "";

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
