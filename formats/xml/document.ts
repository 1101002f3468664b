/** Reading XML for signing: well-formed, no DTD; and the one place where a signature may be inserted. */
import { FormatError } from "../error.ts";
import { decodeXml, encodeXml, type XmlEncoding } from "./encoding.ts";
import { MAX_DEPTH, parseTree } from "./parse.ts";
import type { XmlElement, XmlTree } from "./tree.ts";

/** Largest document in bytes, and deepest nesting, that are read. */
export const XML_LIMITS = { size: 64 * 1024 * 1024, depth: MAX_DEPTH } as const;

/** A parsed document that remembers its text. */
export interface XmlDocument {
  /** The decoded text, without a byte order mark. */
  readonly text: string;
  readonly encoding: XmlEncoding;
  readonly tree: XmlTree;
  readonly root: XmlElement;
}

/** Refuses a document of so many bytes, before they are read. @throws {FormatError} `limit_exceeded` */
export function checkXmlSize(size: number): void {
  if (size > XML_LIMITS.size) {
    throw new FormatError("limit_exceeded", "The XML document is larger than 64 MiB.");
  }
}

/**
 * Parses a document.
 *
 * @throws {FormatError} `xml_malformed` where it is not well-formed XML 1.0, `xml_unsupported` where it is XML 1.1 or in an
 *   encoding that is not read, `xml_forbidden` where it has a DTD (with it, entities and default attributes), `limit_exceeded`
 */
export function parseXml(bytes: Uint8Array): XmlDocument {
  checkXmlSize(bytes.length);
  const { text, encoding } = decodeXml(bytes);
  const tree = parseTree(text);
  return { text, encoding, tree, root: tree.root };
}

/**
 * Inserts text as the root element's last child; every other byte stays.
 *
 * @returns the new document, encoded as it was
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { insertLast, parseXml } from "./document.ts";
 *
 * const source = parseXml(new TextEncoder().encode("<a><b/></a>\n"));
 * const changed = insertLast(source, "<c/>");
 * assert.equal(new TextDecoder().decode(changed), "<a><b/><c/></a>\n");
 * ```
 */
export const insertLast = (source: XmlDocument, insertion: string): Uint8Array<ArrayBuffer> =>
  insertAt(source, source.root, insertion);

/** Inserts text as the last child of an element; every other byte stays. */
export function insertAt(
  { text, encoding }: XmlDocument,
  { span, name }: XmlElement,
  insertion: string,
): Uint8Array<ArrayBuffer> {
  const isEmptyTag = span.contentEnd === span.end;
  const changed = isEmptyTag
    ? `${text.slice(0, span.end - 2)}>${insertion}</${name}>${text.slice(span.end)}`
    : text.slice(0, span.contentEnd) + insertion + text.slice(span.contentEnd);
  return encodeXml(encoding, changed);
}
