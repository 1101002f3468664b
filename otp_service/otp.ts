/** One-time passwords: our own, sent by mail or SMS, and those of an authenticator app. */
import { createHmac, randomBytes, randomInt } from "node:crypto";
import { renderSVG } from "uqr";
import { sameText } from "./secrets.ts";

/** Digits of an authenticator app's; some apps show six whatever they are told. */
const TOTP_DIGITS = 6;

/** A new OTP: decimal digits, each equally likely (CSPRNG). */
export function newOtp(digits: number): string {
  return Array.from({ length: digits }, () => randomInt(10)).join("");
}

/** Seconds of one time step (RFC 6238 §4.1 X). */
const STEP = 30;
const SECRET = 20;
/** Steps that a phone's clock may be off, either way (RFC 6238 §5.2). */
const WINDOW = 1;

/** A new secret for an authenticator: 160 bits (RFC 4226 §4 R6). */
export function newTotpSecret(): Uint8Array {
  return randomBytes(SECRET);
}

/** HOTP of a counter (RFC 4226 §5.3), six digits. */
function hotp(secret: Uint8Array, counter: number): string {
  const message = new Uint8Array(8);
  new DataView(message.buffer).setBigUint64(0, BigInt(counter));
  const mac = createHmac("sha1", secret).update(message).digest();
  const offset = mac[mac.length - 1] & 0xf;
  const number = mac.readUInt32BE(offset) & 0x7fffffff;
  return (number % 10 ** TOTP_DIGITS).toString().padStart(TOTP_DIGITS, "0");
}

/**
 * Which time step an authenticator's password belongs to; `undefined`: none near `now`. A step must be accepted once only
 * (RFC 6238 §5.2): the caller compares it with the last one.
 *
 * @param now milliseconds since 1970
 */
export function totpStep(secret: Uint8Array, otp: string, now: number): number | undefined {
  const current = Math.floor(now / 1000 / STEP);
  let found: number | undefined;
  for (let step = current - WINDOW; step <= current + WINDOW; step++) {
    if (sameText(hotp(secret, step), otp)) found = step;
  }
  return found;
}

/** Key URI for an authenticator app, and the same as a QR code in SVG. */
export function totpEnrolment(
  secret: Uint8Array,
  service: string,
  person: string,
): { uri: string; svg: string } {
  const label = `${encodeURIComponent(service)}:${encodeURIComponent(person)}`;
  const uri = `otpauth://totp/${label}?secret=${base32(secret)}&issuer=${
    encodeURIComponent(service)
  }&algorithm=SHA1&digits=${TOTP_DIGITS}&period=${STEP}`;
  return { uri, svg: renderSVG(uri, { border: 4 }) };
}

/** RFC 4648 §6, without padding. */
export function base32(bytes: Uint8Array): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8 | byte) & 0xfff;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[held >> (bits - 5) & 31];
  }
  return bits > 0 ? text + alphabet[held << (5 - bits) & 31] : text;
}
