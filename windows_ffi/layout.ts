/** Constants and structures of CryptoAPI and CNG on 64-bit Windows (wincrypt.h, ncrypt.h, bcrypt.h, winuser.h). */

export const CERT_STORE_PROV_SYSTEM_W = 10;
/** CERT_SYSTEM_STORE_CURRENT_USER | CERT_STORE_READONLY_FLAG | CERT_STORE_OPEN_EXISTING_FLAG */
export const OPEN_READ_ONLY = 0x1C000;
export const CERT_KEY_PROV_INFO_PROP_ID = 2;

export const CRYPT_VERIFYCONTEXT = 0xF0000000;
/** The same bit as NCRYPT_MACHINE_KEY_FLAG. */
export const CRYPT_MACHINE_KEYSET = 0x20;
/** CRYPT_SILENT and NCRYPT_SILENT_FLAG. */
export const SILENT = 0x40;

export const PROV_RSA_AES = 24;
export const AT_SIGNATURE = 2;
export const CERT_NCRYPT_KEY_SPEC = 0xFFFFFFFF;

/** NCRYPT_IMPL_SOFTWARE_FLAG too. */
export const CRYPT_IMPL_SOFTWARE = 2;
/** Hardware (1), software (2), removable (8): other bits of NCRYPT_IMPL_* tell more about one of them. */
export const IMPL_KINDS = 0xB;
export const PP_CLIENT_HWND = 1;
export const PP_IMPTYPE = 3;
export const PP_KEYEXCHANGE_PIN = 32;
export const PP_SIGNATURE_PIN = 33;
export const HP_HASHVAL = 2;

/** ALG_ID of a digest. */
export const CALG = {
  "SHA-1": 0x8004,
  "SHA-256": 0x800C,
  "SHA-384": 0x800D,
  "SHA-512": 0x800E,
} as const;

export const BCRYPT_PAD_PKCS1 = 2;
export const BCRYPT_PAD_PSS = 8;

/** CNG's names of digests. */
export const BCRYPT_HASH = {
  "SHA-1": "SHA1",
  "SHA-256": "SHA256",
  "SHA-384": "SHA384",
  "SHA-512": "SHA512",
} as const;

export const NCRYPT_IMPL_TYPE_PROPERTY = "Impl Type";
export const NCRYPT_WINDOW_HANDLE_PROPERTY = "HWND Handle";
export const NCRYPT_PIN_PROPERTY = "SmartCardPin";

export const WS_POPUP = 0x80000000;
/** Above the other windows, and in the taskbar. */
export const WS_EX_TOPMOST_APPWINDOW = 0x40008;
export const SW_SHOWNOACTIVATE = 4;

/** Bytes of CERT_CONTEXT. */
export const CERT_CONTEXT_SIZE = 40;

/** Where a certificate's DER lies: CERT_CONTEXT.pbCertEncoded and cbCertEncoded. */
export function decodeCertContext(context: Uint8Array): { address: bigint; length: number } {
  const view = viewOf(context);
  return { address: view.getBigUint64(8, true), length: view.getUint32(16, true) };
}

/** Bytes of CRYPT_KEY_PROV_INFO without the texts behind it. */
export const KEY_PROV_INFO_SIZE = 48;

/**
 * Where a key lies: CRYPT_KEY_PROV_INFO, and the texts behind it to which it points; undefined where it points elsewhere.
 *
 * @param address of `info`
 */
export function decodeKeyProvInfo(info: Uint8Array, address: bigint) {
  const view = viewOf(info);
  const text = (at: number) => {
    const start = view.getBigUint64(at, true) - address;
    const isInside = start >= BigInt(KEY_PROV_INFO_SIZE) && start < BigInt(info.length);
    return isInside ? decodeText(info, Number(start)) : undefined;
  };
  return {
    container: text(0),
    provider: text(8),
    /** 0: a key of CNG; else the type of a cryptographic service provider. */
    type: view.getUint32(16, true),
    flags: view.getUint32(20, true),
    keySpec: view.getUint32(40, true),
  };
}

/** BCRYPT_PKCS1_PADDING_INFO; `algorithm`: address of the digest's name. */
export function encodePkcs1Padding(algorithm: bigint): Uint8Array<ArrayBuffer> {
  return encodeAddress(algorithm);
}

/** BCRYPT_PSS_PADDING_INFO; `salt` in bytes. */
export function encodePssPadding(algorithm: bigint, salt: number): Uint8Array<ArrayBuffer> {
  const info = new Uint8Array(16);
  const view = viewOf(info);
  view.setBigUint64(0, algorithm, true);
  view.setUint32(8, salt, true);
  return info;
}

/** A handle or pointer in memory. */
export function encodeAddress(address: bigint): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8);
  viewOf(bytes).setBigUint64(0, address, true);
  return bytes;
}

/** The other way of {@linkcode encodeAddress}. */
export const decodeAddress = (bytes: Uint8Array): bigint => viewOf(bytes).getBigUint64(0, true);

/** A DWORD in memory. */
export function encodeDword(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

/** The other way of {@linkcode encodeDword}. */
export const decodeDword = (bytes: Uint8Array): number => viewOf(bytes).getUint32(0, true);

/** A text as Windows takes it: UTF-16, ended by NUL. */
export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * text.length + 2);
  const view = viewOf(bytes);
  for (let i = 0; i < text.length; i++) view.setUint16(2 * i, text.charCodeAt(i), true);
  return bytes;
}

/** The other way of {@linkcode encodeText}, for one that begins at `start`. */
export function decodeText(bytes: Uint8Array, start: number): string {
  const view = viewOf(bytes);
  let text = "";
  for (let at = start; at + 1 < bytes.length; at += 2) {
    const unit = view.getUint16(at, true);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}

const viewOf = (bytes: Uint8Array) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
