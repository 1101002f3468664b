/**
 * Where keys live, as the other rooms see it: a {@linkcode Provider} lists tokens and keys and opens one of
 * them as a `Signer` (formats/signer.ts). A PIN passes through here and is never kept.
 */
import type { HashName, Signer } from "../formats/signer.ts";
import type { TriesLeft } from "../protocol/errors.ts";

/** A token as described by its driver. */
export interface TokenInfo {
  /** RFC 7512 URI of the token. */
  uri: string;
  label: string;
  manufacturer: string;
  model: string;
  serialNumber: string;
  /** Display name of the driver or file it was found through. */
  driver: string;
  /** From the PIN-counter flags of PKCS#11; `ready` if none is set. */
  state: "ready" | "pin_low" | "pin_final_try" | "pin_locked" | "pin_not_set" | "empty";
  /** CKF_PROTECTED_AUTHENTICATION_PATH: the PIN is typed on the token itself. */
  protectedAuthenticationPath: boolean;
  /** Absent, unless its keys are seen to work without a PIN. */
  loginRequired?: false;
  /** Windows asks for its PIN when the key signs, in a window of the key's provider. */
  windowsAsks?: true;
  /** It shows no certificate before its PIN (or password) was typed; {@linkcode Provider.reveal} can tell whether it has one. */
  hidesCertificates?: true;
  /** It still has the PIN that it came with, and asks for another (CKF_USER_PIN_TO_BE_CHANGED). */
  firstPin?: true;
  /** Its PIN is the password of a file. */
  password?: true;
  /** Of a new PIN, in bytes; 0: the token does not tell. Absent where its PIN cannot be changed here. */
  newPin?: { min: number; max: number };
}

/** A certificate on a token, with or without its private key. */
export interface KeyInfo {
  /** RFC 7512 URI of the certificate. */
  uri: string;
  token: TokenInfo;
  /** DER. */
  certificate: Uint8Array;
  /** Issuers' certificates found on the same token, nearest first; DER. */
  chain: readonly Uint8Array[];
  hasKey: boolean;
  /** Why it has none that can be used, where that is known. */
  missing?:
    | "token_not_present"
    | "driver_not_found"
    | "driver_sha1_only"
    | "mechanism_unsupported"
    | "key_not_found";
  /** It signs digests alone, as keys of remote services do. */
  digestsOnly?: true;
  /** The person authorizes every signature, so no login stays open for the next request. */
  eachSignature?: true;
}

/** A driver that could not be used. The others still work. */
export interface Problem {
  driver: string;
  code: string;
  message: string;
}

export interface Listing {
  tokens: TokenInfo[];
  keys: KeyInfo[];
  problems: Problem[];
  /** A driver works, so that no token in the list means that none is inserted. */
  works?: true;
}

/** An OTP that the person is asked for. */
export interface OtpPrompt {
  /** Name of the service that wants it. */
  service: string;
  /** How the service describes the way of the OTP; may be empty. */
  description: string;
  /** Sends it again; null if the person's own device makes it. */
  resend: (() => Promise<void>) | null;
}

/**
 * Asks the person for the PIN, once to log in and, if the key demands it (CKA_ALWAYS_AUTHENTICATE), once a signature; or
 * for an OTP, with its `prompt`. The callee owns and zeroes the returned bytes (UTF-8).
 */
export type AskPin = (
  wanted: "login" | "signature" | "otp",
  prompt?: OtpPrompt,
) => Promise<Uint8Array>;

export interface OpenOptions {
  /** Hash of the signatures; the scheme follows from the key and its certificate. */
  hash: HashName;
  askPin: AskPin;
  signal?: AbortSignal;
}

export interface Provider {
  /** Tokens and certificates inserted now. Never asks for a PIN, and never rejects because of one bad driver. */
  list(signal?: AbortSignal): Promise<Listing>;
  /**
   * Logs in, at most once, and returns the key ready to sign. `signer.close()` logs out.
   *
   * @throws {SignerError}
   */
  open(key: KeyInfo, options: OpenOptions): Promise<Signer>;
  /**
   * Logs in, once, reads the certificates that the token shows only then, and logs out. Listings have them until the
   * token is taken out. For tokens that hide certificates.
   *
   * @throws {SignerError}
   */
  reveal?(token: TokenInfo, askPin: AskPin, signal?: AbortSignal): Promise<void>;
  /**
   * Changes the PIN, with one attempt at the old one. For tokens with `newPin`.
   *
   * @param pins UTF-8, wiped; null: they are typed on the token's keypad
   * @throws {SignerError} `pin_incorrect`, `pin_locked`: the old one; `pin_invalid`: the new one
   */
  changePin?(
    token: TokenInfo,
    pins: [old: Uint8Array, next: Uint8Array] | null,
    signal?: AbortSignal,
  ): Promise<void>;
  /** Calls back after a token was inserted or removed, until the returned function is called. */
  watch(changed: () => void): () => void;
  close(): Promise<void>;
}

/** The failures of this room; the agent's boundary (protocol/errors.ts) has the same names. */
export type SignerErrorCode =
  | "pin_incorrect"
  | "pin_locked"
  | "pin_expired"
  | "pin_not_set"
  | "pin_invalid"
  | "password_incorrect"
  | "key_file_unreadable"
  | "key_file_unsupported"
  | "token_not_present"
  | "token_removed"
  | "token_not_initialised"
  | "key_not_found"
  | "certificate_not_found"
  | "certificate_malformed"
  | "mechanism_unsupported"
  | "algorithm_forbidden"
  | "driver_not_found"
  | "driver_wrong_architecture"
  | "driver_not_pkcs11"
  | "driver_service_missing"
  | "driver_sha1_only"
  | "driver_crashed"
  | "driver_timeout"
  | "driver_error"
  | "user_cancelled"
  | "consent_timeout"
  | "request_cancelled";

export class SignerError extends Error {
  override readonly name = "SignerError";

  constructor(
    readonly code: SignerErrorCode,
    message: string,
    readonly details: {
      triesLeft?: TriesLeft;
      cause?: string;
    } = {},
  ) {
    super(message);
  }

  /** As reader/messages.ts names it. */
  get detail(): string | undefined {
    return this.details.cause;
  }
}

/** What reading a key file can end with. */
const KEY_FILE_CODES = [
  "password_incorrect",
  "key_file_unreadable",
  "key_file_unsupported",
  "key_not_found",
  "mechanism_unsupported",
  "driver_error",
] as const;

/** The error of a reader, which may be under a stranger's control: undefined where it is none about a key file. */
export function revivedSignerError({ name, code, message, detail }: {
  name: string;
  code?: unknown;
  message: string;
  detail?: string;
}): SignerError | undefined {
  const known = KEY_FILE_CODES.find((each) => each === code);
  return name === "SignerError" && known
    ? new SignerError(known, message, { cause: detail })
    : undefined;
}

/** Most bytes that an ML-DSA key signs: it signs the whole message, which a token gets in one piece. */
export const MAX_ML_DSA_MESSAGE = 1024 * 1024;

/** ML-DSA signs neither digests nor messages beyond {@linkcode MAX_ML_DSA_MESSAGE}. */
export const notInPureMode = () =>
  new SignerError(
    "mechanism_unsupported",
    "An ML-DSA key signs whole messages of at most 1 MiB, and no digests.",
  );
