/** Certificates of trial agents (`dsign trial`): for portals' tests, worth nothing. */
import type { Certificate } from "./certificate.ts";

/** Organisation in every certificate of a trial agent. */
export const TRIAL_ORGANISATION = "D-Sign TRIAL, worth nothing";

/** Whether a trial agent has made this certificate. */
export const isTrial = ({ subject, issuer }: Certificate): boolean =>
  [subject, issuer].some(({ der }) => includes(der, new TextEncoder().encode(TRIAL_ORGANISATION)));

function includes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  for (let at = 0; at + wanted.length <= bytes.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return true;
  }
  return false;
}
