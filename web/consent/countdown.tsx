/** The time that is left to answer, and more of it. */
import { useEffect, useState } from "preact/hooks";
import type { ConsentView } from "../../protocol/consent.ts";
import type { Speech } from "../../words/agent.ts";
import type { ConsentApi } from "./api.ts";

export type TimeLeft = Pick<ConsentView, "deadline" | "latest">;

export function Countdown(
  { time: { deadline, latest }, api, busy, speech: { say, clock } }: {
    time: TimeLeft;
    api: ConsentApi;
    /** An answer is being tried, and no other is taken meanwhile. */
    busy: boolean;
    speech: Speech;
  },
) {
  const left = () => Math.max(0, Math.ceil((Date.parse(deadline) - Date.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    const timer = setInterval(() => setSeconds(left), 1000);
    return () => clearInterval(timer);
  }, [deadline]);
  return (
    <div class="time-left">
      <p class={seconds <= 30 ? "time soon" : "time"} role="timer">
        {say("time_left", { time: clock(seconds) })}
      </p>
      <p class="unseen-but-read" aria-live="polite">{seconds <= 30 ? say("time_soon") : ""}</p>
      {Date.parse(deadline) < Date.parse(latest) && (
        <button
          type="button"
          class="secondary small"
          disabled={busy}
          // If the agent is gone, the page says so by itself.
          onClick={() => api.answer({ decision: "more_time" }).catch(() => {})}
        >
          {say("time_more")}
        </button>
      )}
    </div>
  );
}
