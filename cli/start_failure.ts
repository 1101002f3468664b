/** Saying why the program did not start to somebody who started it by a double-click, and so has no terminal. */
import { pathToFileURL } from "node:url";
import { html } from "hono/html";
import { browserCommand, openBrowser } from "../signing/consent/browser.ts";
import { languageOf } from "../settings/config.ts";
import type { Ticket } from "./doctor/tickets.ts";
import type { Language } from "../words/speech.ts";
import type { Context } from "./command.ts";

/** What keeps the agent from starting. Other troubles, as with tokens, are not why it did not. */
const STOPPERS: readonly Ticket[] = [
  "policy_refused",
  "configuration_wrong",
  "profile_not_writable",
  "disk_full",
  "port_taken",
];

type Env = (name: string) => string | undefined;

/**
 * Shows the first of the doctor's findings that can be why, or the sentence of the failure, as a page in a browser.
 *
 * @param message the sentence of the failure
 * @throws {DsignError} `consent_unavailable` where no browser can be opened
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
  // The configuration may be what is wrong, so it is not asked for the language.
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

/** A page without scripts and without anything from elsewhere. */
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
