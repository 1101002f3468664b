/** Statuses of Windows' functions (winerror.h), and what they mean to a person. */
import { Pkcs11Error, type Pkcs11ErrorCode } from "../pkcs11_ffi/error.ts";

const STATUSES: Record<string, [status: number, code: Pkcs11ErrorCode]> = {
  ERROR_FILE_NOT_FOUND: [2, "driver_not_found"],
  ERROR_MOD_NOT_FOUND: [126, "driver_load_failed"],
  ERROR_BAD_EXE_FORMAT: [193, "driver_wrong_architecture"],
  ERROR_CANCELLED: [1223, "cancelled"],
  HRESULT_ERROR_CANCELLED: [0x800704C7, "cancelled"],

  NTE_BAD_LEN: [0x80090004, "input_invalid"],
  NTE_BAD_ALGID: [0x80090008, "mechanism_unsupported"],
  NTE_BAD_KEY_STATE: [0x8009000B, "key_not_usable"],
  NTE_NO_KEY: [0x8009000D, "key_not_found"],
  NTE_NO_MEMORY: [0x8009000E, "device_memory"],
  NTE_PERM: [0x80090010, "key_not_usable"],
  NTE_NOT_FOUND: [0x80090011, "key_not_found"],
  NTE_BAD_KEYSET: [0x80090016, "key_not_found"],
  NTE_PROV_TYPE_NOT_DEF: [0x80090017, "driver_not_found"],
  NTE_KEYSET_NOT_DEF: [0x80090019, "driver_not_found"],
  NTE_PROVIDER_DLL_FAIL: [0x8009001D, "driver_load_failed"],
  NTE_PROV_DLL_NOT_FOUND: [0x8009001E, "driver_not_found"],
  NTE_SILENT_CONTEXT: [0x80090022, "context_login_required"],
  NTE_INVALID_PARAMETER: [0x80090027, "mechanism_unsupported"],
  NTE_NOT_SUPPORTED: [0x80090029, "mechanism_unsupported"],
  NTE_UI_REQUIRED: [0x8009002E, "context_login_required"],
  NTE_DEVICE_NOT_READY: [0x80090030, "token_not_present"],
  NTE_INCORRECT_PASSWORD: [0x80090033, "pin_incorrect"],
  NTE_DEVICE_NOT_FOUND: [0x80090035, "token_not_present"],
  NTE_USER_CANCELLED: [0x80090036, "cancelled"],
  CRYPT_E_NO_KEY_PROPERTY: [0x8009200B, "key_not_found"],

  SCARD_E_CANCELLED: [0x80100002, "cancelled"],
  SCARD_E_TIMEOUT: [0x8010000A, "driver_timeout"],
  SCARD_E_SHARING_VIOLATION: [0x8010000B, "token_busy"],
  SCARD_E_NO_SMARTCARD: [0x8010000C, "token_not_present"],
  // No minidriver is installed for it.
  SCARD_E_UNKNOWN_CARD: [0x8010000D, "driver_not_found"],
  SCARD_E_NOT_READY: [0x80100010, "token_not_present"],
  SCARD_E_READER_UNAVAILABLE: [0x80100017, "token_removed"],
  // Windows ends the service when no reader is left.
  SCARD_E_NO_SERVICE: [0x8010001D, "token_not_present"],
  SCARD_E_SERVICE_STOPPED: [0x8010001E, "token_not_present"],
  SCARD_E_INVALID_CHV: [0x8010002A, "pin_length"],
  SCARD_E_NO_SUCH_CERTIFICATE: [0x8010002C, "key_not_found"],
  SCARD_E_NO_READERS_AVAILABLE: [0x8010002E, "token_not_present"],
  SCARD_E_COMM_DATA_LOST: [0x8010002F, "device_error"],
  SCARD_E_NO_KEY_CONTAINER: [0x80100030, "key_not_found"],
  SCARD_E_PIN_CACHE_EXPIRED: [0x80100032, "user_not_logged_in"],
  SCARD_E_NO_PIN_CACHE: [0x80100033, "user_not_logged_in"],
  SCARD_W_UNSUPPORTED_CARD: [0x80100065, "driver_not_found"],
  SCARD_W_UNRESPONSIVE_CARD: [0x80100066, "device_error"],
  SCARD_W_UNPOWERED_CARD: [0x80100067, "device_error"],
  SCARD_W_RESET_CARD: [0x80100068, "device_error"],
  SCARD_W_REMOVED_CARD: [0x80100069, "token_removed"],
  SCARD_W_SECURITY_VIOLATION: [0x8010006A, "user_not_logged_in"],
  SCARD_W_WRONG_CHV: [0x8010006B, "pin_incorrect"],
  SCARD_W_CHV_BLOCKED: [0x8010006C, "pin_locked"],
  SCARD_W_CANCELLED_BY_USER: [0x8010006E, "cancelled"],
  SCARD_W_CARD_NOT_AUTHENTICATED: [0x8010006F, "user_not_logged_in"],
};

const NAMES = new Map(Object.entries(STATUSES).map(([name, [status]]) => [status, name]));

/** A status by its name, e.g. `SCARD_W_WRONG_CHV`, or its number in hex. */
export const statusName = (status: number): string =>
  NAMES.get(status) ?? `0x${status.toString(16).toUpperCase().padStart(8, "0")}`;

/**
 * The only place where a status becomes an error, so that the function's name is never lost.
 *
 * No property of Windows tells how many tries a PIN has left, so after a wrong one they are unknown.
 */
export function failure(functionName: string, status: number): Pkcs11Error {
  const known = STATUSES[NAMES.get(status) ?? ""]?.[1] ?? "driver_error";
  // Of a storage provider, "not found" means that it is not installed.
  const code = functionName === "NCryptOpenStorageProvider" && known === "key_not_found"
    ? "driver_not_found"
    : known;
  return new Pkcs11Error(code, {
    functionName: `${functionName}: ${statusName(status)}`,
    ...code === "pin_incorrect" && { triesLeft: "unknown" },
    ...code === "pin_locked" && { triesLeft: "none" },
  });
}

/** @throws {Pkcs11Error} unless a function of CNG gave ERROR_SUCCESS */
export function checkStatus(functionName: string, status: number): void {
  if (status !== 0) throw failure(functionName, status);
}
