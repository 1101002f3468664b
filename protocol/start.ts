/** What the agent and the console's part for the first start say to each other, over HTTP on the agent's own origin. */

/** The one thing to do next, in the person's language. */
export interface NextStep {
  /** What was seen. */
  seen: string;
  /** What it means. */
  meaning: string;
  /** What to do. */
  action: string;
}

/** Answer of `GET /console/start?language=…`. */
export interface StartView {
  /** null: ready to sign. */
  next: NextStep | null;
  /** Whether the agent starts at login. */
  autostart: boolean;
  /** The person's own words; null where none were chosen. */
  phrase: string | null;
}
