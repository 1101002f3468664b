/** The end of a chain that leads to no trusted root, and what to do about it. */
import { isOfCca, knownRoot } from "../x509/india.ts";
import { type Certificate, isSelfIssued } from "../x509/certificate.ts";

/** As many authorities as no honest chain has. */
const MAX_LENGTH = 10;

/**
 * Sentences for a person: which certificate is missing or not trusted, and how to get it.
 *
 * @param certificates at hand, not trusted
 */
export function missingIssuer(end: Certificate, certificates: readonly Certificate[]): string {
  let last = end;
  for (let length = 0; length < MAX_LENGTH && !isSelfIssued(last); length++) {
    const issuer = certificates.find(({ subject }) => subject.equals(last.issuer));
    if (!issuer) return missing(last);
    last = issuer;
  }
  return untrusted(last);
}

function untrusted(root: Certificate): string {
  const name = nameOf(root.subject);
  const known = knownRoot(root);
  const publisher = isOfCca(name) ? "the CCA publishes on cca.gov.in" : "its authority publishes";
  return `The chain ends at "${name}", which is not among the roots trusted here.` +
    (known ? ` It is known as the root ${known} of India's PKI.` : "") +
    ` To trust it, compare its SHA-256 fingerprint (${root.fingerprint}) with the one that ${publisher},` +
    ` save its certificate as a file, and run: dsign trust roots add FILE.`;
}

function missing(last: Certificate): string {
  const issuer = nameOf(last.issuer);
  const [url] = last.caIssuerUrls.filter((each) => /^https?:/i.test(each));
  const sentence = `The certificate of "${issuer}", which issued that of "${
    nameOf(last.subject)
  }", is not at hand.`;
  if (url) {
    return `${sentence} Verify with --online, or get it from ${url} and give it with --certificate FILE.`;
  }
  return isOfCca(issuer)
    ? `${sentence} It is a root: get it from cca.gov.in, and run: dsign trust roots add FILE.`
    : `${sentence} Get it from that authority: a root is added by dsign trust roots add FILE, another given with --certificate FILE.`;
}

const nameOf = (name: Certificate["subject"]) => name.commonName ?? name.toString();
