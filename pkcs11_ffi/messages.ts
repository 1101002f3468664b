import { Pkcs11Error, type Pkcs11ErrorCode, type TriesLeft } from "./error.ts";
import type { Hash, MlDsa, Scheme } from "./mechanism.ts";

/** The driver's description of itself (CK_INFO). */
export interface ModuleInfo {
  cryptokiVersion: string;
  manufacturer: string;
  description: string;
  libraryVersion: string;
}

/** An inserted token (CK_TOKEN_INFO and its slot). */
export interface TokenInfo {
  /** RFC 7512 URI; exact, with `slot-id` only if two tokens are otherwise the same. */
  uri: string;
  /** Only for display: slot numbers change when tokens are plugged in and out. */
  slotId: number;
  slotDescription: string;
  slotManufacturer: string;
  /** Often empty on real tokens. */
  label: string;
  manufacturer: string;
  model: string;
  serial: string;
  loginRequired: boolean;
  /** The PIN is typed on the reader or the token itself: log in with `null`. */
  protectedAuthenticationPath: boolean;
  initialised: boolean;
  pinInitialised: boolean;
  pinToBeChanged: boolean;
  removable: boolean;
  triesLeft: TriesLeft;
  /** In bytes; 0 if the token does not report it. */
  minPinLength: number;
  maxPinLength: number;
}

/** An X.509 certificate object on a token. */
export interface CertificateObject {
  /** RFC 7512 URI of this object. */
  uri: string;
  /** CKA_ID in lower-case hex; may be empty, may be long. */
  id: string;
  label: string;
  /** CKA_VALUE, DER; empty where the token cannot read it out. */
  der: Uint8Array<ArrayBuffer>;
  /** Of the Windows store: whether the key is in hardware, and why it cannot be used now. */
  key?: { hardware: boolean; failure?: Failure };
}

/** Which private key is meant. At least one of the two must be given. */
export interface KeySelector {
  /** CKA_ID in hex. */
  id?: string;
  /** DER certificate. A key whose public part is not in it never matches. */
  certificate?: Uint8Array;
  /** Of the certificate: some tokens tell the size of a private key on the public key only, or not at all. */
  publicKey?: { type: "rsa" | "ec"; bits: number };
}

/** A private key of a logged-in session. */
export interface KeyInfo {
  uri: string;
  id: string;
  label: string;
  type: "rsa" | "ec" | "ml-dsa";
  /** Modulus or curve size in bits; 0 for ML-DSA. */
  bits: number;
  /** ML-DSA only. */
  parameterSet?: MlDsa;
  /** Every signature needs its own PIN (CKA_ALWAYS_AUTHENTICATE). */
  alwaysAuthenticate: boolean;
}

/** The key pair to generate. */
export interface KeySpec {
  type: "rsa" | "ec";
  /** Modulus (2048, 3072, 4096) or curve size (256, 384) in bits. */
  bits: number;
  /** With it the key is an object of the token with this CKA_ID (hex); else it ends with the session. */
  id?: string;
}

/** The public half of a key pair; numbers are big-endian, hex. */
export type PublicPart =
  | { type: "rsa"; modulus: string; exponent: string }
  /** Uncompressed point (SEC 1 §2.3.3). */
  | { type: "ec"; point: string };

/** Input and scheme of a signature. */
export interface SignRequest {
  scheme: Scheme;
  hash: Hash;
  /** `message`: hashed by the token or the child; `digest`: already the hash of the message. */
  input: "message" | "digest";
  data: Uint8Array;
}

/** First frame to the child, as JSON. */
export interface StartMessage {
  /** Empty for the Windows store (windows_ffi/host.ts). */
  modulePath: string;
  /** CK_C_INITIALIZE_ARGS.pReserved, e.g. the configuration string of NSS softokn. */
  initArgs?: string;
  /** 16 random bytes in hex; every frame from the child starts with them. */
  marker: string;
}

/** The requests of the child. Handles (`session`, `key`) are valid in that child only. */
export type Request =
  | { op: "info" }
  | { op: "tokens" }
  | { op: "certificates"; token: string }
  | { op: "certificates"; session: number }
  | { op: "open"; token: string }
  | { op: "login"; session: number; pin: boolean }
  /** The blob is the old PIN, of `oldLength` bytes, and the new one; without it, the reader has a keypad. */
  | { op: "setPin"; session: number; oldLength?: number }
  | {
    op: "key";
    session: number;
    id?: string;
    /** The blob is the certificate. */
    certificate: boolean;
    publicKey?: KeySelector["publicKey"];
  }
  | { op: "generate"; session: number; spec: KeySpec }
  | { op: "destroy"; session: number; key: number }
  | {
    op: "sign";
    session: number;
    key: number;
    scheme: Scheme;
    hash: Hash;
    input: "message" | "digest";
    /** The blob's first `pinLength` bytes are the PIN of a context-specific login. */
    pinLength?: number;
    /** Context-specific login on the reader's keypad. */
    pinPad?: true;
  }
  | { op: "logout"; session: number }
  | { op: "close"; session: number };

/** A failure, as JSON in a reply. */
export interface Failure {
  code: Pkcs11ErrorCode;
  functionName?: string;
  rv?: number;
  triesLeft?: TriesLeft;
  reason?: string;
}

/** A reply: `ok` with the operation's value, or `error`. Bytes travel in the frame's blob. */
export type Reply = { ok: unknown } | { error: Failure };

/** For the wire. Anything but a {@link Pkcs11Error} is a bug here and keeps its text. */
export function toFailure(error: unknown): Failure {
  if (error instanceof Pkcs11Error) {
    const { code, functionName, rv, triesLeft, reason } = error;
    return { code, functionName, rv, triesLeft, reason };
  }
  return { code: "driver_error", reason: String(error) };
}

/** The other way of {@link toFailure}. */
export function fromFailure(failure: Failure): Pkcs11Error {
  return new Pkcs11Error(failure.code, failure);
}

/** A frame's body: number of the request, header as JSON, then raw bytes. */
export interface Frame<T> {
  id: number;
  header: T;
  blob: Uint8Array<ArrayBuffer>;
}

/** Longest message that can be given whole to the token, in bytes; of a longer one, the digest. */
export const MAX_MESSAGE = 1024 * 1024;

/** Longest body of a frame, in bytes. */
export const MAX_FRAME = 4 * 1024 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NOTHING = new Uint8Array(0);

/**
 * Encodes a frame: `prefix`, u32 length of what follows up to and without `suffix`, u32 id,
 * u32 length of the header, header (JSON), blob, `suffix`. Integers are little-endian.
 */
export function encodeFrame(
  id: number,
  header: unknown,
  blob: Uint8Array = NOTHING,
  prefix: Uint8Array = NOTHING,
  suffix: Uint8Array = NOTHING,
): Uint8Array<ArrayBuffer> {
  const json = encoder.encode(JSON.stringify(header));
  const length = 8 + json.length + blob.length;
  const frame = new Uint8Array(prefix.length + 4 + length + suffix.length);
  const view = new DataView(frame.buffer);
  frame.set(prefix);
  view.setUint32(prefix.length, length, true);
  view.setUint32(prefix.length + 4, id, true);
  view.setUint32(prefix.length + 8, json.length, true);
  frame.set(json, prefix.length + 12);
  frame.set(blob, prefix.length + 12 + json.length);
  frame.set(suffix, frame.length - suffix.length);
  return frame;
}

/**
 * Decodes a frame's body. `blob` is a view of `body`, so that wiping the one wipes the other.
 *
 * @throws {SyntaxError | RangeError} when the body is not a frame
 */
export function decodeFrame<T>(body: Uint8Array<ArrayBuffer>): Frame<T> {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const id = view.getUint32(0, true);
  const end = 8 + view.getUint32(4, true);
  if (end > body.length) throw new RangeError("frame header longer than the frame");
  const header = JSON.parse(decoder.decode(body.subarray(8, end)));
  return { id, header, blob: body.subarray(end) };
}

/**
 * Takes frames out of a byte stream.
 *
 * Without a marker the stream must hold frames only. With one it may hold anything between
 * frames (drivers print on standard output): such bytes are given to `onGarbage`.
 */
export class FrameReader {
  #buffer = new Uint8Array(64 * 1024);
  #end = 0;
  readonly #marker: Uint8Array;
  readonly #onGarbage: (bytes: Uint8Array) => void;

  constructor(
    marker: Uint8Array = NOTHING,
    onGarbage: (bytes: Uint8Array) => void = () => {},
  ) {
    this.#marker = marker;
    this.#onGarbage = onGarbage;
  }

  /**
   * Room for the next read; call {@link take} with the number of bytes that were read into it.
   */
  space(): Uint8Array<ArrayBuffer> {
    if (this.#end === this.#buffer.length) this.#grow(this.#buffer.length * 2);
    return this.#buffer.subarray(this.#end);
  }

  /** Adds a chunk and gives every frame's body that is now complete to `onFrame`. */
  push(chunk: Uint8Array, onFrame: (body: Uint8Array<ArrayBuffer>) => void): void {
    if (this.#end + chunk.length > this.#buffer.length) this.#grow(this.#end + chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.take(chunk.length, onFrame);
  }

  /**
   * Gives every complete frame's body to `onFrame`. A body is valid until `onFrame` returns:
   * then its bytes are wiped, because it may hold a PIN.
   *
   * @throws {RangeError} when a frame is longer than {@link MAX_FRAME} or does not end as it must
   */
  take(read: number, onFrame: (body: Uint8Array<ArrayBuffer>) => void): void {
    this.#end += read;
    const marker = this.#marker;
    let start = 0;
    for (;;) {
      if (marker.length > 0) start = this.#skipGarbage(start);
      const head = start + marker.length + 4;
      if (head > this.#end) break;
      const length = new DataView(this.#buffer.buffer).getUint32(head - 4, true);
      if (length < 8 || length > MAX_FRAME) throw new RangeError(`frame of ${length} bytes`);
      const stop = head + length + marker.length;
      if (stop > this.#end) {
        // Only now is it known how much must fit.
        if (stop - start > this.#buffer.length) {
          start = this.#drop(start);
          this.#grow(stop);
        }
        break;
      }
      if (marker.length > 0 && !startsWith(this.#buffer, head + length, marker)) {
        throw new RangeError("other output was mixed into the frame");
      }
      onFrame(this.#buffer.subarray(head, head + length));
      start = stop;
    }
    this.#drop(start);
  }

  /** Moves the remaining bytes to the front and wipes the rest. */
  #drop(start: number): number {
    if (start === 0) return 0;
    this.#buffer.copyWithin(0, start, this.#end);
    this.#buffer.fill(0, this.#end - start, this.#end);
    this.#end -= start;
    return 0;
  }

  #grow(size: number): void {
    const larger = new Uint8Array(size);
    larger.set(this.#buffer.subarray(0, this.#end));
    this.#buffer.fill(0);
    this.#buffer = larger;
  }

  /** The start of the next marker, or of what may become one. */
  #skipGarbage(start: number): number {
    const marker = this.#marker;
    let at = start;
    for (; at < this.#end; at++) {
      at = this.#buffer.indexOf(marker[0], at);
      if (at < 0 || at >= this.#end) {
        at = this.#end;
        break;
      }
      if (startsWith(this.#buffer, at, marker.subarray(0, this.#end - at))) break;
    }
    if (at > start) this.#onGarbage(this.#buffer.subarray(start, at));
    return at;
  }
}

function startsWith(buffer: Uint8Array, at: number, bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (buffer[at + i] !== bytes[i]) return false;
  return true;
}
