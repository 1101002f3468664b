import { concat } from "../asn1/der.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { isSignatureDict, type PdfCrypt } from "./crypt.ts";
import { PdfDocument, type PdfObject } from "./document.ts";
import { MAX_OBJECT_NUMBER } from "./lexer.ts";
import type { Source } from "../source.ts";
import {
  fromLatin1,
  latin1,
  name,
  PdfArray,
  PdfDict,
  type PdfDraft,
  PdfRef,
  PdfStream,
  PdfString,
  type PdfValue,
  serialize,
  toHex,
  writeString,
} from "./value.ts";
import type { XrefEntry, XrefMap } from "./xref.ts";

/** Entries of an old trailer that say where and how it stood, not what the document is. */
const SECTION_KEYS = new Set(
  "Size Prev XRefStm ID Type W Index Length Filter DecodeParms F FFilter FDecodeParms DL".split(
    " ",
  ),
);

/** One replacement within the bytes of an object. */
interface Splice {
  start: number;
  end: number;
  text: string;
}

/** A changed copy of an existing object: what is not set anew stays byte for byte. */
export class ObjectEdit {
  readonly #splices: Splice[] = [];

  constructor(readonly object: PdfObject, readonly crypt: PdfCrypt | undefined) {
    if (object.value instanceof PdfStream) {
      throw new FormatError("pdf_malformed", "The PDF is damaged: a dictionary is a stream.");
    }
  }

  /** Sets one entry of `dict`, which stands anywhere within the object. */
  set(dict: PdfDict, key: string, draft: PdfDraft): void {
    const text = this.#write(draft);
    const present = dict.spans.filter((span) => span.key === key);
    for (const { valueStart, valueEnd } of present) {
      this.#splices.push({ start: valueStart, end: valueEnd, text: ` ${text}` });
    }
    if (present.length > 0) return;
    const at = dict.end - 2;
    this.#splices.push({ start: at, end: at, text: ` ${serialize(name(key))} ${text} ` });
  }

  /** Appends to an array, which stands anywhere within the object. */
  append(array: PdfArray, draft: PdfDraft): void {
    const at = array.end - 1;
    this.#splices.push({ start: at, end: at, text: ` ${this.#write(draft)}` });
  }

  #write(draft: PdfDraft): string {
    const { crypt, object } = this;
    return serialize(draft, crypt && ((b) => crypt.encryptString(b, object.num, object.gen)));
  }

  /** The changed object, without its header. */
  write(): string {
    const { object, crypt } = this;
    const { bytes, value } = object;
    const splices = [...this.#splices];
    // Strings in object streams are not encrypted by themselves; on their own they have to be.
    if (crypt && object.offset === undefined) {
      forEachString(value, ({ bytes, start, end }) => {
        if (splices.some((other) => other.start < end && start < other.end)) return;
        const text = writeString(crypt.encryptString(bytes, object.num, object.gen));
        splices.push({ start, end, text });
      });
    }
    // Stable, so that insertions at one place keep their order.
    splices.sort((a, b) => a.start - b.start);
    let [at, end] = span(value);
    let out = "";
    for (const splice of splices) {
      out += textOf(bytes, at, splice.start) + splice.text;
      at = splice.end;
    }
    return out + textOf(bytes, at, end);
  }
}

function span(value: PdfValue): [number, number] {
  if (value instanceof PdfDict || value instanceof PdfArray) return [value.start, value.end];
  throw new FormatError("pdf_malformed", "The PDF is damaged: an object is of the wrong type.");
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return fromLatin1(bytes.subarray(start, end));
}

function forEachString(value: PdfValue, visit: (string: PdfString) => void): void {
  if (value instanceof PdfString) visit(value);
  else if (value instanceof PdfArray) value.items.forEach((item) => forEachString(item, visit));
  else if (value instanceof PdfDict) {
    const signature = isSignatureDict(value);
    for (const [key, item] of value.entries) {
      if (!(signature && key === "Contents")) forEachString(item, visit);
    }
  }
}

/** The bytes of a new revision. */
export interface Revision {
  bytes: Uint8Array;
  /** Start of each written object's header in `bytes`. */
  offsets: Map<number, number>;
}

/**
 * A new revision of a document (ISO 32000-2 §7.5.6): objects are added or changed, and the
 * result is only what is to be appended to the file. What it will touch had better be read
 * before, so that new numbers keep clear of what it refers to.
 */
export class PdfUpdate {
  #nextNumber: number;
  readonly #edits = new Map<number, ObjectEdit>();
  readonly #written = new Map<number, { gen: number; parts: Uint8Array[] }>();

  constructor(readonly document: PdfDocument) {
    const { entries, trailer } = document.xref;
    let next = 1;
    for (const num of entries.keys()) next = Math.max(next, num + 1);
    // A reference to a missing object must not suddenly point to one of ours. Numbers far beyond all others
    // are nonsense and we never reach them.
    const size = trailer.get("Size");
    const beyond = [typeof size === "number" ? Math.trunc(size) : 0, document.highestReference + 1];
    this.#nextNumber = Math.max(next, ...beyond.filter((number) => number < next + 100_000));
  }

  /** A number for a new object. */
  reserve(): PdfRef {
    if (this.#nextNumber >= MAX_OBJECT_NUMBER) {
      throw new FormatError("limit_exceeded", "The PDF has no object numbers left.");
    }
    return new PdfRef(this.#nextNumber++, 0);
  }

  /** Changes to an existing object; the same ones when it is asked for again. */
  edit(object: PdfObject): ObjectEdit {
    let edit = this.#edits.get(object.num);
    if (!edit) {
      edit = new ObjectEdit(object, this.document.crypt);
      this.#edits.set(object.num, edit);
    }
    return edit;
  }

  /** Writes a new object whose strings are encrypted as the document is. */
  put(ref: PdfRef, draft: PdfDraft): void {
    this.putRaw(ref, latin1(serialize(draft, this.#encryptor(ref))));
  }

  /** Writes a new object from its syntax. */
  putRaw(ref: PdfRef, ...parts: Uint8Array[]): void {
    this.#written.set(ref.num, { gen: ref.gen, parts });
  }

  add(draft: PdfDraft): PdfRef {
    const ref = this.reserve();
    this.put(ref, draft);
    return ref;
  }

  /** Adds a stream whose data are already encoded as its dictionary says. */
  addStream(dict: { [key: string]: PdfDraft | undefined }, data: Uint8Array): PdfRef {
    const ref = this.reserve();
    const { crypt } = this.document;
    const stored = crypt ? crypt.encryptStream(data, ref.num, ref.gen) : data;
    const head = serialize({ ...dict, Length: stored.length }, this.#encryptor(ref));
    this.putRaw(ref, latin1(`${head}\nstream\n`), stored, latin1("\nendstream"));
    return ref;
  }

  #encryptor(ref: PdfRef): ((bytes: Uint8Array) => Uint8Array) | undefined {
    const { crypt } = this.document;
    return crypt && ((bytes) => crypt.encryptString(bytes, ref.num, ref.gen));
  }

  /**
   * Puts the revision together, with a cross-reference in the style of the document's last one;
   * with a complete one when that was broken.
   */
  finish(): Revision {
    const { document } = this;
    const { source, xref } = document;
    for (const [num, edit] of this.#edits) {
      this.#written.set(num, { gen: edit.object.gen, parts: [latin1(edit.write())] });
    }
    const last = source.read(source.size - 1, 1)[0];
    const parts: Uint8Array[] = [latin1(last === 10 || last === 13 ? "" : "\n")];
    let length = parts[0].length;
    const push = (part: Uint8Array) => {
      parts.push(part);
      length += part.length;
    };
    const offsets = new Map<number, number>();
    const entries: XrefMap = new Map(document.recovered ? xref.entries : []);
    for (const [num, { gen, parts: body }] of this.#written) {
      offsets.set(num, length);
      entries.set(num, { offset: source.size + length, gen });
      push(latin1(`${num} ${gen} obj\n`));
      body.forEach(push);
      push(latin1("\nendobj\n"));
    }
    const start = source.size + length;
    const trailer = this.#trailer(digest("SHA-256", concat(...parts)));
    if (xref.style === "stream") push(this.#xrefStream(entries, start, trailer));
    else push(this.#xrefTable(entries, trailer));
    push(latin1(`startxref\n${start}\n%%EOF\n`));
    return { bytes: concat(...parts), offsets };
  }

  /** The entries that go on from the last trailer, with the second ID renewed. */
  #trailer(digest: Uint8Array): string {
    const { document } = this;
    const { xref, recovered } = document;
    let out = "";
    for (const { key, keyStart, valueEnd } of xref.trailer.spans) {
      // A reference to what does not exist could become one to a new object.
      const missing = document.get(xref.trailer, key) === null ||
        (key === "Encrypt" && !document.crypt);
      if (!SECTION_KEYS.has(key) && !missing) {
        out += ` ${textOf(xref.trailerBytes, keyStart, valueEnd)}`;
      }
    }
    const id = xref.trailer.get("ID");
    if (id instanceof PdfArray && id.items[0] instanceof PdfString) {
      out += ` /ID [<${toHex(id.items[0].bytes)}> <${toHex(digest.subarray(0, 16))}>]`;
    } else if (id instanceof PdfRef) out += ` /ID ${id.num} ${id.gen} R`;
    if (!recovered) out += ` /Prev ${xref.start}`;
    return out;
  }

  #xrefTable(entries: XrefMap, trailer: string): Uint8Array {
    let out = "xref\n";
    if (this.document.recovered) entries.set(0, null);
    for (const run of runs(entries)) {
      out += `${run[0][0]} ${run.length}\n`;
      for (const [, entry] of run) {
        if (entry && "offset" in entry) {
          out += `${pad(entry.offset, 10)} ${pad(entry.gen, 5)} n \n`;
        } else out += "0000000000 65535 f \n";
      }
    }
    return latin1(`${out}trailer\n<< /Size ${this.#nextNumber}${trailer} >>\n`);
  }

  #xrefStream(entries: XrefMap, start: number, trailer: string): Uint8Array {
    const self = this.reserve();
    entries.set(self.num, { offset: start, gen: 0 });
    if (this.document.recovered) entries.set(0, null);
    const sections = runs(entries);
    let count = 0;
    for (const run of sections) count += run.length;
    const wide = start > 0xffff_ffff ? 6 : 4;
    const row = 1 + wide + 2;
    const data = new Uint8Array(count * row);
    let at = 0;
    for (const [, entry] of sections.flat()) {
      const [type, second, third] = entry === null
        ? [0, 0, 65535]
        : "offset" in entry
        ? [1, entry.offset, entry.gen]
        : [2, entry.container, entry.index];
      data[at] = type;
      for (let i = 0; i < wide; i++) data[at + wide - i] = Math.floor(second / 256 ** i);
      data[at + wide + 1] = third >> 8;
      data[at + wide + 2] = third;
      at += row;
    }
    const index = sections.map((run) => `${run[0][0]} ${run.length}`).join(" ");
    const head = latin1(
      `${self.num} 0 obj\n<< /Type /XRef /Size ${this.#nextNumber} /W [1 ${wide} 2]` +
        ` /Index [${index}] /Length ${data.length}${trailer} >>\nstream\n`,
    );
    const tail = latin1("\nendstream\nendobj\n");
    const out = new Uint8Array(head.length + data.length + tail.length);
    out.set(head, 0);
    out.set(data, head.length);
    out.set(tail, head.length + data.length);
    return out;
  }
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

/** Entries in order, one list for each run of numbers without a gap. */
function runs(entries: XrefMap): [number, XrefEntry | null][][] {
  const out: [number, XrefEntry | null][][] = [];
  const sorted = [...entries].sort((a, b) => a[0] - b[0]);
  for (const entry of sorted) {
    const run = out[out.length - 1];
    if (run && run[run.length - 1][0] === entry[0] - 1) run.push(entry);
    else out.push([entry]);
  }
  return out;
}

/**
 * Opens a document and builds a revision of it; anew when a broken cross-reference came to
 * light on the way.
 */
export function withDocument<T>(
  source: Source,
  password: string | undefined,
  build: (document: PdfDocument) => T,
  document = PdfDocument.open(source, password),
): T {
  document.verify();
  const before = document.recovered;
  try {
    const result = build(document);
    if (document.recovered === before) return result;
  } catch (error) {
    if (document.recovered === before) throw error;
  }
  return build(document);
}
