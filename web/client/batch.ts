/** Many documents with one consent: `signBatch` of `Client`. */
import type { ErrorCode } from "../../protocol/errors.ts";
import type { MethodName, Params, Result } from "../../protocol/methods.ts";
import { type CallOptions, type CallOptionsWithin, PDF } from "./calls.ts";
import { DsignClientError } from "./errors.ts";

/** A document of a batch. */
export interface BatchFile {
  name: string;
  content: Blob;
}

/** Result of one document of a batch; `item` is its position in the list. */
export type BatchOutcome =
  | { item: number; pdf: Blob; field: string }
  | { item: number; error: DsignClientError };

/** The same with `format: "cades"`: a detached signature, Base64. */
export type DetachedBatchOutcome =
  | { item: number; signature: string }
  | { item: number; error: DsignClientError };

export interface BatchOptions<Outcome = BatchOutcome> extends CallOptions {
  /** Told of each document as soon as it is signed, or not; awaited, so that it can be saved before the next. */
  onItem?: (outcome: Outcome) => void | Promise<void>;
}

/** How a batch ended. Where `left` is not 0, the same call goes on with it, and signs nothing twice. */
export interface BatchResult {
  signed: number;
  failed: number;
  left: number;
  /** The signer's certificate, DER, Base64. */
  certificate: string;
}

export type BatchParams =
  & { format?: "pades" | "cades" }
  & Pick<Params<"sign.batch">, "certificate" | "purpose">
  & Params<"sign.batch">["pdf"];

/** What a batch needs of its {@linkcode Client}. */
interface Connection {
  call<M extends MethodName>(
    method: M,
    params: Params<M>,
    options?: CallOptionsWithin,
  ): Promise<Result<M>>;
  /** Sends a document. */
  open(
    file: Blob,
    about: Omit<Params<"document.open">, "size">,
    options: CallOptions,
  ): Promise<{ document: number }>;
  /** The pieces of a result that have come for a document; it holds them no longer. */
  take(document: number): BlobPart[];
}

/**
 * Documents of a batch that are under way at a time: so many, and of so many bytes together if the largest allows it.
 * More only wait, and live long enough in the signer program to cost its garbage collector a third of its time; except
 * where each waits for the network, as at the levels above B-B.
 */
const BATCH_PIPELINE = 8;
const BATCH_PIPELINE_ONLINE = 32;
const BATCH_BYTES = 64 * 1024 * 1024;

/** Failures of one document; any other ends the batch. */
const OF_ONE_DOCUMENT: readonly string[] = [
  "document_malformed",
  "document_encrypted",
  "document_locked",
  "document_incomplete",
  "consent_mismatch",
  "invalid_params",
  "too_large",
  "mechanism_unsupported",
] satisfies ErrorCode[];

/** @throws {TypeError} */
export function checkFiles(files: readonly BatchFile[]): void {
  if (!Array.isArray(files) || !files[0] || !files.every((each) => each?.content instanceof Blob)) {
    throw new TypeError("Give a list of one or more { name, content: File or Blob }.");
  }
}

export async function signBatch(
  { call, open, take }: Connection,
  files: readonly BatchFile[],
  { format = "pades", certificate, purpose, ...how }: BatchParams,
  { signal, onProgress, onItem }: BatchOptions<BatchOutcome & DetachedBatchOutcome>,
): Promise<BatchResult> {
  checkFiles(files);
  const isPdf = format === "pades";
  const typeOf = ({ type }: Blob) => isPdf ? PDF : type || "application/octet-stream";
  const items: Params<"sign.batch">["items"] = [];
  const list = async ({ name, content }: BatchFile) => {
    const hash = await crypto.subtle.digest("SHA-256", await content.arrayBuffer());
    const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0"));
    return { name, mediaType: typeOf(content), size: content.size, sha256: hex.join("") };
  };
  const largest = Math.max(...files.map(({ content }) => content.size));
  const most = (how.level ?? "B-B") === "B-B" ? BATCH_PIPELINE : BATCH_PIPELINE_ONLINE;
  const width = Math.floor(Math.min(most, BATCH_BYTES / largest)) || 1;
  while (items.length < files.length) {
    const some = files.slice(items.length, items.length + width);
    items.push(...await Promise.all(some.map(list)));
  }
  const show = async (id: number, item: number) => {
    const { name, content } = files[item]!;
    const about = { name, mediaType: typeOf(content), keep: !isPdf };
    const { document } = await open(content, about, { signal });
    await call("batch.show", { id, item, document });
  };
  const params = isPdf
    ? { items, format, pdf: how, certificate, purpose }
    : { items, format, level: how.level, certificate, purpose };
  const { batch, certificate: signer } = await call("sign.batch", params, {
    signal,
    onProgress,
    onWanted: (id, item) => void show(id, item).catch(() => {}), // the person sees that it is missing
  });
  const sign = async (item: number) => {
    const { content, name } = files[item]!;
    const { document } = await open(content, { name, mediaType: typeOf(content) }, { signal });
    try {
      const signed = await call("batch.sign", { batch, item, document }, { signal });
      if (signed.format === "cades") return { signature: signed.signature };
      const pieces = [content, ...take(document)];
      return { pdf: new Blob(pieces, { type: PDF }), field: signed.field };
    } finally {
      take(document);
    }
  };
  const result: BatchResult = { signed: 0, failed: 0, left: files.length, certificate: signer };
  let next = 0;
  let fatal: unknown;
  const worker = async () => {
    while (next < files.length && !fatal && !signal?.aborted) {
      const item = next++;
      let outcome: BatchOutcome | DetachedBatchOutcome;
      try {
        outcome = { item, ...await sign(item) };
        result.signed++;
      } catch (error) {
        if (signal?.aborted) return; // it is left
        if (!(error instanceof DsignClientError) || !OF_ONE_DOCUMENT.includes(error.code)) {
          throw error;
        }
        outcome = { item, error };
        result.failed++;
      }
      result.left--;
      onProgress?.({ phase: "signing", done: files.length - result.left, total: files.length });
      await onItem?.(outcome as BatchOutcome & DetachedBatchOutcome);
    }
  };
  const work = () => worker().catch((error) => fatal ??= error);
  await Promise.all(Array.from({ length: width }, work));
  const forget = result.left === 0;
  await call("batch.close", { batch, forget }).catch(() => {}); // it may be over already
  if (fatal) throw fatal;
  return result;
}
