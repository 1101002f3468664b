/** Why no answer counts yet, and what to do about it. */
import type { Speech } from "../../words/agent.ts";
import type { Arming } from "./arming.ts";

/** Whether {@linkcode Unarmed} has something to say. */
export const isUnarmed = ({ opened, roomy, unseen }: Arming): boolean => opened || !roomy || unseen;

export function Unarmed(
  { arming: { opened, roomy, showUnseen }, speech: { say } }: {
    arming: Arming;
    speech: Speech;
  },
) {
  if (opened) return <p class="warning" role="alert">{say("window_opened")}</p>;
  if (!roomy) return <p class="notice" role="alert">{say("window_small")}</p>;
  return (
    <p class="pane-more see-next" role="status">
      {say("see_all")}{" "}
      <button type="button" class="secondary" onClick={showUnseen}>{say("see_next")}</button>
    </p>
  );
}
