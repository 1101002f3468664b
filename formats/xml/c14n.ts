/**
 * Canonical XML 1.0 and 1.1 (inclusive, W3C REC-xml-c14n-20010315, REC-xml-c14n11-20080502) and Exclusive XML
 * Canonicalization 1.0 (REC-xml-exc-c14n-20020718), of a document or an element with everything below it, less the
 * elements that a filter leaves out whole.
 */
import { concat } from "../asn1/der.ts";
import { FormatError } from "../error.ts";
import { escapeAttribute, escapeText } from "./escape.ts";
import {
  ancestors,
  Namespaces,
  type XmlAttribute,
  XmlElement,
  type XmlItem,
  type XmlTree,
} from "./tree.ts";

export interface C14nMethod {
  kind: "inclusive" | "inclusive11" | "exclusive";
  withComments: boolean;
  /** InclusiveNamespaces PrefixList of exclusive canonicalization; `#default` is the default namespace. */
  inclusivePrefixes?: readonly string[];
}

/** Elements to leave out, with all below them. */
export type Omit = (element: XmlElement) => boolean;

interface Options extends C14nMethod {
  omit?: Omit;
}

const XML = "http://www.w3.org/XML/1998/namespace";

/**
 * Canonical form of a document or element.
 *
 * Inclusive canonicalization of an element takes over the namespaces and `xml:` attributes of its ancestors (§2.4).
 *
 * @throws {FormatError} `algorithm_unsupported` where a namespace name is relative (Canonical XML §1.3 forbids it), or
 *   Canonical XML 1.1 would have to join `xml:base` (§2.4)
 */
export function canonicalizeXml(apex: XmlTree | XmlElement, options: Options): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(canonicalOctets(apex, options));
}

/** The same in UTF-8. @throws {FormatError} as there */
export function canonicalOctets(apex: XmlTree | XmlElement, options: Options): Uint8Array {
  const out = new Output();
  if (apex.kind === "document") writeDocument(apex, options, out);
  else {
    const taken = options.kind === "exclusive" ? [] : xmlAttributesAround(apex, options.kind);
    new Writer(Namespaces.around(apex), options, out).element(apex, taken);
  }
  return out.octets();
}

/** Text in many small pieces, encoded as it comes: to keep them all would take many times their length. */
class Output {
  #pieces: string[] = [];
  readonly #encoded: Uint8Array[] = [];

  push(...pieces: string[]): void {
    this.#pieces.push(...pieces);
    if (this.#pieces.length >= MAX_PIECES) this.#encode();
  }

  octets(): Uint8Array {
    this.#encode();
    return concat(...this.#encoded);
  }

  #encode(): void {
    this.#encoded.push(utf8.encode(this.#pieces.join("")));
    this.#pieces = [];
  }
}

const utf8 = new TextEncoder();
const MAX_PIECES = 1 << 14;

function writeDocument(document: XmlTree, options: Options, out: Output): void {
  let pastRoot = false;
  for (const node of document.children) {
    if (node.kind === "element") {
      new Writer(new Namespaces(), options, out).element(node, []);
      pastRoot = true;
      continue;
    }
    const leaf = leafText(node, options);
    if (leaf !== "") out.push(pastRoot ? "\n" : "", leaf, pastRoot ? "" : "\n");
  }
}

function leafText(node: Exclude<XmlItem, XmlElement>, options: Options): string {
  if (typeof node === "string") return escapeText(node);
  if (node.kind === "comment") return options.withComments ? `<!--${node.text}-->` : "";
  return `<?${node.target}${node.text === "" ? "" : " "}${node.text}?>`;
}

class Writer {
  /** Namespaces as last written by the output ancestors. */
  readonly #rendered = new Namespaces();

  constructor(
    readonly inScope: Namespaces,
    readonly options: Options,
    readonly out: Output,
  ) {}

  /** @param taken of the apex only: attributes that it takes over */
  element(element: XmlElement, taken?: readonly XmlAttribute[]): void {
    const { options, out, inScope } = this;
    if (options.omit?.(element)) return;
    const { declarations, name } = element;
    for (const [, namespace] of declarations) refuseRelative(namespace);
    const around = inScope.enter(declarations);
    const wanted = options.kind === "exclusive"
      ? visiblyUtilized(element, options.inclusivePrefixes ?? [])
      : taken
      ? inScope.prefixes()
      : declarations.map(([prefix]) => prefix);
    const written: [string, string][] = [];
    for (const prefix of new Set(wanted)) {
      if (prefix === "xml") continue;
      const namespace = inScope.get(prefix) ?? "";
      if ((this.#rendered.get(prefix) ?? "") !== namespace) written.push([prefix, namespace]);
    }
    written.sort(([a], [b]) => compareCodePoints(a, b));
    const all = taken ? [...element.attributes, ...taken] : element.attributes;
    const attributes = all.toSorted((a, b) =>
      compareCodePoints(a.namespace, b.namespace) || compareCodePoints(a.local, b.local)
    );

    out.push("<", name);
    for (const [prefix, namespace] of written) {
      out.push(prefix ? ` xmlns:${prefix}="` : ' xmlns="', escapeAttribute(namespace), '"');
    }
    for (const { name, value } of attributes) {
      out.push(" ", name, '="', escapeAttribute(value), '"');
    }
    out.push(">");
    const before = this.#rendered.enter(written);
    for (const item of element.content) {
      if (item instanceof XmlElement) this.element(item);
      else out.push(leafText(item, options));
    }
    out.push("</", name, ">");
    this.#rendered.leave(before);
    inScope.leave(around);
  }
}

function refuseRelative(namespace: string): void {
  if (namespace && !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(namespace)) {
    throw new FormatError(
      "algorithm_unsupported",
      `The namespace name "${namespace}" is relative: such XML has no canonical form.`,
    );
  }
}

/** Exclusive c14n §3: the prefixes of the element and its attributes, and the listed ones. */
function visiblyUtilized(
  { prefix, attributes }: XmlElement,
  inclusivePrefixes: readonly string[],
): string[] {
  return [
    prefix,
    ...attributes.flatMap(({ prefix }) => prefix || []),
    ...inclusivePrefixes.map((listed) => listed === "#default" ? "" : listed),
  ];
}

/** Canonical XML §2.4: the nearest `xml:` attributes of omitted ancestors, less those the element has itself. */
function xmlAttributesAround(element: XmlElement, kind: "inclusive" | "inclusive11") {
  const nearest = new Map<string, XmlAttribute>();
  for (const each of ancestors(element).flatMap(({ attributes }) => attributes)) {
    if (each.namespace === XML) nearest.set(each.local, each);
  }
  if (kind === "inclusive11") {
    nearest.delete("id");
    if (nearest.has("base")) {
      const message = "Canonical XML 1.1 of a part of a document with xml:base is not supported.";
      throw new FormatError("algorithm_unsupported", message);
    }
  }
  const own = new Set(element.attributes.map(({ name }) => name));
  return [...nearest.values()].filter(({ name }) => !own.has(name));
}

/** JavaScript compares UTF-16 code units; the specification orders by UCS code points. */
function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const left = Array.from(a, (c) => c.codePointAt(0)!);
  const right = Array.from(b, (c) => c.codePointAt(0)!);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i] - right[i];
  }
  return left.length - right.length;
}
