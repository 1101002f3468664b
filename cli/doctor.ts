/** `dsign doctor`: finds problems and says what they mean and what to do. */
import { Option } from "commander";
import { languageOf } from "../settings/config.ts";
import type { Ticket } from "./doctor/tickets.ts";
import type { Check } from "./doctor/words.ts";
import type { DoctorWords } from "../words/en/doctor.ts";
import type { Language } from "../words/speech.ts";
import { EXIT, printable, printJson } from "./failure.ts";
import type { AddCommand } from "./command.ts";
import { loadConfig } from "./providers.ts";

interface Options {
  fix?: boolean;
  language?: Language;
  json?: boolean;
}

/** `dsign doctor` */
export const doctorCommand: AddCommand = (program, context, action) => {
  program.command("doctor")
    .description(
      "Find problems and say what to do. Never asks for a PIN, changes nothing without --fix.",
    )
    .option("--fix", "fix what can be fixed safely")
    .addOption(
      new Option("--language <language>", "default: as configured").choices(["en", "bn", "hi"]),
    )
    .option("--json", "print one JSON object: checks (id, status, seen, meaning, action)")
    .addHelpText("after", "\nExit code 1: a problem keeps you from signing.")
    .action(action(async (options: Options) => {
      // Loaded on demand, because the agent loads this file too.
      const [{ diagnose }, { thisMachine }, { DOCTOR_WORDS }, { toChecks }] = await Promise.all([
        import("./doctor/diagnose.ts"),
        import("./doctor/machine.ts"),
        import("../words/doctor.ts"),
        import("./doctor/words.ts"),
      ]);
      const machine = thisMachine(context);
      const language = options.language ?? await configuredLanguage(machine.env);
      let findings = await diagnose(machine);
      const fixed: Ticket[] = [];
      if (options.fix) {
        for (const { id, status, fix } of findings) {
          if (status === "ok" || !fix) continue;
          try {
            await fix();
            fixed.push(id);
          } catch (error) {
            // The finding stays in the report.
            console.error(printable(`dsign: ${id}: ${(error as Error).message}`));
          }
        }
        if (fixed.length > 0) findings = await diagnose(machine);
      }
      const checks = toChecks(findings, language);
      if (options.json) printJson({ checks, ...options.fix && { fixed } });
      else show(checks, fixed, DOCTOR_WORDS[language]);
      return checks.some(({ status }) => status === "error") ? EXIT.failed : EXIT.ok;
    }));
};

/** The configured language; English if the configuration is the problem. */
async function configuredLanguage(env: (name: string) => string | undefined): Promise<Language> {
  const config = await loadConfig().then(({ config }) => config, () => ({}));
  return languageOf(config, env) as Language;
}

function show(checks: readonly Check[], fixed: readonly Ticket[], words: DoctorWords): void {
  const line = (text: string) => console.log(printable(text));
  const troubles = checks.filter(({ status }) => status === "error" || status === "warning");
  for (const { id, status, seen, meaning, action } of troubles) {
    line(`${words.status[status]}: ${seen}`);
    line(`  ${words.meaning}: ${meaning}`);
    line(`  ${words.action}: ${action}`);
    line(`  (${id})`);
  }
  for (const { status, seen } of checks) if (status === "ok") line(`${words.status.ok}: ${seen}`);
  for (const id of fixed) line(`${words.fixed}: ${id}`);
  if (troubles.length === 0) line(words.allWell);
}
