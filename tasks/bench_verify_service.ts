/** `deno task bench verify-service`: what the verification service answers a second, against the library on the same file. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import http from "node:http";
import process from "node:process";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki, type Officer } from "../tests/fixtures/pki.ts";
import { authorities, signCms } from "../tests/fixtures/signed_files.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { prepareDss, validate } from "./interop/dss.ts";
import { type Figures, median } from "./bench_figures.ts";
import { Child, childrenOf, memory, resident, sum } from "./bench_process.ts";

const SECONDS = 8;
const WARM_UP = 8000;
const CORES = navigator.hardwareConcurrency;

/** The library on the files of a folder, in as many processes at once. */
async function library(folder: string, processes: number): Promise<{ rate: number; cost: number }> {
  const children = Array.from(
    { length: processes },
    () => new Child("bench_verify_library.ts", { BENCH_FOLDER: folder }),
  );
  try {
    await Promise.all(children.map((child) => child.read()));
    const each = await Promise.all(children.map(async (child) => {
      await child.write("go");
      return JSON.parse(await child.read()) as { rate: number; cost: number };
    }));
    const total = (of: "rate" | "cost") => each.reduce((sum, one) => sum + one[of], 0);
    return { rate: total("rate"), cost: total("cost") / processes };
  } finally {
    await Promise.all(children.map((child) => child.close()));
  }
}

/** Milliseconds on a core that processes have had. */
async function cpu(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * 10;
}

export async function benchVerifyService(figures: Figures): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "bench-verify-service-" });
  const lists = new Map<string, Uint8Array<ArrayBuffer>>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const list = lists.get(new URL(request.url).pathname);
    return new Response(list ?? null, { status: list ? 200 : 404 });
  });
  try {
    const pki = makePki({
      officers: [{ name: "Bench" }],
      baseUrl: `http://127.0.0.1:${server.addr.port}`,
    });
    const crls = authorities(pki).map((each) => makeCrl(each, []));
    ["root", "ca", "sub-ca"].forEach((name, i) => {
      lists.set(`/${name}.crl`, new Uint8Array(crls[i]));
    });
    const [officer] = pki.officers;
    const objects = documentObjects();
    objects[100] = `<< /Length 17000 >>\nstream\n${"x".repeat(17_000)}\nendstream`;
    const pdf = signPdf(classicPdf(objects), officer);
    const anchor = pki.root.certificate.der;
    for (const [name, bytes] of [["order.pdf", pdf], ["root.der", anchor]] as const) {
      await Deno.writeFile(join(folder, name), bytes);
    }
    for (const [path, list] of lists) await Deno.writeFile(join(folder, path), list);
    const size = `PDF of ${Math.round(pdf.length / 1000)} KB`;
    const alone = await library(folder, 1);
    const together = await library(folder, CORES);
    figures.add(`${size}, the library: time on a core`, alone.cost, "ms");
    figures.add(`${size}, the library: on all cores at once`, together.rate, "/s");
    await Deno.mkdir(join(folder, "trust"));
    await Deno.writeTextFile(join(folder, "trust/root.crt"), pem("CERTIFICATE", anchor));
    await besideDss(figures, folder, alone.cost);
    await withProcess(
      folder,
      (address, pid) => measure(figures, { address, pid, pdf, officer, alone, together }),
    );
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

const DSS_ROUNDS = 40;

/** EU DSS's library on the same file, warm, if it is available; its services need more than that. */
async function besideDss(figures: Figures, folder: string, library: number): Promise<void> {
  const dss = await prepareDss(Deno.env.get("DSIGN_DSS"), folder);
  if (typeof dss === "string") return console.log(`skipped: EU DSS (${dss})`);
  const list = join(folder, "list.tsv");
  await Deno.writeTextFile(list, "order.pdf\n".repeat(DSS_ROUNDS));
  const verdicts = await validate(dss, join(folder, "trust/root.crt"), list);
  // The first half warms the virtual machine up.
  const cost = median(verdicts.slice(DSS_ROUNDS / 2).map(({ ms }) => ms));
  figures.add("EU DSS's library: time", cost, "ms");
  figures.add("EU DSS's library / ours", cost / library, "times");
}

async function withProcess(
  folder: string,
  work: (address: string, pid: number) => Promise<void>,
): Promise<void> {
  const config = join(folder, "config.json");
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      listen: "127.0.0.1:0",
      trust: { bench: "trust" },
      intranetServices: true,
      spool: ".",
    }),
  );
  const main = new URL("../main.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      "--no-check",
      // As launcher.sh starts a verification service.
      "--v8-flags=--max-semi-space-size=4,--heap-growing-percent=300",
      main,
      "verify-service",
      "--json",
      "--config",
      config,
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("}")) text += (await lines.read()).value;
    await work(JSON.parse(text).address, child.pid);
  } finally {
    child.kill("SIGTERM");
    await child.status;
  }
}

const head = (name: string, more = "") =>
  `--x\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`;
const FILE = Buffer.from(`${head("trust")}bench\r\n${head("file", '; filename="order.pdf"')}`);
const CONTENT = Buffer.from(`\r\n${head("content", '; filename="order"')}`);
const END = Buffer.from("\r\n--x--\r\n");

/** Sends a body in pieces. @returns status and answer */
function post(address: string, pieces: readonly Uint8Array[]) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = http.request(`${address}/v1/verify`, {
      method: "POST",
      headers: {
        "content-type": "multipart/form-data; boundary=x",
        "content-length": pieces.reduce((size, { length }) => size + length, 0),
      },
    }, async (answer) => {
      resolve({
        status: answer.statusCode ?? 0,
        text: Buffer.concat(await Array.fromAsync(answer)).toString(),
      });
    });
    request.on("error", reject);
    void (async () => {
      for (const piece of pieces) {
        if (!request.write(piece)) await new Promise((resolve) => request.once("drain", resolve));
      }
      request.end();
    })();
  });
}

/** One who asks the same again and again over a connection, and spends as little as can be on it: both share the cores. */
class Asker {
  readonly #answer = new Uint8Array(1 << 16);

  private constructor(readonly connection: Deno.TcpConn, readonly request: Uint8Array) {}

  static async connect(address: string, pieces: readonly Uint8Array[]): Promise<Asker> {
    const { hostname, port } = new URL(address);
    const body = Buffer.concat(pieces);
    const head = `POST /v1/verify HTTP/1.1\r\nhost: ${hostname}\r\n` +
      `content-type: multipart/form-data; boundary=x\r\ncontent-length: ${body.length}\r\n\r\n`;
    const connection = await Deno.connect({ hostname, port: Number(port) });
    return new Asker(connection, Buffer.concat([Buffer.from(head), body]));
  }

  /** @returns whether the file was verified; false where the service was busy @throws {Error} with any other answer */
  async ask(): Promise<boolean> {
    const { connection, request } = this;
    for (let at = 0; at < request.length;) at += await connection.write(request.subarray(at));
    for (let size = 0;;) {
      const read = await connection.read(this.#answer.subarray(size));
      if (read === null) throw new Error("The service hung up.");
      size += read;
      const text = Buffer.from(this.#answer.buffer, 0, size).toString("latin1");
      const [head, length] =
        /^HTTP\/1\.1 .*?\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n/is.exec(text) ?? [];
      if (head === undefined || size < head.length + Number(length)) continue;
      if (head.startsWith("HTTP/1.1 503")) return false;
      if (!text.includes('"ok":true')) throw new Error(text);
      return true;
    }
  }
}

async function measure(
  figures: Figures,
  { address, pid, pdf, officer, alone, together }: {
    address: string;
    pid: number;
    pdf: Uint8Array;
    officer: Officer;
    /** The library in one process, and in one a core at once. */
    alone: { cost: number };
    together: { rate: number };
  },
): Promise<void> {
  const connect = (askers: number) =>
    Promise.all(Array.from({ length: askers }, () => Asker.connect(address, [FILE, pdf, END])));
  const warming = await connect(4 * CORES);
  await warming[0].ask();
  // A service that runs for days has its code compiled.
  await Promise.all(warming.map(async (asker) => {
    for (let i = 0; i < WARM_UP / warming.length; i++) await asker.ask();
    asker.connection.close();
  }));
  for (const askers of [1, CORES, 4 * CORES, 32 * CORES]) {
    const times: number[] = [];
    let busy = 0;
    const pids = [pid, ...await childrenOf(pid)];
    const before = await cpu(pids);
    const asking = process.cpuUsage();
    const all = await connect(askers);
    const start = performance.now();
    await Promise.all(all.map(async (asker) => {
      while (performance.now() - start < SECONDS * 1000) {
        const begun = performance.now();
        if (await asker.ask()) times.push(performance.now() - begun);
        else {
          busy++;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
      asker.connection.close();
    }));
    const seconds = (performance.now() - start) / 1000;
    const cost = (await cpu(pids) - before) / times.length;
    const { user, system } = process.cpuUsage(asking);
    const asked = (user + system) / 1000 / times.length;
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)];
    const name = `${askers} at a time`;
    figures.add(`${name}: answered`, times.length / seconds, "/s");
    figures.add(`${name}: p50`, at(0.5), "ms");
    figures.add(`${name}: p99`, at(0.99), "ms");
    figures.add(`${name}: told to come again`, busy / seconds, "/s");
    figures.add(`${name}: time on a core`, cost, "ms");
    if (askers === 4 * CORES) {
      figures.add("time on a core of the one who asks", asked, "ms");
      // One who asks from another computer leaves all cores to the service.
      const left = CORES * seconds - asked * times.length / 1000;
      const rate = times.length / left * CORES;
      figures.add("service's rate with all cores / library's", rate / together.rate, "", {
        atLeast: 0.8,
      });
      figures.add("library's time on a core / service's", alone.cost / cost, "");
    }
  }
  const readers = async () => await sum(await childrenOf(pid), resident);
  figures.add("memory: service", await resident(pid), "MB");
  figures.add("memory: its readers", await readers(), "MB");
  const piece = new Uint8Array(1 << 20);
  const hash = createHash("sha256");
  for (let i = 0; i < 1023; i++) hash.update(piece);
  const signature = signCms(officer, { digest: hash.digest() });
  const large = Array.from({ length: 1023 }, () => piece);
  const { text } = await post(address, [FILE, signature, CONTENT, ...large, END]);
  if (!JSON.parse(text).ok) throw new Error(text);
  figures.add(
    "memory: service at most, after content of 1 GiB",
    await memory(pid, "status", "VmHWM"),
    "MB",
    {
      atMost: 400,
    },
  );
  figures.add("memory: its readers then", await readers(), "MB");
}
