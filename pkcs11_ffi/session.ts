import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { encodeMechanism, encodePssParams } from "./abi.ts";
import * as C from "./constants.ts";
import { Pkcs11Error, type TriesLeft } from "./error.ts";
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
  type KeyInfo,
  type KeySelector,
  type KeySpec,
  MAX_MESSAGE,
  type PublicPart,
  type SignRequest,
} from "./messages.ts";
import type { EncodedMechanism, Module, SlotToken } from "./module.ts";
import { NATIVE } from "./raw.ts";
import { formatUri, parseUri } from "./uri.ts";

/** Curves by the DER of their OID (RFC 5480 §2.1.1.1), with their size in bits. */
const CURVES = new Map([
  ["06082a8648ce3d030107", 256],
  ["06052b81040022", 384],
  ["06052b81040023", 521],
]);

/** Those in which keys are made, by size: DER of the OID. */
const NEW_CURVES: Record<number, string> = { 256: "06082a8648ce3d030107", 384: "06052b81040022" };

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
    try {
      this.#module.login(handle, userType, pin);
    } catch (error) {
      if (!(error instanceof Pkcs11Error)) throw error;
      const { code, functionName, rv } = error;
      if (code !== "pin_incorrect" && code !== "pin_locked") throw error;
      const triesLeft = code === "pin_locked" ? "none" : this.#triesLeft();
      throw new Pkcs11Error(code, { functionName, rv, triesLeft });
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
    return this.#find(C.CKO_CERTIFICATE).flatMap((object) => {
      const type = this.#module.ulongAttribute(this.#handle, object, C.CKA_CERTIFICATE_TYPE);
      if (type !== null && type !== C.CKC_X_509) return [];
      const der = this.#module.attribute(this.#handle, object, C.CKA_VALUE);
      if (!der || der.length === 0) return []; // Stored elsewhere, by URL.
      const names = this.#names(object);
      return { uri: this.#uri(names, "cert"), ...names, der };
    });
  }

  /**
   * Finds a private key that can sign: by CKA_ID, unless its public part contradicts the
   * certificate; else by its public part. A public part is in a certificate when its bytes are:
   * an RSA modulus or an EC point do not get there by chance.
   *
   * @throws {Pkcs11Error} `user_not_logged_in`, `key_not_found`, `key_not_usable`
   */
  key(selector: KeySelector): PrivateKey {
    if (this.#token.info.loginRequired && !this.#loggedIn) {
      throw new Pkcs11Error("user_not_logged_in");
    }
    const certificate = selector.certificate && Buffer.from(selector.certificate);
    const byId: PrivateKey[] = [];
    const byPublicPart: PrivateKey[] = [];
    for (const object of this.#find(C.CKO_PRIVATE_KEY)) {
      const key = this.#describe(object);
      if (!key) continue;
      const sameId = selector.id !== undefined && selector.id !== "" &&
        key.info.id === selector.id.toLowerCase();
      if (!certificate) {
        if (sameId) byId.push(key);
        continue;
      }
      const publicPart = this.#publicPart(key);
      if (publicPart && certificate.includes(publicPart)) byPublicPart.push(key);
      if (sameId && (!publicPart || certificate.includes(publicPart))) byId.push(key);
    }
    const found = byId.length > 0 ? byId : byPublicPart;
    if (found.length === 0) throw new Pkcs11Error("key_not_found");
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
      if (onToken) this.#module.close(handle);
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
      this.#module.close(handle);
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
   * Logs out and closes. Removing the token has the same effect.
   *
   * @throws {Pkcs11Error}
   */
  close(): void {
    try {
      try {
        if (this.#loggedIn) this.logout();
      } finally {
        this.#module.close(this.#handle);
      }
    } catch (error) {
      const gone = error instanceof Pkcs11Error &&
        ["token_removed", "token_not_present", "user_not_logged_in"].includes(error.code);
      if (!gone) throw error;
    }
  }

  /** Some drivers find nothing the first time after the token was plugged in: look twice. */
  #find(objectClass: number): bigint[] {
    const first = this.#module.findObjects(this.#handle, objectClass);
    return first.length > 0 ? first : this.#module.findObjects(this.#handle, objectClass);
  }

  #names(object: bigint): { id: string; label: string } {
    const id = this.#module.attribute(this.#handle, object, C.CKA_ID);
    const label = this.#module.attribute(this.#handle, object, C.CKA_LABEL);
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

  /** Null for keys of other kinds. */
  #describe(object: bigint): PrivateKey | null {
    const module = this.#module;
    const read = (type: number) => module.attribute(this.#handle, object, type);
    const keyType = module.ulongAttribute(this.#handle, object, C.CKA_KEY_TYPE);
    let bits: number;
    if (keyType === C.CKK_RSA) {
      const modulus = stripZeros(read(C.CKA_MODULUS));
      if (!modulus) return null;
      bits = modulus.length * 8 - Math.clz32(modulus[0]) + 24;
    } else if (keyType === C.CKK_EC) {
      const size = CURVES.get(read(C.CKA_EC_PARAMS)?.toHex() ?? "");
      if (!size) return null;
      bits = size;
    } else return null;
    const type = keyType === C.CKK_RSA ? "rsa" : "ec";
    const names = this.#names(object);
    return {
      info: {
        uri: this.#uri(names, "private"),
        ...names,
        type,
        bits,
        alwaysAuthenticate: read(C.CKA_ALWAYS_AUTHENTICATE)?.[0] === C.CK_TRUE,
      },
      handle: object,
      canSign: read(C.CKA_SIGN)?.[0] !== 0,
      signatureLength: Math.ceil(bits / 8) * (type === "ec" ? 2 : 1),
    };
  }

  /** RSA: the modulus. EC: x ‖ y, from the public key with the same CKA_ID. Null if unknown. */
  #publicPart({ info, handle }: PrivateKey): Buffer | null {
    const module = this.#module;
    if (info.type === "rsa") {
      const modulus = stripZeros(module.attribute(this.#handle, handle, C.CKA_MODULUS));
      return modulus && Buffer.from(modulus);
    }
    const size = 2 * Math.ceil(info.bits / 8);
    const own = module.attribute(this.#handle, handle, C.CKA_EC_POINT);
    // Wrapped in an OCTET STRING or not, the point ends with x and y.
    if (own && own.length > size) return Buffer.from(own.subarray(-size));
    if (info.id === "") return null;
    for (const object of this.#find(C.CKO_PUBLIC_KEY)) {
      if (module.attribute(this.#handle, object, C.CKA_ID)?.toHex() !== info.id) continue;
      const point = module.attribute(this.#handle, object, C.CKA_EC_POINT);
      if (point && point.length > size) return Buffer.from(point.subarray(-size));
    }
    return null;
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

/** A big-endian number without leading zeros; null for empty input. */
function stripZeros(bytes: Uint8Array | null): Uint8Array | null {
  const start = bytes?.findIndex((byte) => byte !== 0) ?? -1;
  return start < 0 ? null : bytes!.subarray(start);
}
