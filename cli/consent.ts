/** How a command asks: it has no window of its own. */
import { Option } from "commander";
import type { Config } from "../settings/config.ts";
import { consentOf } from "../signing/consent/choose.ts";
import type { Consent } from "../signing/consent/port.ts";

export type ConsentKind = "terminal" | "pinentry";

export const consentOption = (): Option =>
  new Option(
    "--consent <kind>",
    "how to ask for consent (default: the configured way, or this terminal)",
  ).choices(["terminal", "pinentry"]);

/** Asks as the option says, else as configured, else at the terminal. */
export function consentFor(config: Config, kind?: ConsentKind): Consent {
  const wanted = kind ?? (config.consent === "window" ? "terminal" : config.consent);
  // Only the window is a function, which needs the agent's origin.
  return consentOf({ ...config, consent: wanted }, (name) => Deno.env.get(name)) as Consent;
}
