/** `deno task bench verify-service`: what the verification service answers a second, against the library on the same file. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import http from "node:http";
import process from "node:process";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { bytesSource } from "../formats/source.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyFile } from "../formats/verify/verify.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki, type Officer } from "../tests/fixtures/pki.ts";
import { authorities, signCms } from "../tests/fixtures/signed_files.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { prepareDss, validate } from "./interop/dss.ts";
import { type Figures, median } from "./bench_figures.ts";
import { childrenOf, memory, resident, sum } from "./bench_process.ts";

const SECONDS = 8;
const WARM_UP = 4000;
const CORES = navigator.hardwareConcurrency;

/** What one verification takes, in milliseconds of this process's time on a core. */
function libraryCost(verify: () => void): number {
  const cost = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  for (let i = 0; i < 200; i++) verify();
  const rounds = Array.from({ length: 5 }, () => {
    const start = cost();
    for (let i = 0; i < 200; i++) verify();
    return (cost() - start) / 200;
  });
  return median(rounds);
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
    // As in the service, the authorities are known from earlier files: their signatures are not checked again.
    const library = libraryCost(() => {
      const { report } = verifyFile({ source: bytesSource(pdf) }, {
        now: new Date(),
        anchors: [readCertificate(anchor)],
        material: readMaterial({ crls }),
      });
      if (report.indication !== "TOTAL-PASSED") throw new Error(report.indication);
    });
    const size = `PDF of ${Math.round(pdf.length / 1000)} KB`;
    figures.add(`${size}, the library: time on a core`, library, "ms");
    await Deno.mkdir(join(folder, "trust"));
    await Deno.writeTextFile(join(folder, "trust/root.crt"), pem("CERTIFICATE", anchor));
    await besideDss(figures, folder, pdf, library);
    await withProcess(
      folder,
      (address, pid) => measure(figures, { address, pid, pdf, officer, library }),
    );
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

const DSS_ROUNDS = 40;

/** EU DSS's library on the same file, warm, if it is available; its services need more than that. */
async function besideDss(figures: Figures, folder: string, pdf: Uint8Array, library: number) {
  const dss = await prepareDss(Deno.env.get("DSIGN_DSS"), folder);
  if (typeof dss === "string") return console.log(`skipped: EU DSS (${dss})`);
  await Deno.writeFile(join(folder, "order.pdf"), pdf);
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

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

/** Sends a body in pieces. @returns status and answer */
function post(address: string, pieces: readonly Uint8Array[]) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = http.request(`${address}/v1/verify`, {
      method: "POST",
      agent,
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

async function measure(
  figures: Figures,
  { address, pid, pdf, officer, library }: {
    address: string;
    pid: number;
    pdf: Uint8Array;
    officer: Officer;
    library: number;
  },
): Promise<void> {
  const ask = async () => {
    const { status, text } = await post(address, [FILE, pdf, END]);
    if (status === 200 && !JSON.parse(text).ok) throw new Error(text);
    return status;
  };
  await ask();
  // A service that runs for days has its code compiled.
  await Promise.all(Array.from({ length: 4 * CORES }, async () => {
    for (let i = 0; i < WARM_UP / (4 * CORES); i++) await ask();
  }));
  for (const askers of [1, CORES, 4 * CORES, 32 * CORES]) {
    const times: number[] = [];
    let busy = 0;
    const pids = [pid, ...await childrenOf(pid)];
    const before = await cpu(pids);
    const start = performance.now();
    await Promise.all(Array.from({ length: askers }, async () => {
      while (performance.now() - start < SECONDS * 1000) {
        const begun = performance.now();
        if (await ask() === 200) times.push(performance.now() - begun);
        else {
          busy++;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    }));
    const seconds = (performance.now() - start) / 1000;
    const cost = (await cpu(pids) - before) / times.length;
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)];
    const name = `${askers} at a time`;
    figures.add(`${name}: answered`, times.length / seconds, "/s");
    figures.add(`${name}: p50`, at(0.5), "ms");
    figures.add(`${name}: p99`, at(0.99), "ms");
    figures.add(`${name}: told to come again`, busy / seconds, "/s");
    figures.add(`${name}: time on a core`, cost, "ms");
    if (askers === 4 * CORES) {
      // Both have all cores: then rates are as times on a core are.
      figures.add("library's time on a core / service's", library / cost, "", { atLeast: 0.8 });
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
