/** `dsign otp-service audit` */
import type { Command } from "commander";
import { type Action, repeated } from "../command.ts";
import { EXIT, printable, printJson, UsageError } from "../failure.ts";
import type { NoteKey } from "../../formats/log/note.ts";
import {
  inWords,
  operator,
  type ServiceOptions,
  serviceOptions,
  withStore,
} from "./service_command.ts";

interface VerifyOptions extends ServiceOptions {
  expect?: string[];
  logKey?: string;
}

export function addAudit(service: Command, action: Action): void {
  const audit = service.command("audit").description(
    "Show, verify or export the audit log (kept for seven years).",
  );
  serviceOptions(audit.command("show"), "print the lines as stored")
    .description("Show the latest events.")
    .option("--last <count>", "number of events", "50")
    .action(
      action((options: ServiceOptions & { last: string }) =>
        withStore(options, async ({ store }) => {
          const count = Number(options.last);
          if (!Number.isInteger(count) || count < 1) {
            throw new UsageError("--last must be 1 or more.");
          }
          const { seq } = await store.auditHead();
          let number = Math.max(1, seq - count + 1);
          for await (const line of store.audit(number)) {
            if (options.json) {
              console.log(line);
              continue;
            }
            const { seq: _, time, event, previous: _previous, salt: _salt, ...facts } = JSON.parse(
              line,
            );
            console.log(printable(`${number++}  ${time}  ${event}  ${JSON.stringify(facts)}`));
          }
        })
      ),
    );
  serviceOptions(audit.command("verify [file]"), "print one JSON object")
    .description(
      "Check that every line stands in the signed log: of the database, with the seals of its rows, or of an exported file.",
    )
    .option(
      "--expect <file>",
      "a checkpoint that was filed before: the audit must go on from it; repeatable",
      repeated,
    )
    .option("--log-key <key>", "for an exported file: the log's key, or a file with it")
    .action(action(async (file: string | undefined, options: VerifyOptions) => {
      const { verifyAudit } = await import("../../otp_service/audit.ts");
      const { readLogKey } = await import("../verify_receipt.ts");
      const tell = (check: Awaited<ReturnType<typeof verifyAudit>>) => {
        if (options.json) printJson(check);
        else if (check.ok) {
          console.log(`All ${check.lines} lines are unaltered. Root of their tree: ${check.root}`);
        } else console.error(`dsign: ${check.problem}`);
        return check.ok ? EXIT.ok : EXIT.failed;
      };
      const { withFiled } = await import("../../otp_service/filing.ts");
      const { readCheckpointByAny } = await import("../../formats/log/checkpoint.ts");
      const { expect = [], logKey } = options;
      const filed = async (keys: readonly NoteKey[]) => {
        const notes: string[] = [];
        for (const path of expect) {
          await withFiled(path, (note) => {
            readCheckpointByAny(note, keys);
            notes.push(note);
          });
        }
        return notes;
      };
      if (file !== undefined) {
        if (!logKey || expect.length === 0) {
          throw new UsageError("An exported file is checked with --log-key and --expect.");
        }
        const keys = [await readLogKey(logKey)];
        return await inWords(async () =>
          tell(await verifyAudit(linesOf(file), { checkpoints: await filed(keys), keys }))
        );
      }
      return await withStore(options, async ({ store }) => {
        const check = await store.verifyAudit(await filed(store.log.keys));
        if (check.ok) await store.check({ seals: true });
        return tell(check);
      });
    }));
  serviceOptions(audit.command("checkpoint"), "print one JSON object")
    .description("Print the log's signed checkpoint, to file it elsewhere.")
    .addHelpText(
      "after",
      "\nKeep it where who can write to the database cannot: `audit verify --expect` and `otp-service --expect` " +
        "then notice a cut, changed or restored audit.",
    )
    .action(
      action((options: ServiceOptions) =>
        withStore(options, async ({ store }) => {
          const { note } = await store.auditHead();
          if (options.json) printJson({ checkpoint: note });
          else await Deno.stdout.write(new TextEncoder().encode(note!));
        })
      ),
    );
  serviceOptions(audit.command("key"), "print one JSON object")
    .description("Print the log's key, with which others check receipts and checkpoints.")
    .action(
      action((options: ServiceOptions) =>
        withStore(options, async ({ store }) => {
          const { formatNoteKey } = await import("../../formats/log/note.ts");
          const key = formatNoteKey(store.log.signer.key);
          if (options.json) printJson({ key });
          else console.log(key);
        })
      ),
    );
  serviceOptions(audit.command("export"), "no effect; the output is always one JSON object a line")
    .description("Print all lines, to keep them elsewhere.")
    .option("--from <number>", "first line to print", "1")
    .action(
      action((options: ServiceOptions & { from: string }) =>
        withStore(options, async ({ store }) => {
          const from = Number(options.from);
          if (!Number.isInteger(from) || from < 1) {
            throw new UsageError("--from must be 1 or more.");
          }
          for await (const line of store.audit(from)) console.log(line);
          await store.run((tx) => {
            tx.audit({ event: "audit.exported", by: operator(), from });
          });
        })
      ),
    );
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const { withFile } = await import("../../otp_service/config.ts");
  using file = await withFile(path, () => Deno.open(path));
  let rest = "";
  for await (const text of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
