import { FormatError } from "../error.ts";
import { isSignatureDict, PdfCrypt } from "./crypt.ts";
import { codingOf, decodeStream } from "./filter.ts";
import { isSpace, PdfLexer } from "./lexer.ts";
import { unlessMalformed } from "./malformed.ts";
import { isReadable, misplaced, type Recovered, recoverXref } from "./repair.ts";
import { type Definition, type Scan, scan } from "./scan.ts";
import { type Source, suffixSource } from "../source.ts";
import {
  fromLatin1,
  PdfArray,
  PdfDict,
  PdfName,
  PdfRef,
  PdfStream,
  PdfString,
  type PdfValue,
  sameValue,
} from "./value.ts";
import { PdfWindow } from "./window.ts";
import { type Manner, type PackedEntry, readXref, sectionStarts, type Xref } from "./xref.ts";

/** An indirect object as it stands in the file. */
export interface PdfObject {
  num: number;
  gen: number;
  /** The value, its strings decrypted. */
  value: PdfValue;
  /** The bytes that the spans of the value count in. */
  bytes: Uint8Array;
  /** Offset of `bytes` in the file; undefined for an object out of an object stream. */
  offset?: number;
  /** It has a number or name that programs read in different ways. */
  isOdd: boolean;
  /** It has a dictionary with two values for one key. */
  saysTwice: boolean;
  /** It has neither that, nor a reference that names a generation, nor a Type 3 font or a soft mask. */
  isPlain: boolean;
}

/**
 * How readers find an object in an object stream: `usual` at its index, or where that is another's by its number;
 * `index` at its index or not at all; `first`, `last` by its number.
 */
export type Packing = "usual" | "index" | "first" | "last";

const HEADER = "%PDF-";
/** Readers find the header behind as many other bytes. */
const HEADER_WITHIN = 1024;
const MAX_CACHED_OBJECTS = 4096;
/** White space between a stream's data and `endstream`, in bytes. */
const MAX_GAP = 1024;
const MAX_CACHED_CONTAINER_BYTES = 32 << 20;
const MAX_SHARED_BYTES = 32 << 20;

interface Container {
  data: Uint8Array;
  /** Number and offset of each object. */
  index: [num: number, offset: number][];
}

/** Objects by their offset, as all revisions of one file read them. */
export class SharedObjects {
  readonly #objects = new Map<number, { object: PdfObject; end: number }>();
  #bytes = 0;

  /** @param size of the revision: an object that its end might cut off is another one there */
  get({ num, gen }: PdfRef, offset: number, size: number): PdfObject | undefined {
    const known = this.#objects.get(offset);
    if (!known || known.end >= size) return undefined;
    return known.object.num === num && known.object.gen === gen ? known.object : undefined;
  }

  /** @param end behind the `endobj`, or where the data begin */
  add(object: PdfObject, end: number): void {
    if (this.#bytes + object.bytes.length > MAX_SHARED_BYTES) {
      this.#objects.clear();
      this.#bytes = 0;
    }
    this.#objects.set(object.offset!, { object, end });
    this.#bytes += object.bytes.length + 1024;
  }
}

/**
 * A PDF over a random-access source, of which only what is asked for is read. A file whose
 * cross-reference is broken is scanned for its objects; {@link PdfDocument.recovered} says so.
 */
export class PdfDocument {
  #xref!: Xref;
  #recovered = false;
  /** Whether an object is not where the cross-reference says, once that is known. */
  #isMisplaced: boolean | undefined;
  #crypt: PdfCrypt | undefined;
  readonly #window: PdfWindow;
  readonly #objects = new Map<number, PdfObject>();
  readonly #containers = new Map<number, Container>();
  #containerBytes = 0;
  #packing: Packing = "usual";
  /** Only while nothing in the file is encrypted or mended. */
  #shared: SharedObjects | undefined;
  /** Guards against an object stream whose own Length is said to be inside it. */
  readonly #opening = new Set<number>();

  /** The document from its header on, in which all offsets count (ISO 32000-2 Annex I.3, as readers do it). */
  readonly source: Source;

  /**
   * @param file all bytes, also those before the header
   * @param headerAt offset of the header in them
   */
  private constructor(
    readonly file: Source,
    readonly headerAt: number,
    readonly password: string,
  ) {
    this.source = suffixSource(file, headerAt);
    this.#window = new PdfWindow(this.source);
  }

  /**
   * @param password user or owner password; the empty one is tried as well
   * @param before the document that the file begins with, where it is open already: its cross-reference is not read again
   * @param shared objects of other revisions of the file, for a document that is only read
   * @throws FormatError `pdf_malformed`, `pdf_encrypted`, `algorithm_unsupported`,
   *   `limit_exceeded`
   */
  static open(
    file: Source,
    password = "",
    before?: PdfDocument,
    shared?: SharedObjects,
  ): PdfDocument {
    const head = fromLatin1(file.read(0, HEADER_WITHIN + HEADER.length));
    const headerAt = head.indexOf(HEADER);
    if (headerAt < 0) {
      throw new FormatError(
        "pdf_malformed",
        "The file has no “%PDF-” near its beginning, so it is not a PDF.",
      );
    }
    const document = new PdfDocument(file, headerAt, password);
    try {
      document.#use(readXref(document.#window, {}, undefined, before?.xref));
      if (!document.#crypt) document.#shared = shared;
      document.catalog();
    } catch (error) {
      const mendable = error instanceof FormatError && error.code === "pdf_malformed";
      if (!mendable || document.recovered) throw error;
      document.recover();
      document.catalog();
    }
    return document;
  }

  /**
   * The same file as a reader sees it that comes to another cross-reference. Nothing is looked for elsewhere that is not
   * where this one says.
   *
   * @throws FormatError `pdf_malformed`, `pdf_encrypted`, … where it opens nothing
   */
  reading(xref: Xref, packing: Packing = "usual"): PdfDocument {
    const other = new PdfDocument(this.file, this.headerAt, this.password);
    other.#recovered = true;
    other.#packing = packing;
    other.#use(xref);
    return other;
  }

  /**
   * The same file as a reader sees it that counts offsets from the file's first byte instead of the header.
   *
   * @returns undefined where both are the same, or nothing is where it says then
   */
  fromFirstByte(): PdfDocument | undefined {
    if (this.headerAt === 0) return undefined;
    const other = new PdfDocument(this.file, 0, this.password);
    other.#recovered = true;
    return unlessMalformed(() => {
      other.#use(readXref(other.#window));
      other.catalog();
      return other;
    });
  }

  /** The same file in another manner, or from another section of its cross-reference on. */
  readXref(manner: Partial<Manner>, start?: number): Xref {
    return readXref(this.#window, manner, start);
  }

  /**
   * Objects found in the file, named by the cross-reference or not.
   *
   * @param intoStreams see {@linkcode scan}
   */
  scan(intoStreams = false): Scan {
    const lengthOf = (ref: PdfRef) => {
      const length = this.resolve(ref);
      return typeof length === "number" ? length : undefined;
    };
    return scan(this.#window, lengthOf, intoStreams);
  }

  /** Whether the cross-reference itself makes some readers scan the file: it is broken, or excludes objects by its Size. */
  get hasOddXref(): boolean {
    const { oddities } = this.#xref;
    return this.#recovered || oddities.has("beyondSize") || oddities.has("length");
  }

  /** Whether a reader may scan the file, because of its cross-reference, or because an object is not where that says. */
  get isDamaged(): boolean {
    return this.hasOddXref || this.#misplaces();
  }

  #misplaces(): boolean {
    return this.#isMisplaced ??= misplaced(this.#window, this.#xref.entries).size > 0;
  }

  /**
   * Whether a scan comes to the same cross-reference as the document has: it finds those objects that are in use, each
   * in its place, no other, none in an object stream, and at last the same catalog.
   */
  isFoundBy({ definitions, trailers }: Scan): boolean {
    const { entries, trailer } = this.#xref;
    let inUse = 0;
    for (const entry of entries.values()) {
      if (entry && "container" in entry) return false;
      if (entry) inUse++;
    }
    const isNamed = ({ num, gen, offset, type }: Definition) => {
      const entry = entries.get(num);
      return entry && "offset" in entry && entry.offset === offset && entry.gen === gen &&
        type !== "XRef" && type !== "ObjStm";
    };
    const last = trailers.at(-1);
    if (definitions.length !== inUse || !definitions.every(isNamed) || !last) return false;
    this.#isMisplaced = false;
    const root = new PdfLexer(last.bytes).dict().get("Root") ?? null;
    return sameValue(root, trailer.get("Root") ?? null);
  }

  /** A scan's cross-reference, with what stands in object streams. */
  scanned(found: Scan): Xref {
    const other = new PdfDocument(this.file, this.headerAt, this.password);
    other.#recovered = true;
    const isNamed = ({ type }: Definition) => type !== "XRef";
    const xref = recoverXref(this.#window, {
      ...found,
      definitions: found.definitions.filter(isNamed),
    });
    other.#use(xref);
    other.#unpack(xref);
    return xref;
  }

  /** Start of each section of the cross-reference, newest first; none if it is broken. */
  sectionStarts(): number[] {
    return this.#recovered ? [] : sectionStarts(this.#window);
  }

  get xref(): Xref {
    return this.#xref;
  }

  /** Whether the cross-reference was rebuilt by scanning the file. */
  get recovered(): boolean {
    return this.#recovered;
  }

  get crypt(): PdfCrypt | undefined {
    return this.#crypt;
  }

  /**
   * Checks that every object is where the cross-reference says, and mends it if not. Reading
   * finds that out as it goes; whoever adds a revision wants to know before.
   */
  verify(): void {
    if (!this.#recovered && this.#misplaces()) this.recover();
  }

  /**
   * Scans the file for its objects. What the cross-reference places rightly is left as it is:
   * readers see that, and a scan alone would bring back what older revisions replaced.
   */
  recover(): void {
    if (this.#recovered) return;
    this.#recovered = true;
    this.#shared = undefined;
    // It may have been in the middle of one that the cross-reference misplaced.
    this.#opening.clear();
    const known: Xref | undefined = this.#xref;
    const all = scan(this.#window);
    // What was cut off does not replace what is whole.
    const definitions = all.definitions.filter((each) => isReadable(this.#window, each));
    const found = recoverXref(this.#window, { ...all, definitions });
    this.#use(found);
    this.#unpack(found);
    if (!known) {
      // Once more, for an encryption that only now is found.
      return this.#use(found);
    }
    const entries = new Map(found.entries);
    const wrong = misplaced(this.#window, known.entries);
    for (const [num, entry] of known.entries) {
      if (wrong.has(num)) continue;
      // What cannot be read is not there: once it is named in a cross-reference that is right, nobody could open the file.
      const isThere = entry && (!("offset" in entry) || isReadable(this.#window, entry));
      if (!isThere) entries.delete(num);
      else if ("offset" in entry || !wrong.has(entry.container)) entries.set(num, entry);
    }
    // A table has no place for what stands in object streams, as a hybrid file's may.
    const packed = [...entries.values()].some((entry) => entry && "container" in entry);
    this.#use({ ...known, entries, start: -1, style: packed ? "stream" : known.style });
    if (this.#hasCatalog()) return;
    // Its trailer may be of no use but for saying that all is encrypted.
    if (known.trailer.get("Encrypt") && !found.trailer.get("Encrypt")) throw damagedEncryption();
    this.#use(found);
  }

  /** Adds what stands in object streams to a scan; what stands later in the file counts. */
  #unpack(found: Recovered): void {
    const places = new Map<number, number>();
    for (const [num, entry] of found.entries) {
      if (entry && "offset" in entry) places.set(num, entry.offset);
    }
    // An object stream stands in none (ISO 32000-2 §7.5.7).
    const containers = new Set(found.containers.map(({ num }) => num));
    for (const { num, offset } of found.containers) {
      if (places.get(num) !== offset) continue;
      const container = unlessMalformed(() => this.#container(num));
      container?.index.forEach(([inner], index) => {
        if ((places.get(inner) ?? -1) >= offset || containers.has(inner)) return;
        places.set(inner, offset);
        found.entries.set(inner, { container: num, index });
      });
    }
    this.#objects.clear();
  }

  #hasCatalog(): boolean {
    return unlessMalformed(() => this.catalog()) !== undefined;
  }

  #use(xref: Xref): void {
    this.#xref = xref;
    this.#isMisplaced = undefined;
    this.#crypt = undefined;
    this.#objects.clear();
    this.#containers.clear();
    this.#containerBytes = 0;
    const entry = xref.trailer.get("Encrypt");
    const encrypt = this.resolve(entry);
    // Where that was misplaced, another cross-reference is in use by now, and its encryption.
    if (encrypt === null || this.#xref !== xref) return;
    // It is needed to read object streams, so it stands in none (ISO 32000-2 §7.5.7).
    const packed = entry instanceof PdfRef && "container" in xref.entries.get(entry.num)!;
    if (!(encrypt instanceof PdfDict) || packed) {
      throw damagedEncryption();
    }
    const ids = this.resolve(xref.trailer.get("ID"));
    const id = ids instanceof PdfArray ? this.resolve(ids.items[0]) : null;
    const idBytes = id instanceof PdfString ? id.bytes : new Uint8Array();
    this.#crypt = PdfCrypt.open(encrypt, idBytes, this.password, (v) => this.resolve(v));
    // Everything read so far was not decrypted.
    this.#objects.clear();
  }

  /** The catalog and its number (ISO 32000-2 §7.7.2). */
  catalog(): PdfObject & { value: PdfDict } {
    const root = this.#xref.trailer.get("Root");
    const object = root instanceof PdfRef ? this.object(root) : undefined;
    if (!(object?.value instanceof PdfDict)) {
      throw new FormatError("pdf_malformed", "The PDF is damaged: it has no catalog.");
    }
    return object as PdfObject & { value: PdfDict };
  }

  /** Follows references; what does not exist is null (ISO 32000-2 §7.3.10). */
  resolve(value: PdfValue | undefined): PdfValue {
    for (let hops = 0; value instanceof PdfRef; hops++) {
      if (hops > 32) return null;
      value = this.object(value)?.value ?? null;
    }
    return value ?? null;
  }

  /** The entry of a dictionary, references followed. */
  get(dict: PdfDict, key: string): PdfValue {
    return this.resolve(dict.get(key));
  }

  dict(dict: PdfDict, key: string): PdfDict | undefined {
    const value = this.get(dict, key);
    return value instanceof PdfDict ? value : undefined;
  }

  array(dict: PdfDict, key: string): PdfArray | undefined {
    const value = this.get(dict, key);
    return value instanceof PdfArray ? value : undefined;
  }

  number(dict: PdfDict, key: string): number | undefined {
    const value = this.get(dict, key);
    return typeof value === "number" ? value : undefined;
  }

  name(dict: PdfDict, key: string): string | undefined {
    const value = this.get(dict, key);
    return value instanceof PdfName ? value.value : undefined;
  }

  /** Reads an indirect object; undefined where the file has none with this reference. */
  object(ref: PdfRef): PdfObject | undefined {
    const cached = this.#objects.get(ref.num);
    if (cached) return cached.gen === ref.gen ? cached : undefined;
    const entry = this.#xref.entries.get(ref.num);
    if (!entry || ref.num === 0) return undefined;
    let object: PdfObject | undefined;
    if ("container" in entry) {
      object = ref.gen === 0 ? this.#fromContainer(ref.num, entry) : undefined;
    } else if (entry.gen === ref.gen) object = this.#fromFile(ref, entry.offset);
    if (!object) return undefined;
    if (this.#objects.size >= MAX_CACHED_OBJECTS) this.#objects.clear();
    this.#objects.set(ref.num, object);
    return object;
  }

  /** The object that stands at an offset, whether the cross-reference names it or not. */
  objectAt({ num, gen, offset }: Definition): PdfObject | undefined {
    return unlessMalformed(() => this.#parse(new PdfRef(num, gen), offset));
  }

  /**
   * Whether all readers that find an object there come to the same value, those in it too if it is an object stream:
   * nothing is said twice, no reference names a generation, and a stream ends once. Nothing is kept of it.
   */
  isPlain({ num, gen, offset, type, isPlainStream }: Definition): boolean {
    if (gen !== 0 || isPlainStream) return gen === 0;
    const known = this.#objects.get(num);
    if (known?.offset === offset && !(known.value instanceof PdfStream)) return known.isPlain;
    const isRead = unlessMalformed(() =>
      this.#window.parse(offset, (lexer) => {
        lexer.objectHeader();
        const value = lexer.keyword("endobj") ? null : lexer.objectBody();
        return lexer.isPlain && (!(value instanceof PdfStream) ||
          (this.endsOnce(value, offset) && this.isCodedPlainly({ num, gen, offset, value })));
      })
    );
    if (!isRead || type !== "ObjStm") return isRead ?? false;
    return unlessMalformed(() => {
      const { data, index } = this.#container(num);
      return index.every(([, at]) => {
        const lexer = new PdfLexer(data, at);
        lexer.value();
        this.#window.account(lexer, lexer.pos - at);
        return lexer.isPlain;
      });
    }) ?? false;
  }

  #parse(ref: PdfRef, offset: number): PdfObject | undefined {
    const known = this.#shared?.get(ref, offset, this.source.size);
    if (known) return known;
    let end: number | undefined;
    const object = this.#window.parse(offset, (lexer): PdfObject | undefined => {
      const header = lexer.objectHeader();
      if (header?.num !== ref.num || header.gen !== ref.gen) return undefined;
      // "5 0 obj endobj": an empty object is null.
      const value = lexer.keyword("endobj") ? null : lexer.objectBody();
      // A copy: a view would keep all the bytes around it.
      const bytes = lexer.data.slice(0, lexer.pos);
      const { isOdd, saidTwice: saysTwice, isPlain } = lexer;
      if (this.#shared && (value instanceof PdfStream || lexer.keyword("endobj"))) {
        end = offset + lexer.pos;
      }
      return { num: ref.num, gen: ref.gen, value, bytes, offset, isOdd, saysTwice, isPlain };
    });
    if (object && end !== undefined && end < this.source.size) this.#shared?.add(object, end);
    if (object && this.#crypt) decryptStrings(this.#crypt, object.value, ref.num, ref.gen);
    return object;
  }

  #fromFile(ref: PdfRef, offset: number): PdfObject | undefined {
    if (offset < this.source.size) {
      const read = () => this.#parse(ref, offset);
      // An object found by its header may be unreadable.
      const object = this.#recovered ? unlessMalformed(read) : read();
      if (object) return object;
    }
    if (this.#recovered) return undefined;
    // The cross-reference points elsewhere: nothing in it can be trusted.
    this.recover();
    return this.object(ref);
  }

  #fromContainer(num: number, entry: PackedEntry): PdfObject | undefined {
    const container = this.#container(entry.container);
    const isOurs = ([inner]: [number, number]) => inner === num;
    const indexed = [container.index[entry.index]].find((each) => each && isOurs(each));
    const first = () => container.index.find(isOurs);
    const place = {
      // The index is a hint (ISO 32000-2 §7.5.8.3); the number decides.
      usual: () => indexed ?? first(),
      index: () => indexed,
      first,
      last: () => container.index.findLast(isOurs),
    }[this.#packing]();
    if (!place) return undefined;
    const lexer = new PdfLexer(container.data, place[1]);
    const value = lexer.value();
    this.#window.account(lexer, lexer.pos - place[1]);
    const { isOdd, saidTwice: saysTwice, isPlain } = lexer;
    return { num, gen: 0, value, bytes: container.data, isOdd, saysTwice, isPlain };
  }

  /** Numbers and offsets of the objects in an object stream, in its own order. */
  packed(container: number): readonly [num: number, offset: number][] {
    return this.#container(container).index;
  }

  #container(num: number): Container {
    const known = this.#containers.get(num);
    if (known) return known;
    if (this.#opening.has(num)) {
      throw new FormatError(
        "pdf_malformed",
        "The PDF is damaged: an object stream contains itself.",
      );
    }
    this.#opening.add(num);
    try {
      return this.#openContainer(num);
    } finally {
      this.#opening.delete(num);
    }
  }

  #openContainer(num: number): Container {
    const entry = this.#xref.entries.get(num);
    const object = entry && "offset" in entry ? this.object(this.refOf(num)) : undefined;
    if (!(object?.value instanceof PdfStream)) {
      throw new FormatError("pdf_malformed", "The PDF is damaged: an object stream is missing.");
    }
    const { dict } = object.value;
    const count = this.number(dict, "N");
    const first = this.number(dict, "First");
    if (this.name(dict, "Type") !== "ObjStm" || count === undefined || first === undefined) {
      throw new FormatError("pdf_malformed", "The PDF is damaged: an object stream is unreadable.");
    }
    const data = this.streamData(object);
    this.#window.spendInflated(data.length);
    const lexer = new PdfLexer(data);
    const index: Container["index"] = [];
    for (let i = 0; i < count; i++) {
      const inner = lexer.integer();
      const offset = inner === undefined ? undefined : lexer.integer();
      if (offset === undefined) break;
      this.#window.spend(16);
      index.push([inner!, first + offset]);
    }
    if (this.#containerBytes + data.length > MAX_CACHED_CONTAINER_BYTES) {
      this.#containers.clear();
      this.#containerBytes = 0;
    }
    this.#containers.set(num, { data, index });
    this.#containerBytes += data.length;
    return { data, index };
  }

  /** The data of a stream as they stand in the file, still encrypted and encoded. */
  rawStream(object: Pick<PdfObject, "offset" | "value">): Uint8Array {
    const stream = object.value;
    if (!(stream instanceof PdfStream) || object.offset === undefined) {
      throw new FormatError("pdf_malformed", "The PDF is damaged: a stream is missing.");
    }
    const start = object.offset + stream.dataStart;
    const length = unlessMalformed(() => this.number(stream.dict, "Length"));
    if (length !== undefined && Number.isInteger(length) && length >= 0) {
      const end = start + length;
      if (
        end <= this.source.size &&
        this.#window.endsStream(end)
      ) return this.source.read(start, length);
    }
    return this.source.read(start, this.#findEndstream(start) - start);
  }

  /**
   * Whether a stream has the same data, white space aside, for readers that go by its Length and for those that look for
   * `endstream`.
   */
  endsOnce({ dict, dataStart }: PdfStream, offset: number): boolean {
    const start = offset + dataStart;
    const length = unlessMalformed(() => this.number(dict, "Length"));
    if (length === undefined || !Number.isInteger(length) || length < 0) return true; // all look for it
    const stated = Math.min(start + length, this.source.size);
    if (this.#window.endsStream(stated)) return true;
    const found = unlessMalformed(() => this.#findEndstream(start)) ?? this.source.size;
    const [from, to] = [Math.min(stated, found), Math.max(stated, found)];
    return to - from <= MAX_GAP && this.source.read(from, to - from).every(isSpace);
  }

  /** Whether all readers decode a stream's data alike, or none draws with them, as far as its dictionary tells. */
  isCodedPlainly(
    object: Pick<PdfObject, "num" | "gen" | "offset"> & { value: PdfStream },
  ): boolean {
    const { dict } = object.value;
    const resolve = (value: PdfValue | undefined) =>
      unlessMalformed(() => this.resolve(value)) ?? null;
    const coding = codingOf(dict, resolve);
    const subtype = resolve(dict.get("Subtype"));
    // One reader takes a string for a name.
    if (dict.get("Subtype") !== undefined && !(subtype instanceof PdfName)) return false;
    if (dict.get("PatternType") !== undefined) {
      return this.#isTiling(dict) && this.isDrawnAlike(object);
    }
    if ((subtype as PdfName | null)?.value === "Form") return this.isDrawnAlike(object);
    if (coding !== "image") return coding !== "odd";
    return dict.get("Width") !== undefined || this.name(dict, "Type") === "EmbeddedFile";
  }

  /** Whether all readers take a stream for the same tiling pattern (§8.7.3): some do not turn corners the other way round. */
  #isTiling(dict: PdfDict): boolean {
    const numberOf = (key: string) => unlessMalformed(() => this.number(dict, key)) ?? 0;
    const [x1, y1, x2, y2] = this.fourNumbers(dict.get("BBox")) ?? [];
    return numberOf("PatternType") === 1 && !dict.reals?.has("PatternType") &&
      [1, 2].includes(numberOf("PaintType")) && x1 <= x2 && y1 <= y2;
  }

  /**
   * Whether what is drawn as a whole (§8.10, §8.7.3) has bounds, and data that are what their filter makes: where they are
   * not, one reader draws them as they stand.
   */
  isDrawnAlike(
    object: Pick<PdfObject, "num" | "gen" | "offset"> & { value: PdfStream },
  ): boolean {
    return this.fourNumbers(object.value.dict.get("BBox")) !== undefined &&
      this.isDecodable(object);
  }

  /** The numbers of an array of four; undefined for everything else. */
  fourNumbers(value: PdfValue | undefined): number[] | undefined {
    const array = unlessMalformed(() => this.resolve(value));
    if (!(array instanceof PdfArray) || array.items.length !== 4) return undefined;
    const items = array.items.map((item) => unlessMalformed(() => this.resolve(item)));
    return items.every((item) => typeof item === "number") ? items : undefined;
  }

  /** Whether a stream's data are what its filters make. */
  isDecodable(object: Pick<PdfObject, "num" | "gen" | "offset" | "value">): boolean {
    if (!(object.value instanceof PdfStream)) return false;
    const coding = codingOf(
      object.value.dict,
      (value) => unlessMalformed(() => this.resolve(value)) ?? null,
    );
    return coding === "other" || (coding === "plain" &&
      unlessMalformed(() => this.streamData(object, true)) !== undefined);
  }

  #findEndstream(start: number): number {
    const CHUNK = 1 << 16;
    for (let at = start; at < this.source.size; at += CHUNK) {
      const text = new TextDecoder("latin1").decode(this.source.read(at, CHUNK + 16));
      this.#window.spend(text.length);
      const found = text.indexOf("endstream");
      if (found >= 0) return at + found;
    }
    throw new FormatError("pdf_malformed", "The PDF is damaged: a stream has no end.");
  }

  /**
   * The data of a stream, decrypted and decoded.
   *
   * @param isWhole see {@linkcode decodeStream}
   */
  streamData(
    object: Pick<PdfObject, "num" | "gen" | "offset" | "value">,
    isWhole = false,
  ): Uint8Array {
    const { dict } = object.value as PdfStream;
    return decodeStream(dict, this.decrypted(object), (value) => this.resolve(value), isWhole);
  }

  /** The data of a stream as its filters have them, decrypted. */
  decrypted(object: Pick<PdfObject, "num" | "gen" | "offset" | "value">): Uint8Array {
    const data = this.rawStream(object);
    if (!this.#crypt || this.#isExempt((object.value as PdfStream).dict)) return data;
    return this.#crypt.decryptStream(data, object.num, object.gen);
  }

  /** Streams that are not encrypted although the document is (ISO 32000-2 §7.6.2, §7.6.6). */
  #isExempt(dict: PdfDict): boolean {
    const type = this.name(dict, "Type");
    if (type === "XRef") return true;
    if (type === "Metadata" && !this.#crypt!.encryptMetadata) return true;
    const filter = this.get(dict, "Filter");
    const first = filter instanceof PdfArray ? this.resolve(filter.items[0]) : filter;
    // A Crypt filter without parameters is Identity; no writer names another one.
    return first instanceof PdfName && first.value === "Crypt";
  }

  /** No reference that was read so far has a higher number, whether its object exists or not. */
  get highestReference(): number {
    return this.#window.highestReference;
  }

  /** A reference to an object that is in use, by its number. */
  refOf(num: number): PdfRef {
    const entry = this.#xref.entries.get(num);
    return new PdfRef(num, entry && "gen" in entry ? entry.gen : 0);
  }
}

const damagedEncryption = () =>
  new FormatError("pdf_malformed", "The PDF's encryption dictionary is damaged.");

function decryptStrings(crypt: PdfCrypt, value: PdfValue, num: number, gen: number): void {
  if (value instanceof PdfString) {
    value.bytes = crypt.decryptString(value.bytes, num, gen);
  } else if (value instanceof PdfArray) {
    for (const item of value.items) decryptStrings(crypt, item, num, gen);
  } else if (value instanceof PdfStream) {
    decryptStrings(crypt, value.dict, num, gen);
  } else if (value instanceof PdfDict) {
    const signature = isSignatureDict(value);
    for (const [key, item] of value.entries) {
      if (!(signature && key === "Contents")) decryptStrings(crypt, item, num, gen);
    }
  }
}
