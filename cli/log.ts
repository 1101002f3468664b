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
    .description("Show or verify the audit log: what was signed, for whom, and what was refused.");
  command.command("show", { isDefault: true })
    .description("Show the latest entries, newest last.")
    .addOption(
      new Option("--count <n>", "number of entries").default(20).argParser((text) => {
        if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
        throw new UsageError("--count must be 1 or more.");
      }),
    )
    .option("--json", "print one JSON object")
    .action(action(async ({ count, json }: ShowOptions) => {
      const entries = (await open().newest(count)).reverse();
      if (json) return printJson({ entries });
      for (const entry of entries) console.log(lineOf(entry));
    }));
  command.command("verify")
    .description("Verify that no entry was changed, removed or inserted.")
    .addHelpText(
      "after",
      `
A log with its end cut off still verifies. Keep the printed hash of the last entry elsewhere, so that
you can tell.`,
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
          `Entries ${first} to ${first + entries - 1} are unaltered. Last hash: ${last}`,
        );
      }
      if (torn && !json) {
        console.log(
          "D-Sign was stopped while writing one more entry, which is incomplete and does not count.",
        );
      }
      return fault ? EXIT.failed : EXIT.ok;
    }));
};

const WHY = {
  unreadable: "is not an entry",
  changed: "was changed",
  broken: "does not follow the line before it: entries were removed, inserted or moved",
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
