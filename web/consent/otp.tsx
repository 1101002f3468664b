/** The question for an OTP that a remote signing service wants, after the consent to the signature. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConsentReply, OtpRequest } from "../../protocol/consent.ts";
import type { Speech } from "../../words/agent.ts";
import { Foreign, Section } from "../parts.tsx";
import { Screen } from "../screen.tsx";
import type { ConsentApi } from "./api.ts";
import { useArming } from "./arming.ts";
import { Countdown, type TimeLeft } from "./countdown.tsx";
import { WhoAsks } from "./parts.tsx";
import { isUnarmed, Unarmed } from "./unarmed.tsx";

/** Seconds between two messages; the services ask for as much. */
const RESEND_AFTER = 30;

export function OtpQuestion(
  { request, time, api, speech, finish }: {
    request: OtpRequest;
    time: TimeLeft;
    api: ConsentApi;
    speech: Speech;
    finish: (how: "sent" | "declined" | "lost") => void;
  },
) {
  const { say } = speech;
  const { names, service, description, canResend } = request;
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState<string | null>(null);
  const [wait, setWait] = useState(RESEND_AFTER);
  const field = useRef<HTMLInputElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const arming = useArming(form, true);
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
      return setTold(say("otp_missing"));
    }
    if (await send({ decision: "approve", pin })) finish("sent");
  }

  async function decline() {
    if (!busy && await send({ decision: "decline" })) finish("declined");
  }

  async function resend() {
    setWait(RESEND_AFTER);
    const answer = await send({ decision: "resend" });
    if (answer) setTold(answer.ok ? say("otp_resent") : speech.error(answer.code, answer.message));
    field.current?.focus();
  }

  const shown = names.filter((name) => name !== "");
  return (
    <Screen
      title={say("otp_title")}
      about={say("otp_documents")}
      speech={speech}
      form={form}
      submit={() => {
        if (arming.armed && !busy) sign();
      }}
      notice={isUnarmed(arming) && <Unarmed arming={arming} speech={speech} />}
      decline={decline}
      pane={
        <>
          <p>{say("otp_explain", { service })}</p>
          {shown.length > 0 && (
            <Section title={say("otp_documents")}>
              <ul data-see="beginning">
                {shown.map((name) => (
                  <li key={name}>
                    <Foreign text={name} />
                  </li>
                ))}
              </ul>
            </Section>
          )}
          {description && (
            <Section title={say("otp_says")}>
              <p data-see="">
                <Foreign text={description} />
              </p>
            </Section>
          )}
        </>
      }
      facts={<WhoAsks asker={request.asker} speech={speech} />}
      answer={
        <section class="pin">
          <div role="alert" id="otp-problem">{told && <p class="notice">{told}</p>}</div>
          <label for="otp">{say("otp_label")}</label>
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
          <p class="aside" id="otp-hint">{say("otp_hint")}</p>
          {canResend && (wait > 0
            ? (
              <p class="aside">
                {say("otp_resend_in", { seconds: wait })}
              </p>
            )
            : (
              <button type="button" class="secondary" disabled={busy} onClick={resend}>
                {say("otp_resend")}
              </button>
            ))}
        </section>
      }
      actions={
        <>
          <Countdown time={time} api={api} busy={busy} speech={speech} />
          <button
            type="button"
            class="secondary"
            disabled={busy}
            onClick={decline}
          >
            {say("do_not_sign")}
          </button>
          <button type="submit" disabled={busy || !arming.armed}>{say("do_sign_one")}</button>
        </>
      }
    />
  );
}
