/**
 * The child process for keys of the Windows certificate store. It answers as a PKCS#11 driver's does
 * (pkcs11_ffi/client.ts): each provider that a certificate names is a token. Reading the store loads no provider;
 * `certificates` and `open` load the one that they name.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Pkcs11Error } from "../pkcs11_ffi/error.ts";
import { digestLength, ecdsaToDer } from "../pkcs11_ffi/mechanism.ts";
import {
  type CertificateObject,
  type KeyInfo,
  type Request,
  toFailure,
  type TokenInfo,
} from "../pkcs11_ffi/messages.ts";
import { type Host, serve } from "../pkcs11_ffi/serve.ts";
import { formatUri, parseUri } from "../pkcs11_ffi/uri.ts";
import type { StoreKey } from "./key.ts";
import { lookAt, openKey } from "./keys.ts";
import { openWindows, type RawWindows } from "./raw.ts";
import { storedCertificates } from "./store.ts";

/** Model of these tokens, in their URIs too. */
const MODEL = "Windows store";

/** Runs until standard input ends. It keeps the permission `ffi` alone. */
export const runStoreHost = (): never =>
  serve(() => {
    for (const name of ["read", "run", "net", "env", "sys", "write", "import"] as const) {
      Deno.permissions.revokeSync({ name });
    }
    return new StoreHost(openWindows());
  });

interface OpenKey {
  key: StoreKey;
  info: KeyInfo;
  /** It was given a PIN, and has not signed with it. */
  unproven?: boolean;
  /** After these no other signature is tried: it would take another try from the PIN, or ask a person who said no. */
  failed?: Pkcs11Error;
}

const FINAL: ReadonlySet<string> = new Set(["pin_incorrect", "pin_locked", "cancelled"]);

export class StoreHost implements Host {
  readonly #raw: RawWindows;
  /** The providers of the open sessions. */
  readonly #sessions = new Map<number, { provider: string; keys: Map<number, OpenKey> }>();
  #last = 0;

  constructor(raw: RawWindows) {
    this.#raw = raw;
  }

  close(): void {
    for (const session of this.#sessions.keys()) this.#closeSession(session);
  }

  answer(
    request: Request,
    blob: Uint8Array<ArrayBuffer>,
  ): { value?: unknown; blob?: Uint8Array } {
    switch (request.op) {
      case "tokens": {
        const names = storedCertificates(this.#raw).map(({ place }) => place.provider);
        return { value: [...new Set(names)].map(describe) };
      }
      case "certificates": {
        if (!("token" in request)) break;
        const found = this.#certificates(providerOf(request.token));
        return {
          value: found.map(({ der, ...rest }) => ({ ...rest, length: der.length })),
          blob: Buffer.concat(found.map(({ der }) => der)),
        };
      }
      case "open":
        this.#sessions.set(++this.#last, {
          provider: providerOf(request.token),
          keys: new Map(),
        });
        return { value: this.#last };
      case "key": {
        const { provider, keys } = this.#session(request.session);
        const { publicKey } = request;
        const stored = storedCertificates(this.#raw).find(({ der, place }) =>
          place.provider === provider && Buffer.compare(der, blob) === 0
        );
        if (!stored || !publicKey) throw new Pkcs11Error("key_not_found");
        const uri = uriOf(provider);
        const info = { ...publicKey, uri, id: "", label: "", alwaysAuthenticate: false };
        keys.set(++this.#last, { key: openKey(this.#raw, stored.place), info });
        return { value: { key: this.#last, info } };
      }
      case "login":
        for (const opened of this.#session(request.session).keys.values()) {
          opened.unproven = true;
          opened.key.setPin(blob);
        }
        return {};
      case "sign": {
        const opened = this.#session(request.session).keys.get(request.key);
        if (!opened) throw new Pkcs11Error("key_not_found");
        return { blob: sign(opened, request, blob) };
      }
      case "logout":
        return {};
      case "close":
        this.#closeSession(request.session);
        return { value: true };
    }
    throw new Pkcs11Error("driver_error", { reason: `${request.op} is not for this store` });
  }

  #certificates(provider: string): CertificateObject[] {
    const issuers = new Map<string, CertificateObject>();
    const own = storedCertificates(this.#raw).filter(({ place }) => place.provider === provider);
    const found = own.map(({ der, place, issuers: above }): CertificateObject => {
      for (const each of above) issuers.set(each.toHex(), object(provider, each));
      const { hardware, error } = lookAt(this.#raw, place);
      return {
        ...object(provider, der),
        key: { hardware, ...error && { failure: toFailure(error) } },
      };
    });
    return [...found, ...issuers.values()];
  }

  #session(id: number) {
    const session = this.#sessions.get(id);
    if (!session) throw new Pkcs11Error("user_not_logged_in", { reason: "the session is closed" });
    return session;
  }

  #closeSession(id: number): void {
    for (const { key } of this.#sessions.get(id)?.keys.values() ?? []) key.close();
    this.#sessions.delete(id);
  }
}

function sign(
  opened: OpenKey,
  { scheme, hash, input, pinPad }: Extract<Request, { op: "sign" }>,
  data: Uint8Array<ArrayBuffer>,
): Uint8Array {
  if (opened.failed) throw opened.failed;
  const name = hash.replace("SHA-", "sha");
  const digest = input === "digest" ? data : new Uint8Array(createHash(name).update(data).digest());
  if (digest.length !== digestLength(hash)) throw new Pkcs11Error("input_invalid");
  const { type, bits } = opened.info;
  // FIPS 186-5 §6.4.1: ECDSA uses the leftmost bits of the digest.
  const signed = type === "ec" ? digest.subarray(0, Math.ceil(bits / 8)) : digest;
  try {
    const signature = opened.key.sign(scheme, hash, signed, pinPad === true);
    opened.unproven = false;
    return type === "ec" ? ecdsaToDer(signature) : signature;
  } catch (error) {
    // Not every card tells a wrong PIN by that name.
    const isFinal = (code: string) => opened.unproven || FINAL.has(code);
    if (error instanceof Pkcs11Error && isFinal(error.code)) opened.failed = error;
    throw error;
  }
}

const uriOf = (provider: string) => formatUri({ token: provider, model: MODEL });

const providerOf = (uri: string) => {
  const { token, model } = parseUri(uri);
  if (!token || model !== MODEL) throw new Pkcs11Error("token_not_found");
  return token;
};

function object(provider: string, der: Uint8Array<ArrayBuffer>): CertificateObject {
  const id = createHash("sha1").update(der).digest("hex");
  const uri = formatUri({ token: provider, model: MODEL, id, type: "cert" });
  return { uri, id, label: "", der };
}

/** Nothing is known of a provider before it is loaded. */
const describe = (provider: string): TokenInfo => ({
  uri: uriOf(provider),
  slotId: 0,
  slotDescription: "",
  slotManufacturer: "",
  label: provider,
  manufacturer: "",
  model: MODEL,
  serial: "",
  loginRequired: true,
  protectedAuthenticationPath: false,
  initialised: true,
  pinInitialised: true,
  pinToBeChanged: false,
  removable: true,
  triesLeft: "unknown",
  minPinLength: 0,
  maxPinLength: 0,
});

if (import.meta.main) runStoreHost();
