/** Verifying with what the network can tell, where that is wanted. */
import { hasher } from "../formats/digest.ts";
import type { Source } from "../formats/source.ts";
import type { HashName } from "../formats/signer.ts";
import {
  type VerificationReport,
  type VerifyFile,
  verifyFile,
  type VerifyOptions,
} from "../formats/verify/verify.ts";
import { DsignError } from "../protocol/errors.ts";
import { loadTrusted } from "../settings/anchors.ts";
import type { Document } from "./documents.ts";
import { collectEvidence } from "../online/evidence.ts";
import { type PkiFetch, PkiHttp, publicFetch } from "../online/pki_http.ts";

/**
 * Verifies a file.
 *
 * @param http where given, issuers, OCSP answers and CRLs are fetched for what is in the file, once
 * @returns the report; what could not be fetched, in sentences; whether content that stands elsewhere was asked for
 * @throws {FormatError} as `verifyFile`
 */
export async function verify(
  file: VerifyFile,
  options: VerifyOptions,
  http?: PkiHttp,
): Promise<{ report: VerificationReport; problems: string[]; isDetached: boolean }> {
  let isDetached = false;
  const content: VerifyFile["content"] = (name) => {
    isDetached = true;
    return file.content?.(name) ?? null;
  };
  const { report, ends, known } = verifyFile({ ...file, content }, options);
  if (!http || ends.length === 0) return { report, problems: [], isDetached };
  const { material } = options;
  const certificates = [...known, ...material?.certificates ?? []];
  const evidence = await collectEvidence(ends, certificates, options.anchors, http);
  const all = {
    certificates: [...certificates, ...evidence.certificates],
    crls: [...evidence.crls, ...material?.crls ?? []],
    ocspResponses: [...evidence.ocspResponses, ...material?.ocspResponses ?? []],
  };
  return {
    report: verifyFile(file, { ...options, material: all }).report,
    problems: evidence.problems,
    isDetached,
  };
}

export interface VerificationOptions {
  /** Folders of trusted root certificates; read each time, as they may be filled meanwhile. */
  trust: readonly string[];
  pkiFetch?: PkiFetch;
  now: () => Date;
}

/** Detached content is read whole only where it is no larger, in bytes. */
const MAX_WHOLE = 64 * 1024 * 1024;
const PIECE = 1024 * 1024;

/** Verifies documents that pages have opened. */
export class Verification {
  constructor(readonly options: VerificationOptions) {}

  /**
   * @throws {DsignError} `document_incomplete`; `invalid_params` where it was not kept, or where nothing in it is about
   *   `content`; {FormatError}
   */
  async document(
    document: Document,
    content: Document | undefined,
    { online, pan, signal }: { online: boolean; pan?: string; signal: AbortSignal },
  ): Promise<VerificationReport> {
    const { trust, pkiFetch = publicFetch(), now } = this.options;
    const anchors = await loadTrusted(trust);
    const http = online ? new PkiHttp(pkiFetch, signal) : undefined;
    const verified = () => {
      const signed = content && keptOf(content);
      const file: VerifyFile = {
        source: keptOf(document),
        sequential: keptOf(document).sequential(),
        content: () =>
          signed
            ? {
              digest: (hash) => digestOf(signed.sequential(), hash),
              ...signed.size <= MAX_WHOLE && { bytes: () => signed.read(0, signed.size).slice() },
            }
            : null,
      };
      return verify(file, { now: now(), anchors, pan }, http);
    };
    const held = content ? () => content.held(verified) : verified;
    const { report, isDetached } = await document.held(held);
    if (content && !isDetached && report.signatures.length > 0) {
      throw new DsignError(
        "invalid_params",
        "content: the document holds what its signatures sign, and this is not compared with it.",
      );
    }
    return report;
  }
}

function keptOf(document: Document) {
  document.digest(); // it is complete
  if (!document.kept) {
    throw new DsignError("invalid_params", "The document was not opened with `keep`.");
  }
  return document.kept;
}

/** Digest of a whole source, read from beginning to end. */
export function digestOf(source: Source, hash: HashName): Uint8Array {
  const state = hasher(hash);
  for (let at = 0; at < source.size; at += PIECE) state.update(source.read(at, PIECE));
  return state.digest();
}
