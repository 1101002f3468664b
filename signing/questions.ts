/** The questions about strangers' documents that agent and command line ask; a reader answers them. */
import { FormatError } from "../formats/error.ts";
import { readCrl } from "../formats/x509/crl.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { readOcspResponse } from "../formats/x509/ocsp.ts";
import {
  type VerificationReport,
  type VerifyContent,
  verifyFile,
  type VerifyOptions,
} from "../formats/verify/verify.ts";
import { collectEvidence } from "../online/evidence.ts";
import { PkiHttpError } from "../online/pki_http.ts";
import { type Done, inSteps } from "../reader/steps.ts";
import type { ReadDocument } from "../reader/worker.ts";
import { factsOf } from "./pdf_facts.ts";

/** Detached content is read whole only where it is no larger, in bytes. */
const MAX_WHOLE = 64 * 1024 * 1024;
/** Each costs another reading of the file. */
const MAX_CONTENTS = 100;

/** Certificates and what says whether they are revoked, DER. */
export interface Material {
  certificates: Uint8Array[];
  crls: Uint8Array[];
  ocspResponses: Uint8Array[];
}

/** How a file is to be verified. */
export interface VerifyInput extends Pick<VerifyOptions, "revocation" | "pan"> {
  /** ISO 8601 */
  now: string;
  /** Trusted certificates, DER. */
  anchors: Uint8Array[];
  /** Opens an encrypted PDF. */
  password?: string;
  /** Those that signatures may not hold, DER. */
  certificates?: Uint8Array[];
  material?: Material;
  /** Content that stands elsewhere, by the name that a signature gives it: the number of its document, or null. */
  contents: [name: string | null, document: number | null][];
}

export type Verified =
  /** Content of this name has to be looked for. */
  | { wanted: string | null }
  /** The report; signers' and timestamp authorities' certificates, and others in the file. */
  | { report: VerificationReport; ends: Uint8Array[]; known: Uint8Array[] };

class Wanted extends Error {
  constructor(readonly content: string | null) {
    super("Content is wanted.");
  }
}

/** A fetch for the evidence. */
export type FetchStep =
  | { get: string }
  | { post: string; type: string; accept: string; body: Uint8Array };
/** What it gave: bytes, or why there are none. */
export type Fetched = Uint8Array | { problem: string };

const der = ({ der }: { der: Uint8Array }) => der;

export const questions = {
  /** Verifies every signature of the first document. */
  verify(
    { now, anchors, material, contents, ...rest }: VerifyInput,
    documents: ReadDocument[],
  ): Verified {
    const content = (name: string | null): VerifyContent | null => {
      const found = contents.find(([known]) => known === name);
      if (!found) {
        if (contents.length < MAX_CONTENTS) throw new Wanted(name);
        throw new FormatError("limit_exceeded", "The signatures refer to too many other files.");
      }
      const document = found[1] === null ? undefined : documents[found[1]];
      return document
        ? {
          digest: (hash) => document.digest(hash, [[0, document.size]]),
          ...document.size <= MAX_WHOLE && {
            bytes: () => document.read(0, document.size).slice(),
          },
        }
        : null;
    };
    try {
      const { report, ends, known } = verifyFile(
        { source: documents[0], content, password: rest.password, certificates: rest.certificates },
        {
          ...rest,
          now: new Date(now),
          anchors: anchors.map((each) => readCertificate(each)),
          material: material && {
            certificates: material.certificates.map((each) => readCertificate(each)),
            crls: material.crls.map((each) => readCrl(each)),
            ocspResponses: material.ocspResponses.map((each) => readOcspResponse(each)),
          },
        },
      );
      return { report, ends: ends.map(der), known: known.map(der) };
    } catch (error) {
      if (error instanceof Wanted) return { wanted: error.content };
      throw error;
    }
  },

  /** Collects what tells whether certificates are valid, in steps of one fetch each. */
  evidence({ ends, known, anchors, done }: {
    ends: Uint8Array[];
    known: Uint8Array[];
    anchors: Uint8Array[];
    done: Done;
  }) {
    return inSteps<FetchStep, Material & { problems: string[] }>(done, async (take) => {
      const fetched = async (step: FetchStep) => {
        const answer: Fetched = await take(step);
        if (answer instanceof Uint8Array) return answer;
        throw new PkiHttpError(answer.problem);
      };
      const read = (list: Uint8Array[]): Certificate[] => list.map((each) => readCertificate(each));
      const evidence = await collectEvidence(read(ends), read(known), read(anchors), {
        get: (url) => fetched({ get: url }),
        post: (url, type, accept, body) => fetched({ post: url, type, accept, body }),
      });
      return {
        certificates: evidence.certificates.map(der),
        crls: evidence.crls.map(der),
        ocspResponses: evidence.ocspResponses.map(der),
        problems: evidence.problems,
      };
    });
  },

  /** What a person is told of a PDF's earlier signatures. */
  pdfFacts: ({ password }: { password?: string }, [source]: ReadDocument[]) =>
    factsOf(source, password),
};
