/** The question that the verification service asks; a reader answers it, in steps where something has to be fetched. */
import {
  certificatesOf,
  judgeFacts,
  readFacts,
  type VerificationReport,
  type VerifyOptions,
} from "../formats/verify/verify.ts";
import { FormatError } from "../formats/error.ts";
import { unwrapPem } from "../formats/x509/bundle.ts";
import { type Certificate, readKnownCertificate } from "../formats/x509/certificate.ts";
import { readCrl } from "../formats/x509/crl.ts";
import { type OcspResponse, readOcspResponse } from "../formats/x509/ocsp.ts";
import { validateCertificate } from "../formats/x509/path.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import { collectEvidence } from "../online/evidence.ts";
import type { FetchStep } from "../online/pki_http.ts";
import { type Fetched, httpOf, type Take } from "../online/questions.ts";
import { digest } from "../formats/digest.ts";
import { inSteps } from "../reader/steps.ts";
import type { ReadDocument } from "../reader/worker.ts";

export interface JudgeInput
  extends Pick<VerifyOptions, "revocation" | "pan" | "departmentalPolicies"> {
  /** ISO 8601 */
  now: string;
  /** The trust set, DER. */
  anchors: Uint8Array[];
  password?: string;
  /** Whether revocation may be asked for. */
  online: boolean;
  /** What has been fetched, by the steps' keys; of two with one key, the later counts. */
  done: AtHand;
  /** Keys of it that were fetched for this request: they have not been checked before. */
  fresh: string[];
}

/** Fetched answers, or the digests of those that the reader may have already. */
export type AtHand = (readonly [key: string, answer: Fetched | { sha256: string }])[];

export interface Judged {
  report: VerificationReport;
  problems: string[];
  /** There are signatures, and the certificates of all signers and timestamp authorities lead to an anchor. */
  allLead: boolean;
  /** Content was given, but the file holds all that its signatures sign. */
  isIdle: boolean;
  /** Of `fresh`, what an authority has signed, and until when it holds (milliseconds since 1970). */
  kept: [key: string, until: number][];
}

export const questions = {
  /** Verifies a file (the first document), with its content (the second) where that stands elsewhere. */
  judge: (
    { now: at, anchors: trusted, online, done, fresh, password, ...how }: JudgeInput,
    [source, content]: ReadDocument[],
  ) =>
    inSteps(done.flatMap(remembered), async (take: Take<FetchStep>): Promise<Judged> => {
      const now = new Date(at);
      const anchors = trusted.map(readKnownCertificate);
      const given = content && {
        digest: (hash: Parameters<ReadDocument["digest"]>[0]) =>
          content.digest(hash, [[0, content.size]]),
        ...content.size <= MAX_WHOLE && { bytes: () => content.read(0, content.size).slice() },
      };
      let isAsked = false;
      const facts = readFacts({
        source,
        password,
        content: () => {
          isAsked = true;
          return given ?? null;
        },
      });
      const isIdle = given !== undefined && !isAsked && facts.signatures.length > 0;
      const { ends, known } = certificatesOf(facts.signatures);
      const options = { ...how, now, anchors };
      // A file by anybody must not make this server call an address of their choice.
      const leading = ends.filter((end) => leadsTo(anchors, end, known, now));
      const allLead = leading.length > 0 && leading.length === ends.length;
      if (!online || leading.length === 0) {
        return { report: judgeFacts(facts, options), problems: [], allLead, isIdle, kept: [] };
      }
      const http = httpOf(take);
      const { problems, ...material } = await collectEvidence(leading, known, anchors, http, now);
      const others = [...known, ...material.certificates];
      // Anybody else signs what they like, and would keep an authority's list away for an hour.
      const issuers = fresh.length === 0
        ? []
        : [...anchors, ...others.filter((each) => leadsTo(anchors, each, others, now))];
      return {
        report: judgeFacts(facts, { ...options, material }),
        problems,
        allLead,
        isIdle,
        kept: done.flatMap(([key, answer]) => {
          if (!fresh.includes(key) || !(answer instanceof Uint8Array)) return [];
          const until = signedUntil(answer, issuers, now);
          return until === undefined ? [] : [[key, until] as [string, number]];
        }),
      };
    }),
};

/** Answers by their digests, those used last standing last: authorities' lists are large, and serve many files. */
const answers = new Map<string, Uint8Array>();
/** Their bytes. */
const MAX_ANSWERS = 64 * 1024 * 1024;
let held = 0;

/** An answer with its bytes: none where they are needed first. */
function remembered([key, answer]: AtHand[number]): [key: string, answer: Fetched][] {
  if ("problem" in answer) return [[key, answer]];
  const isNew = answer instanceof Uint8Array;
  const id = isNew ? digest("SHA-256", answer).toHex() : answer.sha256;
  const bytes = answers.get(id) ?? (isNew ? answer.slice() : undefined);
  if (!bytes) return [];
  held += answers.delete(id) ? 0 : bytes.length;
  answers.set(id, bytes);
  for (const [oldest, { length }] of answers) {
    if (held <= MAX_ANSWERS) break;
    answers.delete(oldest);
    held -= length;
  }
  return [[key, bytes]];
}

/** Detached content is read whole only where it is no larger, in bytes. */
const MAX_WHOLE = 64 * 1024 * 1024;

/** Whether a certificate's path leads to an anchor, as far as that can be told without asking anybody. */
function leadsTo(
  anchors: readonly Certificate[],
  end: Certificate,
  known: readonly Certificate[],
  now: Date,
): boolean {
  const { notBefore, notAfter } = end;
  const at = new Date(Math.min(Math.max(now.getTime(), notBefore.getTime()), notAfter.getTime()));
  return validateCertificate(end, { anchors, intermediates: known, at, revocation: "none" })
    .trusted;
}

/** Until when a CRL or an OCSP answer holds; undefined if none of the issuers, or its responder, has signed it. */
function signedUntil(
  bytes: Uint8Array,
  issuers: readonly Certificate[],
  now: Date,
): number | undefined {
  const crl = attempt(() => readCrl(unwrapPem(bytes, "X509 CRL")));
  if (crl) {
    const isSigned = issuers.some((issuer) =>
      issuer.subject.equals(crl.issuer) && attempt(() => isSignedWith(crl, issuer.publicKey))
    );
    return isSigned ? crl.nextUpdate?.getTime() ?? now.getTime() : undefined;
  }
  const answer = attempt(() => readOcspResponse(bytes));
  if (!answer || !isSignedAnswer(answer, issuers)) return undefined;
  const times = answer.answers.map(({ nextUpdate }) => nextUpdate?.getTime() ?? now.getTime());
  return Math.min(...times);
}

/** By an issuer itself, or by a responder whose certificate it issued (RFC 6960 §4.2.2.2). */
function isSignedAnswer(answer: OcspResponse, issuers: readonly Certificate[]): boolean {
  const isBy = (signer: Certificate) =>
    attempt(() => isSignedWith(answer, signer.publicKey)) === true;
  return issuers.some(isBy) ||
    answer.certificates.some((responder) =>
      issuers.some((issuer) =>
        issuer.subject.equals(responder.issuer) &&
        attempt(() => isSignedWith(responder, issuer.publicKey))
      ) && isBy(responder)
    );
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
