/**
 * A tree of an XML document: elements, text, comments and instructions, nothing else (a DTD is refused, so there are no
 * entities and no default attributes). Namespaces in XML 1.0; every element knows where it stands in the text.
 */

export interface XmlAttribute {
  /** As written, with its prefix. */
  readonly name: string;
  readonly prefix: string;
  readonly local: string;
  /** Empty: none. */
  readonly namespace: string;
  /** Normalized (XML 1.0 §3.3.3). */
  readonly value: string;
}

/** Position of an element in the text, in UTF-16 code units. */
export interface XmlSpan {
  /** The `<` of its start tag. */
  readonly start: number;
  /** After the `>` of its start tag. */
  readonly contentStart: number;
  /** The `<` of its end tag; of an empty-element tag, as `contentStart`. */
  readonly contentEnd: number;
  /** After its last `>`. */
  readonly end: number;
}

/** What an element is called; one object for all that are called so. */
export interface XmlNames {
  readonly name: string;
  readonly prefix: string;
  readonly local: string;
  readonly namespace: string;
}

/** As few bytes as can be, since a document of 50 MB has millions. */
export class XmlElement {
  #contentEnd: number;
  #end: number;
  /** One item, or a list of them; a string is character data, CDATA sections too. */
  #content: XmlItem | readonly XmlItem[] = [];

  /**
   * @param attributes all but namespace declarations, in document order
   * @param declarations the namespaces that it declares: prefix ("" for the default) and name ("" undeclares the default)
   * @param parent absent for the root
   */
  constructor(
    readonly names: XmlNames,
    readonly attributes: readonly XmlAttribute[],
    readonly declarations: readonly (readonly [prefix: string, namespace: string])[],
    readonly parent: XmlElement | undefined,
    readonly start: number,
    readonly contentStart: number,
  ) {
    this.#contentEnd = this.#end = contentStart;
  }

  /** Called by the parser at the element's end. */
  close(content: readonly XmlItem[], contentEnd: number, end: number): void {
    // A list that is copied has no room for more.
    this.#content = content.length === 1 ? content[0] : content.slice();
    this.#contentEnd = contentEnd;
    this.#end = end;
  }

  get kind(): "element" {
    return "element";
  }

  get name(): string {
    return this.names.name;
  }

  get prefix(): string {
    return this.names.prefix;
  }

  get local(): string {
    return this.names.local;
  }

  get namespace(): string {
    return this.names.namespace;
  }

  get span(): XmlSpan {
    const { start, contentStart } = this;
    return { start, contentStart, contentEnd: this.#contentEnd, end: this.#end };
  }

  get content(): readonly XmlItem[] {
    const content = this.#content;
    return Array.isArray(content) ? content : [content as XmlItem];
  }

  get children(): XmlNode[] {
    return this.content.map((item) =>
      typeof item === "string" ? { kind: "text", text: item } : item
    );
  }
}

/** What an element contains; a string is character data. */
export type XmlItem = string | Exclude<XmlNode, { kind: "text" }>;

export type XmlNode =
  | XmlElement
  /** Character data, CDATA sections too. */
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "comment"; readonly text: string }
  | { readonly kind: "instruction"; readonly target: string; readonly text: string };

/** The root with the comments and instructions around it. */
export interface XmlTree {
  readonly kind: "document";
  readonly root: XmlElement;
  readonly children: readonly Exclude<XmlItem, string>[];
}

export function isNamed(element: XmlElement, namespace: string, local: string): boolean {
  return element.local === local && element.namespace === namespace;
}

/** The value of an attribute without a namespace; null where there is none. */
export function attribute(element: XmlElement, name: string): string | null {
  return element.attributes.find((each) => each.name === name)?.value ?? null;
}

export function childElements(element: XmlElement): XmlElement[] {
  return element.content.filter((item) => item instanceof XmlElement);
}

/** The children of that name. */
export function childrenNamed(element: XmlElement, namespace: string, local: string): XmlElement[] {
  return childElements(element).filter((each) => isNamed(each, namespace, local));
}

/** The elements below one, in document order. */
export function* descendants(element: XmlElement): Generator<XmlElement> {
  // A stack, as delegating generators cost a step for every level.
  const waiting = [element.content.values()];
  while (waiting.length > 0) {
    const { value, done } = waiting[waiting.length - 1].next();
    if (done) waiting.pop();
    else if (value instanceof XmlElement) {
      yield value;
      waiting.push(value.content.values());
    }
  }
}

/** The elements of that name below one, in document order. */
export function descendantsNamed(
  element: XmlElement,
  namespace: string,
  local: string,
): XmlElement[] {
  const found: XmlElement[] = [];
  for (const each of descendants(element)) if (isNamed(each, namespace, local)) found.push(each);
  return found;
}

/** All character data in an element. */
export function textOf(element: XmlElement): string {
  return element.content.map((item) =>
    typeof item === "string" ? item : item.kind === "element" ? textOf(item) : ""
  ).join("");
}

/** Whether an element directly contains text other than white space. */
export function hasText(element: XmlElement): boolean {
  return element.content.some((item) => typeof item === "string" && /[^ \t\r\n]/.test(item));
}

export function contains(outer: XmlElement, inner: XmlElement): boolean {
  for (let each: XmlElement | undefined = inner; each; each = each.parent) {
    if (each === outer) return true;
  }
  return false;
}

/** The elements around one, from the root down. */
export function ancestors(element: XmlElement): XmlElement[] {
  const found: XmlElement[] = [];
  for (let each = element.parent; each; each = each.parent) found.push(each);
  return found.reverse();
}

type Declarations = readonly (readonly [prefix: string, namespace: string | undefined])[];

/** Namespaces in scope while a tree is walked: one map for all levels, as a copy for each would cost their product. */
export class Namespaces {
  readonly #names: Map<string, string | undefined>;

  constructor(declarations: Declarations = []) {
    this.#names = new Map(declarations);
  }

  /** Those around an element. */
  static around(element: XmlElement): Namespaces {
    return new Namespaces(ancestors(element).flatMap(({ declarations }) => declarations));
  }

  get(prefix: string): string | undefined {
    return this.#names.get(prefix);
  }

  prefixes(): string[] {
    return [...this.#names.keys()];
  }

  /** @returns what `leave` restores */
  enter(declarations: Declarations): Declarations {
    const before = declarations.map(([prefix]) => [prefix, this.#names.get(prefix)] as const);
    for (const [prefix, namespace] of declarations) this.#names.set(prefix, namespace);
    return before;
  }

  leave(before: Declarations): void {
    this.enter(before);
  }
}
