/** Keys of CNG (cng.ts) and of CryptoAPI's older providers (csp.ts), opened and looked at alike. */
import { Pkcs11Error } from "../pkcs11_ffi/error.ts";
import { cngImplementation, CngKey } from "./cng.ts";
import { cspImplementation, CspKey } from "./csp.ts";
import type { KeyPlace, StoreKey } from "./key.ts";
import { CRYPT_IMPL_SOFTWARE, IMPL_KINDS } from "./layout.ts";
import type { RawWindows } from "./raw.ts";

/**
 * Opens a key. Never shows a dialog.
 *
 * @throws {Pkcs11Error} `key_not_found`, `token_not_present`, `driver_not_found`, `driver_sha1_only`, …
 */
export const openKey = (raw: RawWindows, place: KeyPlace): StoreKey =>
  place.type === 0 ? new CngKey(raw, place) : new CspKey(raw, place);

/** What a silent look at a key finds. */
export interface KeyState {
  hardware: boolean;
  /** Why it cannot be used now. */
  error?: Pkcs11Error;
}

/** Looks at a key without a dialog, a PIN or a signature. */
export function lookAt(raw: RawWindows, place: KeyPlace): KeyState {
  let type: number | undefined;
  let error: Pkcs11Error | undefined;
  try {
    const key = openKey(raw, place);
    try {
      type = key.implementation();
    } finally {
      key.close();
    }
  } catch (thrown) {
    error = known(thrown);
  }
  try {
    type ??= (place.type === 0 ? cngImplementation : cspImplementation)(raw, place);
  } catch (thrown) {
    error ??= known(thrown);
  }
  const hardware = isHardware(type);
  // A token that is in, but another one.
  if (hardware && error?.code === "key_not_found") error = absent(error);
  return { hardware, error };
}

/** Providers that do not tell, or are no longer installed, come from makers of tokens: Windows' own tell. */
const isHardware = (type = 0) => (type & IMPL_KINDS) !== CRYPT_IMPL_SOFTWARE;

function known(error: unknown): Pkcs11Error {
  if (error instanceof Pkcs11Error) return error;
  throw error;
}

const absent = ({ functionName }: Pkcs11Error) =>
  new Pkcs11Error("token_not_present", { functionName });
