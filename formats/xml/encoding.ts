/** Encodings of XML documents (XML 1.0 §4.3.3, Appendix F): those that every reader decodes alike. */
import { FormatError } from "../error.ts";

/** How a document was written, so that it can be written so again. */
export interface XmlEncoding {
  readonly name: "utf-8" | "utf-16le" | "utf-16be" | "single-byte";
  readonly hasByteOrderMark: boolean;
  /** Single-byte encodings: the character of each byte; "" for none. */
  readonly characters?: readonly string[];
}

const DECLARATION = /^<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"']*)["']/;
const MARKS = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
] as const;

const malformed = (message: string, cause?: unknown) =>
  new FormatError("xml_malformed", message, { cause });

/**
 * Decodes a document, by its byte order mark, first bytes and declaration, which must agree.
 *
 * @returns the text without a byte order mark
 * @throws {FormatError} `xml_malformed` where the bytes are not in the encoding; `xml_unsupported`
 */
export function decodeXml(bytes: Uint8Array): { text: string; encoding: XmlEncoding } {
  const startsWith = (wanted: readonly number[]) => wanted.every((byte, i) => bytes[i] === byte);
  const [marked, mark = []] = MARKS.find(([, mark]) => startsWith(mark)) ?? [];
  const body = bytes.subarray(mark.length);
  const wide = marked ??
    (startsWith([0x3c, 0, 0x3f, 0])
      ? "utf-16le"
      : startsWith([0, 0x3c, 0, 0x3f])
      ? "utf-16be"
      : undefined);
  if (wide && wide !== "utf-8") {
    const text = decode(wide, body);
    const declared = declaration(text);
    if (declared && declared !== "utf-16" && declared !== wide) throw contradiction(declared, wide);
    return { text, encoding: { name: wide, hasByteOrderMark: marked !== undefined } };
  }
  const declared = declaration(new TextDecoder("latin1").decode(body.subarray(0, 1024))) ?? "utf-8";
  if (marked && declared !== "utf-8") throw contradiction(declared, "utf-8");
  if (declared === "utf-8") {
    const hasByteOrderMark = marked !== undefined;
    return { text: decode("utf-8", body), encoding: { name: "utf-8", hasByteOrderMark } };
  }
  if (declared.startsWith("utf-16")) throw contradiction(declared, "bytes");
  const characters = table(declared);
  if (!characters) {
    const message =
      `The XML document is in the encoding ${declared}, which is not supported. Save it as UTF-8.`;
    throw new FormatError("xml_unsupported", message);
  }
  const pieces: string[] = [];
  for (const byte of body) {
    if (!characters[byte]) throw malformed(`The XML document is not in ${declared}, as it says.`);
    pieces.push(characters[byte]);
  }
  return {
    text: pieces.join(""),
    encoding: { name: "single-byte", hasByteOrderMark: false, characters },
  };
}

/** Writes text as the document was; what the encoding has no byte for becomes a character reference. */
export function encodeXml(
  { name, hasByteOrderMark, characters }: XmlEncoding,
  text: string,
): Uint8Array<ArrayBuffer> {
  if (characters) {
    const byteOf = new Map(characters.map((character, byte) => [character, byte]));
    const bytes = Array.from(
      text,
      (character) =>
        byteOf.get(character) ??
          Array.from(`&#${character.codePointAt(0)};`, (c) => c.charCodeAt(0)),
    );
    return Uint8Array.from(bytes.flat());
  }
  const marked = (hasByteOrderMark ? "\ufeff" : "") + text;
  if (name === "utf-8") return new TextEncoder().encode(marked);
  const bytes = new Uint8Array(marked.length * 2);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < marked.length; i++) {
    view.setUint16(2 * i, marked.charCodeAt(i), name === "utf-16le");
  }
  return bytes;
}

const declaration = (text: string) => DECLARATION.exec(text)?.[1].toLowerCase();

const contradiction = (declared: string, found: string) =>
  malformed(`The XML document says that it is in ${declared}, but it is in ${found}.`);

function decode(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder(name, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw malformed(`The XML document is not in ${name}.`, cause);
  }
}

/** Undefined: not supported. The Web's own names differ: its "iso-8859-1" is windows-1252. */
function table(name: string): string[] | undefined {
  const byBytes = (character: (byte: number) => string) =>
    Array.from({ length: 256 }, (_, byte) => character(byte));
  switch (name) {
    case "us-ascii":
      return byBytes((byte) => byte < 0x80 ? String.fromCharCode(byte) : "");
    case "iso-8859-1":
      return byBytes((byte) => String.fromCharCode(byte));
    case "iso-8859-15":
    case "windows-1252": {
      const decoder = new TextDecoder(name);
      const characters = byBytes((byte) => decoder.decode(Uint8Array.of(byte)));
      // For a byte without a character the Web has a control character, and other readers have none.
      const isAssigned = (character: string) =>
        name !== "windows-1252" || !/[\u0080-\u009f]/.test(character);
      return characters.map((character) => isAssigned(character) ? character : "");
    }
    default:
      return undefined;
  }
}
