/** Object identifiers of CMS by their standard names; those of algorithms stand with these. */
export const Oid = {
  // Content types: RFC 5652 §4–5, RFC 3161 §2.4.2
  data: "1.2.840.113549.1.7.1",
  signedData: "1.2.840.113549.1.7.2",
  tstInfo: "1.2.840.113549.1.9.16.1.4",

  // Attributes: RFC 5652 §11, RFC 6211
  contentType: "1.2.840.113549.1.9.3",
  messageDigest: "1.2.840.113549.1.9.4",
  signingTime: "1.2.840.113549.1.9.5",
  countersignature: "1.2.840.113549.1.9.6",
  cmsAlgorithmProtection: "1.2.840.113549.1.9.52",

  // Attributes: RFC 5035, RFC 5126, EN 319 122-1
  signingCertificate: "1.2.840.113549.1.9.16.2.12",
  signingCertificateV2: "1.2.840.113549.1.9.16.2.47",
  signatureTimestamp: "1.2.840.113549.1.9.16.2.14",
  signaturePolicy: "1.2.840.113549.1.9.16.2.15",
  commitmentType: "1.2.840.113549.1.9.16.2.16",
  signerLocation: "1.2.840.113549.1.9.16.2.17",
  archiveTimestampV2: "1.2.840.113549.1.9.16.2.48",
  archiveTimestampV3: "0.4.0.1733.2.4",
  atsHashIndexV3: "0.4.0.19122.1.5",
  mimeType: "0.4.0.1733.2.1",
  signaturePolicyUri: "1.2.840.113549.1.9.16.5.1",
  proofOfOrigin: "1.2.840.113549.1.9.16.6.1",
  proofOfReceipt: "1.2.840.113549.1.9.16.6.2",
  proofOfDelivery: "1.2.840.113549.1.9.16.6.3",
  proofOfSender: "1.2.840.113549.1.9.16.6.4",
  proofOfApproval: "1.2.840.113549.1.9.16.6.5",
  proofOfCreation: "1.2.840.113549.1.9.16.6.6",

  // Revocation information in CMS: RFC 5940
  ocspResponse: "1.3.6.1.5.5.7.16.2",

  // Digests: named only to say how weak they are
  md5: "1.2.840.113549.2.5",
  md5WithRsa: "1.2.840.113549.1.1.4",
} as const;
