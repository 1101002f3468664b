/**
 * The report of `deno task bench all --report`: docs/benchmarks.md, a plot for each curve, and docs/benchmarks.jsonl, the
 * history, a line for each run.
 */
import { cpus, totalmem } from "node:os";
import { boundOf, type Curve, type Figure, shown } from "./bench_figures.ts";

/** What one benchmark found. */
export interface Part {
  what: string;
  figures: Figure[];
  curves: Curve[];
  /** It could not be measured, as where a program that it needs is missing. */
  failed: boolean;
}

export interface Run {
  /** ISO 8601, UTC. */
  time: string;
  machine: string;
  parts: Part[];
}

/** Processor, cores, memory, system and runtime. */
export function thisMachine(): string {
  const [{ model }] = cpus();
  const memory = Math.round(totalmem() / 1e9);
  return `${cpus().length} × ${model}, ${memory} GB, ${Deno.build.os}, Deno ${Deno.version.deno}`;
}

/** How many runs before this one are shown. */
const EARLIER = 3;

const TITLES: Record<string, string> = {
  curves: "Cost against size",
  otp: "PIN/OTP service",
  pdf: "Signing PDFs",
  peers: "Beside other software",
  reader: "Reading strangers' documents",
  sign: "The agent and a token",
  verify: "Verifying",
  "verify-service": "Verification service",
};

/**
 * Adds a run to the history and writes the page anew.
 *
 * @param docs folder, ending in a slash
 * @returns the page and its pictures
 */
export async function addReport(docs: URL, run: Run): Promise<URL[]> {
  const history = new URL("benchmarks.jsonl", docs);
  const before = await Deno.readTextFile(history).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  await Deno.writeTextFile(history, `${before}${JSON.stringify(run)}\n`);
  const runs: Run[] = before.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const written = [new URL("benchmarks.md", docs)];
  await Deno.writeTextFile(written[0]!, page(run, runs));
  for (const curve of run.parts.flatMap(({ curves }) => curves)) {
    const picture = new URL(pictureOf(curve), docs);
    await Deno.writeTextFile(picture, plot(curve));
    written.push(picture);
  }
  return written;
}

const pictureOf = ({ name }: Curve) =>
  `images/bench-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.svg`;

/** The report as Markdown. */
export function page(run: Run, history: readonly Run[]): string {
  // figures of another machine say nothing about this one's
  const earlier = history.filter(({ machine }) => machine === run.machine).slice(-EARLIER);
  const cells = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const sections = run.parts.map(({ what, figures, curves, failed }) => {
    const title = `## ${TITLES[what] ?? what}\n\n\`deno task bench ${what}\`\n`;
    if (failed) return `${title}\nCould not be measured in this run.\n`;
    const rows = figures.map((figure) => {
      const { name, ok } = figure;
      const then = earlier.map(({ parts }) => {
        const same = parts.find((part) => part.what === what)?.figures
          .find((each) => each.name === name);
        return same ? shown(same) : "";
      });
      return [name, ...then, shown(figure), boundOf(figure) + (ok ? "" : " **missed**")];
    });
    const head = ["", ...earlier.map(({ time }) => time.slice(0, 10)), "now", "wanted"];
    const rule = head.map((_, i) => i === 0 ? "--" : "--:");
    const pictures = curves.map((curve) => `![${curve.name}](${pictureOf(curve)})\n`);
    return [title, [head, rule, ...rows].map(cells).join("\n") + "\n", ...pictures].join("\n");
  });
  return [
    "# Benchmarks\n",
    `Measured on ${
      run.time.slice(0, 10)
    }: ${run.machine}. \`deno task bench all --report\` measures anew ` +
    "and writes this page; `benchmarks.jsonl` beside it has every run.\n",
    "Ratios compare two things in one run; a growth of 1 means that the cost is in proportion to the size.\n",
    ...sections,
  ].join("\n");
}

const WIDTH = 560, HEIGHT = 300, LEFT = 70, BOTTOM = 50, TOP = 36, RIGHT = 20;

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** A curve as SVG, with a dashed line for what the largest size would cost if all grew as the size. */
export function plot({ name, unit, points }: Curve): string {
  const largest = Math.max(...points.map(({ size }) => size));
  const dearest = Math.max(...points.map(({ cost }) => cost));
  const x = (size: number) => Math.round(LEFT + (WIDTH - LEFT - RIGHT) * size / largest);
  const y = (cost: number) =>
    Math.round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * cost / dearest);
  const end = points.find(({ size }) => size === largest)!;
  const text = (at: [number, number], anchor: string, words: string) =>
    `<text x="${at[0]}" y="${at[1]}" text-anchor="${anchor}">${escaped(words)}</text>`;
  const halves = [0, 0.5, 1];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="13">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text([WIDTH / 2, 22], "middle", name),
    ...halves.map((part) =>
      `<path d="M${LEFT} ${y(part * dearest)}H${WIDTH - RIGHT}" stroke="#ccc"/>` +
      text([LEFT - 6, y(part * dearest) + 4], "end", shown({ value: part * dearest, unit: "ms" }))
    ),
    ...halves.map((part) =>
      text([x(part * largest), HEIGHT - BOTTOM + 20], "middle", `${part * largest}`)
    ),
    text([WIDTH / 2, HEIGHT - 10], "middle", unit),
    `<path d="M${x(0)} ${y(0)}L${x(largest)} ${
      y(end.cost)
    }" stroke="#999" stroke-dasharray="5 4"/>`,
    `<polyline points="${
      points.map(({ size, cost }) => `${x(size)},${y(cost)}`).join(" ")
    }" fill="none" stroke="#06c" stroke-width="2"/>`,
    ...points.map(({ size, cost }) =>
      `<circle cx="${x(size)}" cy="${y(cost)}" r="3.5" fill="#06c"/>`
    ),
    "</svg>\n",
  ].join("\n");
}
