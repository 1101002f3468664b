/**
 * Content within a signature that it does not sign. An enveloped signature leaves itself out, an enveloping one signs
 * some of its objects: whatever else somebody puts into it could pass for signed.
 */
import { DS, Transform, XADES, XADES_141 } from "./algorithms.ts";
import { isSignature } from "./reference.ts";
import { childElements, hasText, isNamed, textOf, type XmlElement } from "./tree.ts";

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

const isFreeText = (element: XmlElement) =>
  TEXTS.test(element.local) ||
  !NAMES.test(element.local) && /[^A-Za-z0-9+/= \t\r\n]/.test(textOf(element));

export interface UnsignedContent {
  /** Content that signatures are not made of. */
  isForeign: boolean;
  /** Elements of the standard whose free text is not signed. */
  texts: string[];
}

/** @param signed elements that references of the signature cover */
export function unsignedContent(
  signature: XmlElement,
  signed: ReadonlySet<XmlElement>,
): UnsignedContent {
  const parts = childElements(signature);
  const found: UnsignedContent = {
    isForeign: hasText(signature) || !PARTS.test(parts.map(({ local }) => local).join()),
    texts: [],
  };
  const visit = (element: XmlElement): void => {
    if (signed.has(element) || isSignature(element)) return; // others are checked themselves
    const children = childElements(element);
    if (isNamed(element, XADES, "UnsignedProperties")) {
      // The report names this content, so that people know it is not signed.
      if ([element, ...children].some(hasText)) found.isForeign = true;
      return;
    }
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
