import { createHash } from "node:crypto";
import { encodeMechanism, encodePssParams } from "./abi.ts";
import * as C from "./constants.ts";
import { Pkcs11Error, type TriesLeft } from "./error.ts";
import { makeKeyPair } from "./key_pair.ts";
import {
  chooseMechanism,
  digestLength,
  ecdsaToDer,
  type Hash,
  type MechanismChoice,
  type Scheme,
} from "./mechanism.ts";
import {
  type CertificateObject,
  type KeySelector,
  type KeySpec,
  MAX_MESSAGE,
  type PublicPart,
  type SignRequest,
} from "./messages.ts";
import type { EncodedMechanism, Module, Pin, SlotToken } from "./module.ts";
import { isGone, Objects, type PrivateKey } from "./objects.ts";
import { NATIVE } from "./raw.ts";

/** What C_SetPIN returns where the token does not take the new PIN. */
const NEW_PIN_REFUSED: readonly number[] = [
  C.CKR.CKR_PIN_INVALID,
  C.CKR.CKR_PIN_LEN_RANGE,
  C.CKR.CKR_PIN_TOO_WEAK,
];

/** A session with one token. */
export class Session {
  readonly #module: Module;
  readonly #token: SlotToken;
  readonly #handle: bigint;
  readonly #objects: Objects;
  readonly #prepared = new Map<PrivateKey, Map<string, Prepared>>();
  #mechanisms: Set<number> | undefined;
  #loggedIn = false;

  /**
   * Opens a read-only session.
   *
   * @param token from {@link Module.tokenAt}
   * @throws {Pkcs11Error} what the driver gave
   */
  constructor(module: Module, token: SlotToken) {
    this.#module = module;
    this.#token = token;
    this.#handle = module.open(token.slot);
    this.#objects = new Objects(module, this.#handle, token.info.uri);
  }

  /**
   * Logs the user in: exactly one C_Login, whatever happens.
   *
   * @param pin UTF-8; the caller wipes it. `null`: it is typed on the reader
   * @throws {Pkcs11Error} `pin_incorrect` and `pin_locked` with `triesLeft`, `pin_*`,
   * `token_busy` when another session is logged in (this PIN was then not checked)
   */
  login(pin: Uint8Array<ArrayBuffer> | null): void {
    this.#login(this.#handle, C.CKU_USER, pin);
    this.#loggedIn = true;
  }

  #login(handle: bigint, userType: number, pin: Uint8Array<ArrayBuffer> | null): void {
    if (pin === null && !this.#token.info.protectedAuthenticationPath) {
      throw new Pkcs11Error("pin_length", { reason: "no PIN, and the reader has no keypad" });
    }
    // Asked before, since it tells whose login a driver means that calls the user logged in already.
    const own = this.#loggedIn || !this.#userIsLoggedIn(handle);
    try {
      this.#checked(() => this.#module.login(handle, userType, pin));
    } catch (error) {
      if (!(error instanceof Pkcs11Error)) throw error;
      // The driver knows no login: its keys need none.
      if (error.rv === C.CKR.CKR_FUNCTION_NOT_SUPPORTED) return;
      const already = error.rv === C.CKR.CKR_USER_ALREADY_LOGGED_IN;
      if (!(already && own && this.#userIsLoggedIn(handle))) throw error;
    }
  }

  /** Adds the tries left to the failure of a call that checks a PIN. */
  #checked(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!(error instanceof Pkcs11Error)) throw error;
      const { code, functionName, rv } = error;
      if (code !== "pin_incorrect" && code !== "pin_locked") throw error;
      const triesLeft = code === "pin_locked" ? "none" : this.#triesLeft();
      throw new Pkcs11Error(code, { functionName, rv, triesLeft });
    }
  }

  /**
   * Changes the user's PIN: one C_SetPIN, in which the token checks the old one. Some drivers want the user to be logged
   * in for that, and get one C_Login with the old PIN before a second C_SetPIN.
   *
   * @param pins UTF-8; the caller wipes them. `null`: they are typed on the reader
   * @throws {Pkcs11Error} `pin_incorrect` and `pin_locked` with `triesLeft`: the old PIN; `pin_length`: the new one
   */
  setPin(pins: [old: Pin, next: Pin] | null): void {
    const handle = this.#module.open(this.#token.slot, true);
    const set = () => this.#checked(() => this.#module.setPin(handle, pins));
    try {
      try {
        set();
      } catch (error) {
        if (!(error instanceof Pkcs11Error)) throw error;
        const newIsRefused = error.rv !== undefined && NEW_PIN_REFUSED.includes(error.rv);
        if (newIsRefused) throw new Pkcs11Error("pin_length", error);
        if (error.code !== "user_not_logged_in") throw error;
        this.#login(handle, C.CKU_USER, pins && pins[0]);
        this.#loggedIn = true;
        set();
      }
    } finally {
      this.#isOver(() => this.#module.close(handle));
    }
  }

  /** Whether the driver counts the user as logged in; false where it does not say. */
  #userIsLoggedIn(handle: bigint): boolean {
    try {
      return this.#module.userIsLoggedIn(handle);
    } catch (error) {
      if (!(error instanceof Pkcs11Error) || isGone(error)) throw error;
      return false;
    }
  }

  #triesLeft(): TriesLeft {
    try {
      return this.#module.triesLeft(this.#token.slot);
    } catch (error) {
      // The wrong PIN is the news; that the token cannot be asked now makes the tries unknown.
      if (error instanceof Pkcs11Error) return "unknown";
      throw error;
    }
  }

  /**
   * The X.509 certificates that this session sees.
   *
   * @throws {Pkcs11Error}
   */
  certificates(): CertificateObject[] {
    return this.#objects.certificates();
  }

  /**
   * Finds a private key that can sign ({@link Objects.key}).
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `key_not_found`, `key_not_usable`
   */
  key(selector: KeySelector): PrivateKey {
    this.#requireLogin();
    return this.#objects.key(selector);
  }

  /**
   * Makes a key pair. Without an `id` it is an object of this session and ends with it; of the public half nothing
   * stays on the token then.
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `mechanism_unsupported`, `driver_*`
   */
  generate(spec: KeySpec): { key: PrivateKey; publicPart: PublicPart } {
    this.#requireLogin();
    const { info: { uri }, slot } = this.#token;
    // Session objects live as long as their session, so this session creates them.
    if (spec.id === undefined) return makeKeyPair(this.#module, this.#handle, uri, spec);
    const handle = this.#module.open(slot, true);
    try {
      return makeKeyPair(this.#module, handle, uri, spec);
    } finally {
      this.#isOver(() => this.#module.close(handle));
    }
  }

  #requireLogin(): void {
    if (this.#token.info.loginRequired && !this.#loggedIn) {
      throw new Pkcs11Error("user_not_logged_in");
    }
  }

  /**
   * Destroys a key that {@link generate} made for this session.
   *
   * @throws {Pkcs11Error} `driver_*`
   */
  destroy(key: PrivateKey): void {
    this.#prepared.delete(key);
    this.#module.destroy(this.#handle, key.handle);
  }

  /**
   * Signs. A key with `alwaysAuthenticate` needs `pin` (or `null`) for each signature.
   *
   * @returns RSA: as long as the modulus; ECDSA: DER `ECDSA-Sig-Value`
   * @throws {Pkcs11Error} `mechanism_unsupported`, `input_invalid`, `context_login_required`,
   * `pin_*`, `user_not_logged_in`, `token_removed`
   */
  sign(
    key: PrivateKey,
    request: SignRequest,
    pin?: Uint8Array<ArrayBuffer> | null,
  ): Uint8Array<ArrayBuffer> {
    const { scheme, hash, input } = request;
    const prepared = this.#prepare(key, scheme, hash, input);
    const data = feed(prepared.choice, request);
    const signature = key.info.alwaysAuthenticate
      ? this.#signAuthenticated(key, prepared.mechanism, data, pin)
      : this.#sign(this.#handle, key, prepared.mechanism, data);
    return key.info.type === "ec" ? ecdsaToDer(signature) : signature;
  }

  #sign(
    handle: bigint,
    key: PrivateKey,
    mechanism: EncodedMechanism,
    data: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> {
    this.#module.signInit(handle, key.handle, mechanism);
    return this.#module.sign(handle, data, key.signatureLength);
  }

  /**
   * PKCS#11 v2.40 §4.9: C_Login with CKU_CONTEXT_SPECIFIC stands between C_SignInit and C_Sign.
   * After a wrong PIN the operation stays open, and closing its session is what ends it; so it
   * gets a session of its own.
   */
  #signAuthenticated(
    key: PrivateKey,
    mechanism: EncodedMechanism,
    data: Uint8Array<ArrayBuffer>,
    pin: Uint8Array<ArrayBuffer> | null | undefined,
  ): Uint8Array<ArrayBuffer> {
    if (pin === undefined) throw new Pkcs11Error("context_login_required");
    const handle = this.#module.open(this.#token.slot);
    try {
      this.#module.signInit(handle, key.handle, mechanism);
      this.#login(handle, C.CKU_CONTEXT_SPECIFIC, pin);
      return this.#module.sign(handle, data, key.signatureLength);
    } finally {
      this.#isOver(() => this.#module.close(handle));
    }
  }

  /**
   * C_Logout.
   *
   * @throws {Pkcs11Error}
   */
  logout(): void {
    this.#loggedIn = false;
    this.#module.logout(this.#handle);
  }

  /**
   * Logs out and closes. Removing the token has the same effect. A driver that fails here takes nothing back of what
   * it gave before: standard error has its complaint.
   *
   * @returns false if the login may have survived: only the end of the process is sure to end it
   */
  close(): boolean {
    const loggedOut = !this.#loggedIn || this.#isOver(() => this.logout());
    const closed = this.#isOver(() => this.#module.close(this.#handle));
    return loggedOut || closed;
  }

  /** Ends something. That it had ended before is no failure. */
  #isOver(end: () => void): boolean {
    try {
      end();
      return true;
    } catch (error) {
      if (!(error instanceof Pkcs11Error)) throw error;
      if (isGone(error) || error.code === "user_not_logged_in") return true;
      console.error(error.message);
      return false;
    }
  }

  /** Chosen and encoded once for a key and a way to sign. */
  #prepare(key: PrivateKey, scheme: Scheme, hash: Hash, input: "message" | "digest"): Prepared {
    const ways = this.#prepared.getOrInsertComputed(key, () => new Map());
    return ways.getOrInsertComputed(`${scheme} ${hash} ${input}`, () => {
      this.#mechanisms ??= this.#module.mechanisms(this.#token.slot);
      const choice = chooseMechanism(key.info, scheme, hash, input, this.#mechanisms);
      const parameter = choice.pss ? encodePssParams(NATIVE, choice.pss) : new Uint8Array(0);
      const encode = (address: bigint) =>
        encodeMechanism(NATIVE, choice.mechanism, address, parameter.length);
      return { choice, mechanism: { parameter, encode } };
    });
  }
}

interface Prepared {
  choice: MechanismChoice;
  mechanism: EncodedMechanism;
}

/** Input of C_Sign. */
function feed(choice: MechanismChoice, request: SignRequest): Uint8Array<ArrayBuffer> {
  const { data, hash, input } = request;
  if (input === "digest" ? data.length !== digestLength(hash) : data.length > MAX_MESSAGE) {
    throw new Pkcs11Error("input_invalid", { reason: `${data.length} bytes as ${input}` });
  }
  if (choice.feed === "message") return data as Uint8Array<ArrayBuffer>;
  const { prefix, maxDigest } = choice.feed;
  const digest = input === "digest"
    ? data
    : createHash(hash.replace("-", "")).update(data).digest();
  const out = new Uint8Array(prefix.length + Math.min(digest.length, maxDigest));
  out.set(prefix);
  out.set(digest.subarray(0, maxDigest), prefix.length);
  return out;
}
