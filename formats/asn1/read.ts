/**
 * Reading ASN.1: a bounded reader that yields nodes with spans over the original bytes, so that
 * whatever was signed is hashed as received and never re-encoded. Writing is in `der.ts`.
 *
 * DER is the rule; BER (indefinite length, constructed strings, long-form lengths) is accepted on
 * demand, because CMS made elsewhere uses it (RFC 5652 §2).
 */
import { FormatError } from "../error.ts";

/** Identifier octets (X.690 §8.1.2), with the constructed bit where the type has it. */
export const Tag = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  PRINTABLE_STRING: 0x13,
  TELETEX_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  VISIBLE_STRING: 0x1a,
  UNIVERSAL_STRING: 0x1c,
  BMP_STRING: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** Identifier octet of `[n] EXPLICIT` or of `[n] IMPLICIT` over a constructed type; 0 ≤ n ≤ 30. */
export const constructedTag = (n: number): number => 0xa0 | n;

/** Identifier octet of `[n] IMPLICIT` over a primitive type; 0 ≤ n ≤ 30. */
export const primitiveTag = (n: number): number => 0x80 | n;

const CONSTRUCTED = 0x20;
const MAX_DEPTH = 64;
const MAX_VALUES = 1_000_000;

export interface ReadOptions {
  /** Accept indefinite lengths, constructed strings and non-minimal lengths. */
  ber?: boolean;
  /** The most values that may be read; 1,000,000 unless told. Long CRLs need more. */
  maxValues?: number;
}

/** Shared by the nodes of one reading. */
interface Reading {
  readonly bytes: Uint8Array;
  readonly ber: boolean;
  /** Ends of indefinite-length values already found, by start: a nested one is not searched again. */
  readonly ends: Map<number, number>;
  /** How many values may still be read. */
  left: number;
}

const malformed = (message: string): FormatError => new FormatError("asn1_malformed", message);

/** One ASN.1 value: a span over the bytes it was read from. Children are read when asked for. */
export class Asn1Node {
  #children?: readonly Asn1Node[];

  constructor(
    private readonly reading: Reading,
    /** The identifier octet; 0x1f in the low bits for tag numbers above 30, which match nothing. */
    readonly tag: number,
    /** Offset of the identifier octet. */
    readonly start: number,
    readonly contentStart: number,
    readonly contentEnd: number,
    /** Offset behind the value, end-of-contents octets included. */
    readonly end: number,
    readonly depth: number,
  ) {}

  /** Identifier, length and content as received (a view, not a copy). */
  get bytes(): Uint8Array {
    return this.reading.bytes.subarray(this.start, this.end);
  }

  /** The content octets as received, without end-of-contents octets (a view, not a copy). */
  get content(): Uint8Array {
    return this.reading.bytes.subarray(this.contentStart, this.contentEnd);
  }

  get constructed(): boolean {
    return (this.tag & CONSTRUCTED) !== 0;
  }

  /** Whether the length octet was 0x80 (X.690 §8.1.3.6). */
  get indefinite(): boolean {
    return this.end !== this.contentEnd;
  }

  /** The values inside, kept after the first reading. Not by {@linkcode each}, whose steps take more memory than they. */
  get children(): readonly Asn1Node[] {
    if (this.#children) return this.#children;
    const children: Asn1Node[] = [];
    for (let at = this.#first(); at < this.contentEnd;) {
      const child = this.#childAt(at);
      at = child.end;
      children.push(child);
    }
    return this.#children = children;
  }

  /** The values inside, one after another and not kept: for lists too long for memory (CRLs). */
  *each(): Generator<Asn1Node, void, undefined> {
    for (let at = this.#first(); at < this.contentEnd;) {
      const child = this.#childAt(at);
      at = child.end;
      yield child;
    }
  }

  /** Where the first value inside begins. */
  #first(): number {
    if (this.constructed) return this.contentStart;
    throw malformed("The data has a simple value in place of a structure.");
  }

  #childAt(at: number): Asn1Node {
    return readNode(this.reading, at, this.contentEnd, this.depth + 1);
  }
}

/**
 * Reads exactly one ASN.1 value that fills `bytes`.
 *
 * @throws {FormatError} `asn1_malformed`; `limit_exceeded` beyond 64 levels or `maxValues` (as they are read)
 */
export function readAsn1(bytes: Uint8Array, options: ReadOptions = {}): Asn1Node {
  const node = readFirstAsn1(bytes, options);
  if (node.end !== bytes.length) throw malformed("Extra bytes follow the data.");
  return node;
}

/**
 * Reads the ASN.1 value that `bytes` begins with, and leaves what follows it (for example the
 * zeros that fill the space reserved for a signature in a PDF).
 */
export function readFirstAsn1(bytes: Uint8Array, options: ReadOptions = {}): Asn1Node {
  // A reader may answer anything, and without a length this would never end.
  if (!(bytes instanceof Uint8Array)) throw malformed("There are no bytes.");
  const reading: Reading = {
    bytes,
    ber: options.ber ?? false,
    ends: new Map(),
    left: options.maxValues ?? MAX_VALUES,
  };
  return readNode(reading, 0, bytes.length, 0);
}

/** Whether only zeros stand from `at` on. A loop, as a callback for each byte takes twenty times as long. */
export function isPadding(bytes: Uint8Array, at: number): boolean {
  while (at < bytes.length && bytes[at] === 0) at++;
  return at === bytes.length;
}

/** Identifier and length at `at`. `length` is -1 for the indefinite form. */
function readHeader(reading: Reading, at: number, limit: number) {
  const { bytes, ber } = reading;
  if (at + 2 > limit) throw malformed("The data ends inside a value.");
  const tag = bytes[at++];
  if ((tag & 0x1f) === 0x1f) {
    // Tag numbers above 30 are skipped over: no structure that we read has one.
    for (let n = 0;; n++) {
      if (n === 4 || at >= limit) throw malformed("A tag is longer than any standard uses.");
      if (bytes[at++] < 0x80) break;
    }
    if (at >= limit) throw malformed("The data ends inside a value.");
  }
  let length = bytes[at++];
  if (length === 0x80) {
    if (!ber || (tag & CONSTRUCTED) === 0) throw malformed("A value has no definite length.");
    length = -1;
  } else if (length > 0x80) {
    const count = length & 0x7f;
    if (count > (ber ? 8 : 4) || at + count > limit) throw malformed("A length is malformed.");
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + bytes[at++];
    if (!ber && (length < 0x80 || length < 256 ** (count - 1))) {
      throw malformed("A length is not in its shortest form, as DER requires.");
    }
  }
  if (length > limit - at) throw malformed("A value is longer than the data that contains it.");
  return { tag, contentStart: at, length };
}

function readNode(reading: Reading, start: number, limit: number, depth: number): Asn1Node {
  if (depth > MAX_DEPTH) {
    throw new FormatError("limit_exceeded", `The data is nested deeper than ${MAX_DEPTH} levels.`);
  }
  if (--reading.left < 0) {
    throw new FormatError("limit_exceeded", "The data contains too many values.");
  }
  const { tag, contentStart, length } = readHeader(reading, start, limit);
  if (tag === 0) throw malformed("An end-of-contents mark appears in place of a value.");
  if (length >= 0) {
    const end = contentStart + length;
    return new Asn1Node(reading, tag, start, contentStart, end, end, depth);
  }
  const end = reading.ends.get(start) ?? findEnd(reading, start, contentStart, limit, depth);
  return new Asn1Node(reading, tag, start, contentStart, end - 2, end, depth);
}

/**
 * Finds the end of an indefinite-length value, and of those directly nested in it, in one pass
 * without recursion. Definite values are skipped, so that no byte is passed twice.
 */
function findEnd(reading: Reading, start: number, at: number, limit: number, depth: number) {
  const open = [start];
  for (;;) {
    const header = readHeader(reading, at, limit);
    if (header.tag === 0) {
      if (header.length !== 0) throw malformed("An end-of-contents mark is malformed.");
      at = header.contentStart;
      reading.ends.set(open.pop()!, at);
      if (open.length === 0) return at;
    } else if (header.length < 0) {
      if (depth + open.length >= MAX_DEPTH) {
        throw new FormatError(
          "limit_exceeded",
          `The data is nested deeper than ${MAX_DEPTH} levels.`,
        );
      }
      open.push(at);
      at = header.contentStart;
    } else {
      at = header.contentStart + header.length;
    }
  }
}

/** Takes the fields of a SEQUENCE in their order; `what` names the structure in errors. */
export class Fields {
  #at = 0;
  readonly #nodes: readonly Asn1Node[];

  constructor(node: Asn1Node, private readonly what: string, tag: number = Tag.SEQUENCE) {
    this.#nodes = expect(node, tag, what).children;
  }

  /** The next field, which must be there and (if given) have this identifier octet. */
  take(tag?: number): Asn1Node {
    const node = this.#nodes[this.#at];
    if (node === undefined || (tag !== undefined && node.tag !== tag)) {
      throw malformed(`A field of ${this.what} is missing or of the wrong type.`);
    }
    this.#at++;
    return node;
  }

  /** The next field if it has one of these identifier octets. */
  maybe(...tags: number[]): Asn1Node | undefined {
    const node = this.#nodes[this.#at];
    if (node === undefined || !tags.includes(node.tag)) return undefined;
    this.#at++;
    return node;
  }

  /** Whether all fields are taken. */
  get done(): boolean {
    return this.#at === this.#nodes.length;
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.done) throw malformed(`${this.what} has more fields than it may have.`);
  }
}

/** Returns the node if it has this identifier octet. */
export function expect(node: Asn1Node, tag: number, what: string): Asn1Node {
  if (node.tag !== tag) throw malformed(`${what} is of the wrong type.`);
  return node;
}

/** The one value inside an EXPLICIT tag. */
export function only(node: Asn1Node, what: string): Asn1Node {
  const [child] = node.children;
  if (node.children.length !== 1) throw malformed(`${what} must hold exactly one value.`);
  return child;
}

/** BOOLEAN (X.690 §11.1: TRUE is 0xff; other non-zero values are accepted, they are common). */
export function readBoolean(node: Asn1Node): boolean {
  const { content } = expect(node, Tag.BOOLEAN, "A BOOLEAN");
  if (content.length !== 1) throw malformed("A BOOLEAN is malformed.");
  return content[0] !== 0;
}

/** INTEGER or ENUMERATED between -2^47 and 2^47, also under an IMPLICIT tag. */
export function readInteger(node: Asn1Node): number {
  const { content } = node;
  if (node.constructed || content.length === 0 || content.length > 6) {
    throw malformed("A number is malformed or too large.");
  }
  let value = content[0] >= 0x80 ? content[0] - 256 : content[0];
  for (let i = 1; i < content.length; i++) value = value * 256 + content[i];
  return value;
}

/** INTEGER of any size up to 8,192 bits, also under an IMPLICIT tag. */
export function readBigInteger(node: Asn1Node): bigint {
  const { content } = node;
  if (node.constructed || content.length === 0 || content.length > 1025) {
    throw malformed("A number is malformed or too large.");
  }
  const value = BigInt("0x" + content.toHex());
  return content[0] < 0x80 ? value : value - (1n << BigInt(8 * content.length));
}

/** OBJECT IDENTIFIER in dotted form, also under an IMPLICIT tag. */
export function readOid(node: Asn1Node): string {
  const { content } = node;
  if (node.constructed || content.length === 0 || content.length > 128) {
    throw malformed("An object identifier is malformed.");
  }
  const arcs: (number | bigint)[] = [];
  let arc = 0;
  let big = 0n;
  let length = 0;
  for (const byte of content) {
    if (length === 0 && byte === 0x80) throw malformed("An object identifier is malformed.");
    if (++length < 8) arc = arc * 128 + (byte & 0x7f);
    else big = ((length === 8 ? BigInt(arc) : big) << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    const value = length < 8 ? arc : big;
    if (arcs.length > 0) arcs.push(value);
    else if (value < 80) arcs.push(value < 40 ? 0 : 1, length < 8 ? arc % 40 : 0);
    else arcs.push(2, length < 8 ? arc - 80 : big - 80n);
    arc = 0;
    length = 0;
  }
  if (length !== 0) throw malformed("An object identifier is malformed.");
  return arcs.join(".");
}

/** The pieces of an OCTET STRING in order; one piece unless it is a constructed (BER) string. */
export function octetStringPieces(node: Asn1Node): Uint8Array[] {
  if (!node.constructed) return [node.content];
  const pieces: Uint8Array[] = [];
  const walk = (parent: Asn1Node) => { // no deeper than the reader's own limit
    for (const child of parent.children) {
      if (child.tag === Tag.OCTET_STRING) pieces.push(child.content);
      else walk(expect(child, Tag.OCTET_STRING | CONSTRUCTED, "A piece of an OCTET STRING"));
    }
  };
  walk(node);
  return pieces;
}

/**
 * OCTET STRING, also under an IMPLICIT tag; a view where it is one piece. Constructed strings
 * exist only in BER, where they are joined (X.690 §8.7.3).
 */
export function readOctetString(node: Asn1Node, tag: number = Tag.OCTET_STRING): Uint8Array {
  if ((node.tag & ~CONSTRUCTED) !== tag) throw malformed("An OCTET STRING is of the wrong type.");
  const pieces = octetStringPieces(node);
  if (pieces.length === 1) return pieces[0];
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

/** BIT STRING, also under an IMPLICIT tag: the bytes, and how many bits at their end are unused. */
export function readBitString(node: Asn1Node): { bytes: Uint8Array; unused: number } {
  const { content } = node;
  if (
    node.constructed || content.length === 0 || content[0] > 7 ||
    (content.length === 1 && content[0] !== 0)
  ) throw malformed("A BIT STRING is malformed.");
  return { bytes: content.subarray(1), unused: content[0] };
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const latin1 = new TextDecoder("latin1");
const utf16 = new TextDecoder("utf-16be", { fatal: true, ignoreBOM: true });

/** Any character string; `undefined` if the node is none. Teletex is read as Latin-1, as all do. */
export function readText(node: Asn1Node): string | undefined {
  try {
    switch (node.tag) {
      case Tag.UTF8_STRING:
        return strictUtf8.decode(node.content);
      case Tag.BMP_STRING:
        return utf16.decode(node.content);
      case Tag.UNIVERSAL_STRING: {
        const { content } = node;
        if (content.length % 4 !== 0) throw new RangeError("not a multiple of 4");
        const view = new DataView(content.buffer, content.byteOffset, content.length);
        let text = "";
        for (let i = 0; i < content.length; i += 4) text += String.fromCodePoint(view.getUint32(i));
        return text;
      }
      case Tag.PRINTABLE_STRING:
      case Tag.TELETEX_STRING:
      case Tag.IA5_STRING:
      case Tag.VISIBLE_STRING:
      case 0x12: // NumericString
        return latin1.decode(node.content);
      default:
        return undefined;
    }
  } catch (cause) {
    throw new FormatError("asn1_malformed", "A text string is not in its declared encoding.", {
      cause,
    });
  }
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)()(Z|[+-]\d{4})$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:[.,](\d{1,32}))?(Z|[+-]\d{4})$/;

/**
 * UTCTime or GeneralizedTime in the forms of RFC 5280 §4.1.2.5 (seconds and `Z` are there; years
 * 50–99 are 19xx), with the fraction that RFC 3161 §2.4.2 allows, to the millisecond, and the offsets of X.680 §46.3.
 */
export function readTime(node: Asn1Node): Date {
  const text = latin1.decode(node.content);
  const form = node.tag === Tag.UTC_TIME
    ? UTC_TIME
    : node.tag === Tag.GENERALIZED_TIME
    ? GENERALIZED_TIME
    : undefined;
  const match = form?.exec(text);
  if (!match) throw malformed("A time is malformed.");
  const [first, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const year = form === UTC_TIME ? first + (first < 50 ? 2000 : 1900) : first;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, Math.floor(Number(`0.${match[7] || 0}`) * 1000));
  // Out-of-range parts would have carried over, as 31 April into May.
  if (
    date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || date.getUTCHours() !== hour ||
    date.getUTCMinutes() !== minute || date.getUTCSeconds() !== second
  ) throw malformed("A time does not exist in the calendar.");
  const [, sign, hours, minutes] = /([+-])(\d\d)(\d\d)/.exec(match[8]) ?? [];
  if (!sign) return date;
  if (Number(hours) > 14 || Number(minutes) > 59) throw malformed("A time's offset is too large.");
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new Date(date.getTime() - (sign === "+" ? offset : -offset));
}
