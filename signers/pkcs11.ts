/** Tokens behind PKCS#11 modules: one process a module (pkcs11_ffi/client.ts), all asked at the same time. */
import {
  type CertificateObject,
  type Pkcs11Client,
  Pkcs11Error,
  type Pkcs11ErrorCode,
  type Pkcs11Key,
  type Pkcs11Session,
  type Scheme,
  type TokenInfo as DriverToken,
} from "../pkcs11_ffi/client.ts";
import { digest } from "../formats/digest.ts";
import type { SignatureAlgorithm, SignatureScheme, Signer } from "../formats/signer.ts";
import { algorithmFor, chainOf, find } from "./certificates.ts";
import {
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Problem,
  type Provider,
  SignerError,
  type SignerErrorCode,
  type TokenInfo,
} from "./provider.ts";

/** A driver by its display name, which must be unique within a provider. */
export interface NamedClient {
  name: string;
  client: Pkcs11Client;
}

export interface Pkcs11Options {
  /** Of {@linkcode findModules}: told in every listing. */
  problems?: readonly Problem[];
  /**
   * Milliseconds after which a listing goes on without a driver; it is not disturbed and may be there in the next one.
   * 12,000 unless told: a known driver takes seven seconds for its first answer.
   */
  listTimeout?: number;
  /** How often {@linkcode Pkcs11Provider.watch} asks, in milliseconds; 2,000 unless told. */
  watchInterval?: number;
}

/** Messages longer than this are hashed here and not on the way to the token. */
const MAX_MESSAGE = 64 * 1024;

export class Pkcs11Provider implements Provider {
  readonly #clients: readonly NamedClient[];
  readonly #options: Pkcs11Options;

  constructor(clients: readonly NamedClient[], options: Pkcs11Options = {}) {
    this.#clients = clients;
    this.#options = options;
  }

  async list(signal?: AbortSignal): Promise<Listing> {
    const listings = await Promise.all(this.#clients.map((each) => this.#listOne(each, signal)));
    return {
      tokens: listings.flatMap(({ tokens }) => tokens),
      keys: listings.flatMap(({ keys }) => keys),
      problems: [...this.#options.problems ?? [], ...listings.flatMap(({ problems }) => problems)],
    };
  }

  async #listOne({ name, client }: NamedClient, signal?: AbortSignal): Promise<Listing> {
    const timeout = AbortSignal.timeout(this.#options.listTimeout ?? 12_000);
    const limit = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const listing: Listing = { tokens: [], keys: [], problems: [] };
    const problem = (error: unknown) => {
      if (signal?.aborted) throw new SignerError("request_cancelled", "The request was cancelled.");
      const late = timeout.aborted && error instanceof Pkcs11Error && error.code === "cancelled";
      const { code, message } = late
        ? new SignerError("driver_timeout", "The token's driver is slow. Look again in a moment.")
        : toSignerError(error);
      listing.problems.push({ driver: name, code, message });
    };
    try {
      for (const each of await client.tokens({ signal: limit })) {
        const token = describe(each, name);
        listing.tokens.push(token);
        if (token.state === "empty") continue;
        try {
          listing.keys.push(
            ...toKeys(token, await client.certificates(each.uri, { signal: limit })),
          );
        } catch (error) {
          problem(error); // this token's; the driver's others may be well
        }
      }
    } catch (error) {
      problem(error);
    }
    return listing;
  }

  async open(key: KeyInfo, { hash, askPin, signal }: OpenOptions): Promise<Signer> {
    const algorithm = algorithmFor(key.certificate, hash);
    const driver = this.#clients.find(({ name }) => name === key.token.driver);
    if (!driver) throw new SignerError("token_not_present", "The token's driver is not in use.");
    const { protectedAuthenticationPath } = key.token;
    const session = await translated(driver.client.openSession(key.token.uri, { signal }));
    try {
      // The one login. A keypad is waited for; a PIN is asked for here and wiped by the session.
      const pin = protectedAuthenticationPath ? null : await askPin("login");
      await translated(session.login(pin, { signal }));
      const selector = { id: idOf(key.uri), certificate: key.certificate };
      const opened = await translated(session.key(selector, { signal }));
      return new TokenSigner(key, algorithm, session, opened, askPin);
    } catch (error) {
      await session.close().catch(() => {}); // the first error is the one to tell
      throw error;
    }
  }

  watch(changed: () => void): () => void {
    const interval = this.#options.watchInterval ?? 2000;
    const ends = this.#clients.map(({ client }) => {
      let first = true;
      return client.watch(() => {
        if (!first) changed();
        first = false;
      }, interval);
    });
    return () => ends.forEach((end) => end());
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(({ client }) => client.close()));
  }
}

/** A key on a token, logged in until it is closed. */
class TokenSigner implements Signer {
  readonly certificate: Uint8Array;
  readonly chain: readonly Uint8Array[];

  constructor(
    private readonly key: KeyInfo,
    readonly algorithm: SignatureAlgorithm,
    private readonly session: Pkcs11Session,
    private readonly opened: Pkcs11Key,
    private readonly askPin: OpenOptions["askPin"],
  ) {
    this.certificate = key.certificate;
    this.chain = key.chain;
  }

  async sign(
    input: { message: Uint8Array } | { digest: Uint8Array },
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { scheme, hash } = this.algorithm;
    const hashed = "digest" in input
      ? input.digest
      : input.message.length > MAX_MESSAGE
      ? digest(hash, input.message)
      : undefined;
    const request = {
      scheme: SCHEMES[scheme],
      hash,
      ...hashed
        ? { input: "digest" as const, data: hashed }
        : { input: "message" as const, data: (input as { message: Uint8Array }).message },
    };
    if (!this.opened.info.alwaysAuthenticate) {
      return await translated(this.opened.sign(request, { signal }));
    }
    // CKA_ALWAYS_AUTHENTICATE: every signature is a login of its own, and the person's own doing.
    const pin = this.key.token.protectedAuthenticationPath ? null : await this.askPin("signature");
    return await translated(this.opened.sign(request, { signal, pin }));
  }

  async close(): Promise<void> {
    await translated(this.session.close());
  }
}

const SCHEMES: Record<SignatureScheme, Scheme> = {
  "RSASSA-PKCS1-v1_5": "RSASSA-PKCS1-v1_5",
  "RSASSA-PSS": "RSA-PSS",
  ECDSA: "ECDSA",
};

function describe(token: DriverToken, driver: string): TokenInfo {
  const { uri, label, manufacturer, model, serial, protectedAuthenticationPath } = token;
  return {
    uri,
    label: label || token.slotDescription.trim(), // many tokens have no label of their own
    manufacturer,
    model,
    serialNumber: serial,
    driver,
    state: stateOf(token),
    protectedAuthenticationPath,
  };
}

function stateOf(token: DriverToken): TokenInfo["state"] {
  if (!token.initialized) return "empty";
  if (token.triesLeft === "locked") return "pin_locked";
  if (token.loginRequired && !token.pinInitialized) return "pin_not_set";
  if (token.triesLeft === "final") return "pin_final_try";
  return token.triesLeft === "low" ? "pin_low" : "ready";
}

function toKeys(token: TokenInfo, objects: readonly CertificateObject[]): KeyInfo[] {
  const certificates = objects.map(({ der, uri }) => ({ ...find(der), uri }));
  return certificates.map((certificate) => ({
    uri: certificate.uri,
    token,
    certificate: certificate.der,
    chain: chainOf(certificate, certificates),
    // Private keys are hidden before the login, so what is no CA's certificate is taken to have one.
    hasKey: certificate.parsed?.basicConstraints?.ca !== true,
  }));
}

/** CKA_ID in hex from an RFC 7512 URI; undefined where it has none. */
function idOf(uri: string): string | undefined {
  const value = /[:;]id=([^;?]*)/.exec(uri)?.[1];
  return value?.replace(
    /%([0-9A-Fa-f]{2})|([^%])/g,
    (_, hex, plain) => hex?.toLowerCase() ?? plain.charCodeAt(0).toString(16).padStart(2, "0"),
  );
}

/** What has the same meaning under another name, or belongs to a wider kind here. */
const CODES: Record<Pkcs11ErrorCode, SignerErrorCode> = {
  pin_incorrect: "pin_incorrect",
  pin_locked: "pin_locked",
  pin_expired: "pin_expired",
  pin_length: "pin_invalid",
  pin_not_set: "pin_not_set",
  token_removed: "token_removed",
  token_not_present: "token_not_present",
  token_not_initialized: "token_not_initialised",
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
  driver_error: "driver_error",
  driver_nonsense: "driver_error",
  driver_crashed: "driver_crashed",
  driver_timeout: "driver_timeout",
  uri_invalid: "driver_error",
  cancelled: "request_cancelled",
  closed: "request_cancelled",
};

function toSignerError(error: unknown): SignerError {
  if (!(error instanceof Pkcs11Error)) throw error;
  // The driver's own "cancelled" comes from its keypad, ours from the request's sender.
  const byPerson = error.code === "cancelled" && error.functionName !== undefined;
  const code = byPerson ? "user_cancelled" : CODES[error.code];
  const triesLeft = error.triesLeft === "locked" ? "none" : error.triesLeft;
  return new SignerError(code, error.message, {
    ...triesLeft && { triesLeft },
    ...error.reason && { cause: error.reason },
  });
}

async function translated<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw toSignerError(error);
  }
}
