/**
 * Our own additions to the Cloud Signature Consortium's API: the portal's and the administrator's REST calls, and the talk
 * between the service and its own page.
 */
import * as z from "zod";

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/, "Invalid parameter userID");
/** Text for certificates, mails and XML: no line breaks and no direction marks. */
const line = (name: string, max = 64) =>
  z.string().max(max).regex(
    /^[^\p{Cc}\u2028-\u202e\u2066-\u2069\ufffe\uffff]*$/u,
    `Invalid parameter ${name}`,
  );
const reason = z.string().min(3).max(500);

/** A person's credential. */
export const NewCredential = z.strictObject({
  kind: z.enum(["one-time", "stored"]).default("one-time"),
  mode: z.enum(["oauth2code", "explicit"]).default("oauth2code")
    .describe("oauth2code: PIN and OTP are typed into the service's own page (SCAL2)"),
  keyType: z.enum(["p-256", "p-384", "rsa-2048", "rsa-3072"]).optional(),
});
export type NewCredential = z.output<typeof NewCredential>;

/** A person to be enrolled. */
export const NewPerson = z.strictObject({
  userID: id,
  name: line("name").min(1),
  role: line("role").optional().describe("As in Executive Engineer; stands in certificates"),
  email: z.email().max(254).optional(),
  phone: z.string().regex(/^\+[1-9]\d{6,14}$/, "Invalid parameter phone").optional()
    .describe("E.164"),
  language: z.enum(["en", "bn", "hi"]).default("en"),
  otp: z.enum(["mail", "sms", "totp"]).default("mail").describe("How the OTP comes"),
  credential: NewCredential.prefault({}),
}).refine(({ otp, email }) => otp !== "mail" || email !== undefined, {
  error: "Missing (or invalid type) string parameter email",
  path: ["email"],
}).refine(({ otp, phone }) => otp !== "sms" || phone !== undefined, {
  error: "Missing (or invalid type) string parameter phone",
  path: ["phone"],
});
export type NewPerson = z.output<typeof NewPerson>;

/** A person as the administrator sees one. */
export const PersonView = z.object({
  userID: z.string(),
  name: z.string(),
  role: z.string().optional(),
  email: z.string().optional(),
  phone: z.string().optional(),
  language: z.enum(["en", "bn", "hi"]),
  otp: z.enum(["mail", "sms", "totp"]),
  state: z.enum(["invited", "ready", "locked"]),
  reason: z.string().optional().describe("Why an administrator locked"),
  credentials: z.array(z.object({
    credentialID: z.string(),
    kind: z.enum(["one-time", "stored"]),
    mode: z.enum(["oauth2code", "explicit"]),
    keyType: z.string(),
  })),
});
export type PersonView = z.output<typeof PersonView>;

const enrolment = z.union([
  z.object({ sent: z.enum(["mail", "sms"]) }),
  z.object({ link: z.string().describe("Works once; hand it to the person and to nobody else") }),
]);

const certificate = z.object({
  serialNumber: z.string().describe("Hex"),
  userID: z.string(),
  certificate: z.string().describe("DER, Base64"),
  notAfter: z.string(),
  revokedAt: z.string().optional(),
  reason: z.string().optional(),
});

/** Parameters of `POST /portal/v1/esign`, in its address. */
export const NewEsign = z.strictObject({
  name: line("name", 200).min(1).default("document.pdf").describe("Of the document"),
  purpose: line("purpose", 200).min(1)
    .describe("What the person is told that it is; the provider shows its first 50 characters"),
  reason: line("reason", 200).optional().describe("Stands in the signature"),
  location: line("location", 100).optional().describe("Stands in the signature"),
  redirect_uri: z.string({ error: "Missing (or invalid type) string parameter redirect_uri" })
    .max(2048).describe("Where the browser goes in the end: one of the client's"),
  state: z.string().max(512).optional().describe("Comes back with the browser"),
  lang: z.enum(["en", "bn", "hi"], { error: "Invalid parameter lang" }).optional(),
});

/** REST calls for clients with the right `admin`, but for `documents` and `esign`, which every client has. */
export const PORTAL_METHODS = {
  "GET /portal/v1/persons": {
    summary: "All persons",
    params: null,
    result: z.object({ persons: z.array(PersonView) }),
  },
  "POST /portal/v1/persons": {
    summary: "Enrols a person, who gets a link to set the PIN",
    params: NewPerson,
    result: z.object({ credentialID: z.string(), enrolment }),
  },
  "POST /portal/v1/persons/{userID}/role": {
    summary: "Another role, for the certificates to come; a stored credential keeps its own",
    params: z.strictObject({ role: line("role") }),
    result: z.object({}),
  },
  "POST /portal/v1/persons/{userID}/credentials": {
    summary: "A further credential: where a stored one's certificate has expired or was revoked",
    params: NewCredential,
    result: z.object({ credentialID: z.string() }),
  },
  "POST /portal/v1/persons/{userID}/lock": {
    summary: "Locks a person",
    params: z.strictObject({ reason }),
    result: z.object({}),
  },
  "POST /portal/v1/persons/{userID}/unlock": {
    summary: "Unlocks, after it was checked again who the person is; the PIN is set anew",
    params: z.strictObject({ proof: reason.describe("How it was checked") }),
    result: z.object({ enrolment }),
  },
  "POST /portal/v1/persons/{userID}/reset-pin": {
    summary: "A new link to set the PIN, after it was checked again who the person is",
    params: z.strictObject({ proof: reason.describe("How it was checked") }),
    result: z.object({ enrolment }),
  },
  "GET /portal/v1/persons/{userID}/certificates": {
    summary: "A person's certificates, the newest first",
    params: null,
    result: z.object({ certificates: z.array(certificate) }),
  },
  "POST /portal/v1/certificates/{serialNumber}/revoke": {
    summary: "Revokes a certificate",
    params: z.strictObject({
      reason: z.enum([
        "keyCompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "privilegeWithdrawn",
      ]),
    }),
    result: z.object({ revoked: z.boolean() }),
  },
  "GET /portal/v1/audit": {
    summary: "The audit, one JSON object a line; `?from=` a line's number",
    params: null,
    result: z.string(),
  },
  "GET /portal/v1/audit/check": {
    summary: "Whether every line of the audit stands in its signed log",
    params: null,
    result: z.object({
      ok: z.boolean(),
      lines: z.int(),
      root: z.string().describe("Hex: of the tree of all lines (RFC 6962)"),
      problem: z.string().optional(),
    }),
  },
  "GET /portal/v1/receipts/{entry}": {
    summary:
      "The receipt of a signature that was promised; for its client, and for administrators' of any line",
    params: null,
    result: z.string(),
  },
  "POST /portal/v1/documents": {
    summary:
      "Brings a document to be shown to its signatory: its bytes as the body, its type as Content-Type, its name as `?name=`. " +
      "A PDF that was prepared for a signature is known by the digest of what its ByteRange covers",
    params: null,
    result: z.object({
      hashes: z.object({
        hashAlgorithmOID: z.string(),
        document: z.string().describe("Base64: of all bytes"),
        byteRange: z.string().optional().describe("Base64: of what the signature covers"),
      }),
    }),
  },
  "POST /portal/v1/esign": {
    summary:
      "Begins a signature by way of the eSign service provider, where one is configured: the PDF's bytes as the body. " +
      "The person's browser goes to `location`, and comes back to `redirect_uri` with `transaction` and `state`",
    params: null,
    result: z.object({
      transaction: z.string(),
      location: z.string(),
      expires: z.string().describe("RFC 3339"),
    }),
  },
  "GET /portal/v1/esign/{transaction}": {
    summary: "What became of a signature by way of the eSign service provider",
    params: null,
    result: z.object({
      transaction: z.string(),
      kind: z.literal("esign").describe("No departmental PIN/OTP signature and no token DSC"),
      state: z.enum(["waiting", "signed", "failed"]),
      expires: z.string().describe("RFC 3339: until when it waits, or is kept"),
      signer: z.string().optional().describe(
        "Common name in the certificate. Whether it is the person who was to sign, the portal decides",
      ),
      certificate: z.string().optional().describe("DER, Base64"),
      timestamped: z.boolean().optional()
        .describe("Without a timestamp the signature can be verified for half an hour only"),
      longTerm: z.boolean().optional()
        .describe("Whether what a later validation needs stands in the document"),
      response: z.string().optional().describe("The provider's answer, Base64: evidence"),
      receipt: z.string().optional().describe(
        "Once it is signed: the audit's line with its proof and the log's checkpoint (c2sp.org/tlog-proof)",
      ),
      error: z.object({ code: z.string(), message: z.string() }).optional()
        .describe("As ESP-944, with a sentence for the person"),
    }),
  },
  "GET /portal/v1/esign/{transaction}/document": {
    summary: "The PDF with the eSign signature in it",
    params: null,
    result: z.string(),
  },
} as const;

/** A document on the service's page. */
export interface OtpDocument {
  label: string;
  /** Hex. */
  hash: string;
  /** Beginning of it in groups of four, as the message with the OTP names it. */
  hashPrefix: string;
  /** How the document is shown, judged by its bytes. Absent: the person signs a digest blind. */
  shown?: {
    name: string;
    size: number;
    /** `GET /otp/document?index=` gives the bytes. */
    as: "pdf" | "text" | "nothing";
    /** Of a text: the text itself, or its beginning. */
    text?: string;
    truncated?: boolean;
  };
}

/** Where the signature will be seen on a page of a document: `GET /otp/places?index=`. */
export interface OtpPlace {
  /** From 1. */
  page: number;
  /** Left, bottom, right, top in points from the lower left corner of the page as it is displayed. */
  box: [number, number, number, number];
  /** It takes more than a tenth of the page. */
  large: boolean;
}

/** Destination of an OTP, and when the next one may be sent. */
export interface OtpWay {
  way: "mail" | "sms" | "totp";
  /** How many digits one that is sent has. */
  digits: number;
  to?: string;
  resendAt?: string;
  sendsLeft: number;
}

/** What is common to views in which an OTP is typed. Times are RFC 3339, and the service's: a computer's clock may be wrong. */
interface OtpAsked {
  language: string;
  service: string;
  otp: OtpWay;
  triesLeft: number;
  deadline: string;
  now: string;
}

/** The page's view: by its address `/otp#TICKET`, which it sends as `Authorization: Bearer TICKET`. */
export type OtpView =
  | OtpAsked & {
    kind: "sign";
    client: string;
    /** Any program may ask in the client's name: it is public. */
    anybody: boolean;
    /** Where "back to the portal" leads once it is over. */
    portal: string;
    purpose: string;
    hashAlgorithm: string;
    documents: OtpDocument[];
    signer: { name: string; role?: string; organization: string };
    credential: { kind: "one-time" | "stored"; policy: string };
    /** The text consented to, by language. */
    consent: Record<"en" | "bn" | "hi", string>;
  }
  | {
    kind: "sign_in";
    language: string;
    service: string;
    client: string;
    anybody: boolean;
    portal: string;
    /** Something is to be signed afterwards. */
    sign: boolean;
  }
  | OtpAsked & { kind: "change" }
  | {
    kind: "enrol";
    language: string;
    service: string;
    name: string;
    totp?: { uri: string; svg: string };
  };

/** `POST /otp/send` */
export type OtpSent =
  | { ok: true; resendAt: string; sendsLeft: number }
  | {
    ok: false;
    code:
      | "too_soon"
      | "too_many"
      | "not_delivered"
      | "wait"
      | "wrong"
      | "locked"
      | "ended";
    resendAt?: string;
  };

/** `POST /otp/answer` */
export type OtpReply =
  | { decision: "reject" }
  | {
    decision: "approve";
    pin: string;
    otp: string;
    /** In which the consent was shown: its hash is kept as evidence. */
    language: "en" | "bn" | "hi";
  }
  | { decision: "sign_in"; userID: string; pin: string }
  | { decision: "set_pin"; pin: string; otp?: string }
  /** To change the PIN: with the present one first; the answer holds the ticket for what follows. */
  | { decision: "start_change"; userID: string; pin: string }
  | { decision: "change_pin"; otp: string; newPin: string };

export type OtpAnswered =
  | {
    ok: true;
    redirect?: string;
    /** Of what the page shows next. */
    ticket?: string;
  }
  | {
    ok: false;
    code: "wrong" | "wait" | "locked" | "ended" | "weak_pin" | "too_soon" | "too_many";
    triesLeft?: number;
    /** When the next answer is looked at: RFC 3339. */
    waitUntil?: string;
    /** Where it is over: back to the portal. */
    redirect?: string;
  };
