/** A private key of the store, whichever its provider. */
import { Pkcs11Error } from "../pkcs11_ffi/error.ts";
import type { Hash, Scheme } from "../pkcs11_ffi/mechanism.ts";

/** Where a certificate's key lies, as its CRYPT_KEY_PROV_INFO says. */
export interface KeyPlace {
  provider: string;
  container: string;
  /** 0: CNG; else the type of the cryptographic service provider. */
  type: number;
  flags: number;
  keySpec: number;
}

/** A key that was opened without a dialog; where its provider wants to ask first, it is opened when it signs. */
export interface StoreKey {
  /** NCRYPT_IMPL_* or CRYPT_IMPL_*; undefined if the provider does not tell. */
  implementation(): number | undefined;
  /**
   * Signs.
   *
   * @param digest of `hash`'s length
   * @param dialog the provider may ask the person; else a question that it wants to ask is an error
   * @returns RSA: big-endian, as long as the modulus; ECDSA: r ‖ s
   * @throws {Pkcs11Error}
   */
  sign(
    scheme: Scheme,
    hash: Hash,
    digest: Uint8Array<ArrayBuffer>,
    dialog: boolean,
  ): Uint8Array<ArrayBuffer>;
  /**
   * Gives the provider the PIN for the signatures of this process. Some look at it now, some when they sign.
   *
   * @param pin ASCII
   * @throws {Pkcs11Error}
   */
  setPin(pin: Uint8Array): void;
  close(): void;
}

/** Runs what must show no dialog; it may fail because the provider wants one. */
export function silently(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Pkcs11Error && error.code === "context_login_required")) throw error;
  }
}

/** Bytes of the longest signature: RSA-8192. */
export const MAX_SIGNATURE = 1024;

/**
 * A PIN as providers take it: ended by NUL. Never a string, which could not be wiped.
 *
 * @param width bytes of a character: 1 or 2 (UTF-16)
 * @throws {Pkcs11Error} `pin_length` if it has other characters than ASCII's: providers differ about those, and a wrong
 *   guess would cost a try
 */
export function asciiPin(pin: Uint8Array, width: 1 | 2): Uint8Array<ArrayBuffer> {
  if (pin.length === 0 || pin.some((byte) => byte < 0x20 || byte > 0x7e)) {
    throw new Pkcs11Error("pin_length");
  }
  const text = new Uint8Array(width * (pin.length + 1));
  pin.forEach((byte, i) => text[width * i] = byte);
  return text;
}
