/**
 * Content within a signature that it does not sign. An enveloped signature leaves itself out, an enveloping one signs
 * some of its objects: whatever else somebody puts into it could pass for signed.
 */
import { DS, Transform, XADES, XADES_141 } from "./algorithms.ts";
import { type Followed, isSignature } from "./reference.ts";
import {
  childElements,
  descendants,
  hasText,
  isNamed,
  textOf,
  type XmlAttribute,
  type XmlElement,
} from "./tree.ts";

/** Elements of signatures (XMLDSIG core 1.1, EN 319 132-1). */
const SIGNATURE_NAMESPACES: ReadonlySet<string> = new Set([
  DS,
  "http://www.w3.org/2009/xmldsig11#",
  XADES,
  XADES_141,
  Transform.exclusive,
]);

/** XMLDSIG core 1.1 §4.2: the parts of a signature, in this order. */
const PARTS = /^SignedInfo,SignatureValue(,KeyInfo)?(,Object)*$/;

/** Elements that hold others only. */
const CONTAINERS: ReadonlySet<string> = new Set(["Object", "KeyInfo", "KeyValue", "X509Data"]);

/** Elements in which one expects a name of the certificate, or anything. */
const NAMES = /^X509(?:SubjectName|IssuerName)$/;
const TEXTS = /^(?:KeyName|MgmtData)$/;

/** Attributes by which the parts of a signature find each other. */
const LINKS = /^(?:Id|URI|Type|Target|Algorithm|Encoding|Qualifier)$/;

const isFreeText = (element: XmlElement) =>
  TEXTS.test(element.local) ||
  !NAMES.test(element.local) && /[^A-Za-z0-9+/= \t\r\n]/.test(textOf(element));

export interface UnsignedContent {
  /** Content that signatures are not made of. */
  isForeign: boolean;
  /** Elements and attributes of the standard whose free text is not signed, instructions. */
  texts: string[];
}

/** @param followed references of the signature */
export function unsignedContent(
  signature: XmlElement,
  followed: readonly Followed[],
): UnsignedContent {
  const targets = (isTextOnly: boolean) =>
    new Set(followed.filter((each) => each.isTextOnly === isTextOnly).map(({ target }) => target));
  const signed = targets(false);
  const decoded = targets(true);
  const parts = childElements(signature);
  const found: UnsignedContent = {
    isForeign: hasText(signature) || !PARTS.test(parts.map(({ local }) => local).join()),
    texts: [],
  };
  const tellBeside = (
    element: XmlElement,
    attributes = element.attributes.filter(({ name }) => !LINKS.test(name)),
  ): void => {
    const instructions = element.children.filter(({ kind }) => kind === "instruction");
    found.texts.push(
      ...attributes.map(({ name }) => `${element.name}/@${name}`),
      ...instructions.map(() => `an instruction in ${element.name}`),
    );
  };
  tellBeside(signature);
  const visit = (element: XmlElement): void => {
    if (signed.has(element) || isSignature(element)) return; // others are checked themselves
    const children = childElements(element);
    if (isNamed(element, XADES, "UnsignedProperties")) {
      // The report names this content, so that people know it is not signed.
      if ([element, ...children].some(hasText)) found.isForeign = true;
      const holdsText = [...descendants(element)].filter((each) =>
        hasText(each) && (childElements(each).length > 0 || each.parent?.parent === element)
      );
      found.texts.push(...holdsText.map(({ name }) => name));
      return;
    }
    if (decoded.has(element)) {
      if (children.length > 0) found.isForeign = true;
      // Whether the media type is signed elsewhere is known later.
      const isTold = ({ name, value }: XmlAttribute) =>
        name === "Encoding" ? value !== Transform.base64 : !/^(?:Id|MimeType)$/.test(name);
      tellBeside(element, element.attributes.filter(isTold));
      return;
    }
    tellBeside(element);
    const isContainer = children.length > 0 || CONTAINERS.has(element.local);
    const isForeign = !SIGNATURE_NAMESPACES.has(element.namespace) ||
      isContainer && hasText(element) ||
      isNamed(element, DS, "Object") && !children.every(isKnown);
    if (isForeign) {
      found.isForeign = true;
      return;
    }
    if (!isContainer && isFreeText(element)) found.texts.push(element.name);
    children.forEach(visit);
  };
  const isKnown = (each: XmlElement) =>
    signed.has(each) || isNamed(each, XADES, "QualifyingProperties") ||
    // A list; what is in it is looked at in turn (XMLDSIG core 1.1 §5.2).
    isNamed(each, DS, "SignatureProperties");
  parts.filter((each) => !isNamed(each, DS, "SignedInfo")).forEach(visit);
  return found;
}
