/** Writing a ZIP archive (PKWARE APPNOTE.TXT 6.3): deflated files with names in UTF-8. */
import { Buffer } from "node:buffer";
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  name: string;
  bytes: Uint8Array;
}

/** General purpose bit 11: names are in UTF-8. */
const UTF8_NAMES = 0x800;
const DEFLATED = 8;
/** Made by: Unix, version 2.0; and the attributes of a regular file with mode 0600. */
const MADE_BY = 0x314;
const UNIX_MODE = 0o100600 << 16 >>> 0;

/**
 * An archive of small files.
 *
 * Layout: for each file a local header (§4.3.7) and its data; then the central directory (§4.3.12); then its end
 * record (§4.3.16). Integers are little-endian.
 *
 * @param at time of all files, to two seconds; ZIP knows no time zone, so this is UTC
 * @throws {RangeError} beyond 65,535 files or 4 GiB, where ZIP64 would be needed
 */
export function zip(entries: readonly ZipEntry[], at: Date): Uint8Array<ArrayBuffer> {
  if (entries.length > 0xffff) throw new RangeError("too many files for one archive");
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const { name, bytes } of entries) {
    const data = deflateRawSync(bytes);
    const encoded = new TextEncoder().encode(name);
    const common = [
      [2, 20], // version needed: 2.0, for deflate
      [2, UTF8_NAMES],
      [2, DEFLATED],
      [2, dosTime(at)],
      [2, dosDate(at)],
      [4, crc32(bytes)],
      [4, data.length],
      [4, bytes.length],
      [2, encoded.length],
      [2, 0], // no extra field
    ];
    const header = integers([4, 0x04034b50], ...common);
    directory.push(
      integers(
        [4, 0x02014b50],
        [2, MADE_BY],
        ...common,
        [2, 0], // no comment
        [2, 0], // disk
        [2, 0], // internal attributes
        [4, UNIX_MODE],
        [4, offset],
      ),
      encoded,
    );
    parts.push(header, encoded, data);
    offset += header.length + encoded.length + data.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  if (offset + size > 0xffffffff) throw new RangeError("too much for one archive");
  const end = integers(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, entries.length],
    [2, entries.length],
    [4, size],
    [4, offset],
    [2, 0],
  );
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}

/** Integers of these many bytes, one after the other. */
function integers(...fields: number[][]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

const dosTime = (date: Date) =>
  date.getUTCHours() << 11 | date.getUTCMinutes() << 5 | date.getUTCSeconds() >> 1;
const dosDate = (date: Date) =>
  date.getUTCFullYear() - 1980 << 9 | date.getUTCMonth() + 1 << 5 | date.getUTCDate();
