import { en } from "../words/en/errors.ts";
import { CKR, type CkrName } from "./constants.ts";

/** Everything that can go wrong at the driver boundary. */
export const PKCS11_ERROR_CODES = [
  "pin_incorrect",
  "pin_locked",
  "pin_expired",
  "pin_length",
  "pin_not_set",
  "token_removed",
  "token_not_present",
  "token_not_initialised",
  "token_not_found",
  "token_ambiguous",
  "token_busy",
  "user_not_logged_in",
  "context_login_required",
  "key_not_found",
  "key_not_usable",
  "mechanism_unsupported",
  "input_invalid",
  "device_memory",
  "device_error",
  "driver_not_found",
  "driver_wrong_architecture",
  "driver_not_pkcs11",
  "driver_load_failed",
  "driver_sha1_only",
  "driver_error",
  "driver_nonsense",
  "driver_crashed",
  "driver_timeout",
  "uri_invalid",
  "cancelled",
  "closed",
] as const;

/** The stable code of a {@link Pkcs11Error}. */
export type Pkcs11ErrorCode = typeof PKCS11_ERROR_CODES[number];

/**
 * PIN tries left, as the token reports them (CKF_USER_PIN_* flags). Many tokens never set these flags, so
 * treat `unknown` as dangerous.
 */
export type TriesLeft = "low" | "final" | "none" | "unknown";

const SENTENCES: Record<Pkcs11ErrorCode, string> = {
  ...en,
  pin_length: en.pin_invalid,
  token_not_found: "No inserted token matches the one asked for.",
  token_ambiguous: "Several tokens match. Name the token more exactly, or take the others out.",
  token_busy:
    "Another program or request is using the token. Wait for it to finish, then try again.",
  user_not_logged_in: "The token is no longer logged in. Type the PIN again.",
  context_login_required: "This key needs the PIN for every signature, and none was given.",
  key_not_usable: "The token does not let this key sign.",
  input_invalid: "The input does not fit the key or the hash.",
  device_memory:
    "The token or its reader is out of memory. If it is a USB token or a card, insert it again.",
  device_error:
    "The token reported an error. Try again. If it is a USB token or a card, insert it again first.",
  driver_load_failed: "The token's driver could not be loaded. Install it again.",
  driver_nonsense: "The token's driver returned an impossible answer.",
  uri_invalid: "Not a valid PKCS#11 URI.",
  cancelled: "The request was cancelled.",
  closed: "The connection to the driver is closed.",
};

/** Details of an error besides its code. */
export interface Pkcs11ErrorDetail {
  /** The driver's function that failed, e.g. `C_Login`; of Windows, with its status, e.g. `NCryptSignHash: NTE_PERM`. */
  functionName?: string;
  /** Its return code, e.g. 0xA0. */
  rv?: number;
  /** Set with `pin_incorrect` and `pin_locked`. */
  triesLeft?: TriesLeft;
  /** Detail for the log, never a secret, e.g. the message of the system's loader. */
  reason?: string;
}

/**
 * The one error of this room. `message` is a sentence for a person; `functionName`, `rv` and
 * `reason` are for the log.
 */
export class Pkcs11Error extends Error {
  override name = "Pkcs11Error";
  readonly code: Pkcs11ErrorCode;
  readonly functionName?: string;
  readonly rv?: number;
  readonly triesLeft?: TriesLeft;
  readonly reason?: string;

  constructor(code: Pkcs11ErrorCode, detail: Pkcs11ErrorDetail = {}) {
    const { functionName, rv, reason } = detail;
    const call = functionName
      ? ` (${functionName}${rv === undefined ? "" : `: ${rvName(rv)}`})`
      : "";
    super(SENTENCES[code] + call);
    this.code = code;
    this.functionName = functionName;
    this.rv = rv;
    this.triesLeft = detail.triesLeft;
    this.reason = reason;
  }
}

const NAMES = new Map<number, string>(Object.entries(CKR).map(([name, value]) => [value, name]));

/** The name of a return code, e.g. `CKR_PIN_INCORRECT`, or its number in hex. */
export function rvName(rv: number): string {
  return NAMES.get(rv) ?? `CKR_0x${rv.toString(16).toUpperCase()}`;
}

const CODES: Partial<Record<CkrName, Pkcs11ErrorCode>> = {
  CKR_CANCEL: "cancelled",
  CKR_FUNCTION_CANCELED: "cancelled",
  CKR_FUNCTION_REJECTED: "cancelled",
  CKR_PIN_INCORRECT: "pin_incorrect",
  CKR_PIN_INVALID: "pin_incorrect",
  CKR_PIN_LEN_RANGE: "pin_length",
  CKR_PIN_EXPIRED: "pin_expired",
  CKR_PIN_LOCKED: "pin_locked",
  CKR_USER_PIN_NOT_INITIALIZED: "pin_not_set",
  CKR_DEVICE_REMOVED: "token_removed",
  CKR_SLOT_ID_INVALID: "token_not_present",
  CKR_TOKEN_NOT_PRESENT: "token_not_present",
  CKR_TOKEN_NOT_RECOGNIZED: "token_not_initialised",
  // A handle that was good and no longer is: the driver closed the session with the token.
  CKR_SESSION_CLOSED: "token_removed",
  CKR_SESSION_HANDLE_INVALID: "token_removed",
  CKR_SESSION_COUNT: "token_busy",
  CKR_USER_ANOTHER_ALREADY_LOGGED_IN: "token_busy",
  CKR_USER_ALREADY_LOGGED_IN: "token_busy",
  CKR_USER_NOT_LOGGED_IN: "user_not_logged_in",
  CKR_KEY_HANDLE_INVALID: "key_not_found",
  CKR_OBJECT_HANDLE_INVALID: "key_not_found",
  CKR_KEY_TYPE_INCONSISTENT: "mechanism_unsupported",
  CKR_MECHANISM_INVALID: "mechanism_unsupported",
  CKR_MECHANISM_PARAM_INVALID: "mechanism_unsupported",
  CKR_KEY_FUNCTION_NOT_PERMITTED: "key_not_usable",
  CKR_ACTION_PROHIBITED: "key_not_usable",
  CKR_KEY_SIZE_RANGE: "mechanism_unsupported",
  CKR_DATA_INVALID: "input_invalid",
  CKR_DATA_LEN_RANGE: "input_invalid",
  CKR_DEVICE_ERROR: "device_error",
  CKR_DEVICE_MEMORY: "device_memory",
  CKR_TOKEN_RESOURCE_EXCEEDED: "device_memory",
};

/** Functions in which a token checks a PIN, or its person can say no. */
const OF_PERSON = /^C_(Login|SetPIN|SignInit|Sign)$/;
/** Functions of a session. */
const OF_SESSION = /^C_(?!Initialize$|Get(Info|SlotList|SlotInfo|TokenInfo|MechanismList)$)/;

/** Where a code has its meaning. From another function it is the driver's mistake: nobody typed a wrong PIN there. */
const ONLY_FROM: Partial<Record<Pkcs11ErrorCode, RegExp>> = {
  pin_incorrect: OF_PERSON,
  pin_locked: OF_PERSON,
  pin_expired: OF_PERSON,
  pin_length: OF_PERSON,
  cancelled: OF_PERSON,
  pin_not_set: OF_SESSION,
  token_busy: OF_SESSION,
  user_not_logged_in: OF_SESSION,
};

/**
 * The only place where a return code becomes an error, so that the function's name is never lost.
 *
 * @throws {Pkcs11Error} unless `rv` is CKR_OK
 */
export function check(functionName: string, rv: number): void {
  if (rv === CKR.CKR_OK) return;
  const name = NAMES.get(rv) as CkrName | undefined;
  const code = (name && CODES[name]) ?? "driver_error";
  const isMeant = ONLY_FROM[code]?.test(functionName) ?? true;
  throw new Pkcs11Error(isMeant ? code : "driver_error", { functionName, rv });
}
