import { Option } from "commander";
import { Audit, type AuditEntry } from "../signing/audit.ts";
import { findPaths } from "../settings/config.ts";
import { printable } from "../signing/consent/text.ts";
import { EXIT, printJson, UsageError } from "./failure.ts";
import type { AddCommand } from "./command.ts";

interface ShowOptions {
  count: number;
  json?: boolean;
}

const open = () => new Audit(findPaths((name) => Deno.env.get(name)).audit);

/** `dsign log` */
export const logCommand: AddCommand = (program, _, action) => {
  const command = program.command("log")
    .description("Show or check the audit log: what was signed, for whom, and what was refused.");
  command.command("show", { isDefault: true })
    .description("Show the newest entries, the last one below.")
    .addOption(
      new Option("--count <n>", "how many").default(20).argParser((text) => {
        if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
        throw new UsageError("--count: a number from 1 on.");
      }),
    )
    .option("--json", "print one JSON object")
    .action(action(async ({ count, json }: ShowOptions) => {
      const entries = (await open().newest(count)).reverse();
      if (json) return printJson({ entries });
      for (const entry of entries) console.log(lineOf(entry));
    }));
  command.command("verify")
    .description("Check that no entry was changed, taken out or put in.")
    .addHelpText(
      "after",
      `
A log whose end was cut off looks like a shorter one. Note the printed hash of the last entry
elsewhere to be able to tell.`,
    )
    .option("--json", "print one JSON object")
    .action(action(async ({ json }: { json?: boolean }) => {
      const report = await open().verify();
      const { fault, entries, first, last, torn } = report;
      if (json) printJson(report);
      else if (fault) {
        console.error(`dsign: line ${fault.line} of ${fault.file} ${WHY[fault.why]}.`);
      } else if (entries === 0) console.log("The audit log is empty.");
      else {
        console.log(
          `Entries ${first} to ${first + entries - 1} are as they were written. Last hash: ${last}`,
        );
      }
      if (torn && !json) {
        console.log("The program was stopped while it wrote a further entry; nothing came of it.");
      }
      return fault ? EXIT.failed : EXIT.ok;
    }));
};

const WHY = {
  unreadable: "is no entry",
  changed: "was changed",
  broken: "does not follow the one before it: entries were taken out, put in or moved",
};

function lineOf(entry: AuditEntry): string {
  const { time, action, origin, outcome, format, documents = [], documentCount } = entry;
  const { certificate, scopes, signed } = entry;
  const count = documentCount ?? documents.length;
  const what = documents.length === 0
    ? scopes?.join(", ")
    : documents[0].name === ""
    ? `${documents[0].algorithm} ${documents[0].hash}`
    : documents[0].name;
  const facts = [
    action,
    outcome,
    origin ?? "command line",
    format,
    what && (count > 1 ? `${what} and ${count - 1} more` : what),
    signed === undefined ? "" : `${signed} of ${count} signed`,
    certificate?.name,
  ];
  return `${time} ${facts.filter(Boolean).map((fact) => printable(fact!)).join(" | ")}`;
}
