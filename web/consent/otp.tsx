/** The question for an OTP that a remote signing service wants, after the consent to the signature. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConsentReply, OtpRequest } from "../../protocol/consent.ts";
import type { Speech } from "../i18n/words.ts";
import { Foreign, Section } from "../parts.tsx";
import type { ConsentApi } from "./api.ts";
import { OTP_QUESTION } from "./otp_words.ts";
import { WhoAsks } from "./parts.tsx";

/** Seconds between two messages; the services ask for as much. */
const RESEND_AFTER = 30;

export function OtpQuestion(
  { request, api, speech, finish, children }: {
    request: OtpRequest;
    api: ConsentApi;
    speech: Speech;
    finish: (how: "sent" | "declined" | "lost") => void;
    /** The time that is left. */
    children: ComponentChildren;
  },
) {
  const words = OTP_QUESTION[speech.language];
  const { names, service, description, canResend } = request;
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<string | null>(null);
  const [wait, setWait] = useState(RESEND_AFTER);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  useEffect(() => {
    const timer = setInterval(() => setWait((seconds) => Math.max(0, seconds - 1)), 1000);
    return () => clearInterval(timer);
  }, []);

  /** Null: the agent is gone. */
  async function send(reply: ConsentReply) {
    setBusy(true);
    setTold(null);
    try {
      return await api.answer(reply);
    } catch {
      finish("lost");
      return null;
    } finally {
      setBusy(false);
    }
  }

  async function sign() {
    const pin = field.current?.value.trim() ?? "";
    if (pin === "") {
      field.current?.focus();
      return setTold(words.missing);
    }
    if (await send({ decision: "approve", pin })) finish("sent");
  }

  async function resend() {
    setWait(RESEND_AFTER);
    const answer = await send({ decision: "resend" });
    if (answer) setTold(answer.ok ? words.resent : speech.error(answer.code, answer.message));
    field.current?.focus();
  }

  const shown = names.filter((name) => name !== "");
  return (
    <form
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy) sign();
      }}
    >
      <h1>{words.title}</h1>
      <p>{words.explain.replace("{service}", service)}</p>
      <WhoAsks asker={request.asker} speech={speech} />
      {shown.length > 0 && (
        <Section title={words.documents}>
          <ul>
            {shown.map((name) => (
              <li key={name}>
                <Foreign text={name} />
              </li>
            ))}
          </ul>
        </Section>
      )}
      {description && (
        <Section title={words.says}>
          <p>
            <Foreign text={description} />
          </p>
        </Section>
      )}
      <footer>
        <section class="pin">
          <div role="alert" id="otp-problem">{told && <p class="notice">{told}</p>}</div>
          <label for="otp">{words.label}</label>
          <input
            id="otp"
            ref={field}
            inputMode="numeric"
            autocomplete="one-time-code"
            spellcheck={false}
            maxLength={32}
            disabled={busy}
            aria-describedby="otp-hint otp-problem"
          />
          <p class="aside" id="otp-hint">{words.hint}</p>
          {canResend && (wait > 0
            ? (
              <p class="aside">
                {words.resend_in.replace("{seconds}", speech.number(wait))}
              </p>
            )
            : (
              <button type="button" class="secondary" disabled={busy} onClick={resend}>
                {words.resend}
              </button>
            ))}
        </section>
        <div class="actions">
          {children}
          <button
            type="button"
            class="secondary"
            disabled={busy}
            onClick={async () => {
              if (await send({ decision: "decline" })) finish("declined");
            }}
          >
            {speech.say("do_not_sign")}
          </button>
          <button type="submit" disabled={busy}>{speech.say("do_sign_one")}</button>
        </div>
      </footer>
    </form>
  );
}
