/** The questions about portals' documents and about eSign answers that the service asks; a reader answers them. */
import { readSignedData } from "../formats/cms/read.ts";
import { FormatError } from "../formats/error.ts";
import { type DrawnPlace, placesOfSignature } from "../formats/pades/drawn.ts";
import { inspectSignatures, type PdfSignature } from "../formats/pades/inspect.ts";
import { prepareSignature, type SignatureOptions } from "../formats/pades/prepare.ts";
import { refuseAmbiguous, refuseOddContents } from "../formats/pades/versions.ts";
import { PdfDocument } from "../formats/pdf/document.ts";
import type { DigestName, HashName } from "../formats/signer.ts";
import { bytesSource, type Source } from "../formats/source.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { readEsignResponse } from "../formats/xml/esign.ts";
import { augment, type RaisedLevel } from "../online/augment.ts";
import { OnlineError } from "../online/error.ts";
import { type LevelStep, questions as onlineQuestions, servicesOf } from "../online/questions.ts";
import { timestampSignature } from "../online/signature_timestamp.ts";
import { type Done, inSteps } from "../reader/steps.ts";
import type { ReadDocument } from "../reader/worker.ts";
import { judge } from "./esp_judge.ts";

/** Of a PDF's last signature, where that is still zeros and covers all of the file. */
function ofWaiting<T>(source: Source, about: (signature: PdfSignature) => T): T | undefined {
  try {
    const last = inspectSignatures(source).signatures.at(-1);
    const waits = last?.coverage === "document" && last.contents.every((byte) => byte === 0);
    return waits ? about(last) : undefined;
  } catch (error) {
    // no PDF of ours to judge: it is still known by the digest of its bytes
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** How an eSign transaction ends; null where it is not over. */
export type EsignOutcome =
  | { certificate: Uint8Array; cms: Uint8Array; signature: string }
  | { code: string; message: string }
  | null;

export const questions = {
  ...onlineQuestions,

  /**
   * Of a PDF that waits for its signature: the digest of all of the file around the last one's place.
   *
   * @throws {FormatError} `pdf_ambiguous` where readers may show that PDF differently
   */
  preparedDigest(_: null, [source]: ReadDocument[]): Uint8Array | null {
    const digest = ofWaiting(source, ({ ranges }) => source.digest("SHA-256", ranges));
    if (!digest) return null;
    const document = PdfDocument.open(source);
    refuseAmbiguous(document);
    refuseOddContents(document);
    return digest;
  },

  /** Of such a PDF: where the signature will be seen. */
  preparedPlaces: (_: null, [source]: ReadDocument[]): DrawnPlace[] =>
    ofWaiting(source, ({ field }) => placesOfSignature(source, field)) ?? [],

  /** A PDF's revision with the place for what an eSign service provider will make. */
  prepareEsign(
    { time, ...options }: Pick<SignatureOptions, "contentsSize" | "reason" | "location"> & {
      time: string;
    },
    [source]: ReadDocument[],
  ) {
    const document = PdfDocument.open(source);
    refuseAmbiguous(document);
    refuseOddContents(document);
    const { appended, byteRange: [start, before, after, rest] } = prepareSignature(source, {
      ...options,
      subFilter: "adbe.pkcs7.detached", // what the ESP makes is no CAdES
      time: new Date(time),
    }, document);
    return { appended, ranges: [[start, before], [after, rest]] as [number, number][] };
  },

  /** An ESP's PKCS #7 with a timestamp. */
  timestampedCms: ({ cms, done }: { cms: Uint8Array; done: Done }) =>
    inSteps<LevelStep, Uint8Array>(done, (take) => {
      const { timestamp } = servicesOf(take);
      const asking = { signal: new AbortController().signal };
      return timestampSignature(cms, "SHA-256", (...imprint) => timestamp(...imprint, asking));
    }),

  /** A CAdES signature at a higher level, with what its validation needs (B-LT) and a timestamp over that (B-LTA). */
  raiseCms: ({ cms, level, content, done }: {
    cms: Uint8Array;
    level: RaisedLevel;
    /** Digest of a detached signature's content. */
    content?: { hash: HashName; digest: Uint8Array };
    done: Done;
  }) =>
    inSteps<LevelStep, Uint8Array>(done, async (take) => {
      const digest = (asked: DigestName) => asked === content?.hash ? content.digest : undefined;
      const signed = { source: bytesSource(cms), content: () => content ? { digest } : null };
      const { signal } = new AbortController();
      const raised = await augment(signed, { level, which: "all" }, servicesOf(take), signal);
      if (!("file" in raised)) throw new OnlineError("signature_invalid");
      return raised.file;
    }),

  /** The certificates in an issuing authority's answer. */
  certificatesIn: ({ cms }: { cms: Uint8Array }): Uint8Array[] => [
    ...readSignedData(cms).certificates,
  ],

  /** Reads an ESP's response and checks that its signature is usable. */
  esignOutcome({ response, txn, digest, esp, ...by }: {
    response: Uint8Array;
    txn: string;
    digest: Uint8Array;
    /** The ESP's certificates for its answers, and those whom the signatories' must come from, DER. */
    esp: Uint8Array[];
    anchors: Uint8Array[];
    space: number;
    now: number;
  }): EsignOutcome {
    const answer = readEsignResponse(response, { txn, digest, esp });
    if (!answer.ok) {
      const { code, message } = answer;
      return answer.isFinal ? { code, message } : null;
    }
    const anchors = by.anchors.map((each) => readCertificate(each));
    const outcome = judge(answer.certificate, answer.pkcs7, { ...by, anchors });
    return "code" in outcome ? outcome : { ...outcome, certificate: outcome.certificate.der };
  },
};
