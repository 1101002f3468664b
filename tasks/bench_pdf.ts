/**
 * `deno task bench pdf`: what signing a PDF takes besides the token: reading, preparing, digesting
 * and completing, from a file; each document in a process of its own, for the peak of its memory.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { FileSource } from "../agent/file_source.ts";
import { prepareSignature, signedBytes } from "../formats/pades.ts";
import { type Figures, median } from "./bench_figures.ts";

interface Sample {
  /** Named after what the figure is for. */
  name: string;
  pages: number;
  /** Bytes of content on each page. */
  content: number;
  /** Further objects that nothing refers to. */
  objects: number;
  rounds: number;
  milliseconds: number;
  megabytes?: number;
}

const SAMPLES: Sample[] = [
  { name: "50 KB", pages: 10, content: 4860, objects: 0, rounds: 200, milliseconds: 3 },
  {
    name: "2.4 MB, 790 pages",
    pages: 790,
    content: 2880,
    objects: 0,
    rounds: 50,
    milliseconds: 10,
  },
  {
    ...{ name: "105 MB", pages: 100, content: 1_049_400, objects: 0, rounds: 5 },
    ...{ milliseconds: 300, megabytes: 120 },
  },
  {
    ...{ name: "240,000 objects", pages: 100, content: 360, objects: 239_798, rounds: 1 },
    ...{ milliseconds: 1200, megabytes: 220 },
  },
];

/** Writes a document with a cross-reference table, a piece at a time. */
function writeSample(path: string, { pages, content, objects }: Sample): void {
  using file = Deno.openSync(path, { create: true, write: true, truncate: true });
  const encoder = new TextEncoder();
  const offsets: number[] = [];
  let size = 0, waiting = "";
  const flush = () => {
    let bytes = encoder.encode(waiting);
    while (bytes.length > 0) bytes = bytes.subarray(file.writeSync(bytes));
    waiting = "";
  };
  const write = (text: string) => {
    waiting += text;
    size += text.length;
    if (waiting.length > 1 << 20) flush();
  };
  const object = (num: number, body: string) => {
    offsets[num] = size;
    write(`${num} 0 obj\n${body}\nendobj\n`);
  };
  write("%PDF-1.7\n");
  object(1, "<< /Type /Catalog /Pages 2 0 R >>");
  const stream = "0 0 m 100 100 l S\n".repeat(Math.ceil(content / 18)).slice(0, content);
  const kids: string[] = [];
  let next = 3;
  for (let i = 0; i < pages; i++) {
    const page = next++, text = next++;
    object(
      page,
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << >> /Contents ${text} 0 R >>`,
    );
    object(text, `<< /Length ${content} >>\nstream\n${stream}\nendstream`);
    kids.push(`${page} 0 R`);
  }
  for (let i = 0; i < objects; i++) {
    object(next++, `<< /A (text ${i}) /B [1 2 3] /C << /D ${i} >> >>`);
  }
  object(2, `<< /Type /Pages /Count ${pages} /Kids [${kids.join(" ")}] >>`);
  const start = size;
  write(`xref\n0 ${next}\n0000000000 65535 f \n`);
  for (let num = 1; num < next; num++) {
    write(`${String(offsets[num]).padStart(10, "0")} 00000 n \n`);
  }
  write(`trailer\n<< /Size ${next} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`);
  flush();
}

/** Signs a file several times; milliseconds each, and the peak of the process in MB. */
function measure(path: string, rounds: number): { milliseconds: number; megabytes: number } {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    const source = new FileSource(file, size);
    const prepared = prepareSignature(source, { reason: "Bench", time: new Date() });
    const digest = createHash("sha256");
    for (const piece of signedBytes(source.sequential(), prepared)) digest.update(piece);
    // In the place of a CMS with its chain.
    prepared.complete(new Uint8Array(6000).fill(digest.digest()[0]));
    times.push(performance.now() - started);
  }
  const status = Deno.readTextFileSync("/proc/self/status");
  const kilobytes = Number(/VmHWM:\s+(\d+)/.exec(status)![1]);
  return { milliseconds: median(times), megabytes: kilobytes / 1024 };
}

/** Measures every sample and adds its figures. */
export async function benchPdf(figures: Figures): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const sample of SAMPLES) {
      const path = join(folder, "sample.pdf");
      writeSample(path, sample);
      const { stdout, success } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", import.meta.filename!, path, String(sample.rounds)],
        stderr: "inherit",
      }).output();
      if (!success) throw new Error(`${sample.name}: the measuring process failed`);
      const found: ReturnType<typeof measure> = JSON.parse(new TextDecoder().decode(stdout));
      figures.add(`${sample.name}: one signature`, found.milliseconds, "ms", {
        atMost: sample.milliseconds,
      });
      const bound = sample.megabytes === undefined ? {} : { atMost: sample.megabytes };
      figures.add(`${sample.name}: peak memory`, found.megabytes, "MB", bound);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  console.log(JSON.stringify(measure(Deno.args[0]!, Number(Deno.args[1]))));
}
