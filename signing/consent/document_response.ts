/** The very bytes that are to be signed, for the page that shows them: in whole, or the range that it asks for. */
import type { Source } from "../../formats/source.ts";
import type { ShownPdf } from "./port.ts";
import { SAFE_HEADERS } from "./headers.ts";

const PIECE = 256 * 1024;

/**
 * @param range the request's header (RFC 9110 §14.2); more than one range, or another unit, counts as none
 * @param isCurrent whether the document may still be read; afterwards the answer breaks off
 */
export function documentResponse(
  { source }: Pick<ShownPdf, "source">,
  range: string | null,
  isCurrent: () => boolean,
): Response {
  const headers = {
    ...SAFE_HEADERS,
    // A length and ranges count uncompressed bytes.
    "cache-control": "no-store, no-transform",
    "accept-ranges": "bytes",
    "content-type": "application/pdf",
    "content-security-policy": "sandbox; default-src 'none'",
  };
  const { size } = source;
  const match = /^bytes=(\d*)-(\d*)$/.exec(range ?? "");
  if (!match || match[0] === "bytes=-") {
    return new Response(stream(source, 0, size, isCurrent), {
      headers: { ...headers, "content-length": String(size) },
    });
  }
  const [, first, last] = match;
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  if (start >= end) {
    return new Response(null, {
      status: 416,
      headers: { ...headers, "content-range": `bytes */${size}` },
    });
  }
  return new Response(stream(source, start, end, isCurrent), {
    status: 206,
    headers: {
      ...headers,
      "content-length": String(end - start),
      "content-range": `bytes ${start}-${end - 1}/${size}`,
    },
  });
}

function stream(
  source: Source,
  start: number,
  end: number,
  isCurrent: () => boolean,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = start;
  return new ReadableStream({
    pull(controller) {
      if (!isCurrent()) return controller.error(new Error("The question is over."));
      const piece = source.read(at, Math.min(PIECE, end - at)).slice();
      at += piece.length;
      if (piece.length > 0) controller.enqueue(piece);
      if (at >= end) controller.close();
    },
  });
}
