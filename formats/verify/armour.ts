/** Wrappers of CMS signatures: PEM (RFC 7468), Base64, S/MIME (RFC 8551). */
import { FormatError } from "../error.ts";

const PEM = /-----BEGIN (CMS|PKCS7)-----([^-]+)-----END \1-----/;
/** `30 82`, `30 83`, `30 80` and the like. */
const BASE64 = /^MI[A-Za-z0-9+/]{20}/;
const HEADERS = /^(?:[A-Za-z][A-Za-z0-9-]*:[^\n]*\n(?:[ \t][^\n]*\n)*)+\r?\n/;
const OPAQUE = /^content-type:\s*application\/(?:x-)?pkcs7-mime\b/im;

/** @param text the file's beginning, as Latin-1, without white space before it */
export function isArmoured(text: string): boolean {
  return /-----BEGIN (?:CMS|PKCS7)-----/.test(text) || BASE64.test(text) || isMime(text);
}

const isMime = (text: string) => OPAQUE.test(HEADERS.exec(text)?.[0] ?? "");

/** Unsigned text around a wrapped signature that people may read; undefined if there is none. */
export function unsignedAround(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0x30) return undefined;
  const text = new TextDecoder("latin1").decode(bytes).replace(/^\xef\xbb\xbf/, "").trim();
  const block = PEM.exec(text)?.[0];
  if (block !== undefined) return block === text ? undefined : "the text around the PEM block";
  return isMime(text) ? "the headers of the mail" : undefined;
}

/**
 * Takes what it is wrapped in off.
 *
 * @throws {FormatError} `cms_malformed`
 */
export function unarmour(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes;
  const text = new TextDecoder("latin1").decode(bytes).replace(/^\xef\xbb\xbf/, "").trimStart();
  const headers = HEADERS.exec(text)?.[0];
  if (headers && /^content-transfer-encoding:\s*(?:binary|8bit)\b/im.test(headers)) {
    return bytes.subarray(bytes.length - text.length + headers.length);
  }
  const base64 = PEM.exec(text)?.[2] ?? (headers ? text.slice(headers.length) : text);
  try {
    return Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw new FormatError("cms_malformed", "The file is not a CMS signature.", { cause });
  }
}
