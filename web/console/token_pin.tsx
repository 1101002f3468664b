/** What the console offers for a token's PIN. It is typed in the agent's own window, never here. */
import { useState } from "preact/hooks";
import type { PinTask, TokenPin } from "../../protocol/console.ts";
import type { Speech } from "../../words/agent.ts";
import { ask } from "./api.ts";

export function TokenPinActions(
  { pin: { uri, driver, hides, changes }, done, speech: { say } }: {
    pin: TokenPin;
    /** Called when something may have changed. */
    done: () => void;
    speech: Speech;
  },
) {
  const [busy, setBusy] = useState(false);
  const start = (purpose: PinTask["purpose"]) => async () => {
    setBusy(true);
    // The window has told how it ended.
    await ask("pin", { uri, driver, purpose } satisfies PinTask).catch(() => {});
    setBusy(false);
    done();
  };
  return (
    <>
      {hides && <span class="aside">{say("console_hides")}</span>}
      <span class="actions">
        {hides && (
          <button type="button" disabled={busy} onClick={start("certificates")}>
            {say("do_unlock")}
          </button>
        )}
        {changes && (
          <button type="button" class="secondary" disabled={busy} onClick={start("change")}>
            {say("do_change_pin")}
          </button>
        )}
      </span>
    </>
  );
}
