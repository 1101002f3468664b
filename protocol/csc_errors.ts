/** Errors of the PIN/OTP service's API, with exactly the specification's texts (§8.4.4, §10.2, §11). */

const bad = (text: string) => [400, "invalid_request", text] as const;
const unavailable = (status: 429 | 503, text: string) =>
  [status, "temporarily_unavailable", text] as const;

/** HTTP status, `error`, `error_description`. */
export const CSC_ERRORS = {
  // §10.2
  access_denied: [403, "access_denied", "The user or Remote Service denied the request."],
  not_found: [404, "invalid_request", "Unknown method."],
  method_not_allowed: [405, "invalid_request", "This method is called with POST."],
  too_large: [413, "invalid_request", "The request is too large."],
  body_too_slow: [408, "invalid_request", "The request did not arrive in time."],
  too_many: unavailable(429, "Too many requests."),
  server_error: [500, "server_error", "Something went wrong in the service."],
  unavailable: unavailable(503, "The service cannot do this now. Try again later."),
  body_malformed: bad("The request body is not a JSON object."),
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
  client_id_missing: bad("Missing parameter client_id"),
  client_id_invalid: bad("Invalid parameter client_id"),
  client_secret_missing: [401, "invalid_request", "Client authorization required"],
  client_secret_invalid: bad("Invalid parameter client_secret"),
  code_invalid: [400, "invalid_grant", "Authorization code is invalid or expired"],
  redirect_uri_mismatch: [400, "invalid_grant", "redirect_uri parameter does not match"],
  // RFC 6749 §5.2
  grant_unauthorized: [
    400,
    "unauthorized_client",
    "The client is not authorized to use this grant_type",
  ],
  refresh_token_invalid: [400, "invalid_grant", "Invalid parameter refresh_token"],
  // §11
  authorization_header: bad("Malformed authorization header"),
  authentication_parameter: [401, "invalid_request", "Malformed authentication parameter"],
  username_password: bad("Malformed username-password"),
  login_refresh_token: bad("Invalid refresh_token"),
  login_failed: [
    400,
    "authentication_error",
    "An error occurred during authentication process",
  ],
  user_id_not_null: bad("userID parameter MUST be null"),
  user_id_invalid: bad("Invalid parameter userID"),
  credential_invalid: bad("Invalid parameter credentialID"),
  credential_disabled: bad("The credential identified by credentialID is disabled"),
  credential_locked: bad("Credential locked"),
  too_many_signatures: bad("Numbers of signatures is too high"),
  authentication_data: [
    400,
    "invalid_authentication_data",
    "The authentication data is invalid",
  ],
  handle_invalid: bad("Invalid parameter handle"),
  auth_object_invalid: bad("Invalid parameter authObjectID"),
  sad_missing: bad("Missing (or invalid type) string parameter SAD"),
  sad_invalid: bad("Invalid parameter SAD"),
  sad_expired: bad("SAD expired"),
  hash_unauthorized: bad("Hash is not authorized by the SAD"),
  documents_unauthorized: bad("documentDigests or documents are not authorized by the SAD"),
  documents_empty: bad("Empty documentDigests and documents objects"),
  hash_contradicts: bad("String parameter hashAlgorithmOID contradicts with signAlgo parameter"),
  hash_length: bad("Invalid digest value length"),
  hash_algorithm_missing: bad("Missing (or invalid type) string parameter hashAlgorithmOID"),
  hash_algorithm_invalid: bad("Invalid parameter hashAlgorithmOID"),
  sign_algorithm_invalid: bad("Invalid parameter signAlgo"),
  operation_mode: bad("Invalid parameter operationMode"),
  certificate_expired: bad("Signing certificate is expired"),
  // ours, for what the specification leaves open
  otp_too_soon: unavailable(429, "An OTP was sent a moment ago"),
  otp_too_many: unavailable(429, "No further OTP is sent for now"),
  answers_too_many: unavailable(429, "Too many wrong answers; try again later"),
  documents_too_many: unavailable(
    429,
    "Too many documents are stored; send them when they are needed",
  ),
  otp_not_delivered: unavailable(503, "The OTP could not be delivered"),
  document_malformed: bad("The document cannot be signed"),
  timestamp_failed: unavailable(503, "The time-stamping service did not answer"),
  link_not_delivered: unavailable(
    503,
    "The link for creating the PIN could not be delivered; reset-pin sends a new one",
  ),
  esign_unknown: [404, "invalid_request", "Unknown eSign transaction"],
  esign_unsigned: [409, "invalid_request", "The document is not signed"],
  person_unknown: [404, "invalid_request", "Unknown person"],
  person_exists: [409, "invalid_request", "The person already exists"],
} as const satisfies Record<string, readonly [number, string, string]>;

export type CscErrorCode = keyof typeof CSC_ERRORS;
