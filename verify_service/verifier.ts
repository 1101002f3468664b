/** One verification: the reader reads, the cache answers it, and what was expected is compared with the report. */
import type { Source } from "../formats/source.ts";
import type { Asking } from "../signing/reading.ts";
import type { FetchStep } from "../online/pki_http.ts";
import { VerificationReport } from "../protocol/report.ts";
import type { VerifyAnswer, VerifyFields } from "../protocol/verify_service.ts";
import type { Reader } from "../reader/client.ts";
import { askInSteps, type Done } from "../reader/steps.ts";
import { ServiceError } from "./error.ts";
import type { FetchedAnswers } from "./fetched.ts";
import type { AtHand, Judged, questions } from "./questions.ts";

export interface VerifierOptions {
  reader: Reader<typeof questions>;
  /** Absent: nothing is asked of the network. */
  fetched?: FetchedAnswers;
  departmentalPolicies?: string[];
  now: () => Date;
}

/** More is asked for by no honest file. */
const MAX_FETCHES = 40;

/**
 * Verifies a file.
 *
 * @param anchors of the trust set, DER
 * @throws {ServiceError} `request_wrong` where the file takes no content; {FormatError}; the signal's reason
 */
export async function verifyUpload(
  { reader, fetched, departmentalPolicies, now }: VerifierOptions,
  documents: readonly Source[],
  anchors: Uint8Array[],
  { pan, certificate, level, revocation, password }: VerifyFields,
  asking: Asking,
): Promise<Omit<VerifyAnswer, "file" | "sha256">> {
  const time = now();
  const fresh = new Set<string>();
  const ask = (done: Done) =>
    reader.ask("judge", {
      now: time.toISOString(),
      anchors,
      pan,
      departmentalPolicies,
      revocation: revocation === "require" ? "require" : "if_available",
      password,
      online: fetched !== undefined,
      done: done as AtHand,
      fresh: [...fresh],
    }, { documents, ...asking });
  let fetches = 0;
  const perform = async (step: FetchStep) => {
    if (!fetched || ++fetches > MAX_FETCHES) return { problem: "Too many downloads are needed." };
    const { key, answer, isNew } = await fetched.get(step);
    if (isNew) fresh.add(key);
    return answer;
  };
  let kept: Judged["kept"] | undefined;
  const judge = async () => {
    try {
      const judged = await askInSteps<FetchStep, Judged>(ask, perform, fetched?.atHand() ?? []);
      ({ kept } = judged);
      return judged;
    } finally {
      const until = new Map(kept);
      for (const key of fresh) await fetched!.settle(key, kept && (until.get(key) ?? null));
    }
  };
  const { report, problems, isIdle } = await judge();
  if (isIdle) {
    throw new ServiceError(
      "request_wrong",
      "content: the file already holds the signed content, so it takes no other.",
    );
  }
  const checked = VerificationReport.parse(report);
  const expected = compare(checked, { pan, certificate, level });
  return {
    ...checked,
    ok: checked.indication === "TOTAL-PASSED" &&
      Object.values(expected).every((each) => each !== false),
    problems,
    expected,
  };
}

const LEVELS = ["B-B", "B-T", "B-LT", "B-LTA"] as const;

/** Whether each thing that was asked for is so. */
function compare(
  { signatures }: VerificationReport,
  { pan, certificate, level }: Pick<VerifyFields, "pan" | "certificate" | "level">,
): VerifyAnswer["expected"] {
  const own = signatures.filter(({ kind }) => kind === "signature");
  const passed = own.filter(({ indication }) => indication === "TOTAL-PASSED");
  const least = level && LEVELS.indexOf(level);
  return {
    pan: pan === undefined ? null : passed.some(({ panMatches }) => panMatches === true),
    certificate: certificate === undefined
      ? null
      : passed.some(({ signer }) => signer?.id === certificate.toLowerCase()),
    level: least === undefined ? null : own.length > 0 &&
      own.every(({ level }) => level !== null && LEVELS.indexOf(level) >= least),
  };
}
