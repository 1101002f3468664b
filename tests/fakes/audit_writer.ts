/** Adds entries to an audit log until it is killed; says the number of each that is on the disk. */
import { Audit } from "../../signing/audit.ts";

const [folder, maxSize] = Deno.args;
const audit = new Audit(folder, undefined, Number(maxSize));
const encoder = new TextEncoder();

for (let i = 0;; i++) {
  await Promise.all(
    Array.from({ length: 1 + i % 3 }, () =>
      audit.record({
        action: "sign",
        origin: "https://portal.example",
        format: "CAdES B-B",
        documents: [{ name: "n".repeat(i % 500), algorithm: "SHA-256", hash: "00".repeat(32) }],
        outcome: "done",
      }).then(() => Deno.stdout.writeSync(encoder.encode("+")))),
  );
}
