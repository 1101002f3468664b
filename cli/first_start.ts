/** Doctor and autostart for the console of a running agent. */
import type { FirstStart } from "../agent/first_start.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Provider } from "../signers/provider.ts";
import { Autostart } from "./autostart.ts";
import type { Language } from "../words/speech.ts";
import { FileError, UsageError } from "./failure.ts";
import type { Context } from "./command.ts";

/**
 * @param phrase file with the person's chosen words
 * @param providers of the agent, so that no driver is loaded twice
 */
export function firstStart(
  context: Context,
  phrase: string,
  providers: readonly Provider[],
): FirstStart {
  const autostart = () =>
    new Autostart([...context.selfCommand, "agent"], (name) => Deno.env.get(name));
  return {
    phrase,
    async nextStep(wanted) {
      // Loaded on first use: an agent that starts at login may never need them.
      const [{ diagnose }, { thisMachine }, { DOCTOR_WORDS }, { toChecks }] = await Promise.all([
        import("./doctor/diagnose.ts"),
        import("./doctor/machine.ts"),
        import("../words/doctor.ts"),
        import("./doctor/words.ts"),
      ]);
      const language = Object.hasOwn(DOCTOR_WORDS, wanted) ? wanted as Language : "en";
      const checks = toChecks(await diagnose(thisMachine({ ...context, providers })), language);
      const first = checks.find(({ status }) => status === "error");
      return first ? { seen: first.seen, meaning: first.meaning, action: first.action } : null;
    },
    async startsAtLogin() {
      return (await autostart().status()).enabled;
    },
    async startAtLogin(wanted) {
      try {
        await (wanted ? autostart().enable() : autostart().disable());
      } catch (error) {
        if (!(error instanceof FileError || error instanceof UsageError)) throw error;
        throw new DsignError("storage_failed", error.message);
      }
    },
  };
}
