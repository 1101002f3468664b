/**
 * `deno task bench WHAT [--json] [--long] [--only NAME]`: prints the figures of one part of the product, each beside what it
 * must be. The exit code is 1 if one is not.
 *
 * `deno task bench all [--report] [--long]`: all parts, each in a separate process. With `--report`, docs/benchmarks.md is
 * written anew, and a line is added to its history. Nothing else should run on the machine meanwhile.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { benchCurves } from "./bench_curves.ts";
import { Figures } from "./bench_figures.ts";
import { benchOtp } from "./bench_otp.ts";
import { benchPdf } from "./bench_pdf.ts";
import { benchPeers } from "./bench_peers.ts";
import { benchReader } from "./bench_reader.ts";
import { addReport, type Part, thisMachine } from "./bench_report.ts";
import { benchSign } from "./bench_sign.ts";
import { benchVerify } from "./bench_verify.ts";
import { benchVerifyService } from "./bench_verify_service.ts";
import { run } from "./interop/dss.ts";

/** By the name on the command line. */
const BENCHES: Record<string, (figures: Figures, long: boolean, only: string) => Promise<void>> = {
  curves: benchCurves,
  otp: benchOtp,
  pdf: benchPdf,
  peers: benchPeers,
  reader: benchReader,
  sign: benchSign,
  verify: benchVerify,
  "verify-service": benchVerifyService,
};

const USAGE = `Usage: deno task bench ${Object.keys(BENCHES).join("|")} [--json] [--long]
       deno task bench otp [--json] [--only NAME]
       deno task bench all [--report] [--long]

  --json       print one JSON object
  --long       also what takes minutes: memory over 100,000 signatures
  --only NAME  only measurements whose names begin with NAME: "2 instances: signHash, 1 a"
  --report     write docs/benchmarks.md, its plots, and a line of docs/benchmarks.jsonl`;

/** Runs one part in a process of its own kind, so that none inherits another's memory and compiled code. */
async function runPart(what: string, long: boolean): Promise<Part> {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--quiet", import.meta.filename!, what, "--json"],
      ...long ? ["--long"] : [],
    ],
    stderr: "inherit",
  }).output();
  if (code > 1) return { what, figures: [], curves: [], failed: true };
  // what a part prints by itself comes before the last line
  const [line] = new TextDecoder().decode(stdout).trimEnd().split("\n").slice(-1);
  const { figures, curves } = JSON.parse(line!);
  return { what, figures, curves, failed: false };
}

async function runAll(long: boolean, report: boolean): Promise<boolean> {
  const parts: Part[] = [];
  for (const what of Object.keys(BENCHES)) {
    console.log(`\n${what}`);
    const part = await runPart(what, long);
    console.log(part.failed ? "could not be measured" : new Figures(part.figures).table());
    parts.push(part);
  }
  if (report) {
    const docs = new URL("../docs/", import.meta.url);
    const time = new Date().toISOString();
    const written = await addReport(docs, { time, machine: thisMachine(), parts });
    await run(Deno.execPath(), ["fmt", "--quiet", ...written.map((each) => fileURLToPath(each))]);
  }
  return parts.every(({ figures, failed }) => !failed && figures.every(({ ok }) => ok));
}

if (import.meta.main) {
  const { positionals, values: { json, long = false, only, report = false, help } } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean" },
      long: { type: "boolean" },
      only: { type: "string" },
      report: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const [what = ""] = positionals;
  const isAll = what === "all" && !json;
  if (help) {
    console.log(USAGE);
    Deno.exit(0);
  }
  const isUnknown = !isAll && (!Object.hasOwn(BENCHES, what) || report);
  if (positionals.length !== 1 || isUnknown || only !== undefined && what !== "otp") {
    console.error(USAGE);
    Deno.exit(2);
  }
  if (isAll) Deno.exit(await runAll(long, report) ? 0 : 1);
  const figures = new Figures();
  await BENCHES[what]!(figures, long, only ?? "").catch((error) => {
    console.error(error);
    Deno.exit(3);
  });
  const { ok, all, curves } = figures;
  console.log(
    json ? JSON.stringify({ ok, deno: Deno.version.deno, figures: all, curves }) : figures.table(),
  );
  Deno.exit(ok ? 0 : 1);
}
