/** Keys of CNG's key storage providers (ncrypt.h). */
import { Pkcs11Error } from "../pkcs11_ffi/error.ts";
import { digestLength, type Hash, type Scheme } from "../pkcs11_ffi/mechanism.ts";
import { checkStatus } from "./errors.ts";
import { asciiPin, type KeyPlace, MAX_SIGNATURE, silently, type StoreKey } from "./key.ts";
import {
  BCRYPT_HASH,
  BCRYPT_PAD_PKCS1,
  BCRYPT_PAD_PSS,
  CERT_NCRYPT_KEY_SPEC,
  CRYPT_MACHINE_KEYSET,
  decodeAddress,
  decodeDword,
  encodeAddress,
  encodePkcs1Padding,
  encodePssPadding,
  encodeText,
  NCRYPT_IMPL_TYPE_PROPERTY,
  NCRYPT_PIN_PROPERTY,
  NCRYPT_WINDOW_HANDLE_PROPERTY,
  SILENT,
} from "./layout.ts";
import { withOwnerWindow } from "./owner_window.ts";
import type { RawWindows } from "./raw.ts";

export class CngKey implements StoreKey {
  readonly #raw: RawWindows;
  readonly #place: KeyPlace;
  #provider = 0n;
  #key = 0n;
  #silent = true;

  constructor(raw: RawWindows, place: KeyPlace) {
    this.#raw = raw;
    this.#place = place;
    silently(() => this.#open(SILENT));
  }

  implementation(): number | undefined {
    return this.#key === 0n ? undefined : implementationOf(this.#raw, this.#key);
  }

  sign(scheme: Scheme, hash: Hash, digest: Uint8Array<ArrayBuffer>, dialog: boolean) {
    if (!dialog) return this.#sign(scheme, hash, digest, SILENT);
    return withOwnerWindow(this.#raw, (window) => {
      // A key that was opened silently may stay so.
      if (this.#silent) {
        this.close();
        this.#open(0, window);
        this.#silent = false;
      } else this.#own(this.#key, window);
      return this.#sign(scheme, hash, digest, 0);
    });
  }

  setPin(pin: Uint8Array): void {
    const text = asciiPin(pin, 2);
    const { ncrypt } = this.#raw;
    try {
      const name = encodeText(NCRYPT_PIN_PROPERTY);
      checkStatus(
        "NCryptSetProperty",
        ncrypt.NCryptSetProperty(this.#key, name, text, text.length, SILENT),
      );
    } finally {
      text.fill(0);
    }
  }

  close(): void {
    const { ncrypt } = this.#raw;
    for (const handle of [this.#key, this.#provider]) {
      if (handle !== 0n) ncrypt.NCryptFreeObject(handle);
    }
    this.#key = this.#provider = 0n;
  }

  #open(silent: number, window = 0n): void {
    const { ncrypt } = this.#raw;
    const { container, flags, keySpec } = this.#place;
    const handle = new Uint8Array(8);
    this.#provider = openProvider(this.#raw, this.#place);
    try {
      this.#own(this.#provider, window);
      checkStatus(
        "NCryptOpenKey",
        ncrypt.NCryptOpenKey(
          this.#provider,
          handle,
          encodeText(container),
          keySpec === CERT_NCRYPT_KEY_SPEC ? 0 : keySpec,
          (flags & CRYPT_MACHINE_KEYSET) | silent,
        ),
      );
      this.#key = decodeAddress(handle);
      this.#own(this.#key, window);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Not every provider knows the property; then its dialog has no owner. */
  #own(handle: bigint, window: bigint): void {
    if (window === 0n) return;
    const name = encodeText(NCRYPT_WINDOW_HANDLE_PROPERTY);
    this.#raw.ncrypt.NCryptSetProperty(handle, name, encodeAddress(window), 8, 0);
  }

  #sign(scheme: Scheme, hash: Hash, digest: Uint8Array<ArrayBuffer>, silent: number) {
    const signature = new Uint8Array(MAX_SIGNATURE);
    const length = new Uint8Array(4);
    // The padding holds its address.
    const name = encodeText(BCRYPT_HASH[hash]);
    const [padding, flag] = this.#padding(scheme, hash, this.#raw.addressOf(name));
    // Not asked for the length first: some providers would want the PIN for that already.
    const status = this.#raw.ncrypt.NCryptSignHash(
      this.#key,
      padding,
      digest,
      digest.length,
      signature,
      signature.length,
      length,
      flag | silent,
    );
    name.fill(0); // It was reachable until here.
    checkStatus("NCryptSignHash", status);
    return signature.slice(0, decodeDword(length));
  }

  #padding(
    scheme: Scheme,
    hash: Hash,
    name: bigint,
  ): [padding: Uint8Array<ArrayBuffer> | null, flag: number] {
    switch (scheme) {
      case "RSASSA-PKCS1-v1_5":
        return [encodePkcs1Padding(name), BCRYPT_PAD_PKCS1];
      case "RSASSA-PSS":
        return [encodePssPadding(name, digestLength(hash)), BCRYPT_PAD_PSS];
      case "ECDSA":
        return [null, 0];
      default:
        throw new Pkcs11Error("mechanism_unsupported", { reason: scheme });
    }
  }
}

/** NCRYPT_IMPL_* of a provider; undefined if it does not tell. */
export function cngImplementation(raw: RawWindows, place: KeyPlace): number | undefined {
  const provider = openProvider(raw, place);
  try {
    return implementationOf(raw, provider);
  } finally {
    raw.ncrypt.NCryptFreeObject(provider);
  }
}

function openProvider({ ncrypt }: RawWindows, { provider }: KeyPlace): bigint {
  const handle = new Uint8Array(8);
  checkStatus(
    "NCryptOpenStorageProvider",
    ncrypt.NCryptOpenStorageProvider(handle, encodeText(provider), 0),
  );
  return decodeAddress(handle);
}

function implementationOf({ ncrypt }: RawWindows, handle: bigint): number | undefined {
  const [value, length] = [new Uint8Array(4), new Uint8Array(4)];
  const name = encodeText(NCRYPT_IMPL_TYPE_PROPERTY);
  const status = ncrypt.NCryptGetProperty(handle, name, value, value.length, length, SILENT);
  return status === 0 ? decodeDword(value) : undefined;
}
