/** Algorithm identifiers of XML Signature (XMLDSIG core 1.1, RFC 6931, RFC 9231) and the namespaces of the standards. */
import type { DigestName, SignatureAlgorithm } from "../signer.ts";
import type { VerificationAlgorithm } from "../keys/algorithm.ts";
import type { C14nMethod } from "./c14n.ts";

export const DS = "http://www.w3.org/2000/09/xmldsig#";
export const XADES = "http://uri.etsi.org/01903/v1.3.2#";
export const XADES_141 = "http://uri.etsi.org/01903/v1.4.1#";
/** Containers (EN 319 162-1), and signatures in OpenDocument (ODF 1.2 part 3 §5). */
export const ASIC = "http://uri.etsi.org/02918/v1.2.1#";
export const ODF_SIGNATURES = "urn:oasis:names:tc:opendocument:xmlns:digitalsignature:1.0";
export const SIGNED_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties";

export const Transform = {
  enveloped: `${DS}enveloped-signature`,
  base64: `${DS}base64`,
  xpath: "http://www.w3.org/TR/1999/REC-xpath-19991116",
  /** XPath Filter 2.0. */
  filter2: "http://www.w3.org/2002/06/xmldsig-filter2",
  exclusive: "http://www.w3.org/2001/10/xml-exc-c14n#",
} as const;

/** The one XPath filter in use: everything that is in no signature, so that signatures can be added later. */
export const NO_SIGNATURES = "not(ancestor-or-self::ds:Signature)";

const INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const INCLUSIVE_11 = "http://www.w3.org/2006/12/xml-c14n11";

/** Canonicalization algorithms. */
export const canonicalizations: Readonly<Record<string, C14nMethod>> = {
  [INCLUSIVE]: { kind: "inclusive", withComments: false },
  [`${INCLUSIVE}#WithComments`]: { kind: "inclusive", withComments: true },
  [INCLUSIVE_11]: { kind: "inclusive11", withComments: false },
  [`${INCLUSIVE_11}#WithComments`]: { kind: "inclusive11", withComments: true },
  [Transform.exclusive]: { kind: "exclusive", withComments: false },
  [`${Transform.exclusive}WithComments`]: { kind: "exclusive", withComments: true },
};

/** Digest algorithms. */
export const digestUris: Readonly<Record<DigestName, string>> = {
  "SHA-1": `${DS}sha1`,
  "SHA-224": "http://www.w3.org/2001/04/xmldsig-more#sha224",
  "SHA-256": "http://www.w3.org/2001/04/xmlenc#sha256",
  "SHA-384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
  "SHA-512": "http://www.w3.org/2001/04/xmlenc#sha512",
};

const MORE_2001 = "http://www.w3.org/2001/04/xmldsig-more#";
const MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#";

/** Signature algorithms; PSS with the salt as long as the digest (RFC 6931 §2.3.10). */
const signatureUris: Readonly<Record<string, VerificationAlgorithm>> = {
  [`${DS}rsa-sha1`]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-1" },
  [`${MORE_2001}rsa-sha224`]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-224" },
  [`${MORE_2001}rsa-sha256`]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  [`${MORE_2001}rsa-sha384`]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  [`${MORE_2001}rsa-sha512`]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  [`${MORE_2007}sha224-rsa-MGF1`]: { scheme: "RSASSA-PSS", hash: "SHA-224" },
  [`${MORE_2007}sha256-rsa-MGF1`]: { scheme: "RSASSA-PSS", hash: "SHA-256" },
  [`${MORE_2007}sha384-rsa-MGF1`]: { scheme: "RSASSA-PSS", hash: "SHA-384" },
  [`${MORE_2007}sha512-rsa-MGF1`]: { scheme: "RSASSA-PSS", hash: "SHA-512" },
  [`${MORE_2001}ecdsa-sha1`]: { scheme: "ECDSA", hash: "SHA-1" },
  [`${MORE_2001}ecdsa-sha224`]: { scheme: "ECDSA", hash: "SHA-224" },
  [`${MORE_2001}ecdsa-sha256`]: { scheme: "ECDSA", hash: "SHA-256" },
  [`${MORE_2001}ecdsa-sha384`]: { scheme: "ECDSA", hash: "SHA-384" },
  [`${MORE_2001}ecdsa-sha512`]: { scheme: "ECDSA", hash: "SHA-512" },
};

export function signatureUri(algorithm: SignatureAlgorithm): string | undefined {
  return Object.keys(signatureUris).find((uri) =>
    signatureUris[uri].scheme === algorithm.scheme && signatureUris[uri].hash === algorithm.hash
  );
}

export function signatureAlgorithm(uri: string): VerificationAlgorithm | undefined {
  return Object.hasOwn(signatureUris, uri) ? signatureUris[uri] : undefined;
}

export function digestAlgorithm(uri: string): DigestName | undefined {
  return (Object.keys(digestUris) as DigestName[]).find((hash) => digestUris[hash] === uri);
}
