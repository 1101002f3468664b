/**
 * Keys of the Windows certificate store, for tokens whose PKCS#11 module nobody knows. Each provider that certificates
 * name is a token, in a process of its own while it is in use (windows_ffi/host.ts).
 */
import {
  type CertificateObject,
  Pkcs11Client,
  Pkcs11Error,
  type Pkcs11ErrorCode,
  type Timeouts,
} from "../pkcs11_ffi/client.ts";
import type { Signer } from "../formats/signer.ts";
import { signingUse } from "../formats/x509/certificate.ts";
import { algorithmFor, chainOf, find, type Found, selectorOf } from "./certificates.ts";
import { TokenSigner, toSignerError, translated } from "./module_signer.ts";
import {
  type KeyInfo,
  type Listing,
  type OpenOptions,
  type Provider,
  SignerError,
  type TokenInfo,
} from "./provider.ts";

/** The driver of these tokens, as people see it. */
const WINDOWS_STORE = "Windows certificate store";

/** Providers that take a PIN from a program. Of others it is not known what they do with one. */
const TAKE_A_PIN: ReadonlySet<string> = new Set([
  "Microsoft Base Smart Card Crypto Provider",
  "Microsoft Smart Card Key Storage Provider",
]);

/** Keeps keys in the computer's TPM, mostly without a PIN. */
const PLATFORM = "Microsoft Platform Crypto Provider";

/** Milliseconds that a listing waits for a provider that was late for the one before. */
const LATE_TIMEOUT = 1000;

export interface WindowsStoreOptions {
  /** Program and arguments that run `runStoreHost()`. */
  command: string[];
  /** Added to the children's environment. */
  env?: Record<string, string>;
  /** Which keys are listed: those in hardware, by their providers' word, or software keys too. */
  keys: "hardware" | "all";
  /** Where the PIN is typed: in the provider's dialog, or, where its maker is Microsoft, in D-Sign's own window. */
  pin: "windows" | "window";
  timeouts?: Partial<Timeouts>;
  /** Milliseconds after which a listing goes on without a provider; 12,000 by default. */
  listTimeout?: number;
  /**
   * How often {@linkcode WindowsStoreProvider.watch} looks, in milliseconds; 5,000 by default. Less and less often, up to
   * a minute, while a provider has a problem.
   */
  watchInterval?: number;
}

/** A provider's process, and what it showed last. */
interface Place {
  client: Pkcs11Client;
  listing: Listing;
  /** A key is open: its dialog may hold the process, and the card, for minutes. */
  inUse: boolean;
  /** It did not answer the last listing in time. */
  isLate: boolean;
  /** It is Windows' own, and has no key in hardware: it is not asked again, and its process has ended. */
  isSoftware: boolean;
}

export class WindowsStoreProvider implements Provider {
  readonly #options: WindowsStoreOptions;
  /** Reads the store, and loads no provider. */
  readonly #store: Pkcs11Client;
  /** By the provider's name. */
  readonly #places = new Map<string, Place>();

  constructor(options: WindowsStoreOptions) {
    this.#options = options;
    this.#store = this.#newClient();
  }

  async list(signal?: AbortSignal): Promise<Listing> {
    const { listTimeout = 12_000 } = this.#options;
    /** What `ask` gives, or the problem that it had. */
    const within = async (
      driver: string,
      ms: number,
      ask: (limit: AbortSignal) => Promise<Listing[]>,
    ): Promise<Listing[]> => {
      const timeout = AbortSignal.timeout(ms);
      try {
        return await ask(signal ? AbortSignal.any([signal, timeout]) : timeout);
      } catch (error) {
        if (signal?.aborted) {
          throw new SignerError("request_cancelled", "The request was cancelled.");
        }
        const late = timeout.aborted && error instanceof Pkcs11Error && error.code === "cancelled";
        const { code, message } = late
          ? new SignerError("driver_timeout", "Windows' provider is slow. Try again in a moment.")
          : toSignerError(error);
        return [{ tokens: [], keys: [], problems: [{ driver, code, message }] }];
      }
    };
    const listings = await within(WINDOWS_STORE, listTimeout, async (limit) => {
      const tokens = await this.#store.tokens({ signal: limit });
      const found = await Promise.all(tokens.map(async ({ label, uri }) => {
        const place = this.#placeOf(label);
        if (place.inUse || place.isSoftware) return [place.listing];
        // Nobody waits twice for a provider that hangs.
        const ms = place.isLate ? Math.min(LATE_TIMEOUT, listTimeout) : listTimeout;
        const listings = await within(label, ms, async (limit) => {
          const shown = await place.client.certificates(uri, { signal: limit });
          if (this.#options.keys === "hardware" && isSoftware(label, shown)) {
            place.isSoftware = true;
            await place.client.close();
          }
          return [place.listing = this.#describe(label, uri, shown)];
        });
        place.isLate = listings[0].problems.some(({ code }) => code === "driver_timeout");
        return listings;
      }));
      return found.flat();
    });
    const works = listings.some(({ keys }) =>
      keys.some(({ missing }) => missing !== "driver_not_found")
    );
    return {
      ...works && { works },
      tokens: listings.flatMap(({ tokens }) => tokens),
      keys: listings.flatMap(({ keys }) => keys),
      problems: listings.flatMap(({ problems }) => problems),
    };
  }

  #describe(provider: string, uri: string, shown: readonly CertificateObject[]): Listing {
    const found = shown.map(({ der }) => find(der));
    const own = shown.map(({ key, uri }, i) => ({ key: key!, uri, certificate: found[i] }))
      .filter(({ key, certificate }) =>
        key && (this.#options.keys === "all" || key.hardware) && isForSigning(certificate)
      );
    const asksForPin = provider !== PLATFORM && own.some(({ key }) => key.hardware);
    const token: TokenInfo = {
      uri,
      label: provider,
      manufacturer: "",
      model: "Windows store",
      serialNumber: "",
      driver: WINDOWS_STORE,
      state: "ready",
      protectedAuthenticationPath: false,
      ...!asksForPin
        ? { loginRequired: false as const }
        : !this.#takesPin(provider) && { windowsAsks: true as const },
    };
    const keys = own.map(({ key: { failure }, uri, certificate }): KeyInfo => {
      const missing = failure && UNUSABLE[failure.code];
      return {
        uri,
        token,
        certificate: certificate.der,
        chain: chainOf(certificate, found),
        hasKey: missing === undefined,
        ...missing && { missing },
        eachSignature: true,
      };
    });
    return {
      tokens: keys.some(({ hasKey }) => hasKey) ? [token] : [],
      keys,
      problems: [],
    };
  }

  #takesPin(provider: string): boolean {
    return this.#options.pin === "window" && TAKE_A_PIN.has(provider);
  }

  async open(key: KeyInfo, { hash, askPin, signal }: OpenOptions): Promise<Signer> {
    const algorithm = algorithmFor(key.certificate, hash);
    const { uri, label, windowsAsks, loginRequired } = key.token;
    const place = this.#placeOf(label);
    if (place.inUse) throw new SignerError("driver_error", "Another request is using this token.");
    place.inUse = true;
    const { client } = place;
    // Windows forgets the PIN when the process ends.
    const close = async () => {
      this.#places.delete(label);
      await client.close();
    };
    try {
      const session = await translated(client.openSession(uri, { signal }));
      const opened = await translated(session.key(selectorOf(key.certificate), { signal }));
      const typed = !windowsAsks && loginRequired !== false;
      if (typed) await translated(session.login(await askPin("login"), { signal }));
      // A software key may have a password, for which Windows asks too.
      const signer = new TokenSigner(key, algorithm, session, opened, typed ? null : () => null);
      return {
        certificate: signer.certificate,
        chain: signer.chain,
        algorithm,
        sign: (input, signal) => signer.sign(input, signal).catch(unanswered),
        close,
      };
    } catch (error) {
      await close();
      throw error;
    }
  }

  watch(changed: () => void): () => void {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last: string | undefined;
    const interval = this.#options.watchInterval ?? 5000;
    let pause = interval;
    const look = async () => {
      try {
        const { tokens, keys, problems } = await this.list(stop.signal);
        // A provider that hangs may be showing a dialog, although it must not.
        pause = problems.length > 0 ? Math.min(2 * pause, 60_000) : interval;
        const now = JSON.stringify([tokens, keys.map(({ uri, hasKey }) => [uri, hasKey])]);
        if (last !== undefined && now !== last && !stop.signal.aborted) changed();
        last = now;
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      }
      if (!stop.signal.aborted) timer = setTimeout(look, pause);
    };
    look();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }

  async close(): Promise<void> {
    const clients = [this.#store, ...[...this.#places.values()].map(({ client }) => client)];
    this.#places.clear();
    await Promise.all(clients.map((client) => client.close()));
  }

  #placeOf(provider: string): Place {
    let place = this.#places.get(provider);
    if (!place) {
      const listing = { tokens: [], keys: [], problems: [] };
      place = {
        client: this.#newClient(),
        listing,
        inUse: false,
        isLate: false,
        isSoftware: false,
      };
      this.#places.set(provider, place);
    }
    return place;
  }

  #newClient(): Pkcs11Client {
    const { command, env, timeouts } = this.#options;
    return new Pkcs11Client({ modulePath: "", command, env, timeouts });
  }
}

/** Most computers have such certificates, and a process for them would do nothing. */
const isSoftware = (provider: string, shown: readonly CertificateObject[]) =>
  provider.startsWith("Microsoft ") && provider !== PLATFORM && !TAKE_A_PIN.has(provider) &&
  shown.every(({ key }) => !key?.hardware);

/** The store is for all of Windows: certificates of servers and of the computer's own logins are no business of a page's. */
function isForSigning({ parsed }: Found): boolean {
  const reason = parsed && signingUse(parsed, new Date()).reason;
  return reason !== "not_for_documents" && reason !== "ca_certificate";
}

/** Why a key cannot be used. Other failures pass, as of a card that another program holds. */
const UNUSABLE: Partial<Record<Pkcs11ErrorCode, KeyInfo["missing"]>> = {
  token_not_present: "token_not_present",
  token_removed: "token_not_present",
  driver_not_found: "driver_not_found",
  driver_load_failed: "driver_not_found",
  driver_wrong_architecture: "driver_not_found",
  driver_sha1_only: "driver_sha1_only",
  mechanism_unsupported: "mechanism_unsupported",
  key_not_found: "key_not_found",
  key_not_usable: "key_not_found",
};

/** The dialog stands until somebody answers it; then its process is ended. */
function unanswered(error: unknown): never {
  if (error instanceof SignerError && error.code === "driver_timeout") {
    throw new SignerError(
      "consent_timeout",
      "Nobody answered Windows' question for the PIN in time. Try again, and look for its window behind the others.",
    );
  }
  throw error;
}
