/**
 * `deno task bench WHAT [--json] [--long]`: prints the figures of one part of the product, each beside what it must be.
 * The exit code is 1 if one is not.
 */
import { parseArgs } from "node:util";
import { Figures } from "./bench_figures.ts";
import { benchOtp } from "./bench_otp.ts";
import { benchPdf } from "./bench_pdf.ts";
import { benchReader } from "./bench_reader.ts";
import { benchSign } from "./bench_sign.ts";
import { benchVerify } from "./bench_verify.ts";
import { benchVerifyService } from "./bench_verify_service.ts";

/** By the name on the command line. */
const BENCHES: Record<string, (figures: Figures, long: boolean) => Promise<void>> = {
  otp: benchOtp,
  pdf: benchPdf,
  reader: benchReader,
  sign: benchSign,
  verify: benchVerify,
  "verify-service": benchVerifyService,
};

if (import.meta.main) {
  const { positionals, values: { json, long = false } } = parseArgs({
    allowPositionals: true,
    options: { json: { type: "boolean" }, long: { type: "boolean" } },
  });
  const [what = ""] = positionals;
  if (positionals.length !== 1 || !Object.hasOwn(BENCHES, what)) {
    console.error(`Usage: deno task bench ${Object.keys(BENCHES).join("|")} [--json] [--long]`);
    Deno.exit(2);
  }
  const figures = new Figures();
  await BENCHES[what]!(figures, long);
  console.log(
    json
      ? JSON.stringify({ ok: figures.ok, deno: Deno.version.deno, figures: figures.all })
      : figures.table(),
  );
  Deno.exit(figures.ok ? 0 : 1);
}
