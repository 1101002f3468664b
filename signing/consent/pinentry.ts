/** Consent through a pinentry program, as GnuPG has them for every desktop and for terminals. */
import { DsignError } from "../../protocol/errors.ts";
import type {
  Choice,
  ChooseRequest,
  ConsentRequest,
  GrantRequest,
  OtpRequest,
  PinRequest,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";
import { AssuanBroken, AssuanClient, AssuanError } from "./assuan.ts";
import {
  type Consent,
  type PinAnswer,
  type ShowPdf,
  type SignAnswer,
  timeToAnswer,
} from "./port.ts";
import { askForPin, askUntilOpen, type Dialog } from "./dialog.ts";
import { describeOtp } from "./otp_text.ts";
import { describePin } from "./pin_text.ts";
import {
  describeChoice,
  describeChoose,
  describeEntry,
  describeGrant,
  describeKey,
  describeSign,
  describeTries,
  UNPROVEN,
  whyImpossible,
} from "./text.ts";
import { toCancelled } from "../errors.ts";
import { endGroup, OWN_GROUP } from "./process.ts";

/** libgpg-error's err-codes.h */
const GPG_ERR = { TIMEOUT: 62, CANCELED: 99, NOT_CONFIRMED: 114, FULLY_CANCELED: 198 } as const;

/** A description is one line of Assuan: about ten lines of text. */
const BOUNDS = { previewLines: 6, items: 3 };

export interface PinentryOptions {
  /** Program and arguments. */
  command: readonly string[];
  /** Terminal for the programs that use one; absent for those of a desktop. */
  ttyName?: string;
  ttyType?: string;
  /** How long the person has usually, and at most where there is more to read; in milliseconds. */
  timeout?: number;
  limit?: number;
}

export class PinentryConsent implements Consent {
  constructor(readonly options: PinentryOptions) {}

  async grant(request: GrantRequest, signal: AbortSignal): Promise<void> {
    await this.#converse(
      request,
      signal,
      (pinentry) => confirm(pinentry, describeGrant(request), "Allow"),
    );
  }

  async choose(request: ChooseRequest, signal: AbortSignal): Promise<string> {
    return await this.#converse(request, signal, async (pinentry) => {
      const about = describeChoose(request);
      const choices = preferredFirst(request.choices, request.preferred);
      return (await choose(pinentry, about, choices)).id;
    });
  }

  async sign(
    request: SignRequest,
    unlock: (answer: SignAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
    show: ShowPdf,
  ): Promise<void> {
    await this.#converse(request, signal, async (pinentry) => {
      const about = describeSign(request, BOUNDS);
      const choices = request.choices.filter(({ pin }) => !pin.why);
      if (choices.length === 0) {
        const [choice] = request.choices;
        const impossible = whyImpossible(choice.pin)!;
        await pinentry.call("SETDESC", `${describeKey(choice)}\n\n${impossible.message}`);
        await pinentry.call("MESSAGE");
        throw impossible;
      }
      const preferred = choices.find(({ id }) => id === request.preferred);
      const choice = choices.length === 1
        ? choices[0]
        : preferred ?? await choose(pinentry, about, choices);
      if (request.unproven) await confirm(pinentry, UNPROVEN, "Sign all the same");
      const dialog: Dialog = {
        async ask(key, state, places) {
          const said = describeTries(state);
          if (state.confirm) await confirm(pinentry, said, "Go on");
          const elsewhere = describeEntry(state);
          const description = [describeKey(key), said, elsewhere, places, about].filter(Boolean)
            .join("\n\n");
          if (state.entry !== "typed") {
            await confirm(pinentry, description, elsewhere ? "Sign, asked elsewhere" : "Sign");
            return null;
          }
          await pinentry.call("SETDESC", description);
          await pinentry.call("SETPROMPT", "PIN:");
          await pinentry.call("SETOK", "Sign");
          return await pinentry.call("GETPIN");
        },
        say: (message) => pinentry.call("SETERROR", message),
      };
      await askUntilOpen(dialog, request, choice, unlock, show);
    });
  }

  async otp(
    request: OtpRequest,
    resend: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return await this.#converse(request, signal, async (pinentry) => {
      const again = "Leave it empty to have it sent again.";
      const about = [describeOtp(request), ...request.canResend ? [again] : []].join("\n\n");
      await pinentry.call("SETPROMPT", "OTP:");
      await pinentry.call("SETOK", "Sign");
      for (;;) {
        await pinentry.call("SETDESC", about);
        const otp = await pinentry.call("GETPIN");
        if (otp.length > 0) return otp;
        try {
          if (request.canResend) await resend();
        } catch (error) {
          if (!(error instanceof DsignError)) throw error;
          await pinentry.call("SETERROR", error.message);
        }
      }
    });
  }

  async pin(
    request: PinRequest,
    attempt: (answer: PinAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#converse(request, signal, async (pinentry) => {
      const about = describePin(request);
      // Said with the next question, or with its error.
      let said = "";
      const describe = () => pinentry.call("SETDESC", [said, about].filter(Boolean).join("\n\n"));
      const type = async (what: string) => {
        await describe();
        said = "";
        await pinentry.call("SETPROMPT", `${what[0].toUpperCase()}${what.slice(1)}:`);
        await pinentry.call("SETOK", request.purpose === "change" ? "Change" : "Unlock");
        return await pinentry.call("GETPIN");
      };
      const go = (what: string) => confirm(pinentry, `${what}\n\n${about}`, "Go on");
      const say = (message: string) => said = message;
      await askForPin({ type, confirm: go, say }, request, attempt);
    });
  }

  /** One program for one question, ended with it. */
  async #converse<T>(
    request: ConsentRequest,
    signal: AbortSignal,
    conversation: (pinentry: AssuanClient) => Promise<T>,
  ): Promise<T> {
    const { command: [program, ...args], ttyName, ttyType } = this.options;
    const timeout = timeToAnswer(request, this.options.timeout, this.options.limit);
    if (signal.aborted) throw toCancelled(signal);
    let child;
    try {
      child = new Deno.Command(program, {
        args,
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
        ...OWN_GROUP,
      }).spawn();
    } catch (error) {
      throw unavailable(program, error);
    }
    let pinentry: AssuanClient | undefined;
    let timedOut = false;
    const kill = () => endGroup(child);
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, timeout);
    signal.addEventListener("abort", kill);
    try {
      pinentry = await AssuanClient.connect(child);
      if (ttyName) await pinentry.call("OPTION", `ttyname=${ttyName}`);
      if (ttyType) await pinentry.call("OPTION", `ttytype=${ttyType}`);
      await pinentry.call("SETTITLE", "D-Sign");
      await pinentry.call("SETCANCEL", "Decline");
      // Its own limit is a minute.
      await pinentry.call("SETTIMEOUT", String(Math.ceil(timeout / 1000)));
      return await conversation(pinentry);
    } catch (error) {
      if (timedOut) throw new DsignError("consent_timeout");
      if (signal.aborted) throw toCancelled(signal);
      throw toDsign(program, error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", kill);
      if (pinentry) await pinentry.close();
      else await end(child);
    }
  }
}

/** Yes, or `user_cancelled`. */
async function confirm(pinentry: AssuanClient, description: string, yes: string): Promise<void> {
  await pinentry.call("SETDESC", description);
  await pinentry.call("SETOK", yes);
  await pinentry.call("CONFIRM");
}

/** Offers one certificate after the other: pinentry knows only yes and no. */
async function choose<C extends Choice>(
  pinentry: AssuanClient,
  about: string,
  choices: C[],
): Promise<C> {
  await pinentry.call("SETNOTOK", "Next");
  for (const [i, choice] of choices.entries()) {
    try {
      const which = `Certificate ${i + 1} of ${choices.length}: ${describeChoice(choice)}`;
      await confirm(pinentry, `${which}\n\n${about}`, "Use this");
      return choice;
    } catch (error) {
      const isNo = error instanceof AssuanError && error.code === GPG_ERR.NOT_CONFIRMED;
      if (!isNo) throw error;
    }
  }
  throw new DsignError("user_cancelled");
}

const preferredFirst = (choices: readonly Choice[], preferred: string | undefined): Choice[] =>
  choices.toSorted((a, b) => Number(b.id === preferred) - Number(a.id === preferred));

function toDsign(program: string, error: unknown): unknown {
  if (error instanceof AssuanError) {
    switch (error.code) {
      case GPG_ERR.TIMEOUT:
        return new DsignError("consent_timeout");
      case GPG_ERR.CANCELED:
      case GPG_ERR.FULLY_CANCELED:
      case GPG_ERR.NOT_CONFIRMED:
        return new DsignError("user_cancelled");
    }
  }
  return error instanceof AssuanError || error instanceof AssuanBroken
    ? unavailable(program, error)
    : error;
}

const unavailable = (program: string, cause: unknown) =>
  new DsignError(
    "consent_unavailable",
    `The program "${program}" cannot ask for the PIN. Install pinentry, or set "pinentry" in the configuration.`,
    { cause: String(cause) },
  );

async function end(child: Deno.ChildProcess): Promise<void> {
  endGroup(child);
  await Promise.all([
    child.stdin.abort().catch(() => {}),
    child.stdout.cancel().catch(() => {}),
    child.status,
  ]);
}
