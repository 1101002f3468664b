/** Explains a failed start to people who double-clicked the program and have no terminal. */
import { pathToFileURL } from "node:url";
import { html } from "hono/html";
import { browserCommand, openBrowser } from "../signing/consent/browser.ts";
import { languageOf } from "../settings/config.ts";
import type { Ticket } from "./doctor/tickets.ts";
import type { Language } from "../words/speech.ts";
import type { Context } from "./command.ts";

/** Problems that keep the agent from starting. Others, e.g. with tokens, do not. */
const STOPPERS: readonly Ticket[] = [
  "policy_refused",
  "configuration_wrong",
  "profile_not_writable",
  "disk_full",
  "port_taken",
];

type Env = (name: string) => string | undefined;

/**
 * Shows the doctor's first matching finding, or else the failure's own message, as a page in a browser.
 *
 * @param message the failure's own message
 * @throws {DsignError} `consent_unavailable` if no browser can be opened
 */
export async function showStartFailure(
  context: Context,
  message: string,
  env: Env,
): Promise<void> {
  const [{ diagnose }, { thisMachine }, { DOCTOR_WORDS }, { toChecks }] = await Promise.all([
    import("./doctor/diagnose.ts"),
    import("./doctor/machine.ts"),
    import("../words/doctor.ts"),
    import("./doctor/words.ts"),
  ]);
  // The configuration may be the cause, so the language comes from the system.
  const language = languageOf({}, env) as Language;
  const checks = toChecks(await diagnose(thisMachine(context)), language);
  const cause = checks.find(({ id, status }) => status === "error" && STOPPERS.includes(id));
  const { meaning, action } = DOCTOR_WORDS[language];
  const paragraphs = cause
    ? [cause.seen, `${meaning}: ${cause.meaning}`, `${action}: ${cause.action}`]
    : [message];
  const path = await Deno.makeTempFile({ prefix: "dsign-", suffix: ".html" });
  await Deno.writeTextFile(path, page(language, paragraphs));
  await openBrowser(await browserCommand(pathToFileURL(path).href, undefined, env));
}

/** A page without scripts or external resources. */
function page(language: string, paragraphs: readonly string[]): string {
  return String(html`
    <!DOCTYPE html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="content-security-policy"
          content="default-src 'none'; style-src 'unsafe-inline'">
        <title>D-Sign</title>
        <style>body { font: 1.1rem/1.5 sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }</style>
      </head>
      <body>
        <h1>D-Sign</h1>
        ${paragraphs.map((text) => html`<p>${text}</p>`)}
      </body>
    </html>
  `);
}
