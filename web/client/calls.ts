/** Options and results of calls. */
import type { NotificationParams, Result } from "../../protocol/methods.ts";

export const PDF = "application/pdf";

/** Progress of a call. `sending` (bytes) comes from the SDK, the others from the signer program. */
export type Progress =
  | { phase: "sending"; done: number; total: number }
  | Omit<NotificationParams<"request.progress">, "id">;

export interface CallOptions {
  /** Gives the call up: it rejects with `request_cancelled`, and what the person sees is taken back. */
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** @throws {TypeError} */
export function checkSignal(signal?: AbortSignal): void {
  if (signal && signal.aborted === undefined) {
    throw new TypeError("signal is an AbortSignal: controller.signal");
  }
}

/** Its signal ends with the other one: browsers have `AbortSignal.any` since Chromium 116, Firefox 124 and Safari 17.4 only. */
export function endingWith(signal?: AbortSignal): AbortController {
  const ending = new AbortController();
  const abort = () => ending.abort();
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { signal: ending.signal });
  return ending;
}

/** Result of `signDocument` of a `Client`: a detached CAdES signature. */
export type DetachedSignature = Extract<Result<"sign.document">, { signature: string }>;

/** Result of `signContainer` of a `Client`. */
export interface SignedContainer {
  /** The whole container. */
  container: Blob;
  /** The signer's certificate, DER, Base64. */
  certificate: string;
  /** JWA name, as in `RS256`. */
  algorithm: string;
}

/** Result of `signPdf` of a `Client`. */
export interface SignedPdf {
  /** The PDF with one more signature. */
  pdf: Blob;
  /** Name of the signed field. */
  field: string;
  /** The signer's certificate, DER, Base64. */
  certificate: string;
  /** JWA name, as in `RS256`. */
  algorithm: string;
}

/** Options of calls within the SDK. */
export interface CallOptionsWithin extends CallOptions {
  /** The person wants to see this item of the batch that the call `id` asks for. */
  onWanted?: (id: number, item: number) => void;
}
