/** The child process of one driver. */
import { Buffer } from "node:buffer";
import { Pkcs11Error } from "./error.ts";
import type { CertificateObject, Request, StartMessage } from "./messages.ts";
import { Module, type Pin } from "./module.ts";
import { type Host, serve } from "./serve.ts";
import type { PrivateKey } from "./objects.ts";
import { Session } from "./session.ts";

/**
 * Runs until standard input ends. Every permission but `ffi` is given back, and that is needed for every call into the
 * driver.
 */
export const runHost = (): never => serve(start);

function start({ modulePath, initArgs }: StartMessage): Host {
  for (const name of ["run", "net", "env", "sys", "write", "import"] as const) {
    Deno.permissions.revokeSync({ name });
  }
  const module = Module.load(modulePath, initArgs);
  Deno.permissions.revokeSync({ name: "read" });
  return new DriverHost(module);
}

class DriverHost implements Host {
  readonly #module: Module;
  readonly #sessions = new Map<number, OpenSession>();
  #nextSession = 1;
  #nextKey = 1;

  constructor(module: Module) {
    this.#module = module;
  }

  /**
   * The end of the process ends a login only on some tokens, so it is ended here. Not by C_Finalize, which hangs or
   * crashes in too many drivers.
   */
  close(): void {
    for (const { session } of this.#sessions.values()) session.close();
  }

  #open(uri: string): Session {
    return new Session(this.#module, this.#module.tokenAt(uri));
  }

  /** The X.509 certificates that a token shows without a login. */
  #publicCertificates(uri: string): CertificateObject[] {
    const session = this.#open(uri);
    try {
      return session.certificates();
    } finally {
      session.close();
    }
  }

  answer(
    request: Request,
    blob: Uint8Array<ArrayBuffer>,
  ): { value?: unknown; blob?: Uint8Array } {
    switch (request.op) {
      case "info":
        return { value: this.#module.info() };
      case "tokens":
        return { value: this.#module.tokens() };
      case "certificates": {
        const certificates = "token" in request
          ? this.#publicCertificates(request.token)
          : this.#session(request.session).session.certificates();
        return {
          value: certificates.map(({ der, ...rest }) => ({ ...rest, length: der.length })),
          blob: Buffer.concat(certificates.map(({ der }) => der)),
        };
      }
      case "open": {
        const session = this.#open(request.token);
        this.#sessions.set(this.#nextSession, { session, keys: new Map() });
        return { value: this.#nextSession++ };
      }
      case "login":
        this.#session(request.session).session.login(request.pin ? blob : null);
        return {};
      case "setPin": {
        const { oldLength } = request;
        const pins = oldLength === undefined
          ? null
          : [blob.subarray(0, oldLength), blob.subarray(oldLength)] satisfies [Pin, Pin];
        this.#session(request.session).session.setPin(pins);
        return {};
      }
      case "key": {
        const { session, keys } = this.#session(request.session);
        const certificate = request.certificate ? blob : undefined;
        const key = session.key({ id: request.id, certificate, publicKey: request.publicKey });
        keys.set(this.#nextKey, key);
        return { value: { key: this.#nextKey++, info: key.info } };
      }
      case "generate": {
        const { session, keys } = this.#session(request.session);
        const { key, publicPart } = session.generate(request.spec);
        keys.set(this.#nextKey, key);
        return { value: { key: this.#nextKey++, info: key.info, publicPart } };
      }
      case "destroy": {
        const { session, keys } = this.#session(request.session);
        const key = openKey(keys, request.key);
        keys.delete(request.key);
        session.destroy(key);
        return {};
      }
      case "sign": {
        const { session, keys } = this.#session(request.session);
        const { pinLength = 0, scheme, hash, input } = request;
        const pin = request.pinPad ? null : pinLength > 0 ? blob.subarray(0, pinLength) : undefined;
        const data = blob.subarray(pinLength);
        const key = openKey(keys, request.key);
        return { blob: session.sign(key, { scheme, hash, input, data }, pin) };
      }
      case "logout":
        this.#session(request.session).session.logout();
        return {};
      case "close": {
        const { session } = this.#session(request.session);
        this.#sessions.delete(request.session);
        return { value: session.close() };
      }
    }
  }

  #session(id: number): OpenSession {
    const entry = this.#sessions.get(id);
    if (!entry) throw new Pkcs11Error("user_not_logged_in", { reason: "the session is closed" });
    return entry;
  }
}

interface OpenSession {
  session: Session;
  keys: Map<number, PrivateKey>;
}

function openKey(keys: OpenSession["keys"], id: number): PrivateKey {
  const key = keys.get(id);
  if (!key) throw new Pkcs11Error("key_not_found", { reason: "the key was destroyed" });
  return key;
}

if (import.meta.main) runHost();
