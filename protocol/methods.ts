/**
 * The one table of methods: name → parameters, result, summary, example. Types, validation and the OpenRPC document
 * all come from here.
 */
import * as z from "zod";
import { LIMITS } from "./envelope.ts";
import { RouteReport, VerificationReport } from "./report.ts";

const base64 = z.base64().describe("Base64 (RFC 4648 §4)");
const isoDate = z.iso.datetime().describe("RFC 3339 time in UTC");
const fingerprint = z.string().regex(/^[0-9a-f]{64}$/).describe(
  "A certificate's SHA-256 fingerprint, 64 lower-case hexadecimal digits",
);

export const Scope = z.enum(["certificates", "sign", "sign_hash"]).describe(
  "certificates: see tokens and certificates. sign: ask for signatures on documents and data that are shown. " +
    "sign_hash: ask for signatures on digests, which D-Sign cannot show",
);
export type Scope = z.infer<typeof Scope>;

export const HashAlgorithm = z.enum(["SHA-256", "SHA-384", "SHA-512"]);
export type HashAlgorithm = z.infer<typeof HashAlgorithm>;

export const Token = z.object({
  uri: z.string().describe("RFC 7512 URI"),
  label: z.string(),
  manufacturer: z.string(),
  model: z.string(),
  serialNumber: z.string(),
  driver: z.string().describe("The driver through which it was found"),
  state: z.enum(["ready", "pin_low", "pin_final_try", "pin_locked", "pin_not_set", "empty"]),
  protectedAuthenticationPath: z.boolean().describe("The PIN is typed on the token's own keypad"),
});
export type Token = z.infer<typeof Token>;

export const Certificate = z.object({
  id: fingerprint,
  uri: z.string().describe("RFC 7512 URI of the token and key"),
  certificate: base64.describe("DER, Base64"),
  chain: z.array(base64).describe("Issuers found on the token, DER, Base64, nearest first"),
  subject: z.string().describe("Distinguished name (RFC 4514)"),
  commonName: z.string(),
  issuer: z.string(),
  serialNumber: z.string().describe("Hexadecimal"),
  notBefore: isoDate,
  notAfter: isoDate,
  keyType: z.enum(["RSA", "EC", "ML-DSA"]),
  keySize: z.int().describe("Bits of the RSA modulus or of the curve; ML-DSA: 44, 65 or 87"),
  class: z.enum(["1", "2", "3", "otp_ekyc"]).nullable().describe("Class by India's policy OIDs"),
  usable: z.boolean().describe("May be used for a signature now"),
  reason: z.enum([
    "certificate_expired",
    "certificate_not_yet_valid",
    "certificate_not_for_signing",
    "token_not_present",
    "driver_not_found",
    "driver_sha1_only",
    "key_not_found",
    "mechanism_unsupported",
    "algorithm_forbidden",
    "post_quantum_disabled",
  ]).nullable().describe("Why it may not be used; null if it may"),
});
export type Certificate = z.infer<typeof Certificate>;

/** How a PDF is signed (ISO 32000-2 §12.8, EN 319 142-1). */
export const PdfOptions = z.strictObject({
  level: z.enum(["B-B", "B-T", "B-LT", "B-LTA"]).default("B-B").describe(
    "PAdES level: B-T adds a timestamp of the configured authority, B-LT what a later validation " +
      "needs, B-LTA a timestamp over all of it",
  ),
  subFilter: z.enum(["ETSI.CAdES.detached", "adbe.pkcs7.detached"]).default("ETSI.CAdES.detached")
    .describe("adbe.pkcs7.detached: only for readers that need it"),
  field: z.string().min(1).max(255).optional().describe(
    "An empty signature field, or the name of a new one",
  ),
  visible: z.strictObject({
    page: z.int().min(1).optional().describe(
      "Counted from 1. Default: 1; with `anchor`, the page on which the text is found. Without a " +
        "rectangle it is the first page that is tried: if it has no room, the next one that has",
    ),
    rectangle: z.array(z.number()).length(4).optional().describe(
      "Left, bottom, right, top in points (1/72 inch) from the lower left corner of the page as " +
        "it is displayed",
    ),
    size: z.array(z.number().positive()).length(2).optional().describe(
      "Width and height in points, to go where the page has neither text nor pictures nor fields. " +
        "Default: 200 × 60. An existing field has its own place. Text is not set below 6 points: a " +
        "box too small for it is refused",
    ),
    anchor: z.string().min(1).max(200).optional().describe(
      "A text of the document: the signature, of that size, goes just below it; if that is not " +
        "free, above it, beside it or further down. Of several places the last counts; case and " +
        "blanks do not. Not with `rectangle`",
    ),
    role: z.string().max(100).optional().describe("Shown below the signer's name"),
    language: z.enum(["en", "bn", "hi"]).default("en"),
    picture: base64.max(1_400_000).optional().describe("PNG or JPEG, shown at the left"),
    qr: z.string().max(255).optional().describe("Shown as a QR code at the right"),
  }).optional().describe("Makes the signature visible"),
  reason: z.string().max(255).optional(),
  location: z.string().max(255).optional(),
  certify: z.union([z.literal(1), z.literal(2), z.literal(3)]).optional().describe(
    "Certifies the document, as its first signature, and says what may follow: 1 nothing, " +
      "2 filling in forms and signatures, 3 annotations too",
  ),
  lock: z.union([
    z.strictObject({ action: z.literal("All") }),
    z.strictObject({
      action: z.enum(["Include", "Exclude"]),
      fields: z.array(z.string().max(255)).max(1000),
    }),
  ]).optional().describe("Locks fields: these, or all but these"),
  password: z.string().max(127).optional().describe("Opens an encrypted document; never a PIN"),
});
export type PdfOptions = z.output<typeof PdfOptions>;

/** One document of a batch. */
export const BatchItem = z.strictObject({
  name: z.string().min(1).max(255).describe("File name, as shown to the person"),
  mediaType: z.string().max(127).default("application/pdf"),
  size: z.int().min(0).max(LIMITS.documentSize).describe("Bytes"),
  sha256: fingerprint.describe("SHA-256 of the document, 64 lower-case hexadecimal digits"),
});
export type BatchItem = z.output<typeof BatchItem>;

const Problem = z.object({
  driver: z.string(),
  code: z.string().describe("An error code"),
  message: z.string(),
});

const purpose = z.string().max(200).optional().describe(
  "What the signature is for, in the person's language; shown in the consent window as the site's own words",
);
/** How the person is asked. */
const asking = {
  purpose,
  answerWithin: z.int().min(120).max(1800).optional().describe(
    "Seconds that the person is to have. D-Sign gives them up to the administrator's limit to origins that the person " +
      "or the administrator allowed something; otherwise two minutes, and more for long documents and batches",
  ),
};
const hash = HashAlgorithm.optional().describe(
  "Of the signature; default: by the key, SHA-384 with P-384, SHA-512 with P-521 and ML-DSA, otherwise SHA-256",
);
const certificate = fingerprint.optional().describe(
  "Which certificate; without it the person chooses",
);
const legacyHash = z.enum([...HashAlgorithm.options, "SHA-1"]).default("SHA-256").describe(
  "SHA-1: for sites that the administrator's policy names (legacyOrigins) alone",
);
const trial = z.literal(true).optional();
const ofTrial = trial.describe("By a trial agent (`dsign trial`), which trusts its own root alone");
const signed = {
  trial: trial.describe("Made by a trial agent (`dsign trial`): worth nothing"),
  certificate: base64.describe("The signer's certificate, DER, Base64"),
  algorithm: z.string().describe("JWA name: RS256, PS256, ES256, ML-DSA-65, …"),
};

const signedPdf = {
  appended: z.int().describe(
    "How many bytes are to be appended to the document; see document.read",
  ),
  field: z.string().describe("Name of the signed field"),
};

/** Taken as it is: `z.json()` makes a copy, in which a member called `__proto__` is lost. */
const json = z.unknown() as z.ZodType<z.core.util.JSONType, z.core.util.JSONType>;

const content = z.union([
  z.object({ text: z.string() }).strict(),
  z.object({
    json,
    labels: z.record(z.string().max(100), z.string().max(200)).optional().describe(
      "Words in the person's language for names of members, shown beside the names; they are not signed",
    ),
  }).strict(),
  z.object({ base64 }).strict(),
], { error: "Write content: { json: … }, { text: … } or { base64: … }" }).describe(
  "JSON is signed in canonical form (RFC 8785)",
);
const contentName = z.string().min(1).max(255).optional().describe(
  "What the content is called, as shown to the person",
);

const data = { content, name: contentName, certificate, ...asking };
const level = <L extends string>(...levels: readonly [L, ...L[]]) =>
  z.enum(levels).default(levels[0]).describe(
    "B-T adds a timestamp of the configured authority, B-LT what a later validation needs, B-LTA a " +
      "timestamp over all of it",
  );
const ALL_LEVELS = ["B-B", "B-T", "B-LT", "B-LTA"] as const;
const cadesLevel = level(...ALL_LEVELS).describe("Of cades; that of pades stands in `pdf`");
const beside = z.enum(["attached", "detached"]).default("attached").describe(
  "Whether the content stands in the signature",
);
const inXml = z.enum(["attached", "detached", "enveloping"]).default("attached").describe(
  "attached: the signature stands in the content, which is XML; enveloping: the content in it",
);
const cades = z.literal("cades").optional().default("cades");
const container = z.enum(["asic-s", "asic-e"]).optional().describe(
  "Puts content and signature into a container (EN 319 162-1): asic-s one file, asic-e several; a file " +
    "that is such a container itself gets one more signature",
);

/**
 * What `sign.data` can make, and what goes together. Strict: what this version does not know of a signature must not
 * be passed over.
 */
const SignData = z.union([
  z.discriminatedUnion("format", [
    z.strictObject({
      format: cades.describe("CMS (EN 319 122-1)"),
      ...data,
      packaging: beside,
      level: level(...ALL_LEVELS),
      hash,
      cosign: base64.optional().describe("Adds the signature to this CMS over the same content"),
      container,
    }),
    z.strictObject({
      format: z.literal("jws").describe("JSON (JAdES, TS 119 182-1)"),
      ...data,
      packaging: beside,
      level: level(...ALL_LEVELS),
      hash,
      cosign: base64.optional().describe("Adds the signature to this JWS over the same content"),
    }),
    z.strictObject({
      format: z.literal("xades").describe("XML (EN 319 132-1). It can be signed again"),
      ...data,
      packaging: inXml,
      level: level(...ALL_LEVELS),
      hash,
      container,
    }),
    z.strictObject({
      format: z.literal("xmldsig").describe("XML-DSig, without signing time and certificate"),
      ...data,
      packaging: inXml,
      level: level("B-B"),
      hash,
    }),
    z.strictObject({
      format: z.literal("raw").describe(
        "The bare signature over the content's bytes. It may stand under any document, so it needs the " +
          "scope sign_hash, and the person is told that nothing can be shown",
      ),
      ...data,
      hash: legacyHash,
    }),
  ]),
  z.strictObject({
    format: cades.describe("CMS (EN 319 122-1)"),
    ...data,
    level: level("B-B"),
    hash,
    countersign: z.strictObject({
      signature: base64.describe("CMS over the same content"),
      signer: z.array(z.int().min(0)).min(1).max(8).default([0]).describe(
        "Whose signature is signed: the signer's position, and within it those of countersigners",
      ),
    }).describe("Countersigns a signature"),
  }),
]);

/** One row of the table. */
interface Method {
  summary: string;
  /** The grant that the origin needs; null: none. */
  scope: Scope | null;
  params: z.ZodObject | z.ZodUnion<readonly z.ZodType[]>;
  result: z.ZodType;
  example: { params: Record<string, unknown>; result: unknown };
}

const EXAMPLE_ID = "5f1b".repeat(16);
const EXAMPLE_CERTIFICATE = {
  id: EXAMPLE_ID,
  uri: "pkcs11:token=Officer%201;serial=1;id=%01",
  certificate: "MIIB",
  chain: ["MIIC"],
  subject: "CN=Anita Das,O=Finance Department,C=IN",
  commonName: "Anita Das",
  issuer: "CN=Example sub-CA,C=IN",
  serialNumber: "01",
  notBefore: "2026-01-01T00:00:00Z",
  notAfter: "2028-01-01T00:00:00Z",
  keyType: "RSA",
  keySize: 2048,
  class: "3",
  usable: true,
  reason: null,
};
const EXAMPLE_SIGNED = { certificate: "MIIB", algorithm: "RS256" };

export const METHODS = {
  "agent.info": {
    summary: "Name, version and platform of the agent.",
    scope: null,
    params: z.object({}),
    result: z.object({
      name: z.literal("dsign"),
      version: z.string(),
      protocol: z.int(),
      platform: z.string(),
    }),
    example: {
      params: {},
      result: { name: "dsign", version: "0.1.0", protocol: 2, platform: "linux" },
    },
  },
  "agent.prove": {
    summary:
      "Proves which agent this is: it signs the nonce, the calling site's origin and the port " +
      "at which it was called, by a key of its own. The SDK asks it before anything else.",
    scope: null,
    params: z.object({
      nonce: base64.length(44).describe("32 random bytes"),
    }),
    result: z.object({
      key: base64.describe("P-256, the uncompressed point; another one for every site"),
      signature: base64.describe(
        "ECDSA with SHA-256 (r and s, 32 bytes each) over `dsign agent proof 1`, origin, port and " +
          "nonce, with a line feed between each two",
      ),
      predecessors: z.array(z.object({
        key: base64,
        signature: base64.describe(
          "Over `dsign agent successor 1`, a line feed, and the next key of the list (of the last: " +
            "`key`), Base64",
        ),
      })).describe("Keys that this one has followed, the oldest first"),
    }),
    example: {
      params: { nonce: "MTIzNDU2NzgxMjM0NTY3ODEyMzQ1Njc4MTIzNDU2Nzg=" },
      result: { key: "MFkw", signature: "AAAA", predecessors: [] },
    },
  },
  "rpc.discover": {
    summary: "This contract as an OpenRPC document.",
    scope: null,
    params: z.object({}),
    result: z.record(z.string(), z.unknown()).describe("OpenRPC 1.x"),
    example: { params: {}, result: { openrpc: "1.3.2" } },
  },
  "origin.status": {
    summary: "The permissions of the calling site.",
    scope: null,
    params: z.object({}),
    result: z.object({
      origin: z.string(),
      scopes: z.array(Scope),
      expiresAt: isoDate.nullable().describe("null: no permission"),
    }),
    example: {
      params: {},
      result: { origin: "https://portal.example", scopes: [], expiresAt: null },
    },
  },
  "origin.request": {
    summary: "Asks the person to give the calling site these permissions.",
    scope: null,
    params: z.object({ scopes: z.array(Scope).min(1).max(3), ...asking }),
    result: z.object({ origin: z.string(), scopes: z.array(Scope), expiresAt: isoDate }),
    example: {
      params: { scopes: ["certificates", "sign"], purpose: "Sign treasury bills" },
      result: {
        origin: "https://portal.example",
        scopes: ["certificates", "sign"],
        expiresAt: "2027-11-21T00:00:00Z",
      },
    },
  },
  "token.list": {
    summary: "The inserted tokens, and drivers that have a problem.",
    scope: "certificates",
    params: z.object({}),
    result: z.object({ tokens: z.array(Token), problems: z.array(Problem) }),
    example: {
      params: {},
      result: {
        tokens: [{
          uri: "pkcs11:token=Officer%201;serial=1",
          label: "Officer 1",
          manufacturer: "SoftHSM project",
          model: "SoftHSM v2",
          serialNumber: "1",
          driver: "SoftHSM2",
          state: "ready",
          protectedAuthenticationPath: false,
        }],
        problems: [],
      },
    },
  },
  "certificate.list": {
    summary: "Certificates on the inserted tokens, those usable for signing first.",
    scope: "certificates",
    params: z.object({}),
    result: z.object({ certificates: z.array(Certificate), problems: z.array(Problem) }),
    example: { params: {}, result: { certificates: [EXAMPLE_CERTIFICATE], problems: [] } },
  },
  "certificate.choose": {
    summary: "Asks the person to choose one of the usable certificates.",
    scope: "certificates",
    params: z.object(asking),
    result: Certificate,
    example: { params: {}, result: EXAMPLE_CERTIFICATE },
  },
  "document.open": {
    summary: "Opens a document. Its bytes follow in binary frames: 4-byte handle (big-endian), " +
      "then at most 1 MiB; no more than `window` bytes may be unacknowledged (document.ack). " +
      "PDFs, known by their bytes (at most 1 GiB), are kept until they are closed; others are only " +
      "hashed.",
    scope: "sign",
    params: z.object({
      name: z.string().min(1).max(255).describe("File name, as shown to the person"),
      mediaType: z.string().max(127).default("application/octet-stream"),
      size: z.int().min(0).max(LIMITS.documentSize).describe("Bytes"),
      hash,
      keep: z.boolean().default(false).describe(
        "Keep the document, e.g. to verify it (at most 1 GiB)",
      ),
    }),
    result: z.object({
      document: z.int().describe("Handle, valid in this connection"),
      chunk: z.int().describe("Most bytes of document in one frame"),
      window: z.int().describe("Most unacknowledged bytes"),
    }),
    example: {
      params: { name: "order.txt", mediaType: "text/plain", size: 42 },
      result: { document: 1, chunk: LIMITS.chunk, window: LIMITS.window },
    },
  },
  "document.read": {
    summary: "Reads what signing appends to a PDF: the bytes come in one binary frame (4-byte " +
      "handle, then bytes) before the reply.",
    scope: null,
    params: z.object({
      document: z.int().describe("Handle of a signed PDF"),
      offset: z.int().min(0),
      length: z.int().min(1).max(LIMITS.chunk),
    }),
    result: z.object({ length: z.int().describe("Bytes in the frame; fewer only at the end") }),
    example: {
      params: { document: 1, offset: 0, length: LIMITS.chunk },
      result: { length: 20345 },
    },
  },
  "document.close": {
    summary: "Forgets a document.",
    scope: null,
    params: z.object({ document: z.int() }),
    result: z.object({}),
    example: { params: { document: 1 }, result: {} },
  },
  "sign.document": {
    summary: "Signs an open document: a PDF as PAdES (EN 319 142-1) or, whatever its kind, as " +
      "detached CAdES (EN 319 122-1), or with others in a container (EN 319 162-1). Of a PDF the result " +
      "is what is to be appended to it, of a container all of it.",
    scope: "sign",
    params: z.object({
      document: z.int(),
      format: z.enum(["cades", "pades", "xades"]).default("cades").describe(
        "xades: in a container",
      ),
      level: cadesLevel,
      container: container.describe(
        "Documents (opened with `keep`, together 64 MiB at most) and signature go into a container: asic-s " +
          "one, asic-e several. A document that is such a container itself gets one more signature",
      ),
      more: z.array(z.int()).max(LIMITS.openDocuments - 1).default([]).describe(
        "Further documents for the container",
      ),
      pdf: PdfOptions.optional().describe("For pades"),
      certificate,
      ...asking,
    }),
    result: z.union([
      z.object({
        format: z.literal("cades"),
        signature: base64.describe("CMS SignedData, DER"),
        digest: base64.describe("The document's digest, by the hash of the signature"),
        ...signed,
      }),
      z.object({ format: z.literal("pades"), ...signedPdf, ...signed }),
      z.object({
        format: z.enum(["asic-s", "asic-e"]),
        appended: z.int().describe("Bytes of the container; see document.read"),
        ...signed,
      }),
    ]),
    example: {
      params: { document: 1, format: "pades", purpose: "Sanction order 7" },
      result: {
        format: "pades",
        appended: 20345,
        field: "Signature1",
        ...EXAMPLE_SIGNED,
      },
    },
  },
  "sign.batch": {
    summary:
      "Asks the person, once, to sign many documents, of which the list is shown; then each is " +
      "opened (with SHA-256) and signed by batch.sign. While the person looks at the list, " +
      "batch.wanted asks for documents to show.",
    scope: "sign",
    params: z.object({
      items: z.array(BatchItem).min(1).max(10_000),
      format: z.enum(["pades", "cades"]).default("pades"),
      level: cadesLevel,
      pdf: PdfOptions.optional().describe("For pades"),
      certificate,
      ...asking,
    }),
    result: z.object({
      batch: z.int().describe("Handle, valid in this connection"),
      manifest: fingerprint.describe(
        "SHA-256 of `items` (with their media types) in canonical JSON (RFC 8785)",
      ),
      signed: z.array(z.int()).describe(
        "Items that were signed in an earlier attempt; batch.sign gives their results again",
      ),
      ...signed,
    }),
    example: {
      params: {
        items: [{ name: "order.pdf", size: 51200, sha256: EXAMPLE_ID }],
        purpose: "Orders of November",
      },
      result: { batch: 1, manifest: EXAMPLE_ID, signed: [], ...EXAMPLE_SIGNED },
    },
  },
  "batch.show": {
    summary:
      "Sends a document that batch.wanted asked for, opened with keep unless it is a PDF. D-Sign closes it.",
    scope: "sign",
    params: z.object({
      id: z.union([z.string(), z.int()]).describe("id from batch.wanted"),
      item: z.int().min(0),
      document: z.int(),
    }),
    result: z.object({}),
    example: { params: { id: 7, item: 0, document: 3 }, result: {} },
  },
  "batch.sign": {
    summary:
      "Signs one document of a batch, no other than its entry names, and closes it. Of pades, what " +
      "is to be appended comes before the reply in binary frames (the document's handle, then " +
      "bytes). What is signed already is not signed again.",
    scope: "sign",
    params: z.object({
      batch: z.int(),
      item: z.int().min(0).describe("Position in the list, counted from 0"),
      document: z.int(),
    }),
    result: z.union([
      z.object({
        format: z.literal("pades"),
        appended: z.int().describe("Number of bytes to append to the document"),
        field: signedPdf.field,
        resumed: z.boolean(),
      }),
      z.object({
        format: z.literal("cades"),
        signature: base64.describe("CMS SignedData, DER"),
        resumed: z.boolean().describe("It was already signed in an earlier attempt"),
      }),
    ]),
    example: {
      params: { batch: 1, item: 0, document: 4 },
      result: { format: "pades", appended: 20345, field: "Signature1", resumed: false },
    },
  },
  "batch.close": {
    summary:
      "Ends a batch; the token is locked again. It can be gone on with by another sign.batch " +
      "with the same list.",
    scope: null,
    params: z.object({
      batch: z.int(),
      forget: z.boolean().default(false).describe("All results have been received and saved"),
    }),
    result: z.object({}),
    example: { params: { batch: 1, forget: true }, result: {} },
  },
  "sign.data": {
    summary:
      "Signs text, JSON (canonicalised by RFC 8785) or bytes as CAdES, XAdES, JAdES, or raw. " +
      "Several people sign the same content with `cosign`, and each other's signatures with `countersign`.",
    scope: "sign",
    params: SignData,
    result: z.object({
      signature: base64.describe(
        "CMS in DER, signed XML, JWS in JSON, or the bare signature value",
      ),
      content: base64.describe("Exactly the signed bytes"),
      ...signed,
    }),
    example: {
      params: { content: { json: { bill: 7, amount: "1200.00" } }, purpose: "Bill 7" },
      result: { signature: "MIIB", content: "e30=", ...EXAMPLE_SIGNED },
    },
  },
  "route.create": {
    summary:
      "Creates a signing route: who must sign the content, and in which order. The person signs the route.",
    scope: "sign",
    params: z.object({
      content,
      name: z.string().min(1).max(255),
      steps: z.array(z.strictObject({
        role: z.string().min(1).max(100),
        signers: z.array(z.strictObject({
          name: z.string().min(1).max(200),
          certificate: fingerprint.optional(),
          person: z.string().min(1).max(200).optional().describe(
            "The subject's serialNumber: in India the SHA-256 of the PAN, hexadecimal",
          ),
        })).min(1).max(50),
        quorum: z.int().min(1).describe("How many of them must sign"),
      })).min(1).max(50),
      certificate,
      ...asking,
    }),
    result: z.object({ route: z.string().describe("The route file, JSON"), ...signed }),
    example: {
      params: {
        content: { json: { bill: 7 } },
        name: "bill.json",
        steps: [{
          role: "Maker",
          signers: [{ name: "Anita Das", certificate: EXAMPLE_ID }],
          quorum: 1,
        }],
      },
      result: { route: "{}", ...EXAMPLE_SIGNED },
    },
  },
  "route.sign": {
    summary:
      "Signs on a route. Fails with out_of_turn, and who is next, if it is not the person's turn.",
    scope: "sign",
    params: z.object({ route: z.string().max(4 << 20), content, certificate, ...asking }),
    result: z.object({
      route: z.string().describe("The route file with this signature"),
      role: z.string(),
      status: RouteReport,
      ...signed,
    }),
    example: {
      params: { route: "{}", content: { json: { bill: 7 } } },
      result: {
        route: "{}",
        role: "Checker",
        status: {
          content: { name: "bill.json", sha256: EXAMPLE_ID },
          isComplete: true,
          isSetUpProven: true,
          steps: [],
          next: null,
        },
        ...EXAMPLE_SIGNED,
      },
    },
  },
  "route.status": {
    summary: "Verifies a whole route file, and tells who has signed and who is next.",
    scope: null,
    params: z.object({ route: z.string().max(4 << 20) }),
    result: RouteReport.extend({ trial: ofTrial }),
    example: {
      params: { route: "{}" },
      result: {
        content: { name: "bill.json", sha256: EXAMPLE_ID },
        isComplete: false,
        isSetUpProven: true,
        steps: [{
          role: "Maker",
          quorum: 1,
          signed: [],
          unproven: [],
          open: ["Anita Das"],
          isDone: false,
        }],
        next: 0,
      },
    },
  },
  "signature.verify": {
    summary: "Tells what the signatures of an open document (`keep`) are worth: PDF, CMS, XML, " +
      "JSON, signing routes.",
    scope: "sign",
    params: z.object({
      document: z.int(),
      content: z.int().optional().describe(
        "The content of a detached signature, opened with `keep`",
      ),
      online: z.boolean().default(false).describe(
        "Whether the authorities' services are asked about revocation",
      ),
      pan: z.string().max(20).optional().describe("PAN of the required signer"),
    }),
    result: VerificationReport.extend({ trial: ofTrial }),
    example: {
      params: { document: 1 },
      result: {
        version: 1,
        format: "pdf",
        verifiedAt: "2026-01-01T00:00:00Z",
        indication: "INDETERMINATE",
        findings: [],
        signatures: [],
        route: null,
      },
    },
  },
  "signature.extend": {
    summary:
      "Raises the signatures of an open document (`keep`; PDF, CMS, XML, JSON) to a level, or adds " +
      "another archive timestamp (B-LTA). Asks nobody and needs no key; signed bytes never change. " +
      "The result is read by document.read.",
    scope: "sign",
    params: z.object({
      document: z.int(),
      content: z.int().optional().describe(
        "The content of a detached signature, opened with `keep`",
      ),
      level: z.enum(["B-T", "B-LT", "B-LTA"]),
    }),
    result: z.object({
      part: z.enum(["appended", "whole"]).describe(
        "appended: to be appended to the PDF; whole: the new file",
      ),
      length: z.int().describe("Bytes; 0 if a PDF has the level already"),
    }),
    example: {
      params: { document: 1, level: "B-LTA" },
      result: { part: "appended", length: 30412 },
    },
  },
  "auth.authenticate": {
    summary: "Signs the person in to the calling site: a Web eID authentication token over the " +
      "site's origin, as the browser attests it, and a nonce of its server.",
    scope: "certificates",
    params: z.object({
      nonce: z.string().min(44).max(128).regex(/^[!-~]+$/, "must be printable ASCII, no blanks")
        .describe(
          "Made by the server for this one time: at least 256 random bits, Base64",
        ),
      certificate,
      anyPurpose: z.literal(true).optional().describe(
        "Takes every certificate that can sign, marked for logging in or not, as many for documents are: for " +
          "servers with checks that allow it. Web eID's libraries do not",
      ),
    }),
    result: z.object({
      format: z.literal("web-eid:1.0"),
      unverifiedCertificate: base64.describe("The person's certificate, DER, Base64"),
      algorithm: z.string().describe("JWA name: RS256, ES256, ES384, …"),
      signature: base64.describe("Over hash(origin) || hash(nonce); ECDSA: r || s"),
      appVersion: z.string(),
      trial,
    }),
    example: {
      params: { nonce: "MTIzNDU2NzgxMjM0NTY3ODEyMzQ1Njc4MTIzNDU2Nzg=" },
      result: {
        format: "web-eid:1.0",
        unverifiedCertificate: "MIIB",
        algorithm: "RS256",
        signature: "AAAA",
        appVersion: "urn:dsign:0.1.0",
      },
    },
  },
  "sign.hash": {
    summary:
      "Signs digests of content that D-Sign cannot show. Needs its own permission; consent says so.",
    scope: "sign_hash",
    params: z.object({
      digests: z.array(base64).min(1).max(1000),
      certificate,
      hash: legacyHash,
      ...asking,
    }),
    result: z.object({
      signatures: z.array(base64).describe("Bare signature values, in the digests' order"),
      ...signed,
    }),
    example: {
      params: { digests: ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="] },
      result: { signatures: ["AAAA"], ...EXAMPLE_SIGNED },
    },
  },
} as const satisfies Record<string, Method>;

export type MethodName = keyof typeof METHODS;
/** Parameters as a caller sends them. */
export type Params<M extends MethodName> = z.input<typeof METHODS[M]["params"]>;
/** Parameters as a handler gets them, with defaults filled in. */
export type ParsedParams<M extends MethodName> = z.output<typeof METHODS[M]["params"]>;
export type Result<M extends MethodName> = z.output<typeof METHODS[M]["result"]>;

/** Notifications of the agent, and the only one of clients. */
export const NOTIFICATIONS = {
  "token.changed": {
    summary: "A token was inserted or removed.",
    params: z.object({}),
  },
  "request.progress": {
    summary: "Progress of a request.",
    params: z.object({
      id: z.union([z.string(), z.int()]).describe("The request's id"),
      phase: z.enum(["waiting_for_person", "signing"]),
      done: z.int().optional(),
      total: z.int().optional(),
    }),
  },
  "batch.wanted": {
    summary: "The person wants to see a document of the batch in sign.batch.",
    params: z.object({
      id: z.union([z.string(), z.int()]).describe("The request's id"),
      item: z.int(),
    }),
  },
  "document.ack": {
    summary: "Bytes of a document received so far.",
    params: z.object({ document: z.int(), received: z.int() }),
  },
  "$/cancelRequest": {
    summary: "From the client: cancel the request with this id.",
    params: z.object({ id: z.union([z.string(), z.int()]) }),
  },
} as const;
export type NotificationName = keyof typeof NOTIFICATIONS;
export type NotificationParams<N extends NotificationName> = z.output<
  typeof NOTIFICATIONS[N]["params"]
>;

/** `GET /status`: answered to every page, so that it can find out why it cannot connect. Nothing secret. */
export const Status = z.object({
  name: z.literal("dsign"),
  version: z.string(),
  protocol: z.int(),
  port: z.int().describe("Port for ws://"),
  securePort: z.int().nullable().describe("Port for wss://; null: none"),
  trial: trial.describe("A trial agent (`dsign trial`): its signatures are worth nothing"),
});
export type Status = z.infer<typeof Status>;
