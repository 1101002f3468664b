/** The entries of a revocation list (RFC 5280 §5.3): found by their offsets alone, as lists of millions of them exist. */
import { type Asn1Node, Fields, readFirstAsn1, Tag } from "../asn1/read.ts";
import { FormatError } from "../error.ts";

/** Reads of whole lists are bounded by their size; this bounds what is kept of them. */
const MAX_ENTRIES = 4_000_000;
/** Only serial numbers that were made for it need as many steps for each entry. */
const MAX_STEPS = 16;

/** Where the entries are, by their issuers and serial numbers. */
export class EntryIndex {
  /** Offsets of entries, each plus one; 0 is a free place. */
  readonly #table: Uint32Array;
  /** From which offsets on entries have which issuer, by its number. */
  readonly #issuers: { from: number; issuer: number }[] = [];
  readonly #numbers = new Map<string, number>();

  /**
   * Reads the whole list.
   *
   * @param content of `revokedCertificates`
   * @param issuer the list's, by its key
   * @param issuerIn the issuer that an entry's extensions name, if any (§5.3.3): the following entries have it too
   * @throws {FormatError} `asn1_malformed`, `limit_exceeded`, and what `issuerIn` throws
   */
  constructor(
    readonly content: Uint8Array,
    issuer: string,
    issuerIn: (extensions: Asn1Node) => string | undefined,
  ) {
    this.#from(0, issuer);
    const offsets = new Offsets();
    for (let at = 0; at < content.length;) {
      let end = endOfPlain(content, at);
      if (end < 0) {
        const { end: stop, extensionList } = readEntry(content, at);
        const named = extensionList && issuerIn(extensionList);
        if (named !== undefined) this.#from(at, named);
        end = stop;
      }
      if (offsets.count >= MAX_ENTRIES) {
        throw new FormatError("limit_exceeded", "The revocation list has too many entries.");
      }
      offsets.add(at);
      at = end;
    }
    this.#table = new Uint32Array(2 ** Math.ceil(Math.log2(2 * offsets.count + 1)));
    this.#fill(offsets.all);
  }

  /** The offset of the last entry of that issuer and serial number (its content octets). */
  find(issuer: string, serialNumber: Uint8Array): number | undefined {
    const number = this.#numbers.get(issuer);
    if (number === undefined) return undefined;
    const { place } = this.#place(number, serialNumber, 0, serialNumber.length);
    const found = this.#table[place];
    return found === 0 ? undefined : found - 1;
  }

  #from(from: number, issuer: string): void {
    const number = this.#numbers.getOrInsertComputed(issuer, () => this.#numbers.size);
    this.#issuers.push({ from, issuer: number });
  }

  #fill(offsets: Uint32Array): void {
    let steps = MAX_STEPS * offsets.length;
    for (const at of offsets) {
      const [start, end] = serialAt(this.content, at);
      const found = this.#place(this.#issuerAt(at), this.content, start, end);
      this.#table[found.place] = at + 1;
      if ((steps -= found.steps) < 0) {
        throw new FormatError("limit_exceeded", "The revocation list takes too much work to read.");
      }
    }
  }

  #issuerAt(offset: number): number {
    const all = this.#issuers;
    let low = 0, high = all.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (all[middle].from <= offset) low = middle;
      else high = middle;
    }
    return all[low].issuer;
  }

  /** The place of a serial number, taken by it or free. */
  #place(issuer: number, bytes: Uint8Array, start: number, end: number) {
    const table = this.#table, mask = table.length - 1;
    let hash = issuer;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let place = (hash ^ (hash >>> 13)) & mask;
    let steps = 0;
    for (; table[place] !== 0; place = (place + 1) & mask, steps++) {
      const at = table[place] - 1;
      if (this.#isAt(at, bytes, start, end) && this.#issuerAt(at) === issuer) break;
    }
    return { place, steps };
  }

  #isAt(at: number, bytes: Uint8Array, start: number, end: number): boolean {
    const { content } = this;
    const [from, to] = serialAt(content, at);
    if (to - from !== end - start) return false;
    // The last octets are those that differ.
    for (let i = end - start - 1; i >= 0; i--) {
      if (content[from + i] !== bytes[start + i]) return false;
    }
    return true;
  }
}

/** Whole numbers of 32 bits, however many. */
class Offsets {
  #all = new Uint32Array(1024);
  count = 0;

  add(offset: number): void {
    if (this.count === this.#all.length) {
      const larger = new Uint32Array(2 * this.count);
      larger.set(this.#all);
      this.#all = larger;
    }
    this.#all[this.count++] = offset;
  }

  get all(): Uint32Array {
    return this.#all.subarray(0, this.count);
  }
}

/** Each entry is a reading of its own: long lists must not run into the reader's limits. */
export function readEntry(content: Uint8Array, at: number) {
  const entry = readFirstAsn1(content.subarray(at));
  const fields = new Fields(entry, "an entry of a revocation list");
  fields.take(Tag.INTEGER);
  const time = fields.take();
  const extensionList = fields.maybe(Tag.SEQUENCE);
  fields.end();
  return { end: at + entry.end, time, extensionList };
}

/** Where an entry's serial number begins and ends: behind two tags, with lengths of any form. */
function serialAt(content: Uint8Array, at: number): [start: number, end: number] {
  const long = (length: number) => length < 0x80 ? 0 : length & 0x7f;
  const inner = at + 2 + long(content[at + 1]);
  const form = content[inner + 1];
  const start = inner + 2 + long(form);
  let length = form < 0x80 ? form : 0;
  for (let i = inner + 2; i < start; i++) length = length * 256 + content[i];
  return [start, start + length];
}

/** An Extension with a reasonCode that is not critical, but for the reason itself. */
const REASON = Uint8Array.fromHex("300c300a0603551d1504030a01");

/** End of an entry as nearly all are: short, with no extension but a reason; -1 for another. */
function endOfPlain(content: Uint8Array, at: number): number {
  const end = at + 2 + content[at + 1];
  if (content[at] !== Tag.SEQUENCE || content[at + 1] >= 0x80 || end > content.length) return -1;
  const serial = content[at + 3];
  const time = at + 4 + serial;
  if (content[at + 2] !== Tag.INTEGER || serial >= 0x80 || time >= end) return -1;
  const isTime = content[time] === Tag.UTC_TIME || content[time] === Tag.GENERALIZED_TIME;
  const extensions = time + 2 + content[time + 1];
  if (!isTime || content[time + 1] >= 0x80) return -1;
  if (extensions === end) return end;
  if (extensions + REASON.length + 1 !== end) return -1;
  return REASON.every((byte, i) => byte === content[extensions + i]) ? end : -1;
}
