import { join } from "node:path";
import { digest } from "../../formats/digest.ts";
import { FormatError } from "../../formats/error.ts";
import { readCertificates } from "../../formats/x509/bundle.ts";
import { readCertificate } from "../../formats/x509/certificate.ts";
import { verifyBytes, type VerifyContent } from "../../formats/verify/verify.ts";
import { type Dss, run } from "./dss.ts";
import { exceptions } from "./expected.ts";

/** Files signed by EU DSS pass here, except for those listed in `expected.ts`. */
export async function theirs(
  { jar }: Dss,
  folder: string,
  tell: (line: string) => void,
  fault: (line: string) => void,
): Promise<void> {
  const out = join(folder, "theirs");
  await Deno.mkdir(out);
  await run("java", ["-jar", jar, "make", out]);
  const anchors = readCertificates(await Deno.readFile(join(out, "root.pem")))
    .map((der) => readCertificate(der));
  const list = (await Deno.readTextFile(join(out, "list.tsv"))).trimEnd().split("\n");
  const counts = new Map<string, number>();
  for (const line of list) {
    const [file, named] = line.split("\t");
    const content = named ? await Deno.readFile(join(out, named)) : undefined;
    const given: VerifyContent | null = content
      ? { digest: (hash) => digest(hash, content), bytes: () => content }
      : null;
    let verdict: string;
    let why = "";
    try {
      const report = verifyBytes(await Deno.readFile(join(out, file)), {
        now: new Date(),
        anchors,
        revocation: "if_available",
        content: () => given,
      });
      verdict = report.indication;
      why = report.signatures.flatMap(({ findings }) => findings).map(({ code }) => code).join();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      verdict = "not read";
      why = error.message;
    }
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    const expected = exceptions.find(({ pattern }) => pattern.test(file))?.verdict ??
      "TOTAL-PASSED";
    if (verdict !== expected) fault(`${file}: ${verdict}, not ${expected} (${why})`);
  }
  const told = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(", ");
  tell(`theirs: of ${list.length} files that EU DSS signed, ${told}`);
  for (const { pattern, verdict, reason } of exceptions) {
    const count = list.filter((line) => pattern.test(line.split("\t")[0])).length;
    if (count > 0) tell(`  ${count} ${verdict}: ${reason}`);
  }
}
