import type { Speech } from "../../words/agent.ts";

/** How a question ended. */
export interface End {
  /** The message shown if the window cannot close itself or has something to say. */
  tell(speech: Speech): string;
  good: boolean;
  /** Said too, where the message leaves it open: nothing was signed. */
  unsigned?: boolean;
  /** The person has decided or the question is void: the window closes itself. A failure stays to be read. */
  close: boolean;
}
