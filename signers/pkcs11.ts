/** Tokens behind PKCS#11 modules: one process a module (pkcs11_ffi/client.ts), all asked at the same time. */
import {
  type CertificateObject,
  type Pkcs11Client,
  Pkcs11Error,
  type Pkcs11Session,
  type TokenInfo as DriverToken,
} from "../pkcs11_ffi/client.ts";
import type { Signer } from "../formats/signer.ts";
import { ERRORS } from "../protocol/errors.ts";
import { algorithmFor, chainOf, find, selectorOf } from "./certificates.ts";
import { stoppedService } from "./driver_service.ts";
import { TokenSigner, toSignerError, translated } from "./module_signer.ts";
import {
  type AskPin,
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Problem,
  type Provider,
  SignerError,
  type TokenInfo,
} from "./provider.ts";

/** A driver by its display name, which must be unique within a provider. */
export interface NamedClient {
  name: string;
  client: Pkcs11Client;
  /** Its library; with it, a service that the driver needs and that does not run is named. */
  path?: string;
}

export interface Pkcs11Options {
  /** From {@linkcode findModules}; repeated in every listing. */
  problems?: readonly Problem[];
  /**
   * Milliseconds after which a listing goes on without a driver; it goes on loading and may be in the next one.
   * 12,000 by default: a known driver takes seven seconds for its first answer.
   */
  listTimeout?: number;
  /** How often {@linkcode Pkcs11Provider.watch} asks, in milliseconds; 2,000 by default. */
  watchInterval?: number;
}

/** Milliseconds that a listing waits for a driver that has not yet answered an earlier one. */
const LATE_TIMEOUT = 1000;

export class Pkcs11Provider implements Provider {
  readonly #clients: readonly NamedClient[];
  readonly #options: Pkcs11Options;
  /** Certificates that tokens have shown after a login, by driver and token. */
  readonly #revealed = new Map<string, CertificateObject[]>();
  /** Drivers that have not yet answered an earlier listing. */
  readonly #late = new Set<Pkcs11Client>();

  constructor(clients: readonly NamedClient[], options: Pkcs11Options = {}) {
    this.#clients = clients;
    this.#options = options;
  }

  async list(signal?: AbortSignal): Promise<Listing> {
    const listings = await Promise.all(this.#clients.map((each) => this.#listOne(each, signal)));
    const none = listings.every(({ tokens }) => tokens.length === 0);
    await Promise.all(listings.map(async (listing, i) => {
      // Of a driver that works and finds nothing this matters only while no other finds a token.
      if (listing.tokens.length > 0 || !none && listing.problems.length === 0) return;
      const { name, path } = this.#clients[i];
      const service = path ? await stoppedService(path) : null;
      if (service) listing.problems = [serviceProblem(name, service.name)];
    }));
    return {
      tokens: listings.flatMap(({ tokens }) => tokens),
      keys: listings.flatMap(({ keys }) => keys),
      problems: [...this.#options.problems ?? [], ...listings.flatMap(({ problems }) => problems)],
      ...listings.some(({ problems }) => problems.length === 0) && { works: true },
    };
  }

  async #listOne({ name, client }: NamedClient, signal?: AbortSignal): Promise<Listing> {
    const { listTimeout = 12_000 } = this.#options;
    const within = (milliseconds: number) =>
      AbortSignal.any([AbortSignal.timeout(milliseconds), ...signal ? [signal] : []]);
    const limit = within(listTimeout);
    const listing: Listing = { tokens: [], keys: [], problems: [] };
    const problem = (error: unknown) => {
      if (signal?.aborted) throw new SignerError("request_cancelled", "The request was cancelled.");
      // Of a listing that nobody gave up.
      const late = error instanceof Pkcs11Error && error.code === "cancelled";
      if (late) this.#waitFor(client);
      const { code, message } = late
        ? new SignerError("driver_timeout", "The token's driver is slow. Try again in a moment.")
        : toSignerError(error);
      listing.problems.push({ driver: name, code, message });
    };
    try {
      const first = this.#late.has(client) ? within(Math.min(LATE_TIMEOUT, listTimeout)) : limit;
      const found = await client.tokens({ signal: first });
      for (const each of found.filter((each) => !isSpare(each, found))) {
        const token = describe(each, name);
        listing.tokens.push(token);
        if (token.state === "empty") continue;
        try {
          const shown = await client.certificates(each.uri, { signal: limit });
          const revealed = this.#revealed.get(placeOf(token));
          const keys = toKeys(token, revealed ?? shown);
          listing.keys.push(...keys);
          const own = keys.filter(({ hasKey }) => hasKey);
          const canUnlock = each.loginRequired && each.pinInitialised;
          if (own.length === 0 && !revealed && canUnlock) token.hidesCertificates = true;
          if (!each.loginRequired && await seesKey(client, own, limit)) token.loginRequired = false;
        } catch (error) {
          problem(error); // a problem of this token; the driver's other tokens may work
        }
      }
    } catch (error) {
      problem(error);
    }
    const present = new Set(listing.tokens.map(placeOf));
    for (const place of this.#revealed.keys()) {
      if (place.startsWith(`${name}\n`) && !present.has(place)) this.#revealed.delete(place);
    }
    return listing;
  }

  /** Until the driver has answered, or failed, listings go on without it. */
  #waitFor(client: Pkcs11Client): void {
    if (this.#late.has(client)) return;
    this.#late.add(client);
    client.tokens().catch(() => {}).finally(() => this.#late.delete(client));
  }

  async reveal(token: TokenInfo, askPin: AskPin, signal?: AbortSignal): Promise<void> {
    const session = await this.#session(token, signal);
    try {
      const pin = token.protectedAuthenticationPath ? null : await askPin("login");
      await translated(session.login(pin, { signal }));
      this.#revealed.set(placeOf(token), await translated(session.certificates({ signal })));
    } finally {
      await session.close();
    }
  }

  async changePin(
    token: TokenInfo,
    pins: [old: Uint8Array, next: Uint8Array] | null,
    signal?: AbortSignal,
  ): Promise<void> {
    const session = await this.#session(token, signal);
    try {
      await translated(session.setPin(pins, { signal }));
    } finally {
      await session.close();
    }
  }

  async #session({ driver, uri }: TokenInfo, signal?: AbortSignal): Promise<Pkcs11Session> {
    const found = this.#clients.find(({ name }) => name === driver);
    if (!found) throw new SignerError("token_not_present", "The token's driver is not in use.");
    return await translated(found.client.openSession(uri, { signal }));
  }

  async open(key: KeyInfo, { hash, askPin, signal }: OpenOptions): Promise<Signer> {
    const algorithm = algorithmFor(key.certificate, hash);
    const { protectedAuthenticationPath } = key.token;
    const session = await this.#session(key.token, signal);
    try {
      if (key.token.loginRequired !== false) {
        // The only login. Wait for a keypad, or ask for the PIN here; the session wipes it.
        const pin = protectedAuthenticationPath ? null : await askPin("login");
        try {
          await this.#refuseAnother(session, key, signal);
          await translated(session.login(pin, { signal }));
        } finally {
          pin?.fill(0);
        }
      }
      const selector = selectorOf(key.certificate, idOf(key.uri));
      const opened = await translated(session.key(selector, { signal }));
      // CKA_ALWAYS_AUTHENTICATE: the person authorizes each signature, on the token's keypad or with the PIN.
      const pinForEach = opened.info.alwaysAuthenticate
        ? () => protectedAuthenticationPath ? null : askPin("signature")
        : null;
      return new TokenSigner(key, algorithm, session, opened, pinForEach);
    } catch (error) {
      await session.close().catch(() => {}); // report the first error
      throw error;
    }
  }

  /**
   * The PIN is not for a token that took the place of the one that was listed: those without a serial number have the
   * same URI.
   */
  async #refuseAnother(
    session: Pkcs11Session,
    { token, certificate }: KeyInfo,
    signal?: AbortSignal,
  ) {
    if (token.serialNumber !== "" || this.#revealed.has(placeOf(token))) return;
    const shown = await translated(session.certificates({ signal }));
    const wanted = certificate.toHex();
    if (shown.some(({ der }) => der.toHex() === wanted)) return;
    throw new SignerError("token_not_present", ERRORS.token_not_present.message);
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

const serviceProblem = (driver: string, service: string): Problem => ({
  driver,
  code: "driver_service_missing",
  message: `The service ${service}, which the token's driver needs, is not running. ` +
    "Restart the computer, or ask the administrator.",
});

function describe(token: DriverToken, driver: string): TokenInfo {
  const { uri, label, manufacturer, model, serial, protectedAuthenticationPath } = token;
  return {
    uri,
    // Many tokens have no label of their own.
    label: label || token.slotDescription.trim() || model || driver,
    manufacturer,
    model,
    serialNumber: serial,
    driver,
    state: stateOf(token),
    protectedAuthenticationPath,
    ...token.pinToBeChanged && { firstPin: true },
    ...token.loginRequired && token.pinInitialised &&
      { newPin: { min: token.minPinLength, max: token.maxPinLength } },
  };
}

/** SoftHSM always has one more slot, in which a token can be made. An empty card in a reader is told. */
const isSpare = ({ initialised, removable }: DriverToken, all: readonly DriverToken[]) =>
  !initialised && !removable && all.some((each) => each.initialised);

const placeOf = ({ driver, uri }: TokenInfo) => `${driver}\n${uri}`;

function stateOf(token: DriverToken): TokenInfo["state"] {
  if (!token.initialised) return "empty";
  if (token.triesLeft === "none") return "pin_locked";
  if (token.loginRequired && !token.pinInitialised) return "pin_not_set";
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
    // Private keys are hidden before the login, so assume one for every certificate that is not a CA's.
    hasKey: certificate.parsed?.basicConstraints?.ca !== true,
  }));
}

/** Whether a session without a login sees the key of any of these certificates of one token. */
async function seesKey(client: Pkcs11Client, keys: KeyInfo[], signal: AbortSignal) {
  if (keys.length === 0) return false;
  const session = await client.openSession(keys[0].token.uri, { signal });
  try {
    const found = keys.map(({ certificate, uri }) =>
      session.key(selectorOf(certificate, idOf(uri)), { signal })
    );
    return (await Promise.allSettled(found)).some(({ status }) => status === "fulfilled");
  } finally {
    await session.close();
  }
}

/** CKA_ID in hex from an RFC 7512 URI; undefined if it has none. */
function idOf(uri: string): string | undefined {
  const value = /[:;]id=([^;?]*)/.exec(uri)?.[1];
  return value?.replace(
    /%([0-9A-Fa-f]{2})|([^%])/g,
    (_, hex, plain) => hex?.toLowerCase() ?? plain.charCodeAt(0).toString(16).padStart(2, "0"),
  );
}
