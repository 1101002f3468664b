/** The lines around an OTP field: where it was sent, when it can be sent again, how much time is left. */
import { useEffect, useState } from "preact/hooks";
import type { OtpSent, OtpWay } from "../../protocol/csc.ts";
import type { Speech } from "../../words/agent.ts";
import type { OtpWord, Say } from "../../words/otp.ts";
import type { OtpApi } from "./api.ts";
import type { End } from "./end.ts";

/** Sends the OTP when the page comes up, and again on request. */
export function Delivery({ otp, change = false, api, say, speech, finish }: {
  otp: OtpWay;
  /** The PIN is changed: there is no hash to compare. */
  change?: boolean;
  api: OtpApi;
  say: Say;
  speech: Speech;
  finish: (end: End) => void;
}) {
  const { way, to = "", digits } = otp;
  const [sendsLeft, setSendsLeft] = useState(otp.sendsLeft);
  const [resendAt, setResendAt] = useState(otp.resendAt);
  const [sending, setSending] = useState(false);
  const [problem, setProblem] = useState<OtpWord | null>(null);
  const wait = useSeconds(resendAt);

  async function send() {
    setSending(true);
    setProblem(null);
    let sent: OtpSent;
    try {
      sent = await api.send();
    } catch {
      setProblem("unavailable");
      return setSending(false);
    }
    setSending(false);
    setResendAt(sent.resendAt);
    if (sent.ok) return setSendsLeft(sent.sendsLeft);
    switch (sent.code) {
      case "not_delivered":
        return setProblem("send_failed");
      case "too_many":
        setSendsLeft(0);
        return setProblem("send_many");
      case "too_soon":
        return;
      default:
        finish({ word: sent.code === "locked" ? "locked" : "ended", good: false });
    }
  }
  useEffect(() => {
    if (otp.resendAt === undefined) send();
  }, []);

  return (
    <div class="delivery">
      <p>
        {sending
          ? say("otp_sending")
          : say(change && way !== "totp" ? `change_otp_${way}` : `otp_${way}`, { to, digits })}
      </p>
      <div aria-live="polite">{problem && <p class="warning">{say(problem)}</p>}</div>
      {way !== "totp" && (
        sendsLeft > 0
          ? (
            <button
              type="button"
              class="secondary small"
              disabled={sending || wait > 0}
              onClick={send}
            >
              {wait > 0 ? say("resend_in", { time: speech.clock(wait) }) : say("resend")}
            </button>
          )
          : <p>{say("resend_none")}</p>
      )}
    </div>
  );
}

export function TimeLeft(
  { deadline, say, speech }: { deadline: string; say: Say; speech: Speech },
) {
  const seconds = useSeconds(deadline);
  return (
    <p class={seconds <= 60 ? "time soon" : "time"} role="timer">
      {say("time_left", { time: speech.clock(seconds) })}
    </p>
  );
}

/** Seconds until a time (RFC 3339), counted down. */
export function useSeconds(until: string | undefined): number {
  const left = () =>
    until === undefined ? 0 : Math.max(0, Math.ceil((Date.parse(until) - Date.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left()), 500);
    return () => clearInterval(timer);
  }, [until]);
  return seconds;
}
