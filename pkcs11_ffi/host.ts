/**
 * The child process of one driver: reads frames from standard input, calls the driver, writes
 * frames to standard output. One thread, one request after another.
 */
import { Buffer } from "node:buffer";
import { Pkcs11Error } from "./error.ts";
import {
  type CertificateObject,
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameReader,
  type Reply,
  type Request,
  type StartMessage,
  toFailure,
} from "./messages.ts";
import { Module, type Pin } from "./module.ts";
import { type PrivateKey, Session } from "./session.ts";

/** Replies are gathered for at most so long, in milliseconds, before they are written. */
const GATHER_MS = 2;

/**
 * Runs until standard input ends. The first frame says which driver to load; neither it nor a PIN
 * ever stands in argv or the environment. Every permission but `ffi` is given back, and that is
 * needed for every call into the driver.
 */
export function runHost(): void {
  const input = new FrameReader();
  let host: Host | undefined;
  for (;;) {
    const read = Deno.stdin.readSync(input.space());
    if (read === null) break;
    input.take(read, (body) => {
      if (host) host.handle(decodeFrame<Request>(body));
      else host = Host.start(decodeFrame<StartMessage>(body));
    });
    host?.flush();
  }
  host?.closeSessions();
  // Not C_Finalize, which hangs or crashes in too many drivers.
  Deno.exit(0);
}

class Host {
  readonly #module: Module;
  readonly #marker: Uint8Array;
  readonly #sessions = new Map<number, OpenSession>();
  #nextSession = 1;
  #nextKey = 1;
  #replies: Uint8Array[] = [];
  #gatheringSince = 0;

  private constructor(module: Module, marker: Uint8Array) {
    this.#module = module;
    this.#marker = marker;
  }

  static start({ id, header }: Frame<StartMessage>): Host {
    const marker = Uint8Array.fromHex(header.marker);
    for (const name of ["run", "net", "env", "sys", "write", "import"] as const) {
      Deno.permissions.revokeSync({ name });
    }
    try {
      const module = Module.load(header.modulePath, header.initArgs);
      Deno.permissions.revokeSync({ name: "read" });
      write(encodeFrame(id, { ok: null }, undefined, marker, marker));
      return new Host(module, marker);
    } catch (error) {
      write(encodeFrame(id, { error: toFailure(error) }, undefined, marker, marker));
      Deno.exit(1);
    }
  }

  handle({ id, header, blob }: Frame<Request>): void {
    let reply: Reply;
    let bytes: Uint8Array | undefined;
    try {
      const { value, blob: out } = this.#answer(header, blob);
      reply = { ok: value ?? null };
      bytes = out;
    } catch (error) {
      reply = { error: toFailure(error) };
    }
    this.#replies.push(encodeFrame(id, reply, bytes, this.#marker, this.#marker));
    const now = performance.now();
    if (this.#replies.length === 1) this.#gatheringSince = now;
    else if (now - this.#gatheringSince > GATHER_MS) this.flush();
  }

  flush(): void {
    write(Buffer.concat(this.#replies));
    this.#replies = [];
  }

  /** The end of the process ends a login only on some tokens, so it is ended here. */
  closeSessions(): void {
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

  #answer(
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

function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

if (import.meta.main) runHost();
