/** Result of `signature.verify`: the report on a signed file, by EN 319 102-1. */
import * as z from "zod";

const time = z.iso.datetime();
const indication = z.enum(["TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE"]);
const subIndication = z.enum([
  "FORMAT_FAILURE",
  "HASH_FAILURE",
  "SIG_CRYPTO_FAILURE",
  "NOT_YET_VALID",
  "SIG_CONSTRAINTS_FAILURE",
  "CRYPTO_CONSTRAINTS_FAILURE",
  "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
  "NO_SIGNING_CERTIFICATE_FOUND",
  "SIGNED_DATA_NOT_FOUND",
  "NO_CERTIFICATE_CHAIN_FOUND",
  "CERTIFICATE_CHAIN_GENERAL_FAILURE",
  "CHAIN_CONSTRAINTS_FAILURE",
  "OUT_OF_BOUNDS_NOT_REVOKED",
  "OUT_OF_BOUNDS_NO_POE",
  "REVOKED_NO_POE",
  "REVOKED_CA_NO_POE",
  "TRY_LATER",
]).nullable();

const finding = z.object({
  code: z.enum([
    "content_changed",
    "signature_wrong",
    "format_wrong",
    "content_missing",
    "algorithm_unsupported",
    "certificate_missing",
    "certificate_not_as_signed",
    "issuer_unknown",
    "chain_wrong",
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_revoked",
    "revocation_unknown",
    "not_for_signing",
    "algorithm_weak",
    "coverage_partial",
    "changed_after",
    "changed_after_unclear",
    "changed_after_allowed",
    "ambiguous",
    "written_loosely",
    "signing_certificate_absent",
    "signed_attributes_absent",
    "digest_algorithms_differ",
    "digest_weaker",
    "countersignatures_unchecked",
    "timestamp_not_accepted",
    "unsigned_ignored",
    "not_checked",
    "file_damaged",
    "pan_differs",
    "pan_absent",
    "route_incomplete",
    "route_unproven",
    "route_wrong",
    "no_signature",
  ]),
  severity: z.enum(["failed", "unclear", "notice"]),
  message: z.string().describe("One sentence in English; it may quote the file"),
});

const signatureReport = z.object({
  id: z.string().describe("Name of the field (PDF), Id (XML), or number, from 1"),
  kind: z.enum(["signature", "countersignature", "timestamp", "route"]),
  indication,
  subIndication,
  level: z.enum(["B-B", "B-T", "B-LT", "B-LTA"]).nullable(),
  findings: z.array(finding),
  signer: z.object({
    commonName: z.string(),
    subject: z.string(),
    issuer: z.string(),
    serialNumber: z.string(),
    id: z.string().describe("SHA-256 fingerprint of the certificate"),
    notBefore: time,
    notAfter: time,
    class: z.union([z.literal(1), z.literal(2), z.literal(3)]).nullable(),
    kind: z.enum(["token_dsc", "esign", "document_signer", "departmental", "unknown"]),
  }).nullable(),
  chain: z.array(z.string()).describe("Names from the signer's issuer to the trusted root"),
  panMatches: z.boolean().nullable(),
  algorithm: z.string().nullable(),
  signatureSha256: z.string().nullable().describe(
    "Hex, of the signature value, ECDSA in DER; a receipt of the department's log names it",
  ),
  coverage: z.object({
    extent: z.enum(["whole", "revision", "part"]),
    parts: z.array(z.string()),
    revision: z.object({ number: z.int(), of: z.int(), size: z.int() }).optional().describe(
      "PDF: which revision, the first being 1, of how many, and its size in bytes; absent where that cannot be told",
    ),
  }),
  claimedTime: time.nullable().describe("Claimed by the signer; not proven"),
  provenTime: time.nullable().describe("Time at which the signature provably existed"),
  role: z.string().nullable(),
  reason: z.string().nullable(),
  location: z.string().nullable(),
  revocation: z.union([
    z.object({ status: z.literal("good"), source: z.enum(["crl", "ocsp"]), asOf: time }),
    z.object({
      status: z.literal("revoked"),
      source: z.enum(["crl", "ocsp"]),
      since: time,
      reason: z.string(),
    }),
    z.object({ status: z.literal("unknown") }),
  ]),
  timestamps: z.array(z.object({
    kind: z.enum(["signature", "archive", "document"]),
    indication,
    subIndication,
    time,
    authority: z.string().nullable(),
    findings: z.array(finding),
  })),
  changes: z.array(z.object({
    kind: z.enum([
      "signature",
      "timestamp",
      "empty_signature_field",
      "form_field",
      "read_only",
      "annotation",
      "validation_data",
      "metadata",
      "other",
    ]),
    name: z.string(),
    allowed: z.boolean(),
    unclear: z.literal(true).optional().describe(
      "Nothing forbids it, but it may draw, act or hide something that nobody vouches for",
    ),
    places: z.array(z.object({
      page: z.int(),
      box: z.tuple([z.number(), z.number(), z.number(), z.number()]).describe(
        "In points, from the lower left corner of the page as it is displayed",
      ),
      share: z.number().describe("Of the page's area"),
    })).optional().describe("Where something is drawn that was not there before"),
    signedBy: z.string().optional().describe("The later signature whose appearance it is"),
    reason: z.string().optional(),
  })).describe("PDF: changes after the signature"),
  get countersignatures() {
    return z.array(signatureReport);
  },
}).meta({ id: "SignatureReport" });

/** Progress of a signing route. */
export const RouteReport = z.object({
  content: z.object({ name: z.string(), sha256: z.string() }),
  isComplete: z.boolean().describe(
    "Every step is signed, and every signature on the route counts: none is unproven",
  ),
  isSetUpProven: z.boolean().describe(
    "The certificate of the one who set the route up leads to a trusted root",
  ),
  steps: z.array(z.object({
    role: z.string(),
    quorum: z.int(),
    signed: z.array(z.string()).describe("Names in the route of those who have signed"),
    unproven: z.array(z.string()).describe(
      "Those of them whose certificates do not lead to a trusted root of this computer: anybody " +
        "can have made one with that name",
    ),
    open: z.array(z.string()),
    isDone: z.boolean(),
  })),
  next: z.int().nullable().describe("Position of the step whose turn it is; null: each is signed"),
});
export type RouteReport = z.output<typeof RouteReport>;

export const VerificationReport = z.object({
  version: z.literal(1),
  format: z.enum(["pdf", "cms", "xml", "jws", "asic", "route"]),
  verifiedAt: time,
  indication: indication.describe("That of the worst signature"),
  findings: z.array(finding),
  signatures: z.array(signatureReport),
  route: RouteReport.nullable(),
});
export type VerificationReport = z.output<typeof VerificationReport>;
