/**
 * Canonical XML 1.0 (inclusive, W3C REC-xml-c14n-20010315) and Exclusive XML Canonicalization 1.0 (REC-xml-exc-c14n-20020718),
 * of a document or an element with everything below it, less the elements that a filter leaves out whole.
 */
import { FormatError } from "../error.ts";
import { escapeAttribute, escapeText, XML_LIMITS } from "./document.ts";

export interface C14nOptions {
  exclusive: boolean;
  withComments: boolean;
  /** InclusiveNamespaces PrefixList of exclusive canonicalization; `#default` is the default namespace. */
  inclusivePrefixes?: readonly string[];
  /** Elements to leave out, with all below them. */
  omit?: (element: Element) => boolean;
}

const XMLNS = "http://www.w3.org/2000/xmlns/";
const XML = "http://www.w3.org/XML/1998/namespace";

const NodeType = {
  element: 1,
  text: 3,
  cdata: 4,
  instruction: 7,
  comment: 8,
  document: 9,
} as const;

/** Prefix → namespace name; "" is the default namespace. */
type Namespaces = ReadonlyMap<string, string>;

/**
 * Canonical form of a document or element.
 *
 * Inclusive canonicalization of an element takes over the namespaces and `xml:` attributes of its ancestors (§2.4).
 *
 * @throws {FormatError} `limit_exceeded` when nested too deeply
 */
export function canonicalizeXml(apex: Document | Element, options: C14nOptions): string {
  const out: string[] = [];
  if (apex.nodeType === NodeType.document) {
    writeDocument(apex as Document, options, out);
  } else {
    const element = apex as Element;
    const inherited = namespacesAbove(element);
    writeElement(element, inherited, new Map(), options, out, 0, true);
  }
  return out.join("");
}

function writeDocument(document: Document, options: C14nOptions, out: string[]): void {
  let pastRoot = false;
  for (let node = document.firstChild; node; node = node.nextSibling) {
    if (node.nodeType === NodeType.element) {
      writeElement(node as Element, new Map(), new Map(), options, out, 0, false);
      pastRoot = true;
      continue;
    }
    const misc: string[] = [];
    writeLeaf(node, options, misc);
    if (misc.length > 0) out.push(pastRoot ? "\n" : "", ...misc, pastRoot ? "" : "\n");
  }
}

function writeLeaf(node: Node, options: C14nOptions, out: string[]): void {
  const data = node.nodeValue ?? "";
  switch (node.nodeType) {
    case NodeType.text:
    case NodeType.cdata:
      if (node.parentNode?.nodeType !== NodeType.document) out.push(escapeText(data));
      break;
    case NodeType.comment:
      if (options.withComments) out.push("<!--", data.replaceAll("\r", "&#xD;"), "-->");
      break;
    case NodeType.instruction:
      if (node.nodeName === "xml") break; // xmldom keeps the XML declaration as an instruction
      out.push("<?", node.nodeName, data === "" ? "" : " ", data.replaceAll("\r", "&#xD;"), "?>");
  }
}

/**
 * @param above namespaces in scope at the parent
 * @param rendered namespaces as last written by the output ancestors
 */
function writeElement(
  element: Element,
  above: Namespaces,
  rendered: Namespaces,
  options: C14nOptions,
  out: string[],
  depth: number,
  isApex: boolean,
): void {
  if (options.omit?.(element)) return;
  if (depth > XML_LIMITS.depth) {
    throw new FormatError("limit_exceeded", "The XML document is nested too deeply.");
  }
  const attributes: Attr[] = [];
  let scope: Map<string, string> | undefined;
  for (const attribute of Array.from(element.attributes)) {
    if (attribute.namespaceURI === XMLNS || attribute.name === "xmlns") {
      scope ??= new Map(above);
      scope.set(attribute.prefix ? attribute.localName : "", attribute.value);
    } else attributes.push(attribute);
  }
  const inScope = scope ?? above;
  if (isApex && !options.exclusive) attributes.push(...xmlAttributesAbove(element));

  const wanted = options.exclusive
    ? visiblyUtilized(element, attributes, options.inclusivePrefixes ?? [], inScope)
    : [...inScope.keys()];
  const written: [string, string][] = [];
  for (const prefix of wanted) {
    if (prefix === "xml") continue;
    const uri = inScope.get(prefix) ?? "";
    if ((rendered.get(prefix) ?? "") !== uri) written.push([prefix, uri]);
  }
  written.sort(([a], [b]) => compareCodePoints(a, b));
  attributes.sort((a, b) =>
    compareCodePoints(a.namespaceURI ?? "", b.namespaceURI ?? "") ||
    compareCodePoints(a.localName ?? a.name, b.localName ?? b.name)
  );

  out.push("<", element.nodeName);
  for (const [prefix, uri] of written) {
    out.push(prefix ? ` xmlns:${prefix}="` : ' xmlns="', escapeAttribute(uri), '"');
  }
  for (const attribute of attributes) {
    out.push(" ", attribute.name, '="', escapeAttribute(attribute.value), '"');
  }
  out.push(">");
  const renderedHere = written.length === 0 ? rendered : new Map([...rendered, ...written]);
  for (let child = element.firstChild; child; child = child.nextSibling) {
    if (child.nodeType === NodeType.element) {
      writeElement(child as Element, inScope, renderedHere, options, out, depth + 1, false);
    } else writeLeaf(child, options, out);
  }
  out.push("</", element.nodeName, ">");
}

/** Exclusive c14n §3: the prefixes of the element and its attributes, and the listed ones that are in scope. */
function visiblyUtilized(
  element: Element,
  attributes: readonly Attr[],
  inclusivePrefixes: readonly string[],
  inScope: Namespaces,
): Iterable<string> {
  const prefixes = new Set([element.prefix ?? ""]);
  for (const { prefix } of attributes) if (prefix) prefixes.add(prefix);
  for (const listed of inclusivePrefixes) {
    const prefix = listed === "#default" ? "" : listed;
    if (inScope.has(prefix)) prefixes.add(prefix);
  }
  return prefixes;
}

function ancestors(element: Element): Element[] {
  const found: Element[] = [];
  for (let node = element.parentNode; node?.nodeType === NodeType.element; node = node.parentNode) {
    found.unshift(node as Element);
  }
  return found;
}

function namespacesAbove(element: Element): Namespaces {
  const scope = new Map<string, string>();
  for (const ancestor of ancestors(element)) {
    for (const attribute of Array.from(ancestor.attributes)) {
      if (attribute.namespaceURI === XMLNS || attribute.name === "xmlns") {
        scope.set(attribute.prefix ? attribute.localName : "", attribute.value);
      }
    }
  }
  return scope;
}

/** Canonical XML §2.4: the nearest `xml:` attributes of omitted ancestors, less those the element has itself. */
function xmlAttributesAbove(element: Element): Attr[] {
  const nearest = new Map<string, Attr>();
  for (const ancestor of ancestors(element)) {
    for (const attribute of Array.from(ancestor.attributes)) {
      if (attribute.namespaceURI === XML) nearest.set(attribute.localName, attribute);
    }
  }
  return [...nearest.values()].filter((attribute) => !element.hasAttribute(attribute.name));
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
