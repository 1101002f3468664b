/**
 * ZIP as containers of signatures use it (APPNOTE.TXT 6.3, EN 319 162-1 Annex A), strictly: one reading only. Libraries
 * go by the central directory alone, or by the local headers alone; here both must say the same, and nothing may stand
 * between, before or behind. No encryption, no ZIP64, no links; names that cannot lead elsewhere, each once.
 */
import { crc32, inflateRawSync } from "node:zlib";
import { concat } from "../asn1/der.ts";
import { FormatError } from "../error.ts";

/** What is read: files in a container, bytes of a file and of all, bytes of a name. */
export const ZIP_LIMITS = {
  entries: 1000,
  file: 256 * 1024 * 1024,
  total: 512 * 1024 * 1024,
  name: 512,
} as const;

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const DESCRIPTOR = 0x08074b50;
const UNICODE_PATH = 0x7075;
const END_SIZE = 22;
const MAX_COMMENT = 0xffff;
/** General purpose flags: sizes in a data descriptor; UTF-8; how hard was compressed. No others are read. */
const FLAG_DESCRIPTOR = 0x08;
const FLAG_UTF8 = 0x800;
const KNOWN_FLAGS = FLAG_DESCRIPTOR | FLAG_UTF8 | 0x06;
/** Types of UNIX modes: a regular file, or none given. */
const REGULAR = 0x8000;

/** A file in a container. */
export interface ZipEntry {
  name: string;
  /** Its decompressed content, checked against size and CRC-32. */
  bytes: Uint8Array;
  /** MS-DOS date and time. */
  time: number;
  /** As it stands in a container that was read, so that it is written so again. */
  packed?: { method: number; data: Uint8Array };
}

const malformed = (why: string) =>
  new FormatError("container_malformed", `The container cannot be read: ${why}.`);

/** Whether bytes begin as a ZIP file with a first entry does. */
export const isZip = (head: Uint8Array): boolean =>
  head.length >= 4 && new DataView(head.buffer, head.byteOffset).getUint32(0, true) === LOCAL;

/**
 * Reads all files of a container. Folders are left out.
 *
 * @returns in the order of the file
 * @throws {FormatError} `container_malformed`; `limit_exceeded`
 */
export function readZip(bytes: Uint8Array): ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { count, start, end } = readEnd(view);
  if (count > ZIP_LIMITS.entries) {
    throw new FormatError("limit_exceeded", "The container holds more than 1000 files.");
  }
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let total = 0;
  let at = start;
  let local = 0;
  for (let i = 0; i < count; i++) {
    const header = readCentral(view, at, end);
    at = header.next;
    // Contiguous in the order of the directory, from the first byte: no gap in which another reader finds other files.
    if (header.offset !== local) throw malformed("something stands between its files");
    const { data, next } = readLocal(view, header, start);
    local = next;
    const name = checkName(header.name);
    const key = nameKey(name);
    if (names.has(key)) throw malformed(`it holds "${name}" twice`);
    names.add(key);
    total += header.size;
    if (header.size > ZIP_LIMITS.file || total > ZIP_LIMITS.total) {
      throw new FormatError("limit_exceeded", "The container holds more than is read.");
    }
    const content = inflate(data, header);
    const { method, time } = header;
    if (!name.endsWith("/")) {
      entries.push({ name, bytes: content, time, packed: { method, data } });
    } else if (content.length > 0) throw malformed("a folder has content");
  }
  if (at !== end || local !== start) throw malformed("something stands between its parts");
  return entries;
}

/** The end of central directory record (§4.3.16): the only one that could be it, and its comment ends the file. */
function readEnd(view: DataView): { count: number; start: number; end: number } {
  const lowest = Math.max(0, view.byteLength - END_SIZE - MAX_COMMENT);
  const found: number[] = [];
  for (let at = view.byteLength - END_SIZE; at >= lowest; at--) {
    if (view.getUint32(at, true) === END) found.push(at);
  }
  const [at, ...others] = found;
  if (at === undefined || others.some((each) => couldBeEnd(view, each))) {
    throw malformed("its end is missing or ambiguous");
  }
  const u16 = (offset: number) => view.getUint16(at + offset, true);
  const count = u16(10);
  const size = view.getUint32(at + 12, true);
  const start = view.getUint32(at + 16, true);
  if (u16(4) !== 0 || u16(6) !== 0 || u16(8) !== count) throw malformed("it has several parts");
  if (at + END_SIZE + u16(20) !== view.byteLength || start + size !== at) {
    throw malformed("its directory is not where it says");
  }
  return { count, start, end: at };
}

/**
 * Whether a reader could take a record before the last one for the end: its comment is all that follows, its directory
 * is empty, or begins where it says. That of a ZIP file in the container (.docx) counts from that file's beginning.
 */
function couldBeEnd(view: DataView, at: number): boolean {
  const start = view.getUint32(at + 16, true);
  return at + END_SIZE + view.getUint16(at + 20, true) === view.byteLength ||
    view.getUint16(at + 10, true) === 0 ||
    start + 4 <= view.byteLength && view.getUint32(start, true) === CENTRAL;
}

interface Header {
  name: Uint8Array;
  flags: number;
  method: number;
  time: number;
  crc: number;
  /** Compressed, and not. */
  packed: number;
  size: number;
  offset: number;
  next: number;
}

/** A central directory header (§4.3.12). */
function readCentral(view: DataView, at: number, end: number): Header {
  if (at + 46 > end || view.getUint32(at, true) !== CENTRAL) {
    throw malformed("its directory is broken");
  }
  const u16 = (offset: number) => view.getUint16(at + offset, true);
  const u32 = (offset: number) => view.getUint32(at + offset, true);
  const [flags, method] = [u16(8), u16(10)];
  const extra = at + 46 + u16(28);
  const next = extra + u16(30) + u16(32);
  if (next > end) throw malformed("its directory is broken");
  refuseOtherName(view, extra, u16(30));
  if ((flags & ~KNOWN_FLAGS) !== 0) {
    throw malformed("a file is encrypted, or packed in a way that is not read");
  }
  if (method !== 0 && method !== 8) throw malformed("a file is packed in a way that is not read");
  const [packed, size, offset] = [u32(20), u32(24), u32(42)];
  if ([packed, size, offset].includes(0xffffffff)) throw malformed("it is in the ZIP64 form");
  const type = u32(38) >>> 16 & 0xf000;
  const isUnix = u16(4) >>> 8 === 3;
  if (isUnix && type !== 0 && type !== REGULAR && type !== 0x4000) {
    throw malformed("it holds a link");
  }
  return {
    name: bytesOf(view, at + 46, u16(28)),
    flags,
    method,
    time: u32(12),
    crc: u32(16),
    packed,
    size,
    offset,
    next,
  };
}

/** Among the extra fields (§4.5) may be another name (§4.6.9), which some readers take and others do not. */
function refuseOtherName(view: DataView, start: number, length: number): void {
  const end = start + length;
  for (let at = start; at + 4 <= end; at += 4 + view.getUint16(at + 2, true)) {
    if (view.getUint16(at, true) === UNICODE_PATH) throw malformed("a file has two names");
  }
}

/** The local header (§4.3.7) with the data and the data descriptor (§4.3.9); it must say what the directory says. */
function readLocal(
  view: DataView,
  header: Header,
  limit: number,
): { data: Uint8Array; next: number } {
  const at = header.offset;
  if (at + 30 > limit || view.getUint32(at, true) !== LOCAL) {
    throw malformed("a file is not where it says");
  }
  const u16 = (offset: number) => view.getUint16(at + offset, true);
  const u32 = (offset: number) => view.getUint32(at + offset, true);
  const name = bytesOf(view, at + 30, Math.min(u16(26), limit - at - 30));
  const begin = at + 30 + u16(26) + u16(28);
  const behind = begin + header.packed;
  if (behind > limit) throw malformed("a file is longer than the container");
  refuseOtherName(view, begin - u16(28), u16(28));
  const isDescribed = (header.flags & FLAG_DESCRIPTOR) !== 0;
  const stated = [u32(14), u32(18), u32(22)];
  const { crc, packed, size } = header;
  const sameSizes = (values: readonly number[]) =>
    values[0] === crc && values[1] === packed && values[2] === size;
  const isSame = u16(6) === header.flags && u16(8) === header.method &&
    name.toHex() === header.name.toHex() &&
    (isDescribed ? stated.every((each) => each === 0) || sameSizes(stated) : sameSizes(stated));
  if (!isSame) throw malformed("its directory and a file contradict each other");
  let next = behind;
  if (isDescribed) {
    if (next + 4 <= limit && view.getUint32(next, true) === DESCRIPTOR) next += 4;
    if (next + 12 > limit) throw malformed("a file is longer than the container");
    if (!sameSizes([0, 4, 8].map((offset) => view.getUint32(next + offset, true)))) {
      throw malformed("its directory and a file contradict each other");
    }
    next += 12;
  }
  return { data: bytesOf(view, begin, packed), next };
}

function inflate(data: Uint8Array, { method, size, crc }: Header): Uint8Array {
  let out = data;
  if (method === 8) {
    try {
      const options = { maxOutputLength: Math.max(1, size), info: true };
      // With `info` it tells how much of the data it took, which its type does not say.
      const { buffer, engine } = inflateRawSync(data, options) as unknown as {
        buffer: Uint8Array;
        engine: { bytesWritten: number };
      };
      if (engine.bytesWritten !== data.length) throw new RangeError("Bytes are left.");
      out = new Uint8Array(buffer);
    } catch {
      throw malformed("a file is damaged, or larger than it says");
    }
  }
  if (out.length !== size || crc32(out) !== crc) throw malformed("a file is damaged");
  return out;
}

/** The same for names that are one where it is unpacked on Windows: in any case, without dots and spaces at the end. */
export const nameKey = (name: string): string =>
  name.normalize("NFC").toLowerCase().replace(/[. ]+(?=\/|$)/g, "");

/** A relative path with `/`, without `.` and `..`, in UTF-8. */
function checkName(bytes: Uint8Array): string {
  let name: string;
  try {
    name = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("the name of a file is not in UTF-8");
  }
  const parts = name.replace(/\/$/, "").split("/");
  // deno-lint-ignore no-control-regex
  const isGood = bytes.length <= ZIP_LIMITS.name && !/[\\:\x00-\x1f\x7f]/.test(name) &&
    parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (!isGood) throw malformed("the name of a file leads out of it, or is not one");
  return name;
}

const bytesOf = ({ buffer, byteOffset }: DataView, at: number, length: number) =>
  new Uint8Array(buffer, byteOffset + at, length);

/**
 * Writes files in this order: new ones as they are (method 0), so that they can be seen in the container.
 *
 * @throws {FormatError} `limit_exceeded`; `invalid_argument` for a name that would not be read
 */
export function writeZip(entries: readonly ZipEntry[]): Uint8Array {
  const total = entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (total > ZIP_LIMITS.total || entries.length > ZIP_LIMITS.entries) {
    throw new FormatError("limit_exceeded", "The files are too many or too large for a container.");
  }
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, bytes, time, packed = { method: 0, data: bytes } } of entries) {
    const encoded = new TextEncoder().encode(name);
    try {
      checkName(encoded);
    } catch {
      throw new FormatError("invalid_argument", `A container cannot hold a file called "${name}".`);
    }
    const common = fields(
      [2, 20],
      [2, FLAG_UTF8],
      [2, packed.method],
      [4, time],
      [4, crc32(bytes)],
      [4, packed.data.length],
      [4, bytes.length],
      [2, encoded.length],
      [2, 0],
    );
    pieces.push(fields([4, LOCAL]), common, encoded, packed.data);
    const more = fields([2, 0], [2, 0], [2, 0], [4, 0], [4, offset]);
    directory.push(fields([4, CENTRAL], [2, 20]), common, more, encoded);
    offset += 30 + encoded.length + packed.data.length;
  }
  const central = concat(...directory);
  const { length } = entries;
  const end = fields([4, END], [2, 0], [2, 0], [2, length], [2, length], [4, central.length], [
    4,
    offset,
  ], [2, 0]);
  return concat(...pieces, central, end);
}

/** Little-endian numbers of these lengths. */
function fields(...values: readonly (readonly [length: 2 | 4, value: number])[]): Uint8Array {
  const out = new Uint8Array(values.reduce((sum, [length]) => sum + length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [length, value] of values) {
    if (length === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += length;
  }
  return out;
}

/** MS-DOS date and time (§4.4.6), in UTC. */
export function dosTime(time: Date): number {
  const date = (Math.max(time.getUTCFullYear(), 1980) - 1980) << 9 | (time.getUTCMonth() + 1) << 5 |
    time.getUTCDate();
  const clock = time.getUTCHours() << 11 | time.getUTCMinutes() << 5 | time.getUTCSeconds() >> 1;
  return (date << 16 | clock) >>> 0;
}
