/** XML 1.0 with namespaces, strictly: text to tree. `saxes` reads the markup and ends at the first error. */
import { SaxesParser } from "saxes";
import { FormatError } from "../error.ts";
import {
  Namespaces,
  type XmlAttribute,
  XmlElement,
  type XmlItem,
  type XmlNames,
  type XmlTree,
} from "./tree.ts";

const XML = "http://www.w3.org/XML/1998/namespace";
const XMLNS = "http://www.w3.org/2000/xmlns/";

/** Deepest nesting that is read. */
export const MAX_DEPTH = 512;

const malformed = (why: string, cause?: unknown) =>
  new FormatError("xml_malformed", `The XML document is not well-formed: ${why}.`, { cause });

/**
 * @param text without a byte order mark
 * @throws {FormatError} `xml_malformed`; `xml_unsupported`: XML 1.1; `xml_forbidden` where it has a DTD or an entity
 *   that is not built in; `limit_exceeded` where it is nested too deeply
 */
export function parseTree(text: string): XmlTree {
  // saxes drops a mark here, and with it the positions would be wrong.
  if (text.startsWith("\ufeff")) throw malformed("it starts with two byte order marks");
  const parser = new SaxesParser(
    { xmlns: false, defaultXMLVersion: "1.0", forceXMLVersion: true } as const,
  );
  const around: Exclude<XmlItem, string>[] = [];
  const open: {
    element: XmlElement;
    content: XmlItem[];
    before: ReturnType<Namespaces["enter"]>;
  }[] = [];
  const known = new Map<string, XmlNames>();
  const inScope = new Namespaces([["xml", XML]]);
  let root: XmlElement | undefined;
  let tagStart = 0;
  const add = (node: Exclude<XmlItem, string>) => (open.at(-1)?.content ?? around).push(node);

  parser.on("xmldecl", ({ version }) => {
    // XML 1.1 has other line ends and characters: one file, two readings.
    if (version !== undefined && /^1\.(?!0$)[0-9]+$/.test(version)) {
      const message = `The XML document is in XML ${version}. Save it as XML 1.0.`;
      throw new FormatError("xml_unsupported", message);
    }
  });
  parser.on("doctype", () => {
    throw new FormatError(
      "xml_forbidden",
      "The XML document has a DTD (DOCTYPE). Remove it: it can change what the document says.",
    );
  });
  parser.on("text", (data) => {
    open.at(-1)?.content.push(data);
  });
  parser.on("cdata", (data) => void open.at(-1)?.content.push(data));
  parser.on("comment", (data) => add({ kind: "comment", text: data }));
  parser.on("processinginstruction", ({ target, body }) => {
    if (target.includes(":")) {
      throw malformed("the target of a processing instruction contains a colon");
    }
    // saxes lets "<?target?data?>" pass, without the white space of XML 1.0 §2.6.
    if (body.startsWith("?") && !isSpace(text[startOf(body, text, parser.position - 2) - 1])) {
      throw malformed("a processing instruction has no white space after its target");
    }
    add({ kind: "instruction", target, text: body });
  });
  parser.on("opentagstart", () => tagStart = text.lastIndexOf("<", parser.position - 1));
  parser.on("opentag", ({ name, attributes }) => {
    if (open.length >= MAX_DEPTH) {
      throw new FormatError("limit_exceeded", "The XML document is nested too deeply.");
    }
    const parent = open.at(-1);
    const position = parser.position;
    const { names, before, ...own } = resolve(name, attributes, inScope, known);
    const element = new XmlElement(
      names,
      own.attributes,
      own.declarations,
      parent?.element,
      tagStart,
      position,
    );
    add(element);
    root ??= element;
    open.push({ element, content: [], before });
  });
  parser.on("closetag", ({ isSelfClosing }) => {
    const { element, content, before } = open.pop()!;
    inScope.leave(before);
    const end = parser.position;
    const contentEnd = isSelfClosing ? element.contentStart : text.lastIndexOf("<", end - 1);
    element.close(content, contentEnd, end);
  });
  try {
    parser.write(text).close();
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    const why = (cause as Error).message.replace(/^\d+:\d+: /, "").replace(/\.$/, "");
    if (why === "undefined entity") {
      const message = "The XML document uses an entity that is not built in.";
      throw new FormatError("xml_forbidden", message, { cause });
    }
    throw malformed(why, cause);
  }
  return { kind: "document", root: root!, children: around };
}

const isSpace = (character: string) => /[ \t\r\n]/.test(character);

/** Start of data with normalized line ends that ends at `end`. */
function startOf(data: string, text: string, end: number): number {
  let at = end;
  for (let i = data.length; i > 0; i--) {
    at -= data[i - 1] === "\n" && text.startsWith("\r\n", at - 2) ? 2 : 1;
  }
  return at;
}

/** Namespaces in XML 1.0 §5, §6.3: every prefix is declared, and no two attributes have the same expanded name. */
function resolve(
  name: string,
  written: Readonly<Record<string, string>>,
  inScope: Namespaces,
  known: Map<string, XmlNames>,
) {
  const declarations: [string, string][] = [];
  const plain: [name: string, value: string][] = [];
  for (const [name, value] of Object.entries(written)) {
    if (name === "xmlns") declarations.push(["", declared("", value)]);
    else if (name.startsWith("xmlns:")) {
      const prefix = split(name).local;
      declarations.push([prefix, declared(prefix, value)]);
    } else plain.push([name, value]);
  }
  const before = inScope.enter(declarations);
  const find = (prefix: string) => {
    const namespace = inScope.get(prefix);
    if (namespace === undefined && prefix) {
      throw malformed(`the prefix "${prefix}" is not declared`);
    }
    return namespace ?? "";
  };
  const seen = new Set<string>();
  const attributes = plain.map(([name, value]): XmlAttribute => {
    const { prefix, local } = split(name);
    const namespace = prefix ? find(prefix) : "";
    const expanded = `${namespace} ${local}`;
    if (prefix && seen.has(expanded)) throw malformed(`the attribute "${name}" appears twice`);
    seen.add(expanded);
    return { name, prefix, local, namespace, value };
  });
  const last = known.get(name);
  const { prefix, local } = last ?? split(name);
  if (prefix === "xmlns") throw malformed('an element has the prefix "xmlns"');
  const namespace = find(prefix);
  const isSame = last?.namespace === namespace;
  const names = isSame ? last : { name, prefix, local, namespace };
  if (!isSame) known.set(name, names);
  return {
    names,
    attributes: attributes.length > 0 ? attributes : NONE,
    declarations: declarations.length > 0 ? declarations : NONE,
    before,
  };
}

/** One for all: most elements have no attributes. */
const NONE: readonly never[] = [];

/** Namespaces in XML 1.0 §3: `xml` and `xmlns` are bound for good, and a prefix cannot be undeclared. */
function declared(prefix: string, namespace: string): string {
  if (
    prefix === "xmlns" || namespace === XMLNS || (prefix === "xml") !== (namespace === XML) ||
    (prefix && !namespace)
  ) throw malformed(`the namespace "${namespace}" cannot be declared as "${prefix}"`);
  return namespace;
}

// Namespaces in XML 1.0 §4: what follows the colon is a name too.
const NAME_START =
  /^[A-Z_a-z\xC0-\xD6\xD8-\xF6\xF8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C\u200D\u2070-\u218F\u2C00-\u2FEF\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\u{10000}-\u{EFFFF}]/u;

function split(name: string): { prefix: string; local: string } {
  const colon = name.indexOf(":");
  if (colon < 0) return { prefix: "", local: name };
  const [prefix, local] = [name.slice(0, colon), name.slice(colon + 1)];
  if (!prefix || local.includes(":") || !NAME_START.test(local)) {
    throw malformed(`"${name}" is not a qualified name`);
  }
  return { prefix, local };
}
