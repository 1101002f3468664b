/**
 * `deno task pkits --dir D [--json]`: runs path validation over NIST's Public Key Interoperability
 * Test Suite. D holds its certificates (`*.crt`) and CRLs (`*.crl`), DER, in one folder; the names of
 * the end entities (`Valid…EE.crt`, `Invalid…EE.crt`) say what is right for the anchor
 * `TrustAnchorRootCertificate.crt` with the default policy inputs.
 */
import { parseArgs } from "node:util";
import { type Crl, readCrl } from "../formats/x509/crl.ts";
import { FormatError } from "../formats/error.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";

/** Result of {@link runPkits}. */
export interface PkitsResult {
  total: number;
  right: number;
  falseAccepts: string[];
  falseRejects: string[];
  /** Why each refused end entity was refused, by its name. */
  reasons: Record<string, string>;
}

/** The suite, read. */
export interface PkitsSuite {
  anchors: Certificate[];
  intermediates: Certificate[];
  crls: Crl[];
  /** End entities by their file names without `EE.crt`, DER. */
  ends: Map<string, Uint8Array>;
}

/** Reads the folder with the suite's certificates and CRLs. */
export async function readPkits(directory: string): Promise<PkitsSuite> {
  const suite: PkitsSuite = { anchors: [], intermediates: [], crls: [], ends: new Map() };
  for await (const { name } of Deno.readDir(directory)) {
    if (!/\.cr[tl]$/.test(name)) continue;
    const der = await Deno.readFile(`${directory}/${name}`);
    if (name === "TrustAnchorRootCertificate.crt") suite.anchors.push(readCertificate(der));
    else if (name.endsWith("EE.crt")) suite.ends.set(name.slice(0, -"EE.crt".length), der);
    else if (name.endsWith(".crt")) collect(suite.intermediates, () => readCertificate(der));
    else collect(suite.crls, () => readCrl(der));
  }
  if (suite.anchors.length === 0) {
    throw new Error(`There is no TrustAnchorRootCertificate.crt in ${directory}.`);
  }
  return suite;
}

/**
 * Validates every end entity whose name says what is right.
 *
 * @param at the time of validation; the suite is valid until the end of 2030
 */
export function runPkits({ ends, ...given }: PkitsSuite, at: Date): PkitsResult {
  const result: PkitsResult = {
    total: 0,
    right: 0,
    falseAccepts: [],
    falseRejects: [],
    reasons: {},
  };
  for (const [name, der] of [...ends].toSorted()) {
    if (!/^(Valid|Invalid)/.test(name)) continue;
    const problem = refusal(der, { ...given, at });
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
  const { reasons, ...counts } = runPkits(await readPkits(values.dir), new Date());
  if (values.json) console.log(JSON.stringify(counts));
  else {
    console.log(`${counts.right} of ${counts.total} right`);
    for (const name of counts.falseAccepts) console.log(`false accept: ${name}`);
    for (const name of counts.falseRejects) console.log(`false reject: ${name}: ${reasons[name]}`);
  }
  if (counts.falseAccepts.length > 0) Deno.exit(1);
}
