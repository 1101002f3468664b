/**
 * What is read of untrusted answers (timestamps, OCSP answers, CRLs, certificates) and of PDFs that are signed: questions
 * that a reader answers, so that nothing of it is parsed in a program that must go on answering.
 */
import { FormatError } from "../formats/error.ts";
import { digest } from "../formats/digest.ts";
import { readTimestampResponse, verifyTimestamp } from "../formats/cms/timestamp.ts";
import { type AppearanceContent, drawAppearance } from "../formats/pades/appearance.ts";
import type { ValidationData } from "../formats/pades/dss.ts";
import type { Place } from "../formats/pades/place.ts";
import { refuseAmbiguous, refuseOddContents } from "../formats/pades/versions.ts";
import { PdfDocument } from "../formats/pdf/document.ts";
import { readFont, type TrueTypeFont } from "../formats/pdf/font.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import type { Done } from "../reader/steps.ts";
import { inSteps } from "../reader/steps.ts";
import type { ReadDocument } from "../reader/worker.ts";
import { collectEvidence } from "./evidence.ts";
import {
  checkCms,
  checkSignature,
  type Completion,
  dssFor,
  finishPades,
  type LevelServices,
  type PadesOptions,
  type PreparedPades,
  preparePades,
  type ValidatedLater,
} from "./pades.ts";
import { type FetchStep, keyOf, PkiHttpError } from "./pki_http.ts";
import { certificatesOf, validationData } from "./validation_data.ts";

/** What a fetch gave: bytes, or why there are none. */
export type Fetched = Uint8Array | { problem: string };

export type Take<S> = <R>(key: string, step: S) => Promise<R>;

/** Fetches in steps. */
export function httpOf(take: Take<FetchStep>) {
  const fetched = async (step: FetchStep) => {
    const answer: Fetched = await take(keyOf(step), step);
    if (answer instanceof Uint8Array) return answer;
    throw new PkiHttpError(answer.problem);
  };
  return {
    get: (url: string) => fetched({ get: url }),
    post: (post: string, type: string, accept: string, body: Uint8Array) =>
      fetched({ post, type, accept, body }),
  };
}

/** Network requests of a signature's level. */
export type LevelStep =
  | { timestamp: Uint8Array; hash: HashName }
  | { validationData: ValidatedLater };

/** The services of a level in steps. */
export const servicesOf = (take: Take<LevelStep>): LevelServices => ({
  timestamp: (hash, timestamp) =>
    take(`timestamp ${hash} ${timestamp.toHex()}`, { timestamp, hash }),
  validationData(of) {
    const pieces = of instanceof Uint8Array ? [of] : [...of.ends, ...of.known];
    const key = `validation data ${digest("SHA-256", ...pieces).toHex()}`;
    return take(key, { validationData: of });
  },
});

/** A signature in a PDF: the first document; those after it are the fonts of its appearance. */
export interface PadesInput {
  options: Omit<PadesOptions, "time" | "appearance"> & { time?: string };
  appearance?: {
    place: Place;
    content: Omit<AppearanceContent, "fonts">;
    /** Names of the fonts. */
    fonts: readonly string[];
  };
}

/** They are the program's own, read once. */
const known = new Map<string, TrueTypeFont>();

function padesOptions(
  { options: { time, ...options }, appearance }: PadesInput,
  [, ...files]: ReadDocument[],
): PadesOptions {
  const fonts = appearance?.fonts.map((name, i) =>
    known.getOrInsertComputed(name, () => readFont(files[i].read(0, files[i].size).slice()))
  );
  return {
    ...options,
    time: time === undefined ? undefined : new Date(time),
    appearance: appearance && {
      place: appearance.place,
      draw: drawAppearance({ ...appearance.content, fonts: fonts! }),
    },
  };
}

const der = ({ der }: { der: Uint8Array }) => der;
const read = (list: readonly Uint8Array[]) => list.map((each) => readCertificate(each));

export const questions = {
  /** The token in a time-stamping service's answer, checked against what was asked. */
  timestampToken({ response, hash, digest, nonce }: {
    response: Uint8Array;
    hash: HashName;
    digest: Uint8Array;
    nonce: Uint8Array;
  }): Uint8Array {
    const token = readTimestampResponse(response);
    const { problems } = verifyTimestamp(token, {
      nonce,
      digestOf: (asked) => asked === hash ? digest : undefined,
    });
    if (problems.length === 0) return token;
    const why = problems.map(({ message }) => message).join(" ");
    throw new FormatError("timestamp_malformed", why);
  },

  /** Collects what tells whether certificates are valid. */
  evidence: ({ ends, known, anchors, now, done }: {
    ends: Uint8Array[];
    known: Uint8Array[];
    anchors: Uint8Array[];
    now: string;
    done: Done;
  }) =>
    inSteps(done, async (take: Take<FetchStep>) => {
      const evidence = await collectEvidence(
        read(ends),
        read(known),
        read(anchors),
        httpOf(take),
        new Date(now),
      );
      return {
        certificates: evidence.certificates.map(der),
        crls: evidence.crls.map(der),
        ocspResponses: evidence.ocspResponses.map(der),
        problems: evidence.problems,
      };
    }),

  /** Collects what a later validation needs, of the signatures in a CMS or for certificates. */
  validationData: ({ of, now, done }: {
    of: ValidatedLater;
    now: string;
    done: Done;
  }) =>
    inSteps<FetchStep, ValidationData>(done, (take) =>
      validationData(
        of instanceof Uint8Array
          ? certificatesOf(of)
          : { ends: read(of.ends), known: read(of.known) },
        new Date(now),
        httpOf(take),
      )),

  /** Refuses a PDF whose contents readers may draw differently, as `preparePdf` does if it is asked to. */
  checkContents({ password }: { password?: string }, [source]: ReadDocument[]): null {
    refuseOddContents(PdfDocument.open(source, password));
    return null;
  },

  /** A revision that is finished but for the signature's value. */
  preparePdf(
    { signer, one, ...input }: PadesInput & {
      signer: Pick<Signer, "certificate" | "chain">;
      /** What must have one reading: the pages, or their contents too. */
      one?: "pages" | "contents";
    },
    documents: ReadDocument[],
  ): PreparedPades {
    const [source] = documents;
    const document = PdfDocument.open(source, input.options.password);
    if (one) refuseAmbiguous(document);
    if (one === "contents") refuseOddContents(document);
    return preparePades(source, signer, padesOptions(input, documents), document);
  },

  /** Checks a signature that goes into a prepared revision, of which {@linkcode preparePades} has checked the place. */
  checkCms({ cms, hash, digest, certificate }: {
    cms: Uint8Array;
    hash: HashName;
    /** Of what is signed. */
    digest: Uint8Array;
    certificate: Uint8Array;
  }): null {
    checkCms(cms, { [hash]: digest }, certificate);
    return null;
  },

  /** What follows a signature in a PDF at its level, once it is checked. */
  finishPdf: (
    { signed, cms, algorithm, completion, done }: {
      signed: Uint8Array;
      cms: Uint8Array;
      /** Of the timestamps and of what the signature covers. */
      algorithm: HashName;
      completion: Completion;
      done: Done;
    },
    [source]: ReadDocument[],
  ) =>
    inSteps(done, (take: Take<LevelStep>) =>
      finishPades(
        { source, algorithm },
        signed,
        cms,
        completion,
        servicesOf(take),
        new AbortController().signal,
      )),

  /** Checks the last signature of a PDF before it is released. */
  checkPdfSignature(
    { certificate, algorithm }: { certificate: Uint8Array; algorithm: HashName },
    [source]: ReadDocument[],
  ): null {
    checkSignature({ source, algorithm }, new Uint8Array(), certificate);
    return null;
  },

  /** A revision with validation data for the last signature of the document. */
  dss: ({ data }: { data: ValidationData }, [source]: ReadDocument[]) =>
    dssFor({ source }, new Uint8Array(), data),
};
