/**
 * `deno task pkits --dir D [--json]`: runs path validation over NIST's Public Key Interoperability
 * Test Suite. D holds its certificates (`*.crt`) and CRLs (`*.crl`), DER, in one folder; the names of
 * the end entities (`Valid…EE.crt`, `Invalid…EE.crt`) say what is right for the anchor
 * `TrustAnchorRootCertificate.crt` with the default policy inputs.
 */
import { parseArgs } from "node:util";
import { type Crl, readCrl } from "../formats/crl.ts";
import { FormatError } from "../formats/error.ts";
import { validateCertificate } from "../formats/path.ts";
import { type Certificate, readCertificate } from "../formats/x509.ts";

/** What {@link runPkits} found. */
export interface PkitsResult {
  total: number;
  right: number;
  falseAccepts: string[];
  falseRejects: string[];
  /** Why each refused end entity was refused, by its name. */
  reasons: Record<string, string>;
}

/**
 * Validates every end entity whose name says what is right.
 *
 * @param directory where the certificates and CRLs are
 * @param at the time of validation; the suite is valid until the end of 2030
 */
export async function runPkits(directory: string, at: Date): Promise<PkitsResult> {
  const files = new Map<string, Uint8Array>();
  for await (const { name } of Deno.readDir(directory)) {
    if (/\.cr[tl]$/.test(name)) files.set(name, await Deno.readFile(`${directory}/${name}`));
  }
  const anchorFile = files.get("TrustAnchorRootCertificate.crt");
  if (!anchorFile) throw new Error(`There is no TrustAnchorRootCertificate.crt in ${directory}.`);
  const anchors = [readCertificate(anchorFile)];
  const intermediates: Certificate[] = [];
  const crls: Crl[] = [];
  const ends: [string, Uint8Array][] = [];
  for (const [name, der] of files) {
    if (/^(Valid|Invalid).*EE\.crt$/.test(name)) ends.push([name, der]);
    else if (name.endsWith(".crt")) collect(intermediates, () => readCertificate(der));
    else collect(crls, () => readCrl(der));
  }
  const result: PkitsResult = {
    total: 0,
    right: 0,
    falseAccepts: [],
    falseRejects: [],
    reasons: {},
  };
  for (const [file, der] of ends.toSorted()) {
    const name = file.replace(/EE\.crt$/, "");
    const options = { anchors, intermediates, crls, at };
    const problem = refusal(der, options);
    result.total++;
    if (problem) result.reasons[name] = problem;
    if (name.startsWith("Valid") === (problem === undefined)) result.right++;
    else result[problem ? "falseRejects" : "falseAccepts"].push(name);
  }
  return result;
}

/** Keeps what can be read; some files of the suite are damaged on purpose. */
function collect<T>(list: T[], read: () => T): void {
  try {
    list.push(read());
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
}

function refusal(
  der: Uint8Array,
  options: { anchors: Certificate[]; intermediates: Certificate[]; crls: Crl[]; at: Date },
): string | undefined {
  try {
    const result = validateCertificate(readCertificate(der), {
      ...options,
      revocation: "require",
      weakAlgorithms: "accept", // the suite has DSA with SHA-1
    });
    return result.trusted ? undefined : result.failure.message;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return error.message;
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      dir: { type: "string", default: "../shared/corpus/pkits" },
      json: { type: "boolean", default: false },
    },
  });
  const { reasons, ...counts } = await runPkits(values.dir, new Date());
  if (values.json) console.log(JSON.stringify(counts));
  else {
    console.log(`${counts.right} of ${counts.total} right`);
    for (const name of counts.falseAccepts) console.log(`false accept: ${name}`);
    for (const name of counts.falseRejects) console.log(`false reject: ${name}: ${reasons[name]}`);
  }
  if (counts.falseAccepts.length > 0) Deno.exit(1);
}
