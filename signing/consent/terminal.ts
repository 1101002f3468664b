/** Consent at the terminal that the agent was started from. */
import { DsignError } from "../../protocol/errors.ts";
import type {
  Choice,
  ChooseRequest,
  ConsentRequest,
  GrantRequest,
  OtpRequest,
  PinRequest,
  SignChoice,
  SignRequest,
  Unlocked,
} from "../../protocol/consent.ts";
import {
  type Consent,
  CONSENT_LIMIT,
  CONSENT_TIMEOUT,
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
  describeSign,
  describeTries,
  UNPROVEN,
  whyImpossible,
} from "./text.ts";
import { toCancelled } from "../errors.ts";

/** Standard input, as Deno has it. */
export interface TerminalInput {
  read(buffer: Uint8Array): Promise<number | null>;
  setRaw(raw: boolean): void;
  isTerminal(): boolean;
}

/** Standard error, as Deno has it: standard output is for results. */
export interface TerminalOutput {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

const BOUNDS = { previewLines: 40, items: 50 };
const MAX_LINE = 255;

const Key = {
  interrupt: 0x03, // Ctrl-C
  end: 0x04, // Ctrl-D
  backspace: 0x08,
  delete: 0x7f,
  clear: 0x15, // Ctrl-U
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
} as const;

export class TerminalConsent implements Consent {
  #bytes = new Uint8Array(0);
  /** A read cannot be taken back: after a timeout the next question goes on with it. */
  #reading: Promise<Uint8Array<ArrayBuffer>> | undefined;

  constructor(
    readonly input: TerminalInput = Deno.stdin,
    readonly output: TerminalOutput = Deno.stderr,
    /** How long the person has usually, and at most where there is more to read; in milliseconds. */
    readonly timeout = CONSENT_TIMEOUT,
    readonly limit = CONSENT_LIMIT,
  ) {}

  async grant(request: GrantRequest, signal: AbortSignal): Promise<void> {
    await this.#converse(request, signal, async (ask) => {
      this.#write(`\n${describeGrant(request)}\n`);
      await confirm(ask, "Allow it? [y/N] ");
    });
  }

  async choose(request: ChooseRequest, signal: AbortSignal): Promise<string> {
    return await this.#converse(request, signal, async (ask) => {
      this.#write(`\n${describeChoose(request)}\n`);
      const choice = await this.#choose(ask, request.choices, request.preferred);
      await confirm(ask, `Use ${describeChoice(choice)}? [y/N] `);
      return choice.id;
    });
  }

  async sign(
    request: SignRequest,
    unlock: (answer: SignAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
    show: ShowPdf,
  ): Promise<void> {
    await this.#converse(request, signal, async (ask) => {
      this.#write(`\n${describeSign(request, BOUNDS)}\n\n`);
      const choice = await this.#chooseUsable(ask, request);
      this.#write(`Certificate: ${describeChoice(choice)}\n`);
      if (request.unproven) await confirmInWords(ask);
      const dialog: Dialog = {
        ask: async (key, state, places) => {
          if (key === request.also) this.#write(`Second certificate: ${describeChoice(key)}\n`);
          if (places) this.#write(`${places}\n`);
          const said = describeTries(state);
          if (state.confirm) await confirm(ask, `${said} Go on? [y/N] `);
          else if (said) this.#write(`${said}\n`);
          if (state.entry !== "typed") {
            await confirm(ask, ["Sign?", describeEntry(state), "[y/N] "].filter(Boolean).join(" "));
            return null;
          }
          const pin = await ask("PIN to sign, empty to decline: ", false);
          if (pin.length === 0) throw new DsignError("user_cancelled");
          return pin;
        },
        say: (message) => this.#write(`${message}\n`),
      };
      await askUntilOpen(dialog, request, choice, unlock, show);
    });
  }

  async otp(
    request: OtpRequest,
    resend: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return await this.#converse(request, signal, async (ask) => {
      this.#write(`\n${describeOtp(request)}\n`);
      const again = request.canResend ? ", r to have it sent again" : "";
      for (;;) {
        const otp = await ask(`OTP${again}, empty to decline: `, true);
        if (otp.length === 0) throw new DsignError("user_cancelled");
        if (!request.canResend || !/^r$/i.test(text(otp))) return otp;
        try {
          await resend();
          this.#write("It was sent again.\n");
        } catch (error) {
          if (!(error instanceof DsignError)) throw error;
          this.#write(`${error.message}\n`);
        }
      }
    });
  }

  async pin(
    request: PinRequest,
    attempt: (answer: PinAnswer) => Promise<Unlocked>,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#converse(request, signal, async (ask) => {
      this.#write(`\n${describePin(request)}\n\n`);
      const say = (message: string) => this.#write(`${message}\n`);
      const type = async (what: string) => {
        const pin = await ask(`${what[0].toUpperCase()}${what.slice(1)}, empty to cancel: `, false);
        if (pin.length === 0) throw new DsignError("user_cancelled");
        return pin;
      };
      const go = (said: string) => confirm(ask, `${said} Go on? [y/N] `);
      await askForPin({ type, confirm: go, say }, request, attempt);
    });
  }

  /** @throws {DsignError} why the only token takes no PIN */
  async #chooseUsable(ask: Ask, { choices, preferred }: SignRequest): Promise<SignChoice> {
    for (;;) {
      const choice = await this.#choose(ask, choices, preferred);
      const impossible = whyImpossible(choice.pin);
      if (!impossible) return choice;
      this.#write(`${describeChoice(choice)}: ${impossible.message}\n`);
      if (choices.length === 1) throw impossible;
    }
  }

  async #choose<C extends Choice>(
    ask: Ask,
    choices: C[],
    preferred: string | undefined,
  ): Promise<C> {
    if (choices.length === 1) return choices[0];
    const standard = choices.findIndex(({ id }) => id === preferred) + 1;
    choices.forEach((choice, i) => this.#write(`  ${i + 1}) ${describeChoice(choice)}\n`));
    const hint = standard ? ` [${standard}]` : "";
    for (;;) {
      const line = text(await ask(`Which certificate${hint}, 0 to decline? `, true)).trim();
      const number = line === "" && standard
        ? standard
        : /^\d{1,3}$/.test(line)
        ? Number(line)
        : -1;
      if (number === 0) throw new DsignError("user_cancelled");
      if (choices[number - 1]) return choices[number - 1];
    }
  }

  /** Runs a conversation with a limit of time, and leaves the terminal as it was. */
  async #converse<T>(
    request: ConsentRequest,
    signal: AbortSignal,
    conversation: (ask: Ask) => Promise<T>,
  ): Promise<T> {
    if (!this.input.isTerminal() || !this.output.isTerminal()) {
      throw new DsignError(
        "consent_unavailable",
        'There is no terminal to ask at. Start D-Sign from one, or set "consent" in the configuration.',
      );
    }
    const timeout = AbortSignal.timeout(timeToAnswer(request, this.timeout, this.limit));
    const end = AbortSignal.any([signal, timeout]);
    const ended = new Promise<never>((_, reject) => {
      const stop = () =>
        reject(timeout.aborted ? new DsignError("consent_timeout") : toCancelled(signal));
      if (end.aborted) stop();
      end.addEventListener("abort", stop, { once: true });
    });
    ended.catch(() => {}); // it may come when nobody waits any more
    // Input typed ahead does not answer the question, which had not been shown.
    this.#bytes = new Uint8Array(0);
    this.input.setRaw(true);
    try {
      return await conversation((prompt, echo) => this.#readLine(prompt, echo, ended));
    } finally {
      this.input.setRaw(false);
      this.#write("\n");
    }
  }

  /** Reads a line key by key, which is how its bytes stay out of strings. */
  async #readLine(prompt: string, echo: boolean, ended: Promise<never>): Promise<Uint8Array> {
    this.#write(prompt);
    const line = new Uint8Array(MAX_LINE);
    let length = 0;
    try {
      for (;;) {
        const key = await Promise.race([this.#nextByte(), ended]);
        if (key === null || key === Key.interrupt || key === Key.end) {
          throw new DsignError("user_cancelled");
        }
        if (key === Key.carriageReturn || key === Key.lineFeed) {
          this.#write("\n");
          return line.slice(0, length);
        }
        if (key === Key.backspace || key === Key.delete) {
          // Back to the start of a character (UTF-8: bytes 10xxxxxx continue one).
          while (length > 0 && (line[--length] & 0xc0) === 0x80);
          if (echo) this.#write("\b \b");
        } else if (key === Key.clear) {
          length = 0;
          if (echo) this.#write(`\r\x1b[K${prompt}`);
        } else if (key >= 0x20 && length < MAX_LINE) {
          line[length++] = key;
          if (echo) this.output.writeSync(Uint8Array.of(key));
        }
      }
    } finally {
      line.fill(0);
    }
  }

  async #nextByte(): Promise<number | null> {
    if (this.#bytes.length === 0) {
      this.#reading ??= this.#read();
      this.#bytes = await this.#reading;
      this.#reading = undefined;
    }
    if (this.#bytes.length === 0) return null;
    const byte = this.#bytes[0];
    this.#bytes[0] = 0;
    this.#bytes = this.#bytes.subarray(1);
    return byte;
  }

  async #read(): Promise<Uint8Array<ArrayBuffer>> {
    const buffer = new Uint8Array(64);
    const length = await this.input.read(buffer);
    return buffer.subarray(0, length ?? 0);
  }

  /** The terminal is raw: lines end with both characters. */
  #write(text: string): void {
    this.output.writeSync(new TextEncoder().encode(text.replaceAll("\n", "\r\n")));
  }
}

type Ask = (prompt: string, echo: boolean) => Promise<Uint8Array>;

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A quick "y" would be too little. */
async function confirmInWords(ask: Ask): Promise<void> {
  const typed = await ask(`${UNPROVEN} Type "unproven" to sign all the same: `, true);
  if (new TextDecoder().decode(typed).trim() !== "unproven") throw new DsignError("user_cancelled");
}

async function confirm(ask: Ask, prompt: string): Promise<void> {
  if (!/^y(es)?$/i.test(text(await ask(prompt, true)).trim())) {
    throw new DsignError("user_cancelled");
  }
}
