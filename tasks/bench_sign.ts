/**
 * `deno task bench sign`: the figures of signing, as ratios against the raw loop over the same token in a process of the
 * same kind, measured in interleaved rounds in one run. Needs Linux and SoftHSM.
 */
import { fileURLToPath } from "node:url";
import {
  type BenchTokens,
  benchTokens,
  besideRaw,
  grantedPage,
  ORIGIN,
  startBenchAgent,
} from "./bench_desk.ts";
import { type Figures, median, timed } from "./bench_figures.ts";
import { Child, childrenOf, memory, resident, sum } from "./bench_process.ts";
import { connectAs } from "./page.ts";
import { ensure } from "./setup.ts";

const ROUNDS = 21;
/** Signatures of each kind in each round. */
const COUNT = 400;
/** Requests of a page that does not wait for answers. */
const IN_FLIGHT = 64;
/** The first fills caches and does not count in the median. */
const STARTS = 7;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const LONG = 100_000;
/** Signatures after which memory must have come to rest. */
const WARM = 20_000;
/** Of memory, in each half. */
const READINGS = 10;

/** Calls `work` so often, with at most so many under way. */
async function pipelined(count: number, inFlight: number, work: () => Promise<unknown>) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

/** The product as people have it, dist/dsign: how soon the agent listens, and what memory it then takes. */
async function startAndRest(figures: Figures, { store }: BenchTokens, folder: string) {
  const compiled = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", new URL("compile.ts", import.meta.url).href],
    stderr: "inherit",
  }).output();
  if (!compiled.success) throw new Error("dist/dsign cannot be made.");
  const home = `${folder}/home`;
  await Deno.mkdir(`${home}/.config/dsign`, { recursive: true });
  await Deno.writeTextFile(
    `${home}/.config/dsign/config.json`,
    JSON.stringify({
      modules: [{ path: store.library }],
      searchModules: false,
      allowedOrigins: [{ origin: ORIGIN, scopes: ["certificates"] }],
    }),
  );
  const xdg = { XDG_CONFIG_HOME: "", XDG_STATE_HOME: "", XDG_CACHE_HOME: "" };
  const times: number[] = [];
  const residents: number[] = [];
  const shares: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const start = performance.now();
    const agent = new Deno.Command(fileURLToPath(new URL("../dist/dsign", import.meta.url)), {
      args: ["agent", "--port", "0"],
      env: { HOME: home, ...xdg, ...store.env },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const output = agent.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value: line = "" } = await output.read();
    times.push(performance.now() - start);
    const page = await connectAs(ORIGIN, Number(/127\.0\.0\.1:(\d+)/.exec(line)![1]));
    await page.call("certificate.list", {});
    const all = [agent.pid, ...await childrenOf(agent.pid)];
    residents.push(await sum(all, resident));
    shares.push(await sum(all, (pid) => memory(pid, "smaps_rollup", "Pss")));
    page.close();
    agent.kill("SIGTERM");
    while (!(await output.read()).done);
    await agent.status;
  }
  figures.add("start to listening", median(times) / 1000, "s", { atMost: 0.4 });
  figures.add("idle memory, agent and one driver", median(residents), "MB", { atMost: 135 });
  figures.add("the same, shared pages counted once", median(shares), "MB");
}

/** Signatures a second: raw, and through the agent. */
function throughput(figures: Figures, tokens: BenchTokens, folder: string, long: boolean) {
  return besideRaw(tokens, folder, async ({ agent, page, certificate, loop }) => {
    const digest = crypto.getRandomValues(new Uint8Array(32)).toBase64();
    const params = { certificate };
    const hash = () => page.call("sign.hash", { digests: [digest], ...params });
    const cades = () => page.call("sign.data", { content: { json: { bill: 7 } }, ...params });

    // caches and compilers warm up
    await loop(COUNT);
    await pipelined(COUNT, IN_FLIGHT, hash);
    await pipelined(COUNT, IN_FLIGHT, cades);
    const times: Record<"raw" | "hash" | "oneByOne" | "cades", number[]> = {
      raw: [],
      hash: [],
      oneByOne: [],
      cades: [],
    };
    for (let round = 0; round < ROUNDS; round++) {
      times.raw.push(await loop(COUNT));
      times.hash.push(await timed(() => pipelined(COUNT, IN_FLIGHT, hash)));
      times.oneByOne.push(await timed(() => pipelined(COUNT, 1, hash)));
      times.cades.push(await timed(() => pipelined(COUNT, IN_FLIGHT, cades)));
    }
    const rate = (each: number[]) => COUNT / median(each) * 1000;
    const ratio = (each: number[]) => median(each.map((time, i) => times.raw[i]! / time));
    figures.add("raw loop (RSA-2048)", rate(times.raw), "signatures/s");
    figures.add("sign.hash, pipelined", rate(times.hash), "signatures/s");
    figures.add("sign.hash, pipelined: ratio to raw", ratio(times.hash), "", { atLeast: 0.85 });
    figures.add("sign.hash, one after another", rate(times.oneByOne), "signatures/s");
    figures.add("sign.hash, one after another: ratio to raw", ratio(times.oneByOne), "", {
      atLeast: 0.6,
    });
    figures.add("CAdES-B-B, pipelined", rate(times.cades), "signatures/s");
    figures.add("CAdES-B-B, pipelined: ratio to raw", ratio(times.cades), "", { atLeast: 0.8 });
    const signed = 3 * (ROUNDS + 1) * COUNT;
    figures.add(`memory of the agent after ${signed} signatures`, await resident(agent.pid), "MB", {
      atMost: 160,
    });

    if (long) {
      const all = [agent.pid, ...await childrenOf(agent.pid)];
      await pipelined(WARM, IN_FLIGHT, hash);
      // The garbage collector makes single readings differ by a tenth.
      const half = async () => {
        const readings: number[] = [];
        for (let i = 0; i < READINGS; i++) {
          await pipelined(LONG / 2 / READINGS, IN_FLIGHT, hash);
          readings.push(await sum(all, resident));
        }
        return median(readings);
      };
      const before = await half();
      figures.add(`memory while ${LONG / 2} are signed`, before, "MB");
      figures.add(`memory while ${LONG / 2} more are: ratio to that`, await half() / before, "", {
        atMost: 1.1,
      });
    }
  });
}

/** A file as the SDK takes it: read piece by piece, never held as a whole. */
function fileOf(path: string, size: number): Blob {
  const slice = (start: number, end: number) => ({
    async arrayBuffer() {
      using file = await Deno.open(path);
      await file.seek(start, Deno.SeekMode.Start);
      const bytes = new Uint8Array(Math.min(end, size) - start);
      for (let done = 0; done < bytes.length;) done += (await file.read(bytes.subarray(done)))!;
      return bytes.buffer;
    },
  });
  const file = new Blob([], { type: "application/octet-stream" });
  return Object.defineProperties(file, { size: { value: size }, slice: { value: slice } });
}

/** A document of 1 GiB, against what its hash and its way over loopback cost by themselves. */
async function largeDocument(figures: Figures, tokens: BenchTokens, folder: string) {
  const path = `${folder}/document`;
  const block = crypto.getRandomValues(new Uint8Array(65536));
  {
    using file = await Deno.open(path, { create: true, write: true });
    const bytes = new Uint8Array(MIB);
    for (let i = 0; i < 16; i++) bytes.set(block, i * 65536);
    for (let i = 0; i < 1024; i++) {
      new DataView(bytes.buffer).setUint32(0, i);
      await file.write(bytes);
    }
  }
  const sink = new Child("bench_sink.ts");
  const { child: agent, port } = await startBenchAgent(tokens, folder);
  try {
    const sinkPage = await connectAs(ORIGIN, Number(await sink.read()));
    const page = await grantedPage(port);
    const params = { certificate: tokens.officers[0]!.fingerprint };
    const document = fileOf(path, GIB);
    const times: Record<"sha" | "transfer" | "sign", number[]> = {
      sha: [],
      transfer: [],
      sign: [],
    };
    for (let round = 0; round < 3; round++) {
      times.sha.push(
        await timed(() => new Deno.Command("sha256sum", { args: [path] }).output()),
      );
      times.transfer.push(await timed(() => sinkPage.signDocument(document)));
      times.sign.push(await timed(() => page.signDocument(document, params)));
    }
    figures.add("1 GiB: sha256sum", median(times.sha) / 1000, "s");
    figures.add("1 GiB: loopback transfer", median(times.transfer) / 1000, "s");
    figures.add("1 GiB: detached CAdES", median(times.sign) / 1000, "s");
    const ratios = times.sign.map((time, i) => time / (times.sha[i]! + times.transfer[i]!));
    figures.add("1 GiB: ratio to sha256sum and transfer", median(ratios), "", { atMost: 1.5 });
    figures.add(
      "1 GiB: peak memory of the agent",
      await memory(agent.pid, "status", "VmHWM"),
      "MB",
      {
        atMost: 150,
      },
    );
    page.close();
    sinkPage.close();
  } finally {
    await sink.close();
    await agent.close();
  }
}

/** @param long makes 100,000 signatures and watches the memory: about two minutes */
export async function benchSign(figures: Figures, long: boolean): Promise<void> {
  await ensure("demo");
  const folder = await Deno.makeTempDir({ prefix: "dsign-bench-" });
  try {
    const tokens = await benchTokens(folder);
    await startAndRest(figures, tokens, folder);
    await throughput(figures, tokens, folder, long);
    await largeDocument(figures, tokens, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
