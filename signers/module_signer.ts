/** A key behind a PKCS#11 module as a `Signer`, for the person at the computer or for a service that logs in itself. */
import {
  Pkcs11Error,
  type Pkcs11ErrorCode,
  type Pkcs11Key,
  type Pkcs11Session,
} from "../pkcs11_ffi/client.ts";
import { digest } from "../formats/digest.ts";
import { isMlDsa } from "../formats/keys/ml_dsa.ts";
import type { HashName, SignatureAlgorithm, Signer, SigningInput } from "../formats/signer.ts";
import { algorithmFor, selectorOf } from "./certificates.ts";
import {
  MAX_ML_DSA_MESSAGE,
  notInPureMode,
  SignerError,
  type SignerErrorCode,
} from "./provider.ts";

/** Longer messages, in bytes, are hashed here before they go to the token. */
const MAX_MESSAGE = 64 * 1024;

/**
 * Opens the key of a certificate.
 *
 * @param session logged in; closed with the signer
 * @param certificates the key's own, then those above it; DER
 * @throws {SignerError} `key_not_found`, `mechanism_unsupported`, `driver_*`
 */
export async function openModuleSigner(
  session: Pkcs11Session,
  [certificate, ...chain]: readonly Uint8Array[],
  hash: HashName,
): Promise<Signer> {
  const algorithm = algorithmFor(certificate, hash);
  const key = await translated(session.key(selectorOf(certificate)));
  const pinForEach = key.info.alwaysAuthenticate ? notAsked : null;
  return new TokenSigner({ certificate, chain }, algorithm, session, key, pinForEach);
}

const notAsked = () => {
  throw new SignerError(
    "mechanism_unsupported",
    "This key needs its PIN for every signature, which a service cannot type.",
  );
};

/** A key on a token, logged in until it is closed. */
export class TokenSigner implements Signer {
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];

  /**
   * @param pinForEach asked once a signature where the key demands it (CKA_ALWAYS_AUTHENTICATE); it gives null where
   *   the person is asked on the token's keypad, or by Windows
   */
  constructor(
    of: Pick<Signer, "certificate" | "chain">,
    readonly algorithm: SignatureAlgorithm,
    private readonly session: Pkcs11Session,
    private readonly key: Pkcs11Key,
    private readonly pinForEach: (() => Promise<Uint8Array> | null) | null,
  ) {
    this.certificate = of.certificate;
    this.chain = of.chain;
  }

  async sign(input: SigningInput, signal?: AbortSignal): Promise<Uint8Array> {
    const { scheme, hash } = this.algorithm;
    if (isMlDsa(scheme) && ("digest" in input || input.message.length > MAX_ML_DSA_MESSAGE)) {
      throw notInPureMode();
    }
    const hashed = "digest" in input
      ? input.digest
      : input.message.length > MAX_MESSAGE && !isMlDsa(scheme)
      ? digest(hash, input.message)
      : undefined;
    const request = {
      scheme,
      hash,
      ...hashed
        ? { input: "digest" as const, data: hashed }
        : { input: "message" as const, data: (input as { message: Uint8Array }).message },
    };
    if (!this.pinForEach) return await translated(this.key.sign(request, { signal }));
    return await translated(this.key.sign(request, { signal, pin: await this.pinForEach() }));
  }

  async close(): Promise<void> {
    await translated(this.session.close());
  }
}

/** Codes with another name here, or that fall into a wider one. */
const CODES: Record<Pkcs11ErrorCode, SignerErrorCode> = {
  pin_incorrect: "pin_incorrect",
  pin_locked: "pin_locked",
  pin_expired: "pin_expired",
  pin_length: "pin_invalid",
  pin_not_set: "pin_not_set",
  token_removed: "token_removed",
  token_not_present: "token_not_present",
  token_not_initialised: "token_not_initialised",
  token_not_found: "token_not_present",
  token_ambiguous: "driver_error",
  token_busy: "driver_error",
  user_not_logged_in: "driver_error",
  context_login_required: "driver_error",
  key_not_found: "key_not_found",
  key_not_usable: "mechanism_unsupported",
  mechanism_unsupported: "mechanism_unsupported",
  input_invalid: "driver_error",
  device_memory: "driver_error",
  device_error: "driver_error",
  driver_not_found: "driver_not_found",
  driver_wrong_architecture: "driver_wrong_architecture",
  driver_not_pkcs11: "driver_not_pkcs11",
  driver_load_failed: "driver_error",
  driver_sha1_only: "driver_sha1_only",
  driver_error: "driver_error",
  driver_nonsense: "driver_error",
  driver_crashed: "driver_crashed",
  driver_timeout: "driver_timeout",
  uri_invalid: "driver_error",
  cancelled: "request_cancelled",
  closed: "request_cancelled",
};

/** Translates a driver's failure into this room's. */
export function toSignerError(error: unknown): SignerError {
  if (!(error instanceof Pkcs11Error)) throw error;
  // With a function's name, "cancelled" comes from the token's keypad; otherwise from the request's sender.
  const byPerson = error.code === "cancelled" && error.functionName !== undefined;
  const code = byPerson ? "user_cancelled" : CODES[error.code];
  const { triesLeft, reason } = error;
  return new SignerError(code, error.message, {
    ...triesLeft && { triesLeft },
    ...reason && { cause: reason },
  });
}

/** Waits for a driver; its failures become {@linkcode SignerError}. */
export async function translated<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw toSignerError(error);
  }
}
