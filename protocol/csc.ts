/**
 * The contract of the PIN/OTP service: the Cloud Signature Consortium's API, version 2.0, with the names of 1.0.4 beside
 * it, and what is ours: the portal's REST calls and the talk between the service and its own page. Each method stands once,
 * with its parameters, its result and an example; `csc_openapi.ts` makes the OpenAPI document from this table.
 *
 * The texts of errors are those of the specification (§8.4.4, §10.2, §11), letter by letter; where a schema has no text of
 * its own, {@linkcode describe} writes it in the specification's way.
 */
import * as z from "zod";

/** Version of the specification that is spoken. */
export const CSC_SPECS = "2.0.0.2";

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

/** What one authorization may hold at most. */
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

/** What may go wrong: HTTP status, `error`, `error_description`. */
export const CSC_ERRORS = {
  // §10.2
  access_denied: [403, "access_denied", "The user or Remote Service denied the request."],
  not_found: [404, "invalid_request", "There is no such method."],
  method_not_allowed: [405, "invalid_request", "This method is called with POST."],
  too_large: [413, "invalid_request", "The request is too large."],
  too_many: [429, "temporarily_unavailable", "Too many requests."],
  server_error: [500, "server_error", "The service has met an unexpected condition."],
  unavailable: [503, "temporarily_unavailable", "The service cannot do this at present."],
  body_malformed: [400, "invalid_request", "The request body is not a JSON object."],
  invalid_token: [401, "invalid_token", "The access token is not valid"],
  expired_token: [
    401,
    "expired_token",
    "The access or refresh token is expired or has been revoked",
  ],
  unauthorized_client: [
    403,
    "unauthorized_client",
    "The client is not authorized to use this method",
  ],
  // §8.4.4
  client_id_missing: [400, "invalid_request", "Missing parameter client_id"],
  client_id_invalid: [400, "invalid_request", "Invalid parameter client_id"],
  client_secret_missing: [401, "invalid_request", "Client authorization required"],
  client_secret_invalid: [400, "invalid_request", "Invalid parameter client_secret"],
  code_invalid: [400, "invalid_grant", "Authorization code is invalid or expired"],
  redirect_uri_mismatch: [400, "invalid_grant", "redirect_uri parameter does not match"],
  refresh_token_invalid: [400, "invalid_grant", "Invalid parameter refresh_token"],
  // §11
  authorization_header: [400, "invalid_request", "Malformed authorization header"],
  authentication_parameter: [401, "invalid_request", "Malformed authentication parameter"],
  username_password: [400, "invalid_request", "Malformed username-password"],
  login_refresh_token: [400, "invalid_request", "Invalid refresh_token"],
  login_failed: [
    400,
    "authentication_error",
    "An error occurred during authentication process",
  ],
  user_id_not_null: [400, "invalid_request", "userID parameter MUST be null"],
  user_id_invalid: [400, "invalid_request", "Invalid parameter userID"],
  credential_invalid: [400, "invalid_request", "Invalid parameter credentialID"],
  credential_disabled: [
    400,
    "invalid_request",
    "The credential identified by credentialID is disabled",
  ],
  credential_locked: [400, "invalid_request", "Credential locked"],
  too_many_signatures: [400, "invalid_request", "Numbers of signatures is too high"],
  authentication_data: [
    400,
    "invalid_authentication_data",
    "The authentication data is invalid",
  ],
  handle_invalid: [400, "invalid_request", "Invalid parameter handle"],
  auth_object_invalid: [400, "invalid_request", "Invalid parameter authObjectID"],
  sad_missing: [400, "invalid_request", "Missing (or invalid type) string parameter SAD"],
  sad_invalid: [400, "invalid_request", "Invalid parameter SAD"],
  sad_expired: [400, "invalid_request", "SAD expired"],
  hash_unauthorized: [400, "invalid_request", "Hash is not authorized by the SAD"],
  documents_unauthorized: [
    400,
    "invalid_request",
    "documentDigests or documents are not authorized by the SAD",
  ],
  documents_empty: [400, "invalid_request", "Empty documentDigests and documents objects"],
  hash_contradicts: [
    400,
    "invalid_request",
    "String parameter hashAlgorithmOID contradicts with signAlgo parameter",
  ],
  hash_length: [400, "invalid_request", "Invalid digest value length"],
  hash_algorithm_missing: [
    400,
    "invalid_request",
    "Missing (or invalid type) string parameter hashAlgorithmOID",
  ],
  hash_algorithm_invalid: [400, "invalid_request", "Invalid parameter hashAlgorithmOID"],
  sign_algorithm_invalid: [400, "invalid_request", "Invalid parameter signAlgo"],
  operation_mode: [400, "invalid_request", "Invalid parameter operationMode"],
  certificate_expired: [400, "invalid_request", "Signing certificate is expired"],
  // ours, for what the specification leaves open
  otp_too_soon: [429, "temporarily_unavailable", "An OTP was sent a moment ago"],
  otp_too_many: [429, "temporarily_unavailable", "No further OTP is sent for now"],
  otp_not_delivered: [503, "temporarily_unavailable", "The OTP could not be delivered"],
  document_malformed: [400, "invalid_request", "The document cannot be signed"],
  timestamp_failed: [503, "temporarily_unavailable", "The timestamp authority gave no answer"],
  link_not_delivered: [
    503,
    "temporarily_unavailable",
    "The link to set the PIN could not be delivered; reset-pin sends a new one",
  ],
  esign_unknown: [404, "invalid_request", "There is no such eSign transaction"],
  esign_unsigned: [409, "invalid_request", "The document is not signed"],
  person_unknown: [404, "invalid_request", "There is no such person"],
  person_exists: [409, "invalid_request", "There is such a person already"],
} as const satisfies Record<string, readonly [number, string, string]>;

export type CscErrorCode = keyof typeof CSC_ERRORS;

/** The body of every failed answer (§10.2). */
export const CscFailure = z.object({
  error: z.string(),
  error_description: z.string(),
});

const missing = (type: string, name: string) =>
  `Missing (or invalid type) ${type} parameter ${name}`;

/** A required string. */
const text = (name: string, max = 255) =>
  z.string({ error: missing("string", name) }).min(1, missing("string", name)).max(
    max,
    `Invalid parameter ${name}`,
  );
const maybe = (name: string, max = 255) =>
  z.string({ error: `Invalid parameter ${name}` }).max(max, `Invalid parameter ${name}`).optional();
const flag = (name: string) => z.boolean({ error: `Invalid parameter ${name}` }).default(false);

const clientData = maybe("clientData", 4096).describe("The caller's own reference");
const lang = maybe("lang", 35).describe("BCP 47");
const credentialID = text("credentialID");
const digest = (name = "hash") =>
  z.base64(`Invalid Base64 ${name} string parameter`).max(88, "Invalid digest value length");
const digests = (name?: string) =>
  z.array(digest(name), { error: missing("array", name ?? "hash") }).min(1, "Empty hash array")
    .max(CSC_LIMITS.signatures, "Numbers of signatures is too high")
    .describe("Base64 of digests, in the order in which they will be signed");
const hashes = digests();
const hashAlgorithmOID = maybe("hashAlgorithmOID").describe("Default: SHA-256");
const numSignatures = z.int({ error: missing("integer", "numSignatures") })
  .min(1, "Invalid value for parameter numSignatures")
  .max(CSC_LIMITS.signatures, "Numbers of signatures is too high");
const certificates = z.enum(["none", "single", "chain"], {
  error: "Invalid parameter certificates",
}).default("single");
const description = maybe("description", 500).describe("Purpose; shown to the signatory");

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

const sad = z.object({
  SAD: z.string(),
  expiresIn: z.int().describe("Seconds"),
});

const authData = z.array(
  z.object({
    id: z.enum(["PIN", "OTP"], { error: "Invalid parameter authData" }),
    value: text("value", 64),
  }),
  { error: missing("array", "authData") },
).max(2, "Invalid parameter authData");

const conformance = z.enum(
  ["AdES-B-B", "AdES-B-T", "Ades-B-B", "Ades-B-T"],
  { error: "Invalid parameter conformance_level" },
).default("AdES-B-B");
/** Of a PDF as a whole: what a later validation needs is appended to it. */
const longTerm = z.enum([...conformance.unwrap().options, "AdES-B-LT", "Ades-B-LT"], {
  error: "Invalid parameter conformance_level",
}).default("AdES-B-B");
const format = z.enum(["C", "P"], {
  error: ({ input }) =>
    typeof input === "string"
      ? "Invalid parameter signature_format"
      : missing("string", "signature_format"),
})
  .describe("C: CAdES, P: PAdES");
const signed = {
  signature_format: format,
  conformance_level: conformance,
  signAlgo: maybe("signAlgo").describe("Default: what the credential's key does with the hash"),
  signed_envelope_property: z.enum(["Detached", "Attached", "Revision", "Certification"], {
    error: "Invalid parameter signed_envelope_property",
  }).optional(),
};

const operationMode = z.literal("S", { error: "Invalid parameter operationMode" }).default("S")
  .describe("Synchronous; nothing else is offered");

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
      oauth2: z.string(),
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
      refresh_token: z.string({ error: "Invalid string parameter: refresh_token" }).max(
        255,
        "Invalid string parameter: refresh_token",
      ).optional(),
      rememberMe: flag("rememberMe"),
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
      token: text("token"),
      token_type_hint: z.enum(["access_token", "refresh_token"], {
        error: "Invalid parameter token_type_hint",
      }).optional(),
      clientData,
    }),
    result: null,
    example: { token: "4/CKN69L8gdSYp5_pwH3XlFQZ3ndFhkXf9P2" },
  },
  "credentials/list": {
    summary: "The credentials of a person",
    access: "service",
    params: z.object({
      userID: maybe("userID"),
      credentialInfo: flag("credentialInfo"),
      certificates,
      certInfo: flag("certInfo"),
      authInfo: flag("authInfo"),
      onlyValid: flag("onlyValid"),
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
    params: z.object({
      credentialID,
      certificates,
      certInfo: flag("certInfo"),
      authInfo: flag("authInfo"),
      lang,
      clientData,
    }),
    result: CredentialInfo,
    example: { credentialID: "GX0112348", certificates: "chain" },
  },
  "credentials/getChallenge": {
    summary: "Sends the OTP of an authorization to come",
    access: "service",
    params: z.object({
      credentialID,
      authObjectID: text("authObjectID"),
      hashes: hashes.optional().describe("Ours: binds the OTP to them, and its message names them"),
      hashAlgorithmOID,
      numSignatures: numSignatures.optional(),
      description,
      clientData,
    }),
    result: null,
    example: { credentialID: "GX0112348", authObjectID: "OTP" },
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
      credentialID: "GX0112348",
      numSignatures: 1,
      hashes: ["sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI="],
      hashAlgorithmOID: OIDS.sha256,
      authData: [{ id: "PIN", value: "12345678" }, { id: "OTP", value: "738496" }],
    },
  },
  "credentials/authorizeCheck": {
    summary: "The state of an authorization that is under way",
    access: "service",
    params: z.object({ handle: text("handle"), clientData }),
    result: sad,
    example: { handle: "878287f37b2bv293bv2bv237bv297bvbv" },
  },
  "credentials/extendTransaction": {
    summary: "A new SAD within the same authorization",
    access: "service",
    params: z.object({
      credentialID,
      SAD: text("SAD", 512),
      hashes: hashes.optional(),
      hashAlgorithmOID,
      clientData,
    }),
    result: sad,
    example: { credentialID: "GX0112348", SAD: "_TiHRG-bAH3XlFQZ3ndFhkXf9P24" },
  },
  "signatures/signHash": {
    summary: "Signs digests",
    access: "service",
    params: z.object({
      credentialID,
      SAD: maybe("SAD", 512),
      hashes,
      hashAlgorithmOID: maybe("hashAlgorithmOID"),
      signAlgo: text("signAlgo"),
      signAlgoParams: maybe("signAlgoParams", 1024),
      operationMode,
      clientData,
    }),
    result: z.object({
      signatures: z.array(base64),
      certificates: z.array(base64).optional()
        .describe("Ours, for a one-time credential: the certificate made for these signatures"),
    }),
    example: {
      credentialID: "GX0112348",
      SAD: "_TiHRG-bAH3XlFQZ3ndFhkXf9P24",
      hashes: ["sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI="],
      hashAlgorithmOID: OIDS.sha256,
      signAlgo: OIDS.rsaEncryption,
    },
  },
  "signatures/signDoc": {
    summary: "Signs documents, or digests of documents, as CAdES or PAdES",
    access: "service",
    params: z.object({
      credentialID,
      SAD: maybe("SAD", 512),
      documents: z.array(
        z.object({
          document: z.base64("Invalid Base64 documents string parameter").max(
            Math.ceil(CSC_LIMITS.document / 3) * 4,
            "Invalid Base64 documents string parameter",
          ),
          ...signed,
          conformance_level: longTerm.describe("B-LT: of a PDF"),
        }).refine(
          ({ signature_format, conformance_level }) =>
            signature_format === "P" || !conformance_level.endsWith("B-LT"),
          "Invalid parameter conformance_level",
        ),
        { error: "Invalid array parameter documents" },
      ).max(
        CSC_LIMITS.signatures,
        "Numbers of signatures is too high",
      ).optional(),
      documentDigests: z.array(
        z.object({ hashes: digests("hashes"), hashAlgorithmOID, ...signed }),
        { error: "Invalid object parameter documentDigests" },
      ).max(
        CSC_LIMITS.signatures,
        "Numbers of signatures is too high",
      ).optional(),
      operationMode,
      returnValidationInfo: flag("returnValidationInfo"),
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
    }),
    example: {
      credentialID: "GX0112348",
      SAD: "_TiHRG-bAH3XlFQZ3ndFhkXf9P24",
      documentDigests: [{
        hashes: ["sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI="],
        hashAlgorithmOID: OIDS.sha256,
        signature_format: "P",
      }],
    },
  },
  "signatures/timestamp": {
    summary: "A timestamp (RFC 3161) over a digest",
    access: "service",
    params: z.object({
      hash: z.string(missing("string", "hash")).min(1, "Empty hash parameter").pipe(digest()),
      hashAlgo: text("hashAlgo"),
      nonce: z.string({ error: "Invalid parameter nonce" }).regex(
        /^[0-9a-fA-F]{1,64}$/,
        "Invalid parameter nonce",
      ).optional().describe("Hex"),
      clientData,
    }),
    result: z.object({ timestamp: base64 }),
    example: {
      hash: "sTOgwOm+474gFj0q0x1iSNspKqbcse4IeiqlDg/HWuI=",
      hashAlgo: OIDS.sha256,
    },
  },
} as const;

export type CscMethod = keyof typeof CSC_METHODS;
export type CscParams<M extends CscMethod> = z.output<(typeof CSC_METHODS)[M]["params"]>;
type Output<T> = T extends z.ZodType ? z.output<T> : null;
export type CscResult<M extends CscMethod> = Output<(typeof CSC_METHODS)[M]["result"]>;

const form = (name: string) => `Missing parameter ${name}`;
const field = (name: string, max = 2048) =>
  z.string({ error: form(name) }).min(1, form(name)).max(max, `Invalid parameter ${name}`);
const maybeField = (name: string, max = 2048) =>
  z.string().max(max, `Invalid parameter ${name}`).optional();

/** Parameters of `oauth2/authorize` and `oauth2/pushed_authorize` (§8.4.2), as they stand in a form. */
export const OAuthAuthorize = z.object({
  response_type: z.literal("code", { error: "Invalid parameter response_type" }),
  client_id: field("client_id", 255),
  redirect_uri: field("redirect_uri"),
  scope: z.enum(["service", "credential"], { error: "Invalid parameter scope" }).default("service"),
  state: maybeField("state"),
  code_challenge: z.string({ error: form("code_challenge") }).regex(
    /^[A-Za-z0-9_-]{43}$/,
    "Invalid parameter code_challenge",
  ),
  code_challenge_method: z.literal("S256", {
    error: "Invalid parameter code_challenge_method",
  }),
  lang: maybeField("lang", 35),
  credentialID: maybeField("credentialID", 255),
  numSignatures: maybeField("numSignatures", 3),
  hashes: maybeField("hashes", 1024).describe("Base64url of digests, with commas between"),
  hashAlgorithmOID: maybeField("hashAlgorithmOID", 64),
  description: maybeField("description", 500),
  authorization_details: maybeField("authorization_details", 16 * 1024)
    .describe("JSON; takes the place of credentialID, numSignatures, hashes, hashAlgorithmOID"),
  clientData: maybeField("clientData", 4096),
});
export type OAuthAuthorize = z.output<typeof OAuthAuthorize>;

/** The member of `authorization_details` that this service knows (§8.4.2). */
export const AuthorizationDetails = z.array(z.object({
  type: z.literal("credential"),
  credentialID,
  documentDigests: z.array(z.object({ hash: digest(), label: text("label", 200) })).min(1).max(
    CSC_LIMITS.signatures,
  ),
  hashAlgorithmOID: text("hashAlgorithmOID", 64),
})).length(1);

/** Parameters of `oauth2/token` (§8.4.4). */
export const OAuthToken = z.object({
  grant_type: z.enum(["authorization_code", "client_credentials", "refresh_token"], {
    error: (issue) =>
      issue.input === undefined ? form("grant_type") : "Invalid parameter grant_type",
  }),
  code: maybeField("code", 255),
  refresh_token: maybeField("refresh_token", 255),
  redirect_uri: maybeField("redirect_uri"),
  code_verifier: z.string().regex(/^[A-Za-z0-9._~-]{43,128}$/, "Invalid parameter code_verifier")
    .optional().describe("RFC 7636 §4.1"),
  client_id: maybeField("client_id", 255),
  client_secret: maybeField("client_secret", 255),
  clientData: maybeField("clientData", 4096),
});

/** Parameters of `oauth2/revoke` (§8.4.5). */
export const OAuthRevoke = z.object({
  token: field("token", 512),
  token_type_hint: maybeField("token_type_hint", 32),
  client_id: maybeField("client_id", 255),
  client_secret: maybeField("client_secret", 255),
  clientData: maybeField("clientData", 4096),
});

/** The text of the specification for what is wrong with parameters: the first thing that is. */
export function describe(error: z.ZodError): string {
  const [issue] = error.issues;
  const name = issue.path.find((part) => typeof part === "string") ?? "";
  return /^(Missing|Invalid|Empty|Numbers|Client|userID)/.test(issue.message)
    ? issue.message.replace(/^Invalid (input|option|string:).*$/s, `Invalid parameter ${name}`)
    : `Invalid parameter ${name}`;
}

/** A request of version 1.0.4 in the words of version 2: `hash`, `hashAlgo`, PIN and OTP as strings. */
export function fromV1(method: string, body: Record<string, unknown>): Record<string, unknown> {
  const { hash, hashAlgo, PIN, OTP, ...rest } = body;
  if (method === "signatures/timestamp") return body;
  const factor = (id: string, value: unknown) => value === undefined ? [] : [{ id, value }];
  return {
    ...rest,
    ...hash !== undefined && { hashes: hash },
    ...hashAlgo !== undefined && { hashAlgorithmOID: hashAlgo },
    ...method === "credentials/authorize" && {
      authData: [...factor("PIN", PIN), ...factor("OTP", OTP)],
      // 1.0.4 has its signatures counted in strings too
      ...typeof rest.numSignatures === "string" && { numSignatures: Number(rest.numSignatures) },
    },
    ...method === "credentials/getChallenge" && { authObjectID: "OTP" },
  };
}

/** A credential as version 1.0.4 describes it. */
export function toV1(info: CredentialInfo): Record<string, unknown> {
  const { auth, ...rest } = info;
  const factor = (id: "PIN" | "OTP") => {
    const found = auth.objects?.find((each) => each.id === id);
    return found && {
      presence: "true",
      ...id === "OTP" && { type: found.generator ? "offline" : "online", provider: "" },
      format: "N",
      label: found.label,
      description: found.description,
    };
  };
  return {
    ...rest,
    authMode: auth.mode,
    ...auth.objects && { PIN: factor("PIN"), OTP: factor("OTP") },
  };
}

export * from "./csc_portal.ts";
