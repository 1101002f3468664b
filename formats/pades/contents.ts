import { FormatError } from "../error.ts";

/**
 * Puts a CMS or timestamp token into the place that a prepared signature keeps for it.
 *
 * @param bytes stay as they are
 * @param at offset in `bytes` at which the first range of ByteRange ends
 * @param end offset at which the second one begins
 * @throws FormatError `space_too_small`
 */
export function fillContents(
  bytes: Uint8Array,
  at: number,
  end: number,
  cms: Uint8Array,
): Uint8Array {
  const space = (end - at) / 2 - 1;
  if (cms.length > space) {
    throw new FormatError(
      "space_too_small",
      `The signature has ${cms.length} bytes and the space kept for it ${space}.`,
    );
  }
  const out = bytes.slice();
  new TextEncoder().encodeInto(cms.toHex(), out.subarray(at + 1));
  return out;
}
