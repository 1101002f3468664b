/**
 * Collecting evidence for the validity of certificates: issuers' certificates (RFC 5280 §4.2.2.1), OCSP
 * answers and CRLs, from the addresses in the certificates. Nothing is judged here; that
 * is the job of path validation.
 */
import { type Crl, readCrl } from "../formats/x509/crl.ts";
import { FormatError } from "../formats/error.ts";
import { encodeOcspRequest, type OcspResponse, readOcspResponse } from "../formats/x509/ocsp.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import { type Certificate, readCertificate, sameBytes } from "../formats/x509/certificate.ts";
import { keyPurposes } from "../formats/x509/extensions.ts";
import { readCertificates, unwrapPem } from "../formats/x509/bundle.ts";
import { ocspStatus } from "../formats/x509/ocsp_status.ts";
import { readAsn1, Tag } from "../formats/asn1/read.ts";
import { readSignedData } from "../formats/cms/read.ts";
import { type PkiHttp, PkiHttpError } from "./pki_http.ts";

export interface Evidence {
  /** Certificates of missing issuers. */
  certificates: Certificate[];
  crls: Crl[];
  ocspResponses: OcspResponse[];
  /** Failed downloads, as sentences. */
  problems: string[];
}

const MAX_DEPTH = 8;
/** Most signatures checked to see whether one answer counts. */
const MAX_CHECKS = 32;
/** Most addresses of one kind tried for one certificate. */
const MAX_ADDRESSES = 3;

/**
 * Collects evidence for certificates and those above them, up to the anchors.
 *
 * @param ends such as signers' and timestamp authorities' certificates
 * @param known certificates at hand that may be above them, not trusted
 * @param now by which answers are fresh
 */
export async function collectEvidence(
  ends: readonly Certificate[],
  known: readonly Certificate[],
  anchors: readonly Certificate[],
  http: Pick<PkiHttp, "get" | "post">,
  now: Date,
): Promise<Evidence> {
  const evidence: Evidence = { certificates: [], crls: [], ocspResponses: [], problems: [] };
  const done = new Set<string>();
  const crlUrls = new Set<string>();

  const attempt = async (urls: readonly string[], fetch: (url: string) => Promise<boolean>) => {
    for (const url of urls.filter((url) => /^https?:/i.test(url)).slice(0, MAX_ADDRESSES)) {
      try {
        if (await fetch(url)) return true;
      } catch (error) {
        if (!(error instanceof PkiHttpError || error instanceof FormatError)) throw error;
        const message = error instanceof PkiHttpError ? error.message : `${url}: ${error.message}`;
        if (!evidence.problems.includes(message)) evidence.problems.push(message);
      }
    }
    return false;
  };

  const issuerIn = (list: readonly Certificate[], certificate: Certificate) =>
    list.find((each) => issued(each, certificate));

  const fetchIssuer = async (certificate: Certificate) => {
    await attempt(certificate.caIssuerUrls, async (url) => {
      const found = certificatesIn(await http.get(url)).map((der) => readCertificate(der));
      evidence.certificates.push(...found.slice(0, MAX_DEPTH));
      return found.some((each) => issued(each, certificate));
    });
    return issuerIn(evidence.certificates, certificate);
  };

  const fetchOcsp = (certificate: Certificate, issuer: Certificate) =>
    attempt(certificate.ocspUrls, async (url) => {
      const [type, accept] = ["application/ocsp-request", "application/ocsp-response"];
      const body = requestFor(certificate)(issuer);
      const response = answerIn(await http.post(url, type, accept, body));
      evidence.ocspResponses.push(response);
      // An answer that will not count must not prevent asking for the list.
      const status = ocspStatus(certificate, { certificate: issuer, key: issuer.publicKey }, [
        response,
      ], {
        at: now,
        now,
        budget: { checks: MAX_CHECKS },
        candidates: () => [...known, ...evidence.certificates],
        trustedKey: () => undefined,
        isUnrevoked: () => true,
      });
      if (status.status !== "unknown") return true;
      evidence.problems.push(`${url}: ${nameOf(certificate)} ${status.message}.`);
      return false;
    });

  const fetchCrl = (certificate: Certificate) =>
    attempt(certificate.crlUrls, async (url) => {
      if (crlUrls.has(url)) return true;
      crlUrls.add(url);
      evidence.crls.push(listIn(await http.get(url)));
      return true;
    });

  const walk = async (certificate: Certificate, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH || done.has(certificate.fingerprint)) return;
    done.add(certificate.fingerprint);
    if (anchors.some(({ der }) => sameBytes(der, certificate.der))) return;
    if (issued(certificate, certificate)) return; // an untrusted root
    const atHand = [...anchors, ...known, ...evidence.certificates];
    const issuer = issuerIn(atHand, certificate) ?? await fetchIssuer(certificate);
    // A responder must not vouch for itself.
    const isResponder = certificate.extKeyUsage?.includes(keyPurposes.ocspSigning);
    const answered = issuer && !isResponder && await fetchOcsp(certificate, issuer);
    if (!answered) await fetchCrl(certificate);
    if (issuer) await walk(issuer, depth + 1);
  };

  for (const end of ends) await walk(end, 0);
  // Responders' certificates may need checking too.
  const responders = evidence.ocspResponses.flatMap(({ certificates }) => certificates);
  for (const responder of responders.slice(0, MAX_DEPTH)) {
    if (responder.extKeyUsage?.includes(keyPurposes.ocspSigning)) await walk(responder, 0);
  }
  return evidence;
}

const nameOf = ({ subject }: Certificate) => subject.commonName ?? subject.toString();

/** Makes something of an object once, as one authority stands behind many files. */
function once<K extends object, V>(make: (of: K) => V): (of: K) => V {
  const made = new WeakMap<K, V>();
  return (of) => made.getOrInsertComputed(of, make);
}

const requestFor = once((certificate: Certificate) =>
  once((issuer: Certificate) => encodeOcspRequest(certificate, issuer))
);
const answerIn = once(readOcspResponse);
const listIn = once((bytes: Uint8Array) => readCrl(unwrapPem(bytes, "X509 CRL")));

/** RFC 5280 §4.2.2.1: one certificate in DER, or a bundle without signers (`.p7c`); some services send PEM. */
function certificatesIn(bytes: Uint8Array): Uint8Array[] {
  const cms = unwrapPem(bytes, "PKCS7");
  const isCms = cms[0] === 0x30 && readAsn1(cms, { ber: true }).children[0]?.tag === Tag.OID;
  return isCms ? [...readSignedData(cms).certificates] : readCertificates(bytes);
}

function issued(issuer: Certificate, certificate: Certificate): boolean {
  if (!issuer.subject.equals(certificate.issuer)) return false;
  try {
    return isSignedWith(certificate, issuer.publicKey);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
