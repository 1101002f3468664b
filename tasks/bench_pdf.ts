/**
 * `deno task bench pdf`: what signing a PDF takes besides the token: reading, preparing, digesting,
 * completing and checking, from a file; each document in a separate process, for the peak of its
 * memory. And a batch through the agent against the raw loop over the same token (needs SoftHSM),
 * and against pyHanko if installed.
 */
import { readerCommand } from "../cli/host_command.ts";
import { openReaders } from "../signing/reading.ts";
import { createHash } from "node:crypto";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Appearances } from "../signing/appearance.ts";
import { FileSource } from "../signing/file_source.ts";
import { Online } from "../online/services.ts";
import { Placement } from "../signing/placement.ts";
import { Revisions } from "../signing/revision.ts";
import { parseUri } from "../pkcs11_ffi/uri.ts";
import { PdfOptions } from "../protocol/methods.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { python } from "../tests/fixtures/python.ts";
import { type BenchTokens, benchTokens, besideRaw } from "./bench_desk.ts";
import { type Figures, median, timed } from "./bench_figures.ts";
import { childrenOf, cpuOf, memory } from "./bench_process.ts";
import { ensure } from "./setup.ts";

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

export const SAMPLES: Sample[] = [
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
export function writeSample(path: string, { pages, content, objects }: Sample): void {
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

interface Measured {
  /** Of one signature, its check included. */
  milliseconds: number;
  /** Processor time of the same, which other programs disturb less, in this process and in the reader. */
  cpu: number;
  reading: number;
  /** Of reading and digesting the document once besides; an agent does that while it arrives. */
  digesting: number;
  /** Peak of the process. */
  megabytes: number;
}

/** Signs a file several times as the agent does, with a key in memory whose time does not count. */
async function measure(path: string, rounds: number): Promise<Measured> {
  using file = Deno.openSync(path);
  const { size } = file.statSync();
  const { officers: [officer] } = makePki({ officers: [{ name: "Bench" }] });
  const { certificate, chain, key } = officer!;
  const times: number[] = [], cpu: number[] = [], digesting: number[] = [];
  const used = (since?: ReturnType<typeof process.cpuUsage>) => {
    const { user, system } = process.cpuUsage(since);
    return (user + system) / 1000;
  };
  let readerBegan = 0;
  const reader = openReaders(readerCommand(new URL("../main.ts", import.meta.url).href), () => {});
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    const source = new FileSource(file, size);
    const hash = createHash("sha256");
    const whole = source.sequential();
    for (let at = 0; at < size; at += 1 << 20) hash.update(whole.read(at, 1 << 20));
    digesting.push(performance.now() - started);
    const before = process.cpuUsage();
    let token = 0, tokenCpu = 0;
    const now = () => new Date();
    const document = {
      kept: source,
      size,
      asked: "SHA-256",
      digest: () => new Uint8Array(hash.copy().digest()),
      hashed: () => hash.copy(),
    } as const;
    const { signal } = new AbortController();
    const services = {
      online: new Online({ reader, now }),
      reader,
      appearances: new Appearances(new URL("../dist/web/", import.meta.url)),
      placement: new Placement([]),
    };
    const options = PdfOptions.parse({ reason: "Bench" });
    const revisions = new Revisions(document, options, services, { signal }, now);
    const credential = { id: "", key: { certificate: certificate.der, chain } };
    const { digest } = await revisions.prepare(credential);
    revisions.approve(credential, digest);
    await revisions.sign(credential, {
      certificate: certificate.der,
      chain,
      algorithm: key.algorithm,
      sign(input) {
        if (!("message" in input)) throw new Error("A message is signed.");
        const begun = performance.now(), use = process.cpuUsage();
        const signature = signBytes(key, input.message);
        token += performance.now() - begun;
        tokenCpu += used(use);
        return Promise.resolve(signature);
      },
    });
    times.push(performance.now() - started - token - digesting.at(-1)!);
    if (i === 0 && rounds > 1) readerBegan = await cpuOf((await childrenOf(Deno.pid))[0]!);
    cpu.push(used(before) - tokenCpu);
  }
  const [child] = await childrenOf(Deno.pid);
  // Ticks of 10 ms: all rounds together, the process's start excepted.
  const reading = (await cpuOf(child!) - readerBegan) / (rounds - 1 || 1);
  await reader.close();
  const status = Deno.readTextFileSync("/proc/self/status");
  const kilobytes = Number(/VmHWM:\s+(\d+)/.exec(status)![1]);
  return {
    milliseconds: median(times),
    cpu: median(cpu),
    reading,
    digesting: median(digesting),
    megabytes: kilobytes / 1024,
  };
}

const BATCH = 1000;
const BATCH_ROUNDS = 5;

/** A batch of documents of 50 KB, against as many signatures of the same key in a loop. */
async function batch(figures: Figures, folder: string): Promise<void> {
  const path = join(folder, "one.pdf");
  writeSample(path, SAMPLES[0]!);
  const bytes = await Deno.readFile(path);
  const digits = new TextDecoder("latin1").decode(bytes).indexOf("100 100 l");
  const tokens = await benchTokens(folder);
  await besideRaw(tokens, folder, async ({ agent, page, certificate, loop }) => {
    const ratios: number[] = [], rates: number[] = [];
    const shares = new Map<string, number[]>();
    const cpu = async () => {
      const children = await childrenOf(agent.pid);
      const named = await Promise.all(children.map(async (pid) => {
        const command = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
        return [/\0reader\0$/.test(command) ? "reader" : "token", await cpuOf(pid)] as const;
      }));
      const out = new Map([["agent", await cpuOf(agent.pid)], ["page", await cpuOf(Deno.pid)]]);
      for (const [name, used] of named) out.set(name, (out.get(name) ?? 0) + used);
      return out;
    };
    for (let round = 0; round <= BATCH_ROUNDS; round++) {
      // Other documents every time: nothing is signed twice.
      const files = Array.from({ length: BATCH }, (_, i) => {
        const content = bytes.slice();
        const number = round * BATCH + i;
        const point = `${100 + Math.floor(number / 900)} ${100 + number % 900}`;
        content.set(new TextEncoder().encode(point), digits);
        return { name: `bill-${i}.pdf`, content: new Blob([content]) };
      });
      const alone = await loop(BATCH);
      const before = await cpu();
      const together = await timed(async () => {
        const { left, failed } = await page.signBatch(files, { certificate });
        if (left + failed > 0) throw new Error("The batch did not end well.");
      });
      if (round === 0) continue; // caches and compilers warm up
      ratios.push(alone / together);
      for (const [name, used] of await cpu()) {
        const list = shares.get(name) ?? [];
        shares.set(name, list);
        list.push((used - (before.get(name) ?? 0)) / BATCH);
      }
      rates.push(BATCH / together * 1000);
    }
    figures.add(`batch of ${BATCH}, 50 KB each`, median(rates), "documents/s");
    figures.add("batch: ratio to the raw loop", median(ratios), "", { atLeast: 0.6 });
    for (const [name, used] of shares) {
      figures.add(`batch: processor time for one, ${name}`, median(used), "ms");
    }
    figures.add(
      "batch: peak memory of the agent",
      await memory(agent.pid, "status", "VmHWM"),
      "MB",
    );
    const { certificates } = await page.call("certificate.list", {});
    const { uri } = certificates.find(({ id }) => id === certificate)!;
    const theirs = await pyHanko(tokens, uri, path);
    if (theirs === null) return;
    figures.add("pyHanko, one of 50 KB, the token included", theirs, "ms");
    figures.add("batch: times as fast as pyHanko", median(rates) * theirs / 1000, "");
  });
}

/** Milliseconds in which pyHanko signs with the same key; null if it, or its PKCS#11 part, is not there. */
async function pyHanko(
  { store, officers: [officer] }: BenchTokens,
  uri: string,
  path: string,
): Promise<number | null> {
  const { token, id } = parseUri(uri);
  const { library, env } = store;
  const start = { library, env, token, id, pin: officer!.pin, path, rounds: 200 };
  const script = fileURLToPath(new URL("bench_pyhanko.py", import.meta.url));
  const about = join(path, "../pyhanko.json");
  await Deno.writeTextFile(about, JSON.stringify(start));
  const { code, stdout, stderr } = await python(script, about);
  if (code === 0) return median(stdout.trim().split("\n").map(Number));
  console.error(`pyHanko is not compared with: ${stderr.trim().split("\n").at(-1)}`);
  return null;
}

/** Measures every sample and adds its figures. */
export async function benchPdf(figures: Figures): Promise<void> {
  await ensure("demo");
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
      const found: Measured = JSON.parse(new TextDecoder().decode(stdout));
      figures.add(`${sample.name}: one signature`, found.milliseconds, "ms", {
        atMost: sample.milliseconds,
      });
      figures.add(`${sample.name}: its processor time`, found.cpu, "ms");
      figures.add(`${sample.name}: the reader's`, found.reading, "ms");
      figures.add(`${sample.name}: digesting as it arrives`, found.digesting, "ms");
      const bound = sample.megabytes === undefined ? {} : { atMost: sample.megabytes };
      figures.add(`${sample.name}: peak memory`, found.megabytes, "MB", bound);
    }
    await batch(figures, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  console.log(JSON.stringify(await measure(Deno.args[0]!, Number(Deno.args[1]))));
}
