/** The answer of an eSign service provider (ESP), by the API that esign_request.ts names. */
import { verifyCms } from "../cms/verify.ts";
import { FormatError } from "../error.ts";
import { verifyXml } from "./xades_verify.ts";
import { parseXml } from "./document.ts";
import { DOCUMENT } from "./esign_request.ts";
import { DS } from "./algorithms.ts";
import {
  attribute,
  childElements,
  descendantsNamed,
  isNamed,
  textOf,
  type XmlElement,
} from "./tree.ts";
import { type Certificate, readCertificate, sameBytes } from "../x509/certificate.ts";

/** Expected values of an answer. */
export interface EsignExpected {
  txn: string;
  /** As in the request. */
  digest: Uint8Array;
  /** The ESP's certificates for its answers, DER, from the configuration: no other signs for it. */
  esp: readonly Uint8Array[];
}

export type EsignAnswer =
  | {
    ok: true;
    /** The person's, made for this transaction. */
    certificate: Certificate;
    /** BER or DER as received. */
    pkcs7: Uint8Array;
  }
  | { ok: false; code: string; message: string; isFinal: boolean };

/**
 * Checks an answer: signed by the ESP, of this transaction, and with a good signature over the document by the
 * certificate in it. That certificate's path is for others to validate.
 *
 * @throws {FormatError} `xml_malformed`, `xml_forbidden`, `limit_exceeded`; `signature_mismatch` where the answer is not
 *   the ESP's, of another transaction or not for this document; `invalid_argument` where the document is in the PKCS #7;
 *   `cms_malformed`, `certificate_malformed`
 */
export function readEsignResponse(response: Uint8Array, expected: EsignExpected): EsignAnswer {
  const { root, txn } = readRoot(response);
  const mismatch = (why: string) => new FormatError("signature_mismatch", why);
  // Anybody may have sent this, and each reference costs a canonicalization of the whole.
  for (const name of ["Signature", "Reference"]) {
    if (descendantsNamed(root, DS, name).length !== 1) throw malformed();
  }
  // The signature covers the whole answer, or nothing in the answer counts.
  const [signature] = verifyXml(response, () => null, expected.esp);
  const isSigned = signature.problems.length === 0 &&
    signature.digests.every((hash) => hash !== "SHA-1") && signature.algorithm?.hash !== "SHA-1" &&
    signature.covers.some(({ kind }) => kind === "document") &&
    expected.esp.some((der) => sameBytes(der, signature.certificate!));
  if (!isSigned) throw mismatch("The response is not signed by the eSign service provider.");
  if (txn !== expected.txn) throw mismatch("The response belongs to another transaction.");

  const status = attribute(root, "status");
  if (status !== "1") return refusal(root, status === "0");
  const certificate = readCertificate(base64(only(root, "UserX509Certificate")));
  const own = only(only(root, "Signatures"), "DocSignature");
  if (said(own, ERROR_CODE)) return refusal(own, true);
  if (attribute(own, "id") !== DOCUMENT) {
    throw mismatch("The response contains no signature of the document.");
  }
  const pkcs7 = base64(own);
  const { signers } = verifyCms(pkcs7, { detached: { digests: { "SHA-256": expected.digest } } });
  const [signer] = signers;
  const isGood = signers.length === 1 && signer.status === "valid" && signer.certificate &&
    sameBytes(signer.certificate.der, certificate.der);
  if (!isGood) {
    throw mismatch("The signature in the response is invalid or is for another document.");
  }
  return { ok: true, certificate, pkcs7 };
}

/** As providers name them; eMudhra has the long ones. */
const ERROR_CODE = ["errCode", "errorCode", "error"];
const ERROR_MESSAGE = ["errMsg", "errorMessage"];

/** The first of these attributes that says something. */
function said(element: XmlElement, names: readonly string[]): string {
  return names.map((name) => attribute(element, name)).find((text) => text && text !== "NA") ??
    "";
}

function refusal(element: XmlElement, isFinal: boolean): EsignAnswer {
  const code = said(element, ERROR_CODE);
  const message = sentenceFor(code, said(element, ERROR_MESSAGE));
  return { ok: false, code: code.slice(0, 16) || "NA", message, isFinal };
}

/**
 * Sentences for codes that the published lists of ESPs name; of others the ESP's own words are repeated.
 * The sentence says so if only the ASP can fix it.
 */
const SENTENCES: Readonly<Record<string, string>> = {
  "ESP-901": "The eSign service does not offer this way to identify the person.",
  "ESP-902": "The eSign service does not know this portal. Tell its administrator.",
  "ESP-903":
    "The eSign service does not know this portal, or has suspended it. Tell its administrator.",
  "ESP-905": "The document did not reach the eSign service. Try again.",
  "ESP-907": "The eSign service did not get the time of the request. Tell the administrator.",
  "ESP-908": "The clock of this portal is wrong. Tell its administrator.",
  "ESP-909": "The eSign service did not get the transaction's number. Tell the administrator.",
  "ESP-910": "The eSign service has seen this transaction already. Begin again.",
  "ESP-911": "The eSign service does not accept this portal's signature. Tell its administrator.",
  "ESP-922": "The eSign service has another certificate for this portal. Tell its administrator.",
  "ESP-944": "You ended the signing at the eSign service. Nothing was signed.",
  "ESP-992": "The eSign service could not read the request. Tell the administrator.",
  "ESP-999": "The eSign service has met an unexpected fault. Try again later.",
};

/** Sentence for the person; for an unknown code the ESP's own message, made harmless. */
export function sentenceFor(code: string, message: string): string {
  if (Object.hasOwn(SENTENCES, code)) return SENTENCES[code];
  const words = message.replace(/[\p{C}\p{Z}]+/gu, " ").trim().slice(0, 200);
  const known = /^[A-Za-z0-9-]{1,16}$/.test(code) ? ` (${code})` : "";
  return words
    ? `The eSign service says: ${words}${known}`
    : `The eSign service did not sign${known}.`;
}

function readRoot(response: Uint8Array): { root: XmlElement; txn: string } {
  const { root } = parseXml(response);
  const txn = attribute(root, "txn");
  if (!isNamed(root, "", "EsignResp") || !txn) throw malformed();
  return { root, txn };
}

const malformed = () =>
  new FormatError("xml_malformed", "This is not a response of an eSign service.");

function childrenOf(element: XmlElement): XmlElement[] {
  return childElements(element).filter(({ namespace }) => namespace !== DS);
}

function only(parent: XmlElement, name: string): XmlElement {
  const [found, ...more] = childrenOf(parent).filter(({ local }) => local === name);
  if (!found || more.length > 0) throw malformed();
  return found;
}

/** Of an element that holds nothing else: the text of a signature within would not be signed. */
function base64(element: XmlElement): Uint8Array {
  if (childElements(element).length > 0) throw malformed();
  try {
    return Uint8Array.fromBase64(textOf(element));
  } catch {
    throw malformed();
  }
}
