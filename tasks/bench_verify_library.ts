/**
 * A child of `deno task bench verify-service`: how often the library verifies one file in a process that does nothing
 * else. It reads the files of a folder, says `ready`, measures for each line it gets, and answers with its rate a
 * second and milliseconds of processor time for one.
 */
import process from "node:process";
import { join } from "node:path";
import { bytesSource } from "../formats/source.ts";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyFile } from "../formats/verify/verify.ts";
import { readCertificate } from "../formats/x509/certificate.ts";

const WARM_UP = 2000;
const MILLISECONDS = 3000;

const folder = process.env.BENCH_FOLDER!;
const [pdf, anchor, ...crls] = ["order.pdf", "root.der", "root.crl", "ca.crl", "sub-ca.crl"]
  .map((name) => Deno.readFileSync(join(folder, name)));

/** As in the service, the authorities are known from earlier files: their signatures are not checked again. */
function verify(): void {
  const { report } = verifyFile({ source: bytesSource(pdf) }, {
    now: new Date(),
    anchors: [readCertificate(anchor)],
    material: readMaterial({ crls }),
  });
  if (report.indication !== "TOTAL-PASSED") throw new Error(report.indication);
}

for (let i = 0; i < WARM_UP; i++) verify();
console.log("ready");
for await (const _ of Deno.stdin.readable) {
  const before = process.cpuUsage();
  const start = performance.now();
  let count = 0;
  for (; performance.now() - start < MILLISECONDS; count++) verify();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ rate: count / seconds, cost: (user + system) / 1000 / count }));
}
