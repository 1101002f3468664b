/**
 * A PKCS#11 driver, safe and synchronous: addresses and lengths never leave this file unchecked.
 * It runs in the child process (`host.ts`), or in any process that may die with the driver.
 */
import {
  attributeLength,
  decodeInfo,
  decodeSlotInfo,
  decodeTokenInfo,
  encodeAttribute,
  encodeInitArgs,
  encodeMechanism,
  readUlong,
  structSizes,
  unavailable,
  writeUlong,
} from "./abi.ts";
import * as C from "./constants.ts";
import { check, Pkcs11Error, type Pkcs11ErrorCode, type TriesLeft } from "./error.ts";
import { inspectLibrary } from "./library.ts";
import type { ModuleInfo, TokenInfo } from "./messages.ts";
import { Arena, type FunctionName, NATIVE, openLibrary, type RawModule } from "./raw.ts";
import { formatUri, matchesToken, parseUri } from "./uri.ts";

const { CKR } = C;

/** Absurd counts end here: no real driver has more. */
const MAX_SLOTS = 1024;
const MAX_MECHANISMS = 4096;
const MAX_OBJECTS = 10_000;
/** Longest attribute, in bytes. */
const MAX_ATTRIBUTE = 256 * 1024;

/** The arena: CK_MECHANISM, its parameters, CK_ATTRIBUTE, and the attribute's value. */
const MECHANISM_AT = 0;
const PARAMETER_AT = 64;
const ATTRIBUTE_AT = 128;
const VALUE_AT = 256;

/** Return codes of a slot without a usable token. */
const NO_TOKEN: readonly Pkcs11ErrorCode[] = [
  "token_not_present",
  "token_removed",
  "token_not_initialised",
];

/** A PIN, UTF-8. */
export type Pin = Uint8Array<ArrayBuffer>;

/** A token and the slot it is in. */
export interface SlotToken {
  slot: bigint;
  info: TokenInfo;
}

/** A loaded and initialised driver. */
export class Module {
  readonly #raw: RawModule;
  readonly #arena = new Arena(VALUE_AT + MAX_ATTRIBUTE);

  /** A driver that is loaded and initialised; {@link load} does both. */
  constructor(raw: RawModule) {
    this.#raw = raw;
  }

  /**
   * Loads a driver and calls C_Initialize.
   *
   * @param path absolute path of the library
   * @param initArgs CK_C_INITIALIZE_ARGS.pReserved: a vendor's own string (NSS softokn)
   * @throws {Pkcs11Error} `driver_not_found`, `driver_wrong_architecture`, `driver_not_pkcs11`,
   * `driver_load_failed`, or what C_Initialize gave
   */
  static load(path: string, initArgs?: string): Module {
    inspectLibrary(path);
    const module = new Module(openLibrary(path));
    module.#initialize(initArgs);
    return module;
  }

  #initialize(initArgs?: string): void {
    let reserved = 0n;
    if (initArgs !== undefined) {
      const text = new TextEncoder().encode(initArgs + "\0");
      if (text.length > MAX_ATTRIBUTE) {
        throw new Pkcs11Error("driver_error", { reason: "initArgs is too long" });
      }
      this.#arena.bytes.set(text, VALUE_AT);
      reserved = this.#arena.address(VALUE_AT);
    }
    let rv = this.#raw.C_Initialize(encodeInitArgs(NATIVE, reserved));
    // Drivers without locking; only one thread calls them, so they need none.
    if ((rv === CKR.CKR_CANT_LOCK || rv === CKR.CKR_ARGUMENTS_BAD) && initArgs === undefined) {
      rv = this.#raw.C_Initialize(null);
    }
    if (rv !== CKR.CKR_CRYPTOKI_ALREADY_INITIALIZED) check("C_Initialize", rv);
  }

  /**
   * CK_INFO.
   *
   * @throws {Pkcs11Error}
   */
  info(): ModuleInfo {
    const bytes = new Uint8Array(structSizes(NATIVE).info);
    check("C_GetInfo", this.#raw.C_GetInfo(bytes));
    return decodeInfo(NATIVE, bytes);
  }

  /**
   * The tokens that are plugged in. A slot that fails hides no other; only when nothing can be
   * read is its error thrown.
   *
   * @throws {Pkcs11Error}
   */
  slotTokens(): SlotToken[] {
    const found: SlotToken[] = [];
    let failure: unknown;
    // A separate call with NULL gets the count: that is when drivers look for new tokens.
    for (const slot of this.#ulongs("C_GetSlotList", MAX_SLOTS, this.#slotList)) {
      try {
        found.push({ slot, info: this.#tokenInfo(slot) });
      } catch (error) {
        if (!(error instanceof Pkcs11Error && NO_TOKEN.includes(error.code))) failure ??= error;
      }
    }
    if (found.length === 0 && failure) throw failure;
    // Only the slot tells apart clones, and tokens without label and serial number.
    const exact = (info: TokenInfo) => ({ ...parseUri(info.uri), "slot-id": `${info.slotId}` });
    const twins = Map.groupBy(found, ({ info }) => info.uri);
    for (const { info } of [...twins.values()].filter((same) => same.length > 1).flat()) {
      info.uri = formatUri(exact(info));
    }
    return found;
  }

  #slotList = (list: Uint8Array<ArrayBuffer> | null, count: Uint8Array<ArrayBuffer>): number =>
    this.#raw.C_GetSlotList(C.CK_TRUE, list, count);

  #tokenInfo(slot: bigint): TokenInfo {
    const sizes = structSizes(NATIVE);
    const slotBytes = new Uint8Array(sizes.slotInfo);
    check("C_GetSlotInfo", this.#raw.C_GetSlotInfo(slot, slotBytes));
    const tokenBytes = new Uint8Array(sizes.tokenInfo);
    check("C_GetTokenInfo", this.#raw.C_GetTokenInfo(slot, tokenBytes));
    const { description, manufacturer, flags: slotFlags } = decodeSlotInfo(NATIVE, slotBytes);
    const { flags, ...token } = decodeTokenInfo(NATIVE, tokenBytes);
    const { label, serial, model } = token;
    const has = (flag: number) => (flags & flag) !== 0;
    // CK_UNAVAILABLE_INFORMATION, and other impossible lengths.
    const length = (n: number) => n < 0xffff ? n : 0;
    return {
      uri: formatUri({ token: label, manufacturer: token.manufacturer, serial, model }),
      slotId: Number(slot),
      slotDescription: description,
      slotManufacturer: manufacturer,
      label,
      manufacturer: token.manufacturer,
      model,
      serial,
      loginRequired: has(C.CKF_LOGIN_REQUIRED),
      protectedAuthenticationPath: has(C.CKF_PROTECTED_AUTHENTICATION_PATH),
      initialised: has(C.CKF_TOKEN_INITIALIZED),
      pinInitialised: has(C.CKF_USER_PIN_INITIALIZED),
      pinToBeChanged: has(C.CKF_USER_PIN_TO_BE_CHANGED),
      removable: (slotFlags & C.CKF_REMOVABLE_DEVICE) !== 0,
      triesLeft: has(C.CKF_USER_PIN_LOCKED)
        ? "none"
        : has(C.CKF_USER_PIN_FINAL_TRY)
        ? "final"
        : has(C.CKF_USER_PIN_COUNT_LOW)
        ? "low"
        : "unknown",
      minPinLength: length(token.minPinLength),
      maxPinLength: length(token.maxPinLength),
    };
  }

  /**
   * The tokens that are plugged in.
   *
   * @throws {Pkcs11Error}
   */
  tokens(): TokenInfo[] {
    return this.slotTokens().map(({ info }) => info);
  }

  /**
   * The PIN tries left, as the token reports them now.
   *
   * @throws {Pkcs11Error}
   */
  triesLeft(slot: bigint): TriesLeft {
    return this.#tokenInfo(slot).triesLeft;
  }

  /**
   * The one token that a URI names.
   *
   * @throws {Pkcs11Error} `uri_invalid`, `token_not_found`, `token_ambiguous`,
   * `token_not_initialised`, or what the driver gave
   */
  tokenAt(uri: string): SlotToken {
    const wanted = parseUri(uri);
    // Read only if needed: one call fewer on slow tokens.
    const library = uri.includes("library-") ? this.info() : undefined;
    const matching = this.slotTokens().filter(({ info }) => matchesToken(wanted, info, library));
    if (matching.length === 0) throw new Pkcs11Error("token_not_found");
    const ready = matching.filter(({ info }) => info.initialised);
    if (ready.length === 0) throw new Pkcs11Error("token_not_initialised");
    if (ready.length > 1) throw new Pkcs11Error("token_ambiguous");
    return ready[0];
  }

  // For session.ts, objects.ts and key_pair.ts: one PKCS#11 operation each, with lengths checked.

  /** C_GetMechanismList. */
  mechanisms(slot: bigint): Set<number> {
    const list = this.#ulongs(
      "C_GetMechanismList",
      MAX_MECHANISMS,
      (list, count) => this.#raw.C_GetMechanismList(slot, list, count),
    );
    return new Set(list.map(Number));
  }

  /** C_OpenSession; gives the handle. Read-only, unless objects of the token are to be made. */
  open(slot: bigint, readWrite = false): bigint {
    const handle = new Uint8Array(NATIVE.ulong);
    const flags = BigInt(C.CKF_SERIAL_SESSION | (readWrite ? C.CKF_RW_SESSION : 0));
    check("C_OpenSession", this.#raw.C_OpenSession(slot, flags, null, null, handle));
    return readUlong(NATIVE, handle);
  }

  /** C_CloseSession. */
  close(session: bigint): void {
    check("C_CloseSession", this.#raw.C_CloseSession(session));
  }

  /** The only place that calls C_Login. `null`: the reader's keypad. */
  login(session: bigint, userType: number, pin: Uint8Array<ArrayBuffer> | null): void {
    // To some drivers an empty PIN means the keypad, to others a try.
    if (pin?.length === 0) throw new Pkcs11Error("pin_length");
    const length = BigInt(pin?.length ?? 0);
    check("C_Login", this.#raw.C_Login(session, BigInt(userType), pin, length));
  }

  /** C_SetPIN. `null`: both are typed on the reader's keypad. */
  setPin(session: bigint, pins: [old: Pin, next: Pin] | null): void {
    const [old, next] = pins ?? [null, null];
    const lengths = [old, next].map((pin) => BigInt(pin?.length ?? 0));
    check("C_SetPIN", this.#raw.C_SetPIN(session, old, lengths[0], next, lengths[1]));
  }

  /** C_GetSessionInfo: whether the user is logged in, by this session or another of the process. */
  userIsLoggedIn(session: bigint): boolean {
    const info = new Uint8Array(4 * NATIVE.ulong); // slotID, state, flags, ulDeviceError
    check("C_GetSessionInfo", this.#raw.C_GetSessionInfo(session, info));
    const state = Number(readUlong(NATIVE, info, NATIVE.ulong));
    return state === C.CKS_RO_USER_FUNCTIONS || state === C.CKS_RW_USER_FUNCTIONS;
  }

  /** C_Logout. */
  logout(session: bigint): void {
    check("C_Logout", this.#raw.C_Logout(session));
  }

  /** Handles of all objects of a class. */
  findObjects(session: bigint, objectClass: number): bigint[] {
    const bytes = this.#arena.bytes;
    writeUlong(NATIVE, bytes, VALUE_AT, BigInt(objectClass));
    const template = this.#template(C.CKA_CLASS, this.#arena.address(VALUE_AT), NATIVE.ulong);
    check("C_FindObjectsInit", this.#raw.C_FindObjectsInit(session, template, 1n));
    const found: bigint[] = [];
    try {
      const batch = 64;
      const handles = new Uint8Array(batch * NATIVE.ulong);
      const count = new Uint8Array(NATIVE.ulong);
      for (;;) {
        const rv = this.#raw.C_FindObjects(session, handles, BigInt(batch), count);
        check("C_FindObjects", rv);
        const got = Number(readUlong(NATIVE, count));
        if (got > batch || found.length > MAX_OBJECTS) {
          throw nonsense("C_FindObjects", `${got} objects in a list of ${batch}`);
        }
        if (got === 0) return found;
        for (let i = 0; i < got; i++) found.push(readUlong(NATIVE, handles, i * NATIVE.ulong));
      }
    } finally {
      // The driver's complaint about the search itself matters more than one about its end.
      this.#raw.C_FindObjectsFinal(session);
    }
  }

  /**
   * An attribute's bytes, or null if the object has no such attribute or keeps it secret. Two
   * calls, as everyone does: NSS refuses a buffer that is simply large enough.
   */
  attribute(session: bigint, object: bigint, type: number): Uint8Array<ArrayBuffer> | null {
    const value = this.#arena.address(VALUE_AT);
    for (let attempt = 0; attempt < 3; attempt++) {
      const length = this.#readAttribute(session, object, type, 0n, 0);
      if (!length) return length === 0 ? new Uint8Array(0) : null;
      const got = this.#readAttribute(session, object, type, value, length);
      if (got === null) return null;
      // It has changed between the two calls.
      if (got > length) continue;
      return this.#arena.bytes.slice(VALUE_AT, VALUE_AT + got);
    }
    throw nonsense("C_GetAttributeValue", "the value never stops growing");
  }

  /** One C_GetAttributeValue; gives the length, which is more than `room` if the value does not fit. */
  #readAttribute(
    session: bigint,
    object: bigint,
    type: number,
    value: bigint,
    room: number,
  ): number | null {
    const template = this.#template(type, value, room);
    const rv = this.#raw.C_GetAttributeValue(session, object, template, 1n);
    if (rv === CKR.CKR_ATTRIBUTE_TYPE_INVALID || rv === CKR.CKR_ATTRIBUTE_SENSITIVE) return null;
    if (rv === CKR.CKR_BUFFER_TOO_SMALL && room > 0) return room + 1;
    check("C_GetAttributeValue", rv);
    const length = attributeLength(NATIVE, template);
    if (length === unavailable(NATIVE)) return null;
    if (length > MAX_ATTRIBUTE) throw nonsense("C_GetAttributeValue", `${length} bytes`);
    return Number(length);
  }

  /** A CK_ULONG attribute, or null. */
  ulongAttribute(session: bigint, object: bigint, type: number): number | null {
    const bytes = this.attribute(session, object, type);
    return bytes?.length === NATIVE.ulong ? Number(readUlong(NATIVE, bytes)) : null;
  }

  /** C_SignInit. */
  signInit(session: bigint, key: bigint, mechanism: EncodedMechanism): void {
    const { bytes } = this.#arena;
    bytes.set(mechanism.parameter, PARAMETER_AT);
    const address = mechanism.parameter.length > 0 ? this.#arena.address(PARAMETER_AT) : 0n;
    const encoded = bytes.subarray(MECHANISM_AT, PARAMETER_AT);
    encoded.set(mechanism.encode(address));
    check("C_SignInit", this.#raw.C_SignInit(session, encoded, key));
  }

  /** C_Sign in one part; the signature must be exactly `length` bytes long. */
  sign(session: bigint, data: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
    const signature = new Uint8Array(length);
    const size = new Uint8Array(NATIVE.ulong);
    writeUlong(NATIVE, size, 0, BigInt(length));
    check("C_Sign", this.#raw.C_Sign(session, data, BigInt(data.length), signature, size));
    const got = readUlong(NATIVE, size);
    if (got !== BigInt(length)) throw nonsense("C_Sign", `${got} bytes, not ${length}`);
    return signature;
  }

  /**
   * C_GenerateKeyPair; gives the two handles.
   *
   * @param mechanism one without parameters
   * @param publicKey,privateKey attributes and their values: a number is a CK_ULONG, a boolean a CK_BBOOL
   */
  generateKeyPair(
    session: bigint,
    mechanism: number,
    publicKey: Attributes,
    privateKey: Attributes,
  ): { publicKey: bigint; privateKey: bigint } {
    let at = VALUE_AT;
    const template = (attributes: Attributes) => {
      const encoded = attributes.map(([type, value]) => {
        const bytes = attributeValue(value);
        this.#arena.bytes.set(bytes, at);
        at += bytes.length;
        return encodeAttribute(
          NATIVE,
          type,
          this.#arena.address(at - bytes.length),
          bytes.length,
        );
      });
      const size = encoded[0].length;
      const all = new Uint8Array(encoded.length * size);
      encoded.forEach((each, i) => all.set(each, i * size));
      return all;
    };
    const handles = [new Uint8Array(NATIVE.ulong), new Uint8Array(NATIVE.ulong)];
    const rv = this.#raw.C_GenerateKeyPair(
      session,
      encodeMechanism(NATIVE, mechanism, 0n, 0),
      template(publicKey),
      BigInt(publicKey.length),
      template(privateKey),
      BigInt(privateKey.length),
      handles[0],
      handles[1],
    );
    check("C_GenerateKeyPair", rv);
    return {
      publicKey: readUlong(NATIVE, handles[0]),
      privateKey: readUlong(NATIVE, handles[1]),
    };
  }

  /** C_DestroyObject. */
  destroy(session: bigint, object: bigint): void {
    check("C_DestroyObject", this.#raw.C_DestroyObject(session, object));
  }

  /** A CK_ATTRIBUTE in the arena. */
  #template(type: number, value: bigint, length: number): Uint8Array<ArrayBuffer> {
    const encoded = encodeAttribute(NATIVE, type, value, length);
    const template = this.#arena.bytes.subarray(ATTRIBUTE_AT, ATTRIBUTE_AT + encoded.length);
    template.set(encoded);
    return template;
  }

  /** PKCS#11's two calls for a list: how many, and which. It may grow in between. */
  #ulongs(
    name: FunctionName,
    max: number,
    call: (list: Uint8Array<ArrayBuffer> | null, count: Uint8Array<ArrayBuffer>) => number,
  ): bigint[] {
    const count = new Uint8Array(NATIVE.ulong);
    const read = () => {
      const n = readUlong(NATIVE, count);
      if (n > max) throw nonsense(name, `${n} entries`);
      return Number(n);
    };
    check(name, call(null, count));
    for (let attempt = 0; attempt < 3; attempt++) {
      const room = read();
      if (room === 0) return [];
      const list = new Uint8Array(room * NATIVE.ulong);
      const rv = call(list, count);
      // By now `count` says how many there are.
      if (rv === CKR.CKR_BUFFER_TOO_SMALL) continue;
      check(name, rv);
      const got = read();
      if (got > room) throw nonsense(name, `${got} entries in a list of ${room}`);
      return Array.from({ length: got }, (_, i) => readUlong(NATIVE, list, i * NATIVE.ulong));
    }
    throw nonsense(name, "the list never stops growing");
  }
}

/** A template: attribute types with their values. */
export type Attributes = readonly (readonly [
  type: number,
  value: number | boolean | Uint8Array,
])[];

function attributeValue(value: number | boolean | Uint8Array): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  const bytes = new Uint8Array(NATIVE.ulong);
  writeUlong(NATIVE, bytes, 0, BigInt(value));
  return bytes;
}

/** A CK_MECHANISM that waits for the address of its parameter. */
export interface EncodedMechanism {
  parameter: Uint8Array;
  encode(parameterAddress: bigint): Uint8Array;
}

function nonsense(functionName: string, reason: string): Pkcs11Error {
  return new Pkcs11Error("driver_nonsense", { functionName, reason });
}
