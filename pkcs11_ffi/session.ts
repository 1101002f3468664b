import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { encodeMechanism, encodePssParams } from "./abi.ts";
import * as C from "./constants.ts";
import { Pkcs11Error, type Pkcs11ErrorCode, type TriesLeft } from "./error.ts";
import {
  chooseMechanism,
  digestLength,
  ecdsaToDer,
  type Hash,
  type MechanismChoice,
  type MlDsa,
  type Scheme,
} from "./mechanism.ts";
import {
  type CertificateObject,
  type KeyInfo,
  type KeySelector,
  type KeySpec,
  MAX_MESSAGE,
  type PublicPart,
  type SignRequest,
} from "./messages.ts";
import type { EncodedMechanism, Module, Pin, SlotToken } from "./module.ts";
import { NATIVE } from "./raw.ts";
import { formatUri, parseUri } from "./uri.ts";

/** Curves by the DER of their OID (RFC 5480 §2.1.1.1), with their size in bits. */
const CURVES = new Map([
  ["06082a8648ce3d030107", 256],
  ["06052b81040022", 384],
  ["06052b81040023", 521],
]);

/** After these failures a session, or its token, has no more answers. */
const GONE: readonly Pkcs11ErrorCode[] = ["token_removed", "token_not_present"];

/** What C_SetPIN returns where the token does not take the new PIN. */
const NEW_PIN_REFUSED: readonly number[] = [
  C.CKR.CKR_PIN_INVALID,
  C.CKR.CKR_PIN_LEN_RANGE,
  C.CKR.CKR_PIN_TOO_WEAK,
];

/** Those in which keys are made, by size: DER of the OID. */
const NEW_CURVES: Record<number, string> = { 256: "06082a8648ce3d030107", 384: "06052b81040022" };

/** Parameter sets by CKA_PARAMETER_SET. */
const ML_DSA_SETS = new Map<number, MlDsa>([
  [C.CKP_ML_DSA_44, "ML-DSA-44"],
  [C.CKP_ML_DSA_65, "ML-DSA-65"],
  [C.CKP_ML_DSA_87, "ML-DSA-87"],
]);
/** Lengths in bytes (FIPS 204 Table 2). */
const ML_DSA = {
  "ML-DSA-44": { publicKey: 1312, signature: 2420 },
  "ML-DSA-65": { publicKey: 1952, signature: 3309 },
  "ML-DSA-87": { publicKey: 2592, signature: 4627 },
};

/** A private key of a session. */
export interface PrivateKey {
  info: KeyInfo;
  handle: bigint;
  /** CKA_SIGN; drivers that do not say are given the benefit of the doubt. */
  canSign: boolean;
  /** Length of a signature as PKCS#11 gives it, in bytes. */
  signatureLength: number;
}

/** A session with one token. */
export class Session {
  readonly #module: Module;
  readonly #token: SlotToken;
  readonly #handle: bigint;
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
    return this.#optional(() => this.#module.userIsLoggedIn(handle)) ?? false;
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
   * The X.509 certificates that this session sees. One that cannot be read hides no other: it has an empty `der`. Only
   * when none can be read is the failure thrown.
   *
   * @throws {Pkcs11Error}
   */
  certificates(): CertificateObject[] {
    const { found, failure } = this.#readEach(C.CKO_CERTIFICATE, (object) => {
      const type = this.#module.ulongAttribute(this.#handle, object, C.CKA_CERTIFICATE_TYPE);
      if (type !== null && type !== C.CKC_X_509) return null;
      const der = this.#module.attribute(this.#handle, object, C.CKA_VALUE);
      return der?.length ? withoutPadding(der) : null; // Without a value it is stored elsewhere, by URL.
    });
    if (failure && found.every(({ value }) => value === undefined)) throw failure;
    return found.map(({ object, value = new Uint8Array(0) }) => {
      const names = this.#names(object);
      return { uri: this.#uri(names, "cert"), ...names, der: value };
    });
  }

  /**
   * Finds a private key that can sign: by CKA_ID, unless its public part contradicts the
   * certificate; else by its public part. A public part is in a certificate when its bytes are:
   * an RSA modulus or an EC point do not get there by chance. A key that has neither is meant
   * when no other key can be.
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `key_not_found`, `key_not_usable`
   */
  key({ id, certificate: der, publicKey }: KeySelector): PrivateKey {
    if (this.#token.info.loginRequired && !this.#loggedIn) {
      throw new Pkcs11Error("user_not_logged_in");
    }
    const certificate = der && Buffer.from(der);
    const byId: PrivateKey[] = [];
    const byPublicPart: PrivateKey[] = [];
    const nameless: PrivateKey[] = [];
    const { found: keys, failure } = this.#readEach(
      C.CKO_PRIVATE_KEY,
      (object) => this.#describe(object, publicKey),
    );
    for (const { value: key } of keys) {
      if (!key) continue;
      const sameId = id !== undefined && id !== "" && key.info.id === id.toLowerCase();
      if (!certificate) {
        if (sameId) byId.push(key);
        continue;
      }
      const publicPart = this.#publicPart(key);
      if (publicPart && certificate.includes(publicPart)) byPublicPart.push(key);
      if (sameId && (!publicPart || certificate.includes(publicPart))) byId.push(key);
      if (!publicPart && key.info.id === "" && key.info.type === publicKey?.type) {
        nameless.push(key);
      }
    }
    const found = [byId, byPublicPart].find(({ length }) => length > 0) ?? nameless;
    if (found === nameless && found.length !== 1) throw failure ?? new Pkcs11Error("key_not_found");
    const usable = found.find((key) => key.canSign);
    if (!usable) throw new Pkcs11Error("key_not_usable");
    return usable;
  }

  /**
   * Makes a key pair of which the private half never leaves the token. Without an `id` it is an
   * object of this session and ends with it; of the public half nothing stays on the token then.
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `mechanism_unsupported`, `driver_*`
   */
  generate({ type, bits, id }: KeySpec): { key: PrivateKey; publicPart: PublicPart } {
    if (this.#token.info.loginRequired && !this.#loggedIn) {
      throw new Pkcs11Error("user_not_logged_in");
    }
    const curve = NEW_CURVES[bits];
    if (type === "ec" && !curve) throw new Pkcs11Error("mechanism_unsupported");
    const onToken = id !== undefined;
    const named = onToken ? [[C.CKA_ID, Uint8Array.fromHex(id)] as const] : [];
    const specific = type === "ec" ? [[C.CKA_EC_PARAMS, Uint8Array.fromHex(curve)] as const] : [
      [C.CKA_MODULUS_BITS, bits] as const,
      [C.CKA_PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)] as const,
    ];
    // Session objects live as long as their session, so this session creates them.
    const handle = onToken ? this.#module.open(this.#token.slot, true) : this.#handle;
    try {
      const made = this.#module.generateKeyPair(
        handle,
        type === "ec" ? C.CKM_EC_KEY_PAIR_GEN : C.CKM_RSA_PKCS_KEY_PAIR_GEN,
        [[C.CKA_TOKEN, onToken], [C.CKA_VERIFY, true], ...named, ...specific],
        [
          [C.CKA_TOKEN, onToken],
          [C.CKA_PRIVATE, true],
          [C.CKA_SENSITIVE, true],
          [C.CKA_EXTRACTABLE, false],
          [C.CKA_SIGN, true],
          ...named,
        ],
      );
      const publicPart = this.#readPublic(handle, made.publicKey, type);
      if (!onToken) this.#module.destroy(handle, made.publicKey);
      const key: PrivateKey = {
        info: {
          uri: this.#uri({ id: id ?? "", label: "" }, "private"),
          id: id ?? "",
          label: "",
          type,
          bits,
          alwaysAuthenticate: false,
        },
        handle: made.privateKey,
        canSign: true,
        signatureLength: Math.ceil(bits / 8) * (type === "ec" ? 2 : 1),
      };
      return { key, publicPart };
    } finally {
      if (onToken) this.#isOver(() => this.#module.close(handle));
    }
  }

  #readPublic(session: bigint, object: bigint, type: "rsa" | "ec"): PublicPart {
    const read = (attribute: number) => {
      const value = this.#module.attribute(session, object, attribute);
      if (!value?.length) {
        throw new Pkcs11Error("driver_nonsense", {
          functionName: "C_GenerateKeyPair",
          reason: "the public key cannot be read",
        });
      }
      return value;
    };
    if (type === "rsa") {
      return {
        type,
        modulus: read(C.CKA_MODULUS).toHex(),
        exponent: read(C.CKA_PUBLIC_EXPONENT).toHex(),
      };
    }
    const point = read(C.CKA_EC_POINT);
    // PKCS#11 v2.40 §2.3.3: a DER OCTET STRING around the point; some drivers leave it out.
    const wrapped = point[0] === 4 && point[1] === point.length - 2;
    return { type, point: (wrapped ? point.subarray(2) : point).toHex() };
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

  /** Something that a driver need not have; null also where it fails instead of saying so. */
  #optional<T>(read: () => T): T | null {
    try {
      return read();
    } catch (error) {
      if (isGone(error)) throw error;
      return null;
    }
  }

  /**
   * Reads every object of a class: `value` is undefined for those that cannot be read, of which `failure` is the
   * first's. Leaves out those for which `read` gives null.
   */
  #readEach<T>(
    objectClass: number,
    read: (object: bigint) => T | null,
  ): { found: { object: bigint; value?: T }[]; failure?: unknown } {
    let failure: unknown;
    const found: { object: bigint; value?: T }[] = [];
    for (const object of this.#find(objectClass)) {
      try {
        const value = read(object);
        if (value !== null) found.push({ object, value });
      } catch (error) {
        if (isGone(error)) throw error;
        failure ??= error;
        found.push({ object });
      }
    }
    return { found, failure };
  }

  /** Some drivers find nothing the first time after the token was plugged in: look twice. */
  #find(objectClass: number): bigint[] {
    const first = this.#module.findObjects(this.#handle, objectClass);
    return first.length > 0 ? first : this.#module.findObjects(this.#handle, objectClass);
  }

  #names(object: bigint): { id: string; label: string } {
    const id = this.#attribute(object, C.CKA_ID);
    const label = this.#attribute(object, C.CKA_LABEL);
    return { id: id?.toHex() ?? "", label: new TextDecoder().decode(label ?? new Uint8Array()) };
  }

  #uri(names: { id: string; label: string }, type: "cert" | "private"): string {
    return formatUri({
      ...parseUri(this.#token.info.uri),
      object: names.label,
      id: names.id,
      type,
    });
  }

  /** An attribute without which an object can be used. */
  #attribute(object: bigint, type: number): Uint8Array<ArrayBuffer> | null {
    return this.#optional(() => this.#module.attribute(this.#handle, object, type));
  }

  /**
   * Null for keys of other kinds.
   *
   * @param certified type and size that the certificate has, for keys that do not tell their size
   */
  #describe(object: bigint, certified: KeySelector["publicKey"]): PrivateKey | null {
    const keyType = this.#module.ulongAttribute(this.#handle, object, C.CKA_KEY_TYPE);
    if (keyType === C.CKK_ML_DSA) return this.#describeMlDsa(object);
    if (keyType !== C.CKK_RSA && keyType !== C.CKK_EC) return null;
    const type = keyType === C.CKK_RSA ? "rsa" : "ec";
    const told = type === "rsa"
      ? modulusBits(this.#attribute(object, C.CKA_MODULUS))
      : CURVES.get(this.#attribute(object, C.CKA_EC_PARAMS)?.toHex() ?? "");
    const bits = told ?? (certified?.type === type ? certified.bits : undefined);
    if (!bits) return null;
    const length = Math.ceil(bits / 8) * (type === "ec" ? 2 : 1);
    return this.#privateKey(object, { type, bits }, length);
  }

  #describeMlDsa(object: bigint): PrivateKey | null {
    const set = this.#module.ulongAttribute(this.#handle, object, C.CKA_PARAMETER_SET);
    const parameterSet = ML_DSA_SETS.get(set ?? 0);
    if (!parameterSet) return null;
    const { signature } = ML_DSA[parameterSet];
    return this.#privateKey(object, { type: "ml-dsa", bits: 0, parameterSet }, signature);
  }

  #privateKey(
    object: bigint,
    kind: Pick<KeyInfo, "type" | "bits" | "parameterSet">,
    signatureLength: number,
  ): PrivateKey {
    const names = this.#names(object);
    const alwaysAuthenticate = this.#attribute(object, C.CKA_ALWAYS_AUTHENTICATE);
    return {
      info: {
        uri: this.#uri(names, "private"),
        ...names,
        ...kind,
        alwaysAuthenticate: alwaysAuthenticate?.[0] === C.CK_TRUE,
      },
      handle: object,
      canSign: this.#attribute(object, C.CKA_SIGN)?.[0] !== 0,
      signatureLength,
    };
  }

  /**
   * RSA: the modulus. EC: x ‖ y. ML-DSA: the encoded key. Of the private key, or else of the public key with the same
   * CKA_ID. Null if neither tells.
   */
  #publicPart({ info, handle }: PrivateKey): Buffer | null {
    const size = 2 * Math.ceil(info.bits / 8);
    const read = (object: bigint) => {
      if (info.type === "rsa") return stripZeros(this.#attribute(object, C.CKA_MODULUS));
      if (info.parameterSet) {
        // A private key's CKA_VALUE is its secret; its SubjectPublicKeyInfo ends with the public key.
        const type = object === handle ? C.CKA_PUBLIC_KEY_INFO : C.CKA_VALUE;
        const length = ML_DSA[info.parameterSet].publicKey;
        const key = this.#attribute(object, type);
        return key && key.length >= length ? key.subarray(-length) : null;
      }
      const point = this.#attribute(object, C.CKA_EC_POINT);
      // Wrapped in an OCTET STRING or not, the point ends with x and y.
      return point && point.length > size ? point.subarray(-size) : null;
    };
    let found = read(handle);
    if (!found && info.id !== "") {
      for (const object of this.#find(C.CKO_PUBLIC_KEY)) {
        if (this.#attribute(object, C.CKA_ID)?.toHex() === info.id) found ??= read(object);
      }
    }
    return found && Buffer.from(found);
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

const isGone = (error: unknown) => error instanceof Pkcs11Error && GONE.includes(error.code);

/** A certificate without what stands behind it: some cards pad it to the size of its file. */
function withoutPadding(der: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const lengthBytes = der[1] > 0x80 ? der[1] - 0x80 : 0;
  if (der[0] !== 0x30 || lengthBytes > 3) return der;
  const content = lengthBytes === 0 ? der[1] : Buffer.from(der).readUIntBE(2, lengthBytes);
  return der.subarray(0, 2 + lengthBytes + content);
}

function modulusBits(bytes: Uint8Array | null): number | undefined {
  const modulus = stripZeros(bytes);
  return modulus ? modulus.length * 8 - Math.clz32(modulus[0]) + 24 : undefined;
}

/** A big-endian number without leading zeros; null for empty input. */
function stripZeros(bytes: Uint8Array | null): Uint8Array | null {
  const start = bytes?.findIndex((byte) => byte !== 0) ?? -1;
  return start < 0 ? null : bytes!.subarray(start);
}
