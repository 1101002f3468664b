/** How a message reaches a person. */
import { serviceSpeech } from "../words/service.ts";
import { RULES } from "./authorize.ts";
import { plainLine } from "./request.ts";
import type { Person } from "./rows.ts";

/** A message. Only its OTP or link is secret. */
export interface Message {
  readonly subject: string;
  readonly text: string;
}

/** Sends messages; a port, so that tests and other gateways can take its place. */
export interface Delivery {
  /**
   * Sends, and returns when the next server on the way has taken it over.
   *
   * @throws {DeliveryError}
   */
  send(to: Person, message: Message): Promise<void>;
}

/** The message was not taken over. `message` says by whom and why, for the log. */
export class DeliveryError extends Error {
  override readonly name = "DeliveryError";
}

/** Digits of a hash that a message names; the page shows the same. */
const HASH_PREFIX = 16;

/** The beginning of a hash for people to compare: hex in groups of four. */
export function hashPrefix(base64: string): string {
  const hex = Uint8Array.fromBase64(base64).toHex().slice(0, HASH_PREFIX).toUpperCase();
  return hex.match(/.{4}/g)!.join(" ");
}

/** One line of what others wrote, not endlessly long. */
function oneLine(text: string): string {
  const clean = plainLine(text);
  return clean.length > 120 ? `${clean.slice(0, 119)}…` : clean;
}

/** Purpose of an OTP. */
export type OtpPurpose =
  | {
    client: string;
    purpose: string;
    /** The first document's name and hash (Base64), where they are known. */
    document?: { label: string; hash: string };
    signatures: number;
  }
  /** The person's own PIN is changed. */
  | { change: true };

/** The message with an OTP: what it is for comes with it, so that it cannot be asked for under a pretext. */
export function otpMessage(
  language: Person["language"],
  facts: { otp: string } & OtpPurpose,
): Message {
  const { say } = serviceSpeech(language);
  if ("change" in facts) {
    const subject = say("change_subject", { otp: facts.otp });
    return { subject, text: `${subject}.\n${say("change")}` };
  }
  const { document, signatures } = facts;
  const subject = say("message_otp", { otp: facts.otp, client: oneLine(facts.client) });
  const more = signatures > 1
    ? ` (${say("message_more", { count: signatures - 1, all: signatures })})`
    : "";
  return {
    subject,
    text: [
      `${subject}.`,
      `${say("message_purpose")}: ${oneLine(facts.purpose)}`,
      `${say("message_document")}: ${
        document ? oneLine(document.label) : say("message_unnamed")
      }${more}`,
      ...document ? [`${say("message_hash")}: ${hashPrefix(document.hash)}`] : [],
      say("message_warn"),
    ].join("\n"),
  };
}

/** The message with which a person sets the PIN. */
export function enrolmentMessage(person: Person, link: string, hours: number): Message {
  const { say } = serviceSpeech(person.language);
  return {
    subject: say("enrol_subject"),
    text: say("enrol", { name: oneLine(person.name), link, hours }),
  };
}

/** Of which answers: to authorizations, or at the sign-in with a name. */
export type Answers = "answers" | "sign_ins";

/** Tells a person that wrong answers were given in their name: if it was not them, they must know. */
export function wrongMessage(person: Person, count: number, which: Answers): Message {
  const { say } = serviceSpeech(person.language);
  const locked = count >= RULES.lockAfter;
  return {
    subject: say(locked ? `locked_${which}_subject` : "wrong_subject"),
    text: say(locked ? `locked_${which}` : `wrong_${which}`, {
      count,
      most: RULES.lockAfter,
    }),
  };
}
