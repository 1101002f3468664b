/** Streams whose data are compressed, rightly or nearly so. */
import { deflateSync } from "node:zlib";
import { fromLatin1, latin1 } from "../../formats/pdf/value.ts";
import { type Next, pick } from "./agreement_bases.ts";

export const stream = (text: string, more = "") =>
  `<< /Length ${text.length} ${more} >>\nstream\n${text}\nendstream`;

/** Data that may be damaged, or not compressed at all, and the entries that say how to decode them. */
export function coded(next: Next, text: string): { data: string; filter: string } {
  let bytes: Uint8Array = deflateSync(latin1(text));
  const damage = next(3);
  // Without its checksum, another content would be as right.
  if (damage === 0) bytes[next(bytes.length)] ^= 1 << next(8);
  else if (damage === 1) bytes = bytes.subarray(0, next(bytes.length));
  const filter = pick(next, [
    "/FlateDecode",
    "/FlateDecode",
    "/Fl",
    "[/FlateDecode]",
    "/Flat",
    "7",
  ]);
  const more = pick(next, [
    "",
    "",
    "/DecodeParms null",
    "/DecodeParms << /Predictor 1 >>",
    "/DecodeParms [<< /Predictor 15 >>]",
  ]);
  return { data: next(6) ? fromLatin1(bytes) : text, filter: `/Filter ${filter} ${more}` };
}
