/** Certificates of trial agents (`dsign trial`): for portals' tests, worth nothing. */
import { Buffer } from "node:buffer";
import type { Certificate } from "./certificate.ts";

/** Organisation in every certificate of a trial agent. */
export const TRIAL_ORGANISATION = "D-Sign TRIAL, worth nothing";

/** Whether a trial agent has made this certificate. */
export const isTrial = ({ subject, issuer }: Certificate): boolean =>
  [subject, issuer].some(({ der }) => Buffer.from(der).includes(TRIAL_ORGANISATION));
