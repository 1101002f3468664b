/** Keys of CryptoAPI's cryptographic service providers (wincrypt.h): RSA with PKCS #1 v1.5 alone. */
import { Pkcs11Error } from "../pkcs11_ffi/error.ts";
import type { Hash, Scheme } from "../pkcs11_ffi/mechanism.ts";
import { failure } from "./errors.ts";
import { asciiPin, type KeyPlace, MAX_SIGNATURE, silently, type StoreKey } from "./key.ts";
import {
  AT_SIGNATURE,
  CALG,
  CRYPT_IMPL_SOFTWARE,
  CRYPT_MACHINE_KEYSET,
  CRYPT_VERIFYCONTEXT,
  decodeAddress,
  decodeDword,
  encodeAddress,
  encodeDword,
  encodeText,
  HP_HASHVAL,
  PP_CLIENT_HWND,
  PP_IMPTYPE,
  PP_KEYEXCHANGE_PIN,
  PP_SIGNATURE_PIN,
  PROV_RSA_AES,
  SILENT,
} from "./layout.ts";
import { withOwnerWindow } from "./owner_window.ts";
import type { RawWindows } from "./raw.ts";

/** What CryptAcquireContextW is given. */
type Asked = Pick<KeyPlace, "type" | "flags"> & {
  container: string | null;
  provider: string | null;
};

export class CspKey implements StoreKey {
  readonly #raw: RawWindows;
  readonly #keySpec: number;
  /** The provider that knows SHA-2. */
  #asked: Asked;
  #context = 0n;
  #silent = true;

  constructor(raw: RawWindows, place: KeyPlace) {
    this.#raw = raw;
    this.#keySpec = place.keySpec;
    this.#asked = place;
    try {
      silently(() => {
        this.#context = acquire(raw, place, SILENT);
        this.#mustHaveKey();
      });
      if (this.#context !== 0n && !this.#knowsSha2()) this.#takeStronger(place);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  implementation(): number | undefined {
    return this.#context === 0n ? undefined : implementationOf(this.#raw, this.#context);
  }

  sign(scheme: Scheme, hash: Hash, digest: Uint8Array<ArrayBuffer>, dialog: boolean) {
    if (scheme !== "RSASSA-PKCS1-v1_5") {
      throw new Pkcs11Error("mechanism_unsupported", { reason: `${scheme} by a CSP` });
    }
    if (!dialog) return this.#sign(hash, digest);
    return withOwnerWindow(this.#raw, (window) => {
      // Without a context: for those that are acquired from now on.
      const of = this.#silent ? 0n : this.#context;
      if (window !== 0n) {
        this.#raw.advapi32.CryptSetProvParam(of, PP_CLIENT_HWND, encodeAddress(window), 0);
      }
      if (this.#silent) {
        this.close();
        this.#context = acquire(this.#raw, this.#asked, 0);
        this.#silent = false;
      }
      return this.#sign(hash, digest);
    });
  }

  setPin(pin: Uint8Array): void {
    const text = asciiPin(pin, 1);
    const { advapi32 } = this.#raw;
    const parameter = this.#keySpec === AT_SIGNATURE ? PP_SIGNATURE_PIN : PP_KEYEXCHANGE_PIN;
    try {
      const done = advapi32.CryptSetProvParam(this.#context, parameter, text, 0);
      if (!done) throw this.#failure("CryptSetProvParam");
    } finally {
      text.fill(0);
    }
  }

  close(): void {
    if (this.#context !== 0n) this.#raw.advapi32.CryptReleaseContext(this.#context, 0);
    this.#context = 0n;
  }

  #sign(hash: Hash, digest: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { advapi32 } = this.#raw;
    const object = this.#createHash(hash);
    if (object === null) throw this.#failure("CryptCreateHash");
    try {
      if (!advapi32.CryptSetHashParam(object, HP_HASHVAL, digest, 0)) {
        throw this.#failure("CryptSetHashParam");
      }
      const signature = new Uint8Array(MAX_SIGNATURE);
      const length = encodeDword(signature.length);
      if (!advapi32.CryptSignHashW(object, this.#keySpec, null, 0, signature, length)) {
        throw this.#failure("CryptSignHashW");
      }
      // CryptoAPI's numbers are little-endian.
      return signature.slice(0, decodeDword(length)).reverse();
    } finally {
      advapi32.CryptDestroyHash(object);
    }
  }

  /** Some providers give a context for a token that is not there. */
  #mustHaveKey(): void {
    const { advapi32 } = this.#raw;
    const key = new Uint8Array(8);
    if (!advapi32.CryptGetUserKey(this.#context, this.#keySpec, key)) {
      throw this.#failure("CryptGetUserKey");
    }
    advapi32.CryptDestroyKey(decodeAddress(key));
  }

  #knowsSha2(): boolean {
    const object = this.#createHash("SHA-256");
    if (object === null) return false;
    this.#raw.advapi32.CryptDestroyHash(object);
    return true;
  }

  /** Windows' own older providers know SHA-1 alone, but their containers open in the newer one too. */
  #takeStronger(place: KeyPlace): void {
    const stronger = { ...place, provider: null, type: PROV_RSA_AES };
    // In a token's provider the same name would be another key's.
    if (this.implementation() !== CRYPT_IMPL_SOFTWARE) throw new Pkcs11Error("driver_sha1_only");
    const context = acquire(this.#raw, stronger, SILENT);
    this.close();
    this.#context = context;
    this.#asked = stronger;
  }

  #createHash(hash: Hash): bigint | null {
    const object = new Uint8Array(8);
    const { advapi32 } = this.#raw;
    return advapi32.CryptCreateHash(this.#context, CALG[hash], 0n, 0, object)
      ? decodeAddress(object)
      : null;
  }

  #failure(functionName: string): Pkcs11Error {
    return failure(functionName, this.#raw.lastError());
  }
}

/** CRYPT_IMPL_* of a provider; undefined if it does not tell. */
export function cspImplementation(raw: RawWindows, place: KeyPlace): number | undefined {
  const asked = { ...place, container: null, flags: 0 };
  const context = acquire(raw, asked, CRYPT_VERIFYCONTEXT | SILENT);
  try {
    return implementationOf(raw, context);
  } finally {
    raw.advapi32.CryptReleaseContext(context, 0);
  }
}

function acquire(raw: RawWindows, { container, provider, type, flags }: Asked, how: number) {
  const context = new Uint8Array(8);
  const text = (value: string | null) => value === null ? null : encodeText(value);
  const wanted = ((flags & CRYPT_MACHINE_KEYSET) | how) >>> 0;
  if (
    !raw.advapi32.CryptAcquireContextW(context, text(container), text(provider), type, wanted)
  ) throw failure("CryptAcquireContextW", raw.lastError());
  return decodeAddress(context);
}

function implementationOf({ advapi32 }: RawWindows, context: bigint): number | undefined {
  const value = new Uint8Array(4);
  return advapi32.CryptGetProvParam(context, PP_IMPTYPE, value, encodeDword(4), 0)
    ? decodeDword(value)
    : undefined;
}
