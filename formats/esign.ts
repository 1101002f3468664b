/**
 * The eSign API of India's Controller of Certifying Authorities, version 2.1, as an application service provider (ASP)
 * speaks it: the request that the person's browser carries to the eSign service provider (ESP), and the ESP's answer.
 * The document stays here; its digest goes, and a PKCS #7 comes back, with a certificate of thirty minutes.
 */
import { readSignedData } from "./cms_read.ts";
import { verifyCms } from "./cms_verify.ts";
import { FormatError } from "./error.ts";
import { hashLengths } from "./signature_algorithm.ts";
import type { SignatureAlgorithm } from "./signer.ts";
import { type PreparedXml, prepareXmlSignature } from "./xades.ts";
import { verifyXml } from "./xades_verify.ts";
import { escapeAttribute, parseXml } from "./xml.ts";
import { DS } from "./xml_algorithms.ts";
import { type Certificate, readCertificate, sameBytes } from "./x509.ts";

/** How the person proves who they are to the ESP. */
export const EsignAuth = { otp: "1", fingerprint: "2", iris: "3" } as const;

export interface EsignDocument {
  /** `1`, `2`, … */
  id: string;
  /** SHA-256 of what the signature covers; of a PDF, its ByteRange. */
  digest: Uint8Array;
  /** What the person is told that it is. */
  info: string;
}

export interface EsignRequest {
  /** Never used before with this ESP. */
  txn: string;
  aspId: string;
  auth: (typeof EsignAuth)[keyof typeof EsignAuth];
  /** Where the ESP sends the person's browser with its answer. */
  responseUrl: string;
  time: Date;
  documents: readonly EsignDocument[];
}

/** What one transaction may hold; the answer has as many signatures. */
const MAX_DOCUMENTS = 5;
const MAX_TXN = 50;
const MAX_INFO = 50;
/** Of an answer in bytes. */
const MAX_RESPONSE = 1024 * 1024;

/** India's time, as both sides write it: without a zone. */
const IST = 5.5 * 3_600_000;

/**
 * The request, up to what the ASP's key signs (an enveloped XML Signature).
 *
 * @throws {FormatError} `invalid_argument`; as `prepareXmlSignature`
 */
export function prepareEsign(
  request: EsignRequest,
  asp: { certificate: Uint8Array; chain: readonly Uint8Array[]; algorithm: SignatureAlgorithm },
): PreparedXml {
  const { txn, aspId, auth, responseUrl, time, documents } = request;
  const wrong = (why: string) => new FormatError("invalid_argument", `The eSign request ${why}.`);
  if (!/^[A-Za-z0-9:_-]+$/.test(txn) || txn.length > MAX_TXN) {
    throw wrong("has a transaction identifier of another form");
  }
  if (documents.length === 0 || documents.length > MAX_DOCUMENTS) {
    throw wrong(`has to hold 1 to ${MAX_DOCUMENTS} documents`);
  }
  if (new Set(documents.map(({ id }) => id)).size !== documents.length) {
    throw wrong("names a document twice");
  }
  if (documents.some(({ digest }) => digest.length !== hashLengths["SHA-256"])) {
    throw wrong("holds a digest that is not of SHA-256");
  }
  const attributes = (values: Record<string, string>) =>
    Object.entries(values).map(([name, value]) => `${name}="${escapeAttribute(value)}"`).join(" ");
  const hashes = documents.map(({ id, digest, info }) =>
    `<InputHash ${
      attributes({ id, hashAlgorithm: "SHA256", docInfo: info.slice(0, MAX_INFO) })
    }>${digest.toHex()}</InputHash>`
  );
  const xml = `<?xml version="1.0" encoding="UTF-8"?><Esign ${
    attributes({
      ver: "2.1",
      sc: "Y",
      ts: new Date(time.getTime() + IST).toISOString().slice(0, 19),
      txn,
      ekycIdType: "A",
      ekycId: "",
      aspId,
      AuthMode: auth,
      responseSigType: "pkcs7",
      responseUrl,
    })
  }><Docs>${hashes.join("")}</Docs></Esign>`;
  const document = new TextEncoder().encode(xml);
  return prepareXmlSignature({ ...asp, packaging: { kind: "enveloped", document, single: true } });
}

/** What the person's browser POSTs to the ESP. */
export function esignForm(signed: string, txn: string): Record<string, string> {
  return {
    eSignRequest: signed,
    aspTxnID: txn,
    "Content-Type": "application/xml",
  };
}

/** What an answer is checked against. */
export interface EsignExpected {
  txn: string;
  documents: readonly Pick<EsignDocument, "id" | "digest">[];
  /** The ESP's certificates for its answers, DER, from the configuration: no other signs for it. */
  esp: readonly Uint8Array[];
}

export type EsignAnswer =
  | {
    ok: true;
    txn: string;
    /** As the ESP says. */
    time: Date | null;
    /** The person's, made for this transaction. */
    certificate: Certificate;
    /** PKCS #7 (BER or DER as received), by the documents' identifiers. */
    signatures: ReadonlyMap<string, Uint8Array>;
  }
  | { ok: false; txn: string; code: string; message: string; isFinal: boolean };

/**
 * The transaction that an answer says it belongs to; nothing about the answer is checked.
 *
 * @throws {FormatError} `xml_malformed`, `xml_forbidden`, `limit_exceeded`
 */
export function esignTransaction(response: Uint8Array): string {
  return readRoot(response).txn;
}

/**
 * Checks an answer: signed by the ESP, of this transaction, and with good signatures over the documents by the one
 * certificate in it. That certificate's path is for others to validate.
 *
 * @throws {FormatError} `xml_malformed`, `xml_forbidden`, `limit_exceeded`; `signature_mismatch` where the answer is not
 *   the ESP's, of another transaction or not for these documents; `cms_malformed`, `certificate_malformed`
 */
export function readEsignResponse(response: Uint8Array, expected: EsignExpected): EsignAnswer {
  const { root, txn } = readRoot(response);
  const mismatch = (why: string) => new FormatError("signature_mismatch", why);
  // The signature covers the whole answer, or nothing in the answer counts.
  const [signature, ...more] = verifyXml(response, () => null, expected.esp);
  const isSigned = signature && more.length === 0 && signature.problems.length === 0 &&
    signature.digests.every((hash) => hash !== "SHA-1") && signature.algorithm?.hash !== "SHA-1" &&
    signature.covers.some(({ kind }) => kind === "document") &&
    expected.esp.some((der) => sameBytes(der, signature.certificate!));
  if (!isSigned) throw mismatch("The answer is not signed by the eSign service provider.");
  if (txn !== expected.txn) throw mismatch("The answer belongs to another transaction.");

  const status = root.getAttribute("status");
  if (status !== "1") {
    const code = root.getAttribute("errCode") || "NA";
    return {
      ok: false,
      txn,
      code: code.slice(0, 16),
      message: sentenceFor(code, root.getAttribute("errMsg") ?? ""),
      isFinal: status === "0",
    };
  }
  const certificate = readCertificate(base64(only(root, "UserX509Certificate")));
  const signatures = new Map<string, Uint8Array>();
  const found = childrenOf(only(root, "Signatures")).filter((each) =>
    each.localName === "DocSignature"
  );
  for (const { id, digest } of expected.documents) {
    const [own, ...others] = found.filter((each) => each.getAttribute("id") === id);
    const error = own?.getAttribute("error");
    if (!own || others.length > 0 || (error && error !== "NA")) {
      throw mismatch(`The answer has no signature over document ${id}.`);
    }
    const cms = base64(own);
    checkPkcs7(cms, digest, certificate, mismatch);
    signatures.set(id, cms);
  }
  if (found.length !== expected.documents.length) {
    throw mismatch("The answer has signatures that were not asked for.");
  }
  return { ok: true, txn, time: timeOf(root.getAttribute("ts")), certificate, signatures };
}

function checkPkcs7(
  cms: Uint8Array,
  digest: Uint8Array,
  certificate: Certificate,
  mismatch: (why: string) => FormatError,
): void {
  const { signers } = readSignedData(cms);
  const [signer] = verifyCms(cms, { detached: { digests: { "SHA-256": digest } } }).signers;
  const isGood = signers.length === 1 && signer?.status === "valid" && signer.certificate &&
    sameBytes(signer.certificate.der, certificate.der);
  if (!isGood) throw mismatch("A signature in the answer is not over the document, or not valid.");
}

/**
 * Sentences for codes that the published lists of ESPs name; of others the ESP's own words are repeated.
 * What only the ASP can mend is said so.
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

/** What to tell the person; the ESP's own words, made harmless, where the code has none of ours. */
export function sentenceFor(code: string, said: string): string {
  if (Object.hasOwn(SENTENCES, code)) return SENTENCES[code];
  const words = said.replace(/[\p{C}\p{Z}]+/gu, " ").trim().slice(0, 200);
  const known = /^[A-Za-z0-9-]{1,16}$/.test(code) ? ` (${code})` : "";
  return words && words !== "NA"
    ? `The eSign service says: ${words}${known}`
    : `The eSign service did not sign${known}.`;
}

function readRoot(response: Uint8Array): { root: Element; txn: string } {
  if (response.length > MAX_RESPONSE) {
    throw new FormatError("limit_exceeded", "The eSign service's answer is too long.");
  }
  const { root } = parseXml(response);
  const txn = root.getAttribute("txn");
  if (root.localName !== "EsignResp" || root.namespaceURI || !txn) throw malformed();
  return { root, txn };
}

const malformed = () => new FormatError("xml_malformed", "This is no answer of an eSign service.");

function childrenOf(element: Element): Element[] {
  return Array.from(element.childNodes).filter((node) =>
    node.nodeType === 1 && (node as Element).namespaceURI !== DS
  ) as Element[];
}

function only(parent: Element, name: string): Element {
  const [found, ...more] = childrenOf(parent).filter(({ localName }) => localName === name);
  if (!found || more.length > 0) throw malformed();
  return found;
}

function base64(element: Element): Uint8Array {
  try {
    return Uint8Array.fromBase64((element.textContent ?? "").replace(/\s+/g, ""));
  } catch {
    throw malformed();
  }
}

/** India's time where it has no zone. */
function timeOf(text: string | null): Date | null {
  const zoned = text && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$/.test(text)
    ? `${text}+05:30`
    : text;
  const time = Date.parse(zoned ?? "");
  return Number.isNaN(time) ? null : new Date(time);
}
