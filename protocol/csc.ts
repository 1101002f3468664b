/**
 * The contract of the PIN/OTP service: the Cloud Signature Consortium's API, version 2.0, with the names of 1.0.4 beside
 * it, and what is ours: the portal's REST calls and the talk between the service and its own page. Each method stands once,
 * with its parameters, its result and an example; `csc_openapi.ts` makes the OpenAPI document from this table.
 *
 * If a schema has no text for a fault, {@linkcode invalid} writes one in the specification's way.
 */
import * as z from "zod";
import { CSC_ERRORS } from "./csc_errors.ts";

/** Versions of the specification that are spoken, by the folder of their addresses. */
export const CSC_SPECS = { v1: "1.0.4.0", v2: "2.0.0.2", "v2.2": "2.2.0.0" } as const;
export type CscVersion = keyof typeof CSC_SPECS;

/** Types of `authorization_details` (RFC 9396) for a credential: that of 2.0, and that of 2.2. */
export const DETAILS = {
  "v2": "credential",
  "v2.2": "https://cloudsignatureconsortium.org/2025/credential",
} as const;

/** What a digest in a request may be of: the bytes to be signed, or the document that will be signed. */
export const HASH_TYPES = ["dtbsr", "sodr"] as const;

/** Object identifiers of the algorithms that are signed with. */
export const OIDS = {
  sha256: "2.16.840.1.101.3.4.2.1",
  sha384: "2.16.840.1.101.3.4.2.2",
  sha512: "2.16.840.1.101.3.4.2.3",
  rsaEncryption: "1.2.840.113549.1.1.1",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  sha384WithRsa: "1.2.840.113549.1.1.12",
  sha512WithRsa: "1.2.840.113549.1.1.13",
  ecPublicKey: "1.2.840.10045.2.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  ecdsaWithSha512: "1.2.840.10045.4.3.4",
} as const;

/** Limits of one authorization. */
export const CSC_LIMITS = {
  /** Signatures of one authorization (`multisign`). */
  signatures: 10,
  /** Seconds that an authorization lives, from its request to its last signature. */
  transaction: 600,
  /** Bytes of a request's body. */
  body: 32 * 1024 * 1024,
  /** Bytes of one document. */
  document: 16 * 1024 * 1024,
} as const;

/** The body of every failed answer (§10.2). */
export const CscFailure = z.object({ error: z.string(), error_description: z.string() });

type Issue = z.core.$ZodRawIssue;

const nameOf = ({ path }: Issue) => path?.findLast((part) => typeof part === "string") ?? "";

/**
 * What is wrong with a parameter, in the specification's way, where its schema has no text of its own: the `error` with
 * which parameters are parsed.
 */
export const invalid = (issue: Issue): string =>
  `Invalid parameter ${issue.code === "unrecognized_keys" ? issue.keys[0] : nameOf(issue)}`;

const isMissing = (issue: Issue) =>
  issue.code === "invalid_type" || issue.code === "too_small" && issue.origin === "string";

/** For what is required; the rest is left to {@linkcode invalid}. */
const missing = {
  error: (issue: Issue) => {
    if (!isMissing(issue)) return undefined;
    const type = String(issue.expected ?? "string").replace(/^(?:int|number)$/, "integer");
    return `Missing (or invalid type) ${type} parameter ${nameOf(issue)}`;
  },
};

/** A required string. */
const text = (max = 255) => z.string(missing).min(1).max(max);
const maybe = (max = 255) => z.string().max(max).optional();
const flag = z.boolean().default(false);
const TOO_MANY = CSC_ERRORS.too_many_signatures[2];
/** At most as many as one authorization has signatures. */
const several = <T extends z.ZodType>(each: T, error: string) =>
  z.array(each, error).max(CSC_LIMITS.signatures, TOO_MANY);

const clientData = maybe(4096).describe("The caller's own reference");
const lang = maybe(35).describe("BCP 47");
const credentialID = text();
const digest = (name = "hash") =>
  z.base64(`Invalid Base64 ${name} string parameter`).max(88, CSC_ERRORS.hash_length[2]);
const digests = (name = "hash") =>
  several(digest(name), `Missing (or invalid type) array parameter ${name}`)
    .min(1, "Empty hash array")
    .describe("Base64 of digests, in the order in which they will be signed");
const hashes = digests();
const hashAlgorithmOID = maybe().describe("Default: SHA-256");
const numSignatures = z.int(missing)
  .min(1, "Invalid value for parameter numSignatures").max(CSC_LIMITS.signatures, TOO_MANY);
/** Information about a credential. */
const shown = {
  certificates: z.enum(["none", "single", "chain"]).default("single"),
  certInfo: flag,
  authInfo: flag,
};
const description = maybe(500).describe("Purpose; shown to the signatory");

const base64 = z.string();

/** How one factor is asked for (§8.3). */
const AuthObject = z.object({
  type: z.literal("Password"),
  id: z.enum(["PIN", "OTP"]),
  format: z.literal("N").describe("Digits"),
  generator: z.string().optional(),
  label: z.string(),
  description: z.string(),
});

/** A credential (§11.4). */
export const CredentialInfo = z.object({
  description: z.string().optional(),
  signatureQualifier: z.string().optional(),
  key: z.object({
    status: z.enum(["enabled", "disabled"]),
    algo: z.array(z.string()),
    len: z.int(),
    curve: z.string().optional(),
  }),
  cert: z.object({
    status: z.enum(["valid", "expired", "revoked", "suspended"]).optional(),
    certificates: z.array(base64).optional()
      .describe("Empty for a one-time credential, whose certificate is made with the signature"),
    issuerDN: z.string().optional(),
    serialNumber: z.string().optional(),
    subjectDN: z.string().optional(),
    validFrom: z.string().optional(),
    validTo: z.string().optional(),
  }),
  auth: z.object({
    mode: z.enum(["explicit", "oauth2code"]),
    expression: z.string().optional(),
    objects: z.array(AuthObject).optional(),
  }),
  SCAL: z.enum(["1", "2"]),
  multisign: z.int().min(1),
  lang: z.string().optional(),
});
export type CredentialInfo = z.output<typeof CredentialInfo>;

const sad = z.object({ SAD: z.string(), expiresIn: z.int().describe("Seconds") });

const factor = z.object({
  id: z.enum(["PIN", "OTP"], { error: "Invalid parameter authData" }),
  value: text(64),
});
const authData = z.array(factor, missing).max(2);

/** In both spellings of the specification. */
const LEVELS = ["AdES", "Ades"].flatMap((name) =>
  (["B-B", "B-T", "B-LT", "B-LTA"] as const).map((level) => `${name}-${level}` as const)
);
const signed = {
  signature_format: z.enum(["C", "P"], {
    error: ({ input }) =>
      typeof input === "string"
        ? undefined
        : "Missing (or invalid type) string parameter signature_format",
  }).describe("C: CAdES, P: PAdES"),
  conformance_level: z.enum(LEVELS).default("AdES-B-B"),
  signAlgo: maybe().describe("Default: what the credential's key does with the hash"),
  signed_envelope_property: z.enum(["Detached", "Attached", "Revision", "Certification"])
    .optional().describe("Default: Attached (C), Revision (P), so that others can sign after it"),
};

const operationMode = z.literal("S").default("S").describe("Synchronous; nothing else is offered");

/** Of the examples. */
const HASH = "sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI=";
const SAD = "_TiHRG-bAH3XlFQZ3ndFhkXf9P24";
const CREDENTIAL = "GX0112348";

const DOCUMENTS = "Invalid Base64 documents string parameter";
const REFRESH_TOKEN = "Invalid string parameter: refresh_token";

/** Ours: what shows that the signature stands in the department's log. One of both comes with each signature. */
const receipted = {
  receipt: z.string().optional()
    .describe("The audit's line with its proof and the log's checkpoint (c2sp.org/tlog-proof)"),
  receiptPromise: z.object({
    promise: z.string().describe("Signed by the log's key: the line's SHA-256, and until when"),
    path: z.string().describe("Where the receipt will be"),
    due: z.string(),
  }).optional().describe("Where the receipt takes longer than 200 ms"),
};

/** The methods of the API. `access`: whose token is asked for. */
export const CSC_METHODS = {
  "info": {
    summary: "What this service is and does",
    access: "anyone",
    params: z.object({ lang }),
    result: z.object({
      specs: z.string(),
      name: z.string().max(255),
      logo: z.string(),
      region: z.string().length(2),
      lang: z.string(),
      description: z.string().max(255),
      authType: z.array(z.string()),
      oauth2: z.string().optional().describe("In 1.0.4 and 2.0"),
      oauth2Servers: z.array(z.object({
        label: z.string(),
        issuerIdentifier: z.string().describe("RFC 8414"),
        authType: z.array(z.string()),
        supportsRar: z.boolean(),
      })).optional().describe("In 2.2, in the place of oauth2 and supportsRar"),
      supportsRar: z.boolean().optional(),
      supportedHashTypes: z.array(z.string()),
      asynchronousOperationMode: z.boolean(),
      methods: z.array(z.string()),
      validationInfo: z.boolean(),
      signAlgorithms: z.object({ algos: z.array(z.string()) }),
      signature_formats: z.object({
        formats: z.array(z.string()),
        envelope_properties: z.array(z.array(z.string())),
      }),
      conformance_levels: z.array(z.string()),
    }),
    example: {},
  },
  "auth/login": {
    summary: "A service token for HTTP Basic authentication, or for a refresh token",
    access: "anyone",
    params: z.object({
      refresh_token: z.string(REFRESH_TOKEN).max(255, REFRESH_TOKEN).optional(),
      rememberMe: flag,
      clientData,
    }),
    result: z.object({
      access_token: z.string(),
      refresh_token: z.string().optional(),
      expires_in: z.int(),
    }),
    example: { rememberMe: true },
  },
  "auth/revoke": {
    summary: "Ends a service token",
    access: "service",
    params: z.object({
      token: text(),
      token_type_hint: z.enum(["access_token", "refresh_token"]).optional(),
      clientData,
    }),
    result: null,
    example: { token: "4/CKN69L8gdSYp5_pwH3XlFQZ3ndFhkXf9P2" },
  },
  "credentials/list": {
    summary: "The credentials of a person",
    access: "service",
    params: z.object({
      userID: maybe(),
      credentialInfo: flag,
      ...shown,
      onlyValid: flag,
      lang,
      clientData,
    }),
    result: z.object({
      credentialIDs: z.array(z.string()),
      credentialInfos: z.array(CredentialInfo.extend({ credentialID: z.string() })).optional(),
      onlyValid: z.boolean().optional(),
    }),
    example: { userID: "asen", credentialInfo: true },
  },
  "credentials/info": {
    summary: "One credential",
    access: "service",
    params: z.object({ credentialID, ...shown, lang, clientData }),
    result: CredentialInfo,
    example: { credentialID: CREDENTIAL, certificates: "chain" },
  },
  "credentials/getChallenge": {
    summary: "Sends the OTP of an authorization to come",
    access: "service",
    params: z.object({
      credentialID,
      authObjectID: text(),
      hashes: hashes.optional().describe("Ours: binds the OTP to them, and its message names them"),
      hashAlgorithmOID,
      numSignatures: numSignatures.optional(),
      description,
      clientData,
    }),
    result: null,
    example: { credentialID: CREDENTIAL, authObjectID: "OTP" },
  },
  "credentials/authorize": {
    summary: "PIN and OTP for a SAD (explicit mode)",
    access: "service",
    params: z.object({
      credentialID,
      numSignatures,
      hashes: hashes.describe("Always needed: a SAD is bound to them, in this order"),
      hashAlgorithmOID,
      authData,
      description,
      clientData,
    }),
    result: sad,
    example: {
      credentialID: CREDENTIAL,
      numSignatures: 1,
      hashes: [HASH],
      hashAlgorithmOID: OIDS.sha256,
      authData: [{ id: "PIN", value: "12345678" }, { id: "OTP", value: "738496" }],
    },
  },
  "credentials/authorizeCheck": {
    summary: "The state of an authorization that is under way",
    access: "service",
    params: z.object({ handle: text(), clientData }),
    result: sad,
    example: { handle: "878287f37b2bv293bv2bv237bv297bvbv" },
  },
  "credentials/extendTransaction": {
    summary: "A new SAD within the same authorization",
    access: "service",
    params: z.object({
      credentialID,
      SAD: text(512),
      hashes: hashes.optional(),
      hashAlgorithmOID,
      clientData,
    }),
    result: sad,
    example: { credentialID: CREDENTIAL, SAD },
  },
  "signatures/signHash": {
    summary: "Signs digests",
    access: "service",
    params: z.object({
      credentialID,
      SAD: maybe(512),
      hashes,
      hashAlgorithmOID: maybe(),
      signAlgo: text(),
      signAlgoParams: maybe(1024),
      operationMode,
      clientData,
    }),
    result: z.object({
      signatures: z.array(base64),
      certificates: z.array(base64).optional()
        .describe("Ours, for a one-time credential: the certificate made for these signatures"),
      ...receipted,
    }),
    example: {
      credentialID: CREDENTIAL,
      SAD,
      hashes: [HASH],
      hashAlgorithmOID: OIDS.sha256,
      signAlgo: OIDS.rsaEncryption,
    },
  },
  "signatures/signDoc": {
    summary: "Signs documents, or digests of documents, as CAdES or PAdES",
    access: "service",
    params: z.object({
      credentialID,
      SAD: maybe(512),
      documents: several(
        z.object({
          document: z.base64(DOCUMENTS).max(Math.ceil(CSC_LIMITS.document / 3) * 4, DOCUMENTS),
          ...signed,
        }),
        "Invalid array parameter documents",
      ).optional(),
      documentDigests: several(
        z.object({
          hashes: digests("hashes"),
          hashAlgorithmOID,
          ...signed,
          conformance_level: signed.conformance_level.describe(
            "P: B-B or B-T, as the rest stands in the PDF",
          ),
        }).refine(
          ({ signature_format, conformance_level }) =>
            signature_format === "C" || /B-[BT]$/.test(conformance_level),
          { path: ["conformance_level"] },
        ),
        "Invalid object parameter documentDigests",
      ).optional(),
      operationMode,
      returnValidationInfo: flag,
      clientData,
    }),
    result: z.object({
      DocumentWithSignature: z.array(base64).optional(),
      SignatureObject: z.array(base64).optional(),
      validationInfo: z.object({
        ocsp: z.array(base64),
        crl: z.array(base64),
        certificates: z.array(base64),
      }).optional(),
      ...receipted,
    }),
    example: {
      credentialID: CREDENTIAL,
      SAD,
      documentDigests: [{ hashes: [HASH], hashAlgorithmOID: OIDS.sha256, signature_format: "P" }],
    },
  },
  "signatures/timestamp": {
    summary: "A timestamp (RFC 3161) over a digest",
    access: "service",
    params: z.object({
      hash: z.string(missing).min(1, "Empty hash parameter").pipe(digest()),
      hashAlgo: text(),
      nonce: z.string().regex(/^[0-9a-fA-F]{1,64}$/).optional().describe("Hex"),
      clientData,
    }),
    result: z.object({ timestamp: base64 }),
    example: { hash: HASH, hashAlgo: OIDS.sha256 },
  },
} as const;

export type CscMethod = keyof typeof CSC_METHODS;
export type CscParams<M extends CscMethod> = z.output<(typeof CSC_METHODS)[M]["params"]>;
type Output<T> = T extends z.ZodType ? z.output<T> : null;
export type CscResult<M extends CscMethod> = Output<(typeof CSC_METHODS)[M]["result"]>;

const missingField = {
  error: (issue: Issue) => isMissing(issue) ? `Missing parameter ${nameOf(issue)}` : undefined,
};
const field = (max = 2048) => z.string(missingField).min(1).max(max);

/** Parameters of `oauth2/authorize` and `oauth2/pushed_authorize` (§8.4.2), as they stand in a form. */
export const OAuthAuthorize = z.object({
  response_type: z.literal("code"),
  client_id: field(255),
  redirect_uri: field(),
  scope: z.enum(["service", "credential"]).default("service"),
  state: maybe(2048),
  code_challenge: z.string(missingField).regex(/^[A-Za-z0-9_-]{43}$/),
  code_challenge_method: z.literal("S256"),
  lang: maybe(35),
  credentialID: maybe(),
  numSignatures: maybe(3),
  hashes: maybe(1024).describe("Base64url of digests, with commas between"),
  hash: maybe(1024).describe("The name of hashes in version 1.0.4"),
  hashAlgorithmOID: maybe(64),
  description: maybe(500),
  authorization_details: maybe(16 * 1024)
    .describe("JSON; takes the place of credentialID, numSignatures, hashes, hashAlgorithmOID"),
  clientData: maybe(4096),
});
export type OAuthAuthorize = z.output<typeof OAuthAuthorize>;

/**
 * A digest in an address: the EUDI wallet's iOS library writes Base64url there, and before that a plus sign that a query's
 * reader takes for a space.
 */
const digestInQuery = z.string(missing).transform((text) => {
  const plain = text.replaceAll(/[- ]/g, "+").replaceAll("_", "/");
  return plain.padEnd(Math.ceil(plain.length / 4) * 4, "=");
}).pipe(digest());

/** The member of `authorization_details` that this service knows (§8.4.2), in both types. */
export const AuthorizationDetails = z.array(z.object({
  type: z.enum(DETAILS),
  credentialID,
  numSignatures: numSignatures.optional(),
  documentDigests: z.array(z.object({
    hash: digestInQuery,
    label: maybe(200),
    hashType: z.string().transform((type) => type.toLowerCase()).pipe(z.enum(HASH_TYPES))
      .optional(),
  })).min(1).max(CSC_LIMITS.signatures),
  hashAlgorithmOID: text(64),
})).length(1);

/** Parameters of `oauth2/token` (§8.4.4). */
export const OAuthToken = z.object({
  grant_type: z.enum(["authorization_code", "client_credentials", "refresh_token"], {
    error: (issue) => issue.input === undefined ? "Missing parameter grant_type" : undefined,
  }),
  code: maybe(),
  refresh_token: maybe(),
  redirect_uri: maybe(2048),
  code_verifier: z.string().regex(/^[A-Za-z0-9._~-]{43,128}$/)
    .optional().describe("RFC 7636 §4.1"),
  client_id: maybe(),
  client_secret: maybe(),
  clientData: maybe(4096),
});

/** Parameters of `oauth2/revoke` (§8.4.5). */
export const OAuthRevoke = z.object({
  token: field(512),
  token_type_hint: maybe(32),
  client_id: maybe(),
  client_secret: maybe(),
  clientData: maybe(4096),
});

export { CSC_ERRORS, type CscErrorCode } from "./csc_errors.ts";
export * from "./csc_portal.ts";
