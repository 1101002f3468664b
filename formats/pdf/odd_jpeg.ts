/** The outlines of JPEG (ITU-T T.81) and JPEG 2000 (ISO/IEC 15444-1), as far as readers mend them differently. */
import { odd } from "./content.ts";
import { fromLatin1, latin1 } from "./value.ts";

/** What a compressed picture says of itself. */
export interface Outline {
  width: number;
  height: number;
  components: number;
}

const SOI = 0xd8, EOI = 0xd9, SOS = 0xda, RST0 = 0xd0, RST7 = 0xd7, APP0 = 0xe0, APP14 = 0xee;
const DQT = 0xdb, DHT = 0xc4, DRI = 0xdd;
/** Baseline, extended, progressive. */
const FRAMES = new Set([0xc0, 0xc1, 0xc2]);
/** APP0 to APP15, COM, and tables. */
const isHarmless = (marker: number) =>
  (marker >= APP0 && marker <= 0xef) || marker === 0xfe || marker === DQT || marker === DHT ||
  marker === DRI;

/** Reads a JPEG's segments; its compressed data only as far as markers stand in them. */
export function outlineOfJpeg(bytes: Uint8Array): Outline {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen = new Set<number>();
  let outline: Outline | undefined, isJfif = false, isUntransformed = false;
  let at = 0;
  while (bytes[at] === 10 || bytes[at] === 13) at++;
  if (bytes[at] !== 0xff || bytes[at + 1] !== SOI) odd();
  for (at += 2;;) {
    if (bytes[at] !== 0xff) odd();
    while (bytes[at + 1] === 0xff) at++;
    const marker = bytes[at + 1];
    if (marker === EOI) break;
    if (at + 4 > bytes.length) odd();
    const length = data.getUint16(at + 2);
    const start = at + 4;
    at += 2 + length;
    if (length < 2 || at > bytes.length) odd();
    seen.add(marker);
    if (FRAMES.has(marker)) {
      if (outline || length < 8 || bytes[start] !== 8) odd();
      const [height, width] = [data.getUint16(start + 1), data.getUint16(start + 3)];
      outline = { width, height, components: bytes[start + 5] };
    } else if (marker === SOS) {
      if (!outline || !seen.has(DQT) || !seen.has(DHT)) odd();
      at = scanEnd(bytes, at, seen.has(DRI));
    } else if (!isHarmless(marker)) odd();
    const says = (word: string) => latin1(word).every((byte, i) => bytes[start + i] === byte);
    if (marker === APP0) isJfif ||= says("JFIF");
    else if (marker === APP14 && says("Adobe")) isUntransformed = bytes[start + 11] === 0;
  }
  if (!outline || !seen.has(SOS)) odd();
  // JFIF is YCbCr, and Adobe's word says that it is not.
  if (isJfif && isUntransformed && outline.components === 3) odd();
  return outline;
}

/** Position of the marker behind compressed data; only restarts may stand within them, in their order. */
function scanEnd(bytes: Uint8Array, from: number, hasRestarts: boolean): number {
  let next = RST0;
  for (let at = from; (at = bytes.indexOf(0xff, at)) >= 0;) {
    const marker = bytes[at + 1];
    if (marker === 0) at += 2;
    else if (marker === 0xff) at++;
    else if (marker >= RST0 && marker <= RST7) {
      if (!hasRestarts || marker !== next) odd();
      next = next === RST7 ? RST0 : next + 1;
      at += 2;
    } else return at;
  }
  return odd();
}

const CODESTREAM = 0xff4fff51;
const BOXES = "\0\0\0\x0cjP  \r\n\x87\n";

/** Reads the size of JPEG 2000 data: a file of boxes, or a mere codestream. */
export function outlineOfJpeg2000(bytes: Uint8Array): Outline {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isFile = fromLatin1(bytes.subarray(0, BOXES.length)) === BOXES;
  let at = 0;
  if (isFile) at = codestreamAt(bytes, data);
  if (at + 42 > bytes.length || data.getUint32(at) !== CODESTREAM) odd();
  let end = bytes.length;
  while (end > at && (bytes[end - 1] === 0 || bytes[end - 1] === 10 || bytes[end - 1] === 13)) {
    end--;
  }
  if (bytes[end - 2] !== 0xff || bytes[end - 1] !== EOI) odd();
  const word = (offset: number) => data.getUint32(at + offset);
  return {
    width: word(8) - word(16),
    height: word(12) - word(20),
    components: data.getUint16(at + 40),
  };
}

function codestreamAt(bytes: Uint8Array, data: DataView): number {
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = data.getUint32(at);
    if (fromLatin1(bytes.subarray(at + 4, at + 8)) === "jp2c") return at + (length === 1 ? 16 : 8);
    if (length < 8) odd();
    at += length;
  }
  return odd();
}
