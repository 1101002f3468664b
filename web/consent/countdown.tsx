/** The time that is left to answer. */
import { useEffect, useState } from "preact/hooks";
import type { Speech } from "../../words/agent.ts";

export function Countdown(
  { deadline, speech: { say, clock } }: { deadline: string; speech: Speech },
) {
  const left = () => Math.max(0, Math.ceil((Date.parse(deadline) - Date.now()) / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    const timer = setInterval(() => setSeconds(left), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <p class={seconds <= 30 ? "time soon" : "time"} role="timer">
        {say("time_left", { time: clock(seconds) })}
      </p>
      <p class="unseen-but-read" aria-live="polite">{seconds <= 30 ? say("time_soon") : ""}</p>
    </>
  );
}
