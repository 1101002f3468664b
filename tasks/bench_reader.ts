/** `deno task bench reader`: what the reader process costs, and what others notice of documents that keep it busy. */
import { bytesSource } from "../formats/source.ts";
import { readerCommand } from "../cli/host_command.ts";
import { factsOf } from "../signing/pdf_facts.ts";
import { openReaders } from "../signing/reading.ts";
import { hostileBytes } from "../tests/fixtures/hostile.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { benchTokens, grantedPage, ORIGIN, startBenchAgent } from "./bench_desk.ts";
import { type Figures, median, timed } from "./bench_figures.ts";
import { childrenOf, resident, sum } from "./bench_process.ts";
import { connectAs } from "./page.ts";

/** They are opened one after the other by one page, while another asks for `agent.info`. */
const BUSY = ["inflating.pdf", "damaged.pdf", "nested.pdf", "nested.json", "nested.p7s"];
const ROUNDS = 60;
/** A reader that has nothing to do ends after this many milliseconds, and a little. */
const IDLE = 60_000 + 3_000;

export async function benchReader(figures: Figures): Promise<void> {
  await warm(figures);
  const folder = await Deno.makeTempDir({ prefix: "bench-reader-" });
  try {
    await beside(figures, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A signed PDF of 50 KB. */
function sample(): Uint8Array {
  const objects = documentObjects();
  objects[100] = `<< /Length 17000 >>\nstream\n${"x".repeat(17_000)}\nendstream`;
  const [officer] = makePki({ officers: [{ name: "Bench" }] }).officers;
  return signPdf(classicPdf(objects), officer);
}

/** Time of the same question here and in a reader. */
async function warm(figures: Figures): Promise<void> {
  const pdf = sample();
  const reader = openReaders(
    readerCommand(new URL("../main.ts", import.meta.url).href),
    console.error,
  );
  const trust = { anchors: [], now: new Date().toISOString() };
  const ask = () =>
    reader.ask("pdfFacts", { trust }, {
      documents: [bytesSource(pdf)],
    });
  figures.add("first document: the process is started", await timed(ask), "ms");
  const there: number[] = [], here: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    there.push(await timed(ask));
    here.push(await timed(() => Promise.resolve(factsOf(bytesSource(pdf), trust))));
  }
  await reader.close();
  const late = (times: number[]) => median(times.slice(ROUNDS / 2));
  figures.add(`PDF of ${Math.round(pdf.length / 1000)} KB, in this process`, late(here), "ms");
  figures.add("the same in a warm reader", late(there), "ms");
  figures.add("extra time", late(there) - late(here), "ms", { atMost: 5 });
}

/** The reader processes of an agent. */
async function readersOf(agent: number): Promise<number[]> {
  const children = await childrenOf(agent);
  const commands = await Promise.all(
    children.map((pid) => Deno.readTextFile(`/proc/${pid}/cmdline`)),
  );
  return children.filter((_, i) => commands[i]!.endsWith("\0reader\0"));
}

/** Delay of another page, and memory. */
async function beside(figures: Figures, folder: string): Promise<void> {
  const { child, port } = await startBenchAgent(await benchTokens(folder), folder);
  try {
    const other = await connectAs(ORIGIN, port);
    const infos = async (until: () => boolean) => {
      const times: number[] = [];
      while (!until()) {
        times.push(await timed(() => other.call("agent.info", {})));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return times.toSorted((a, b) => a - b);
    };
    let left = 200;
    const quiet = await infos(() => left-- === 0);
    const page = await grantedPage(port);
    const verify = (bytes: Uint8Array) =>
      page.verify(new Blob([bytes as Uint8Array<ArrayBuffer>])).catch(() => {});
    const idle = await resident(child.pid);
    await verify(sample());
    const readers = await readersOf(child.pid);
    const warm = await sum(readers, resident);
    let done = false;
    const documents = BUSY.map(hostileBytes);
    const opened = (async () => {
      for (const document of documents) await verify(document);
      done = true;
    })();
    const busy = await infos(() => done);
    await opened;
    const p99 = (times: number[]) => times[Math.floor(times.length * 0.99)]!;
    figures.add("agent.info, nothing else to do: p99", p99(quiet), "ms");
    figures.add(
      `agent.info while ${BUSY.length} hostile documents are opened: p99`,
      p99(busy),
      "ms",
      {
        atMost: 50,
      },
    );
    figures.add("the same: asked", busy.length, "times");
    figures.add("memory: the agent before the first document", idle, "MB");
    figures.add("memory: its warm reader", warm, "MB");
    await new Promise((resolve) => setTimeout(resolve, IDLE));
    const after = await readersOf(child.pid);
    figures.add("readers after a minute without documents", after.length, "", { atMost: 0 });
    figures.add("memory: the agent after that", await resident(child.pid), "MB");
    other.close();
    page.close();
  } finally {
    await child.close();
  }
}
