/**
 * References of XML signatures (XMLDSIG core 1.1 §4.4.3): what one covers, and the bytes that its digest is of. Only
 * transforms whose effect is known are followed; XPath is compared with the known expressions, never evaluated.
 */
import { digest } from "../digest.ts";
import type { DigestName } from "../signer.ts";
import { canonicalizations, DS, SIGNED_PROPERTIES_TYPE, Transform, XADES } from "./algorithms.ts";
import { type C14nMethod, canonicalOctets, type Omit } from "./c14n.ts";
import { parseXml } from "./document.ts";
import { Problem, Unsupported } from "./problem.ts";
import {
  ancestors,
  attribute,
  childElements,
  childrenNamed,
  contains,
  isNamed,
  Namespaces,
  textOf,
  type XmlElement,
  type XmlTree,
} from "./tree.ts";

/** The part that a reference covers. */
export type XmlCoverage =
  /** Everything but the signatures. */
  | { kind: "document" }
  /** One element with all below it: its name and position, `/order[1]/item[2]`. */
  | { kind: "element"; path: string }
  /** Content inside the signature's own `ds:Object`. */
  | { kind: "object"; mediaType: string | null; content: Uint8Array }
  /** A list of further references in the signature (`ds:Manifest`), which are not followed. */
  | { kind: "manifest" }
  | { kind: "file"; uri: string }
  | { kind: "properties" }
  /** A statement in the signature about itself (`ds:SignatureProperty`, XMLDSIG core 1.1 §5.2). */
  | { kind: "property" }
  /** The value of the signature that this one countersigns. */
  | { kind: "countersigned" };

/** Targets of references. */
export interface ReferenceContext {
  tree: XmlTree;
  /** Elements by Id; null where two have the same. */
  ids: ReadonlyMap<string, XmlElement | null>;
  /** A detached file; null where it is not at hand. */
  file: (uri: string) => XmlFile | null;
}

/** Signed content outside of the document. */
export interface XmlFile {
  /** Undefined where it is not known by this algorithm. */
  digest(hash: DigestName): Uint8Array | undefined;
  /** The content itself, which archive timestamps need. */
  bytes?(): Uint8Array;
}

export interface Followed {
  covers: XmlCoverage;
  digest: Uint8Array;
  target?: XmlElement;
  /** Only the target's text is covered (§6.6.2): no attribute of it, no element in it. */
  isTextOnly: boolean;
}

const DEFAULT: C14nMethod = { kind: "inclusive", withComments: false };
/** Each may cost a reading of the document. */
const MAX_TRANSFORMS = 8;
/** Versions before 1.3.2. */
const OTHER_XADES = /^http:\/\/uri\.etsi\.org\/01903\/v/;
const MANIFEST_TYPE = `${DS}Manifest`;

/** @throws {Problem} `content_missing`, `malformed`, `algorithm_unsupported` */
export function followReference(
  reference: XmlElement,
  signature: XmlElement,
  hash: DigestName,
  context: ReferenceContext,
): Followed {
  const uri = attribute(reference, "URI");
  if (uri === null) throw new Unsupported("a reference without a URI");
  if (uri !== "" && !uri.startsWith("#")) {
    const isPlain = transformsOf(reference).length === 0;
    const actual = isPlain
      ? context.file(uri)?.digest(hash)
      : digest(hash, fileOctets(reference, uri, signature, context));
    if (!actual) throw new Problem("content_missing");
    return { covers: { kind: "file", uri }, digest: actual, isTextOnly: false };
  }
  const { target } = locate(uri, context);
  const octets = referenceOctets(reference, signature, context, DEFAULT);
  const [first] = transformsOf(reference);
  const isTextOnly = first !== undefined && algorithmOf(first) === Transform.base64;
  const covers = coverage(target, signature, reference, octets, context);
  if (isTextOnly && !/^(object|element|countersigned)$/.test(covers.kind)) {
    throw new Unsupported(`${Transform.base64} of ${covers.kind}`);
  }
  return {
    covers,
    digest: digest(hash, octets),
    target: target.kind === "element" ? target : undefined,
    isTextOnly,
  };
}

/**
 * Applies the transforms of a reference to its target.
 *
 * @param last the canonicalization of a result that is still nodes
 * @throws {Problem} as {@linkcode followReference}
 */
export function referenceOctets(
  reference: XmlElement,
  signature: XmlElement,
  context: ReferenceContext,
  last: C14nMethod,
): Uint8Array {
  const uri = attribute(reference, "URI") ?? "";
  if (uri !== "" && !uri.startsWith("#")) {
    return fileOctets(reference, uri, signature, context);
  }
  const { target, withComments } = locate(uri, context);
  const nodes: Nodes = { apex: target, withComments };
  const value = transformsOf(reference).reduce<Nodes | Uint8Array>(
    (value, transform) => apply(transform, value, signature),
    nodes,
  );
  return value instanceof Uint8Array ? value : canonical(value, last);
}

/** A node set: a document, or an element with its descendants, minus the excluded ones. */
interface Nodes {
  apex: XmlTree | XmlElement;
  omit?: Omit;
  withComments: boolean;
}

function canonical({ apex, omit, withComments }: Nodes, method: C14nMethod): Uint8Array {
  const kept = method.withComments && withComments;
  return canonicalOctets(apex, { ...method, withComments: kept, omit });
}

const XPOINTER = /^#xpointer\((?:(\/)|id\((?:'([^'"]*)'|"([^'"]*)")\))\)$/;

/** §4.4.3.2, §4.4.3.3: "" and "#id" leave comments out, XPointers keep them. */
function locate(
  uri: string,
  { tree, ids }: ReferenceContext,
): { target: XmlTree | XmlElement; withComments: boolean } {
  if (uri === "") return { target: tree, withComments: false };
  const pointer = XPOINTER.exec(uri);
  if (pointer?.[1]) return { target: tree, withComments: true };
  if (!pointer && /^#\w+\(/.test(uri)) throw new Unsupported(`the reference ${uri}`);
  const target = ids.get(pointer ? pointer[2] ?? pointer[3] : uri.slice(1));
  if (target === undefined) throw new Problem("content_missing");
  if (target === null) throw new Problem("malformed"); // two elements have the Id
  return { target, withComments: pointer !== null };
}

function transformsOf(reference: XmlElement): XmlElement[] {
  const lists = childrenNamed(reference, DS, "Transforms");
  if (lists.length > 1) throw new Problem("malformed");
  const transforms = lists.flatMap(childElements);
  if (transforms.length > MAX_TRANSFORMS) throw new Unsupported("a chain of many transforms");
  return transforms;
}

/** Files are signed as they are, or in canonical form. */
function fileOctets(
  reference: XmlElement,
  uri: string,
  signature: XmlElement,
  context: ReferenceContext,
): Uint8Array {
  const bytes = context.file(uri)?.bytes?.();
  if (!bytes) throw new Problem("content_missing");
  return transformsOf(reference).reduce((value: Uint8Array, transform) => {
    const algorithm = algorithmOf(transform);
    const made = Object.hasOwn(canonicalizations, algorithm) && apply(transform, value, signature);
    if (!(made instanceof Uint8Array)) throw new Unsupported(algorithm);
    return made;
  }, bytes);
}

const algorithmOf = (element: XmlElement) => attribute(element, "Algorithm") ?? "";

function apply(
  transform: XmlElement,
  value: Nodes | Uint8Array,
  signature: XmlElement,
): Nodes | Uint8Array {
  const algorithm = algorithmOf(transform);
  if (!isNamed(transform, DS, "Transform")) throw new Problem("malformed");
  if (Object.hasOwn(canonicalizations, algorithm)) {
    const method = canonicalization(transform);
    // Octets become nodes by parsing (§4.4.3.2); their comments are those that the first transform left in.
    return canonical(
      value instanceof Uint8Array ? { apex: parseXml(value).tree, withComments: true } : value,
      method,
    );
  }
  if (algorithm === Transform.base64) return decode(value);
  if (value instanceof Uint8Array) throw new Unsupported(algorithm);
  const leavesOut = filter(transform, algorithm, signature);
  const { apex, omit } = value;
  // Of a part of what is left out nothing remains.
  if (apex.kind === "element" && ancestors(apex).some(leavesOut)) throw new Unsupported(algorithm);
  return { ...value, omit: (element) => leavesOut(element) || (omit?.(element) ?? false) };
}

/** §6.6.2: of nodes their text counts; of a whole document, or where something is left out, nobody writes that. */
function decode(value: Nodes | Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return fromBase64(new TextDecoder().decode(value));
  if (value.apex.kind === "document" || value.omit) throw new Unsupported(Transform.base64);
  return fromBase64(textOf(value.apex));
}

/** Nodes excluded by a filter transform. */
function filter(transform: XmlElement, algorithm: string, signature: XmlElement): Omit {
  if (algorithm === Transform.enveloped) return (element) => element === signature;
  const namespace = algorithm === Transform.xpath
    ? DS
    : algorithm === Transform.filter2
    ? algorithm
    : undefined;
  if (!namespace) throw new Unsupported(algorithm);
  const [xpath, ...more] = childrenNamed(transform, namespace, "XPath");
  if (!xpath || more.length > 0) throw new Unsupported(`${algorithm} with several expressions`);
  const expression = normalize(textOf(xpath), xpath);
  const subtract = algorithm === Transform.filter2 ? attribute(xpath, "Filter") : "";
  switch (`${subtract} ${expression}`.trim()) {
    case "not(ancestor-or-self::ds:Signature)":
    case "subtract /descendant::ds:Signature":
    case "subtract //ds:Signature":
      return isSignature;
    // XMLDSIG core 1.1 §6.6.4, and RFC 3653 §4: what the enveloped-signature transform does.
    case "count(ancestor-or-self::ds:Signature|here()/ancestor::ds:Signature[1])>count(ancestor-or-self::ds:Signature)":
    case "subtract here()/ancestor::ds:Signature[1]":
      return (element) => element === signature;
    default:
      throw new Unsupported(`the XPath ${textOf(xpath).trim().slice(0, 80)}`);
  }
}

/** Without white space, and every prefix of XML Signature's namespace as `ds`. */
function normalize(expression: string, xpath: XmlElement): string {
  const inScope = Namespaces.around(xpath);
  inScope.enter(xpath.declarations);
  return expression.replaceAll(/[ \t\r\n]+/g, "").replaceAll(
    /([A-Za-z_][\w.-]*):(?=Signature\b)/g,
    (whole, prefix) => inScope.get(prefix) === DS ? "ds:" : whole === "ds:" ? "other:" : whole,
  );
}

/** Whether an element is a signature. Enveloped signatures do not cover the content of signatures. */
export function isSignature(element: XmlElement): boolean {
  return isNamed(element, DS, "Signature");
}

/**
 * The method that a `CanonicalizationMethod` or `Transform` names.
 *
 * @throws {Problem} `algorithm_unsupported`
 */
export function canonicalization(method: XmlElement): C14nMethod {
  const algorithm = algorithmOf(method);
  if (!Object.hasOwn(canonicalizations, algorithm)) throw new Unsupported(algorithm);
  const [list] = childrenNamed(method, Transform.exclusive, "InclusiveNamespaces");
  const prefixes = list && attribute(list, "PrefixList")?.split(/[ \t\r\n]+/).filter(Boolean);
  return { ...canonicalizations[algorithm], inclusivePrefixes: prefixes ?? [] };
}

function coverage(
  target: XmlTree | XmlElement,
  signature: XmlElement,
  reference: XmlElement,
  content: Uint8Array,
  { tree }: ReferenceContext,
): XmlCoverage {
  if (target.kind === "document") return { kind: "document" };
  const { parent } = target;
  const type = attribute(reference, "Type");
  if (type === SIGNED_PROPERTIES_TYPE) {
    if (target.namespace !== XADES && OTHER_XADES.test(target.namespace)) {
      throw new Unsupported(target.namespace);
    }
    // Exactly where the properties are read, else others could be shown than those that are signed.
    const isTheSigned = isNamed(target, XADES, "SignedProperties") && parent &&
      isNamed(parent, XADES, "QualifyingProperties") && parent.parent?.parent === signature;
    if (!isTheSigned) throw new Problem("malformed");
    return { kind: "properties" };
  }
  if (isNamed(target, DS, "SignatureProperty") && contains(signature, target)) {
    return { kind: "property" };
  }
  const isManifest = (element: XmlElement) => isNamed(element, DS, "Manifest");
  if (type === MANIFEST_TYPE || isManifest(target)) return { kind: "manifest" };
  if (isNamed(target, DS, "Object") && parent === signature) {
    if (childElements(target).some(isManifest)) return { kind: "manifest" };
    return { kind: "object", mediaType: attribute(target, "MimeType") || null, content };
  }
  if (isNamed(target, DS, "SignatureValue") && parent && parent === countersignedBy(signature)) {
    return { kind: "countersigned" };
  }
  if (!parent && contains(target, signature) && !hasInstructions(tree)) {
    return { kind: "document" };
  }
  return { kind: "element", path: pathOf(target) };
}

/** Beside the root element: `<?xml-stylesheet?>` there changes all that a reader shows. */
export const hasInstructions = ({ children }: XmlTree): boolean =>
  children.some(({ kind }) => kind === "instruction");

/** EN 319 132-1 §5.2.7.2: the signature among whose unsigned properties a countersignature stands. */
export function countersignedBy(signature: XmlElement): XmlElement | undefined {
  const place = [
    "CounterSignature",
    "UnsignedSignatureProperties",
    "UnsignedProperties",
    "QualifyingProperties",
  ];
  let at = signature.parent;
  for (const name of place) {
    if (!at || !isNamed(at, XADES, name)) return undefined;
    at = at.parent;
  }
  return at && isNamed(at, DS, "Object") && at.parent && isSignature(at.parent)
    ? at.parent
    : undefined;
}

function pathOf(element: XmlElement): string {
  const siblings = element.parent ? childElements(element.parent) : [element];
  const same = siblings.filter(({ name }) => name === element.name);
  const step = `/${element.name}[${same.indexOf(element) + 1}]`;
  return element.parent ? pathOf(element.parent) + step : step;
}

/** @throws {Problem} `malformed` */
export function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw new Problem("malformed");
  }
}
