/** One table from what the rules refuse to what a caller is told, for the API and for the page. */
import type { CscErrorCode } from "../protocol/csc.ts";
import type { OtpAnswered, OtpSent } from "../protocol/csc.ts";
import type { Refusal } from "./authorize.ts";

/** The call that was refused. The specification has separate texts for signing documents and bare digests. */
export type Asked = "send" | "answer" | "extend" | "signHash" | "signDoc";

const always = { locked: "credential_locked", wait: "answers_too_many" } as const;
const presented = {
  ...always,
  ended: "sad_invalid",
  expired: "sad_expired",
  too_soon: "sad_invalid",
  too_many: "sad_invalid",
  wrong: "sad_invalid",
  not_authorized: "sad_invalid",
  deviation: "hash_unauthorized",
} as const;

const CODES: Readonly<Record<Asked, Readonly<Record<Refusal, CscErrorCode>>>> = {
  send: {
    ...presented,
    ended: "sad_expired",
    too_soon: "otp_too_soon",
    too_many: "otp_too_many",
    wrong: "sad_expired",
  },
  // which factor was wrong, or whether there was anything to answer, is not told
  answer: {
    ...always,
    ended: "authentication_data",
    expired: "authentication_data",
    too_soon: "authentication_data",
    too_many: "authentication_data",
    wrong: "authentication_data",
    not_authorized: "authentication_data",
    deviation: "authentication_data",
  },
  extend: presented,
  signHash: presented,
  signDoc: { ...presented, deviation: "documents_unauthorized" },
};

/** The API's error for a refusal. */
export const cscCode = (asked: Asked, refusal: Refusal): CscErrorCode => CODES[asked][refusal];

type PageCode = Extract<OtpSent | OtpAnswered, { ok: false }>["code"];

const PAGE: Readonly<Record<Refusal, PageCode>> = {
  ended: "ended",
  expired: "ended",
  too_soon: "too_soon",
  too_many: "too_many",
  wait: "wait",
  locked: "locked",
  wrong: "wrong",
  not_authorized: "ended",
  deviation: "ended",
};

/** The page's word for a refusal. */
export const pageCode = (refusal: Refusal): PageCode => PAGE[refusal];
