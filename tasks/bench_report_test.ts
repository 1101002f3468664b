import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { growth } from "./bench_figures.ts";
import { addReport, type Run } from "./bench_report.ts";

const curve = (cost: (size: number) => number) => ({
  name: "CRL: read",
  unit: "MB",
  points: [1, 5, 10, 25, 50].map((size) => ({ size, cost: cost(size) })),
});

const run = (time: string, value: number, machine = "2 × a processor"): Run => ({
  time,
  machine,
  parts: [
    {
      what: "verify",
      failed: false,
      figures: [{ name: "CMS", value, unit: "/s", atLeast: 100, ok: value >= 100 }],
      curves: [curve((size) => 3 * size)],
    },
    { what: "otp", failed: true, figures: [], curves: [] },
  ],
});

Deno.test("a growth of 1 is linear, of 2 quadratic", () => {
  assert.equal(growth(curve((size) => 3 * size)).toFixed(3), "1.000");
  assert.equal(growth(curve((size) => size * size)).toFixed(3), "2.000");
});

Deno.test("each run adds a line, and the page has this run beside earlier ones of the same machine", () =>
  inTempDir(async (dir) => {
    const docs = pathToFileURL(`${dir}/`);
    await Deno.mkdir(`${dir}/images`);
    await addReport(docs, run("2026-11-01T10:00:00Z", 200));
    await addReport(docs, run("2026-11-02T10:00:00Z", 7, "another one"));
    await addReport(docs, run("2026-11-03T10:00:00Z", 50));
    assert.equal(
      (await Deno.readTextFile(`${dir}/benchmarks.jsonl`)).trimEnd().split("\n").length,
      3,
    );
    const page = await Deno.readTextFile(`${dir}/benchmarks.md`);
    assert.match(page, /\| CMS \| 200 \/s \| 50\.0 \/s \| ≥ 100 \*\*missed\*\* \|/);
    assert.match(page, /## PIN\/OTP service\n\n`deno task bench otp`\n\nCould not be measured/);
    const [, picture] = /\((images\/[^)]*\.svg)\)/.exec(page)!;
    assert.match(await Deno.readTextFile(`${dir}/${picture}`), /<polyline points="79,.* 540,36"/);
  }));
