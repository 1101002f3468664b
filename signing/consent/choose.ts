/** The kind of consent that the configuration wants. */
import { browserCommand, openBrowser } from "./browser.ts";
import { type Config, languageOf } from "../../settings/config.ts";
import { WindowConsent } from "./window.ts";
import { readPhrase } from "./phrase.ts";
import { PinentryConsent } from "./pinentry.ts";
import type { AskBy } from "./port.ts";
import { TerminalConsent } from "./terminal.ts";

/** The person's settings of the window. */
export interface Looks {
  /** File of the person's own words. */
  phrase: string;
  language(): string;
  keepLanguage(language: string): Promise<void>;
}

export function consentOf(
  config: Config,
  env: (name: string) => string | undefined,
  looks?: Looks,
): AskBy {
  switch (config.consent) {
    case "window":
      return (origin) =>
        new WindowConsent({
          origin,
          get language() {
            return looks?.language() ?? languageOf(config, env);
          },
          limit: config.answerLimit * 1000,
          ...looks && {
            phrase: () => readPhrase(looks.phrase),
            keepLanguage: (language) => looks.keepLanguage(language),
          },
          openWindow: async (url, unseen) =>
            openBrowser(await browserCommand(url, config.browser, env), unseen),
        });
    case "pinentry":
      // GPG_TTY is what people who use pinentry on a terminal have set already.
      return new PinentryConsent({
        command: config.pinentry,
        ttyName: env("GPG_TTY"),
        ttyType: env("TERM"),
        limit: config.answerLimit * 1000,
      });
    case "terminal":
      return new TerminalConsent(undefined, undefined, undefined, config.answerLimit * 1000);
  }
}
