import { Option } from "commander";
import { Audit, type AuditEntry } from "../signing/audit.ts";
import { findPaths } from "../settings/config.ts";
import { printable } from "../signing/consent/text.ts";
import { DsignError } from "../protocol/errors.ts";
import { EXIT, printJson, UsageError } from "./failure.ts";
import { loadIdentity } from "./identity.ts";
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
  command.command("checkpoint")
    .description("Print number and hash of the last entry as a signed note, to file it elsewhere.")
    .addHelpText(
      "after",
      `
The note (c2sp.org/signed-note) is signed by a key of yours on this computer, which is printed on standard
error. Compare a filed note's hash with \`dsign log verify\`.`,
    )
    .option("--json", "print one JSON object")
    .action(action(async ({ json }: { json?: boolean }) => {
      const { fault, entries, first, last } = await open().verify();
      if (fault) {
        throw new DsignError(
          "storage_failed",
          `The audit log is not whole: line ${fault.line} of ${fault.file} ${WHY[fault.why]}.`,
        );
      }
      if (entries === 0) throw new UsageError("The audit log is empty.");
      const { note, key } = await signedHead(first + entries - 1, last);
      if (json) return printJson({ checkpoint: note, key });
      console.error(`Key: ${key}`);
      await Deno.stdout.write(new TextEncoder().encode(note));
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

/** Not a tree's: nobody is to take one for a log's checkpoint of RFC 6962. */
const CHAIN = "dsign audit chain v1";

/** The end of the chain, signed by a key of this user on this computer. */
async function signedHead(entries: number, hash: string): Promise<{ note: string; key: string }> {
  const { noteSigner, formatNoteKey } = await import("../formats/log/note.ts");
  const signer = noteSigner("dsign/audit", (await loadIdentity()).secretFor("audit chain"));
  return {
    note: signer.sign(`${CHAIN}\n${entries}\n${Uint8Array.fromHex(hash).toBase64()}\n`),
    key: formatNoteKey(signer.key),
  };
}

const WHY = {
  unreadable: "is not an entry",
  changed: "was changed",
  broken: "does not follow the line before it: entries were removed, inserted or moved",
};

function lineOf(entry: AuditEntry): string {
  const { time, action, origin, outcome, format, documents = [], documentCount } = entry;
  const { certificate, scopes, signed, token } = entry;
  const count = documentCount ?? documents.length;
  const what = documents.length === 0
    ? scopes?.join(", ") ?? token?.label
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
