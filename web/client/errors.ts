/** The one error of the SDK, and its sentences. */
import type { ErrorCode, ErrorObject, TriesLeft } from "../../protocol/errors.ts";
import { type ClientWords, en } from "../../words/en/client.ts";

/** Why no connection could be made, or that it broke. */
export type ConnectionCode =
  | "not_installed"
  | "cannot_tell"
  | "blocked_by_browser"
  | "permission_denied"
  | "certificate_untrusted"
  | "outdated"
  | "agent_changed"
  | "no_grant"
  | "connection_lost";

/** Every sentence in another language than English: `import { bn } from "…/bn"`. */
export type Messages = Readonly<Partial<Record<ErrorCode | keyof ClientWords, string>>>;

/** Sentences that tell more than their code. */
const CODES: Partial<Record<keyof ClientWords, ConnectionCode | "user_cancelled">> = {
  insecure_page: "blocked_by_browser",
  frame: "blocked_by_browser",
  no_window: "blocked_by_browser",
  page_refused: "blocked_by_browser",
  page_outdated: "outdated",
  agent_unproven: "agent_changed",
  window_closed: "user_cancelled",
};

/** The one error of the SDK: whatever fails, `code` says what, and `message` what a person can do. */
export class DsignClientError extends Error {
  override readonly name = "DsignClientError";

  constructor(
    readonly code: ErrorCode | ConnectionCode,
    message: string,
    /** Whether the same call, unchanged, can succeed later. */
    readonly retryable: boolean = false,
    /** With `pin_incorrect`, if the token says so. */
    readonly triesLeft?: TriesLeft,
    /** With `not_installed` and `cannot_tell`: where the portal says D-Sign can be had. */
    readonly download?: string,
  ) {
    super(message);
  }
}

/** Trying again changes nothing. */
const FINAL = ["outdated", "agent_changed", "user_cancelled", "request_cancelled"];

/** A failure that the SDK itself finds. */
export function failed(
  what: keyof ClientWords,
  { messages, download }: { messages?: Messages; download?: string } = {},
): DsignClientError {
  const code = CODES[what] ?? what as ConnectionCode;
  const link = /^(not_inst|cannot)/.test(what) ? download : undefined;
  return new DsignClientError(
    code,
    messages?.[what] ?? en[what],
    !FINAL.includes(code),
    undefined,
    link,
  );
}

export const fromWire = ({ message, data }: ErrorObject, messages?: Messages) => {
  const code = data?.code ?? "internal_error";
  return new DsignClientError(
    code,
    messages?.[code] ?? message,
    data?.retryable ?? false,
    data?.triesLeft,
  );
};
