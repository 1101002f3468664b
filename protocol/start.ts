/** Messages between the agent and the console about the first start, over HTTP on the agent's origin. */

/** The one thing to do next, in the person's language. */
export interface NextStep {
  /** The finding. */
  seen: string;
  /** Its meaning. */
  meaning: string;
  /** The remedy. */
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
