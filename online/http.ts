/** A body longer than its limit. */
export class TooLongError extends Error {
  override readonly name = "TooLongError";
}

/**
 * Reads the body of a request or an answer, up to a limit. A longer one is cancelled.
 *
 * @param most bytes
 * @throws {TooLongError}
 */
export async function readBounded(
  { headers, body }: Pick<Response, "headers" | "body">,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (Number(headers.get("content-length") ?? 0) > most) {
    await body?.cancel();
    throw new TooLongError(`longer than ${most} bytes`);
  }
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  // leaving the loop cancels the rest
  for await (const piece of body ?? []) {
    if ((size += piece.length) > most) throw new TooLongError(`longer than ${most} bytes`);
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}
