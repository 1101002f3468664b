/** Files at the desk: which of them are signed already, and what becomes of the others. */
import type { VerificationReport } from "../../protocol/report.ts";
import { type CallOptions, type Client, DsignClientError } from "../client.ts";
import type { Language } from "../../words/agent.ts";
import type { Result } from "./saving.ts";

/** A file as it was dropped or chosen. */
export interface Given {
  file: File;
  /** Where it lies, if the browser tells. */
  handle?: FileSystemHandle;
}

/** A file at the desk. */
export interface Work extends Given {
  /** Of a detached signature: what it signs. */
  content?: File;
  /** `unsigned`: it is to be signed, and not yet; `left`: it was to be, and the person stopped before. */
  state: "unsigned" | "left" | "signed" | "checked" | "failed";
  result?: Result;
  saved?: boolean;
  report?: VerificationReport;
  error?: DsignClientError;
}

/** Names of files that may hold signatures; PDFs do too. */
const SIGNATURE = /\.(p7s|p7m|sig|jws|asice|asics|sce|scs|xml|json|route)$/i;
const PDF = /\.pdf$/i;
/** Files that hold anything else as well, and then are signed like any file. */
const DATA = /\.(xml|json)$/i;

/** A signature that stands beside the file of which it has the name. */
const DETACHED = /^(.+)\.(p7s|sig|jws)$/i;

/** Puts signatures and the files that they sign together, where both are here. */
export function pairs(given: readonly Given[]): Work[] {
  const contentOf = ({ file: { name } }: Given) => {
    const signed = DETACHED.exec(name)?.[1];
    return given.find(({ file }) => file.name === signed)?.file;
  };
  const contents = new Set(given.map(contentOf));
  return given.filter(({ file }) => !contents.has(file)).map((each) => ({
    ...each,
    content: contentOf(each),
    state: "unsigned",
  }));
}

export const isPdf = ({ file }: Given): boolean =>
  PDF.test(file.name) || file.type === "application/pdf";

/** Whether a file needs to be looked at before it is known to be unsigned. */
export const mayBeSigned = (work: Given): boolean => isPdf(work) || SIGNATURE.test(work.file.name);

/**
 * Checks a file.
 *
 * @returns as `checked`; or as it was, if there is no signature in it
 */
export async function check(
  client: Client,
  work: Work,
  { online = false, ...options }: CallOptions & { online?: boolean },
): Promise<Work> {
  const { file, content } = work;
  try {
    const report = await client.verify(file, { content, online }, options);
    const isUnsigned = report.signatures.length === 0 && !report.route &&
      report.findings.every(({ code }) => code === "no_signature");
    return isUnsigned && !content ? work : { ...work, state: "checked", report };
  } catch (error) {
    const isOther = error instanceof DsignClientError && error.code === "document_malformed";
    if (isOther && DATA.test(file.name) && !content) return work;
    return failed(work, error);
  }
}

/** @throws {unknown} what is no failure that a person is told */
function failed(work: Work, error: unknown): Work {
  if (!(error instanceof DsignClientError)) throw error;
  return { ...work, state: "failed", error };
}

export interface SignOptions extends CallOptions {
  /** The signature is seen on a page of each PDF, in this language. */
  visible?: Language;
  /** Told of each file as soon as it is signed, or not. */
  onDone: (work: Work) => void;
}

/**
 * Signs files as the command line does, PDFs within themselves and others beside them: with one question for all of a
 * kind.
 *
 * @throws {DsignClientError} if the person said no, or nothing could be signed
 */
export async function sign(
  client: Client,
  works: readonly Work[],
  { visible, onDone, ...options }: SignOptions,
): Promise<void> {
  const how = visible && { visible: { language: visible } };
  const pdfs = works.filter(isPdf);
  const others = works.filter((work) => !isPdf(work));
  const done = (work: Work, content: Blob, name: string) =>
    onDone({ ...work, state: "signed", report: undefined, result: { name, content } });
  const doneInside = (work: Work, pdf: Blob) =>
    done(work, pdf, `${work.file.name.replace(PDF, "")}-signed.pdf`);
  const doneBeside = (work: Work, signature: string) =>
    done(work, new Blob([bytesOf(signature)]), `${work.file.name}.p7s`);
  const listOf = (works: readonly Work[]) =>
    works.map(({ file }) => ({ name: file.name, content: file }));

  if (pdfs.length === 1) {
    doneInside(pdfs[0]!, (await client.signPdf(pdfs[0]!.file, how, options)).pdf);
  } else if (pdfs.length > 1) {
    await client.signBatch(listOf(pdfs), how, {
      ...options,
      onItem: ({ item, ...outcome }) =>
        "pdf" in outcome
          ? doneInside(pdfs[item]!, outcome.pdf)
          : onDone(failed(pdfs[item]!, outcome.error)),
    });
  }
  if (options.signal?.aborted) return;
  if (others.length === 1) {
    doneBeside(others[0]!, (await client.signDocument(others[0]!.file, {}, options)).signature);
  } else if (others.length > 1) {
    await client.signBatch(listOf(others), { format: "cades" }, {
      ...options,
      onItem: ({ item, ...outcome }) =>
        "signature" in outcome
          ? doneBeside(others[item]!, outcome.signature)
          : onDone(failed(others[item]!, outcome.error)),
    });
  }
}

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
