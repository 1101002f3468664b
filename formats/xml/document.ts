/** Reading XML for signing: well-formed, UTF-8, no DTD; and the one place where a signature may be inserted. */
import { DOMParser } from "@xmldom/xmldom";
import { FormatError } from "../error.ts";

/** Largest document in bytes, and deepest nesting, that are read. */
export const XML_LIMITS = { size: 64 * 1024 * 1024, depth: 512 } as const;

/** A parsed document that remembers its text. */
export interface XmlDocument {
  /** The decoded text, without a byte order mark. */
  readonly text: string;
  readonly hasByteOrderMark: boolean;
  readonly document: Document;
  readonly root: Element;
}

const malformed = (message: string, cause?: unknown) =>
  new FormatError("xml_malformed", message, { cause });

/**
 * Parses a document.
 *
 * @throws {FormatError} `xml_malformed` where it is not well-formed UTF-8 XML, `xml_forbidden` where it has a DTD (with
 *   it, entities and default attributes), `limit_exceeded`
 */
export function parseXml(bytes: Uint8Array): XmlDocument {
  if (bytes.length > XML_LIMITS.size) {
    throw new FormatError("limit_exceeded", "The XML document is larger than 64 MiB.");
  }
  let decoded: string;
  try {
    decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw malformed("The XML document is not in UTF-8.", cause);
  }
  const hasByteOrderMark = decoded.startsWith("\ufeff");
  const text = hasByteOrderMark ? decoded.slice(1) : decoded;
  scan(text);
  const document = parseDom(text);
  const root = document.documentElement;
  if (!root) throw malformed("The XML document has no root element.");
  checkNamespaces(root);
  return { text, hasByteOrderMark, document, root };
}

/** Encodes changed text the way the document was. */
export function encodeXml(source: XmlDocument, text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode((source.hasByteOrderMark ? "\ufeff" : "") + text);
}

function parseDom(text: string): Document {
  const fail = (message: string) => {
    throw malformed(`The XML document is not well-formed: ${message.split("\n")[0]}`);
  };
  const parser = new DOMParser({
    errorHandler: { warning: fail, error: fail, fatalError: fail },
    locator: {},
  });
  try {
    return parser.parseFromString(text, "text/xml");
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw malformed("The XML document is not well-formed.", cause);
  }
}

// XML 1.0 §2.2: what may stand in a document at all.
// deno-lint-ignore no-control-regex
const FORBIDDEN_CHARACTER = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const ENCODING = /^<\?xml\s[^>]*?encoding\s*=\s*["']([^"']*)["']/;
const VERSION = /^<\?xml\s+version\s*=\s*["']1\.0["']/;
/** A tag; attribute values are quoted and hold no `<`. */
const TAG =
  /<(?:\/[^<>\s/]+|[^\s<>!?/"'=][^\s<>/"'=]*(?:\s+[^\s<>/"'=]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*\/?>/y;
const REFERENCE = /&(?:(?:amp|lt|gt|quot|apos|#([0-9]{1,7})|#x([0-9a-fA-F]{1,6}));)?/g;

/**
 * Checks in one pass, before a tree is built, what the parser is lenient about: closed markup, matching tags, one root,
 * only predefined entities.
 */
function scan(text: string): void {
  if (FORBIDDEN_CHARACTER.test(text)) {
    throw malformed("The XML document contains a character that XML forbids.");
  }
  if (text.startsWith("<?xml") && /^<\?xml\s/.test(text) && !VERSION.test(text)) {
    throw malformed("Only XML 1.0 is accepted.");
  }
  const encoding = ENCODING.exec(text)?.[1];
  if (encoding !== undefined && !/^(utf-8|us-ascii)$/i.test(encoding)) {
    throw malformed(`The XML document says it is in ${encoding}; only UTF-8 is accepted.`);
  }
  const open: string[] = [];
  let roots = 0;
  let at = 0;
  for (;;) {
    const start = text.indexOf("<", at);
    const between = text.slice(at, start < 0 ? undefined : start);
    if (open.length === 0 ? between.trim() !== "" : between.includes("]]>")) {
      throw malformed("There is text where XML allows none.");
    }
    checkReferences(between);
    if (start < 0) break;
    if (text.startsWith("<!DOCTYPE", start)) {
      throw new FormatError(
        "xml_forbidden",
        "The XML document has a DTD (DOCTYPE). Remove it: it can change what the document says.",
      );
    }
    const end = endOfMarkup(text, start);
    if (end < 0) throw malformed(`The markup at character ${start} is not well-formed XML.`);
    at = end;
    if (/^<\?xml\s/i.test(text.slice(start, start + 6)) && start > 0) {
      throw malformed("The XML declaration does not stand at the beginning.");
    }
    if (text[start + 1] === "?" || text.startsWith("<!--", start)) continue;
    if (text[start + 1] === "!") {
      if (open.length === 0) throw malformed("There is a CDATA section outside the root element.");
      continue;
    }
    const markup = text.slice(start, end);
    checkReferences(markup);
    const name = /[^\s<>/]+/.exec(markup)![0];
    if (markup.startsWith("</")) {
      if (open.pop() !== name) throw malformed(`The end tag of "${name}" has no start tag.`);
      continue;
    }
    if (open.length === 0 && ++roots > 1) {
      throw malformed("The XML document has two root elements.");
    }
    if (!markup.endsWith("/>")) open.push(name);
    if (open.length > XML_LIMITS.depth) {
      throw new FormatError("limit_exceeded", "The XML document is nested too deeply.");
    }
  }
  if (open.length > 0 || roots === 0) throw malformed("The XML document ends too early.");
}

function checkReferences(text: string): void {
  for (const [reference, decimal, hexadecimal] of text.matchAll(REFERENCE)) {
    if (reference === "&") {
      throw new FormatError(
        "xml_forbidden",
        "The XML document uses an entity that is not built in.",
      );
    }
    const number = decimal ? parseInt(decimal, 10) : hexadecimal ? parseInt(hexadecimal, 16) : 0x41;
    const isCharacter = number < 0xd800 || (number >= 0xe000 && number <= 0x10ffff);
    if (!isCharacter || FORBIDDEN_CHARACTER.test(String.fromCodePoint(number))) {
      throw malformed("The XML document refers to a character that XML forbids.");
    }
  }
}

/** Namespaces in XML 1.0 §5, §6.3: every prefix is declared, and no two attributes have the same expanded name. */
function checkNamespaces(element: Element): void {
  if (element.prefix && !element.namespaceURI) {
    throw malformed(`The prefix "${element.prefix}" is not declared.`);
  }
  const names = new Set<string>();
  for (const attribute of Array.from(element.attributes)) {
    if (attribute.prefix && !attribute.namespaceURI) {
      throw malformed(`The prefix "${attribute.prefix}" is not declared.`);
    }
    const name = `${attribute.namespaceURI ?? ""} ${attribute.localName ?? attribute.name}`;
    if (names.has(name)) throw malformed(`The attribute "${attribute.name}" is given twice.`);
    names.add(name);
  }
  for (let child = element.firstChild; child; child = child.nextSibling) {
    if (child.nodeType === 1) checkNamespaces(child as Element);
  }
}

/** Where the markup that opens at `open` ends, or -1 where it is not well-formed. */
function endOfMarkup(text: string, open: number): number {
  if (text.startsWith("<!--", open)) {
    const dashes = text.indexOf("--", open + 4); // XML 1.0 §2.5: none within
    return dashes >= 0 && text[dashes + 2] === ">" ? dashes + 3 : -1;
  }
  for (const [start, close] of [["<![CDATA[", "]]>"], ["<?", "?>"]]) {
    if (!text.startsWith(start, open)) continue;
    const at = text.indexOf(close, open + start.length);
    return at < 0 ? -1 : at + close.length;
  }
  TAG.lastIndex = open;
  return TAG.test(text) ? TAG.lastIndex : -1;
}

/**
 * Inserts text as the root element's last child; every other character stays.
 *
 * @returns the new text
 * @example
 * ```ts
 * insertLast(parseXml(new TextEncoder().encode("<a><b/></a>\n")), "<c/>"); // "<a><b/><c/></a>\n"
 * ```
 */
export function insertLast(source: XmlDocument, insertion: string): string {
  const { text } = source;
  // After the root only white space, comments and processing instructions can follow; step back over them.
  let end = text.length;
  for (;;) {
    end = text.slice(0, end).trimEnd().length;
    if (text.endsWith("-->", end)) end = text.lastIndexOf("<!--", end - 3);
    else if (text.endsWith("?>", end)) end = text.lastIndexOf("<?", end - 2);
    else break;
    if (end < 0) throw malformed("The end of the root element was not found.");
  }
  const tag = text.lastIndexOf("<", end);
  if (text.startsWith("</", tag)) return text.slice(0, tag) + insertion + text.slice(tag);
  if (!text.endsWith("/>", end)) throw malformed("The end of the root element was not found.");
  return text.slice(0, end - 2) + ">" + insertion + `</${source.root.nodeName}>` + text.slice(end);
}

/** Escapes text content. */
export function escapeText(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll("\r", "&#xD;");
}

/** Escapes an attribute value that stands in double quotes. */
export function escapeAttribute(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")
    .replaceAll("\t", "&#x9;").replaceAll("\n", "&#xA;").replaceAll("\r", "&#xD;");
}
