/** Inline images (ISO 32000-2 §8.9.7): readers find the end of their data in several ways. */
import { type ContentReader, odd } from "./content.ts";
import { isRegular, isSpace } from "./lexer.ts";

const LONG = new Map([
  ["BPC", "BitsPerComponent"],
  ["CS", "ColorSpace"],
  ["D", "Decode"],
  ["DP", "DecodeParms"],
  ["F", "Filter"],
  ["H", "Height"],
  ["IM", "ImageMask"],
  ["I", "Interpolate"],
  ["W", "Width"],
]);
const FILTERS = new Set(
  ("ASCIIHexDecode AHx ASCII85Decode A85 LZWDecode LZW FlateDecode Fl RunLengthDecode RL " +
    "CCITTFaxDecode CCF DCTDecode DCT").split(" "),
);

export class InlineImages {
  #count = 0;

  /** @param components how many a colour of a colour space has; 0 where that is not known */
  constructor(readonly reader: ContentReader, readonly components: (name: string) => number) {}

  /** Reads from behind `BI` to behind `EI`. */
  skip(): void {
    const { reader } = this;
    const { data } = reader;
    const entries = new Map<string, number | string | null>();
    for (let key; (key = reader.key()) !== undefined;) {
      key = LONG.get(key) ?? key;
      if (entries.has(key)) odd();
      entries.set(key, reader.value());
    }
    const { pos } = reader;
    if (data[pos] !== I || data[pos + 1] !== D || !isSpace(data[pos + 2])) odd();
    const start = pos + 3;
    const filter = entries.get("Filter");
    if (typeof filter === "string" && !FILTERS.has(filter)) odd();
    let end = start + (filter === undefined ? this.#size(entries) ?? 0 : 0);
    if (end > start) { while (isSpace(data[end])) end++; }
    else end = nextEnd(data, start);
    if (end < 0 || data[end] !== E || data[end + 1] !== I || !isSpace(data[end + 2] ?? 0)) odd();
    reader.pos = end + 2;
    this.#count++;
  }

  /** Some readers take any `EI` for the end of an image's data: each must be one. */
  check(): void {
    if (this.#count === 0) return;
    const { data } = this.reader;
    let count = 0;
    for (let at = 0; (at = nextEnd(data, at)) >= 0; at += 2) count++;
    if (count > this.#count) odd();
  }

  /** Of the data, where they are not compressed. */
  #size(entries: ReadonlyMap<string, number | string | null>): number | undefined {
    const number = (key: string) => {
      const value = entries.get(key);
      return typeof value === "number" ? value : undefined;
    };
    const space = entries.get("ColorSpace");
    const isMask = space === undefined && entries.has("ImageMask");
    const components = isMask ? 1 : typeof space === "string" ? this.components(space) : 0;
    const [width, height, bits = isMask ? 1 : 0] = ["Width", "Height", "BitsPerComponent"].map(
      number,
    );
    if (!width || !height || !bits || components <= 0) return undefined;
    return Math.ceil(width * components * bits / 8) * height;
  }
}

const E = 0x45, I = 0x49, D = 0x44;

/** Position of the next `EI` that stands by itself; -1 if there is none. */
function nextEnd(data: Uint8Array, from: number): number {
  for (let at = from; (at = data.indexOf(E, at)) >= 0; at++) {
    const isWord = data[at + 1] === I && isSpace(data[at - 1]) && !isRegular(data[at + 2] ?? 0);
    if (isWord) return at;
  }
  return -1;
}
