/**
 * The eSign API of India's Controller of Certifying Authorities, version 2.1, as an application service provider (ASP)
 * speaks it: the request that the person's browser carries to the eSign service provider (ESP).
 * The document stays here; its digest goes, and a PKCS #7 comes back, with a certificate of thirty minutes.
 */
import { HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { SignatureAlgorithm } from "../signer.ts";
import { escapeAttribute } from "./escape.ts";
import { type PreparedXml, prepareXmlSignature } from "./xades.ts";

/** How the person proves who they are to the ESP. */
export const EsignAuth = { otp: "1", fingerprint: "2", iris: "3" } as const;

export interface EsignRequest {
  /** Never used before with this ESP. */
  txn: string;
  aspId: string;
  auth: (typeof EsignAuth)[keyof typeof EsignAuth];
  /** Address to which the ESP sends the person's browser with its answer. */
  responseUrl: string;
  time: Date;
  /** SHA-256 of what the signature covers; of a PDF, its ByteRange. */
  digest: Uint8Array;
  /** Description of the document for the person. */
  info: string;
}

/** The API allows five documents a transaction; there is one in ours. */
export const DOCUMENT = "1";
const MAX_TXN = 50;
const MAX_INFO = 50;

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
  const { txn, aspId, auth, responseUrl, time, digest, info } = request;
  const wrong = (why: string) => new FormatError("invalid_argument", `The eSign request ${why}.`);
  if (!/^[A-Za-z0-9:_-]+$/.test(txn) || txn.length > MAX_TXN) {
    throw wrong("has a malformed transaction identifier");
  }
  if (digest.length !== HASHES["SHA-256"].length) {
    throw wrong("contains a digest that is not SHA-256");
  }
  const attributes = (values: Record<string, string>) =>
    Object.entries(values).map(([name, value]) => `${name}="${escapeAttribute(value)}"`).join(" ");
  const hashed = { id: DOCUMENT, hashAlgorithm: "SHA256", docInfo: info.slice(0, MAX_INFO) };
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
  }><Docs><InputHash ${attributes(hashed)}>${digest.toHex()}</InputHash></Docs></Esign>`;
  const document = new TextEncoder().encode(xml);
  return prepareXmlSignature({ ...asp, packaging: { kind: "enveloped", document, single: true } });
}

/** Form that the person's browser POSTs to the ESP. */
export function esignForm(signed: string, txn: string): Record<string, string> {
  return {
    eSignRequest: signed,
    aspTxnID: txn,
    "Content-Type": "application/xml",
  };
}
