/** `dsign otp-service audit` */
import type { Command } from "commander";
import type { Action, Context } from "../command.ts";
import { EXIT, printable, printJson, UsageError } from "../failure.ts";
import { operator, type ServiceOptions, serviceOptions, withService } from "./service_command.ts";

export function addAudit(service: Command, context: Context, action: Action): void {
  const audit = service.command("audit").description(
    "Show, verify or export the audit log (kept for seven years).",
  );
  serviceOptions(audit.command("show"), "print the lines as stored")
    .description("Show the latest events.")
    .option("--last <count>", "number of events", "50")
    .action(
      action((options: ServiceOptions & { last: string }) =>
        withService(context, options, async ({ service: { store } }) => {
          const count = Number(options.last);
          if (!Number.isInteger(count) || count < 1) {
            throw new UsageError("--last must be 1 or more.");
          }
          const { seq } = await store.auditHead();
          for await (const line of store.audit(Math.max(1, seq - count + 1))) {
            if (options.json) {
              console.log(line);
              continue;
            }
            const { seq, time, event, previous: _, ...facts } = JSON.parse(line);
            console.log(printable(`${seq}  ${time}  ${event}  ${JSON.stringify(facts)}`));
          }
        })
      ),
    );
  serviceOptions(audit.command("verify [file]"), "print one JSON object")
    .description(
      "Check the chain of an exported file, or of the database with the seals of its rows.",
    )
    .addHelpText(
      "after",
      "\nKeep the printed number and hash elsewhere: later they show whether the whole log was rewritten.",
    )
    .action(action(async (file: string | undefined, options: ServiceOptions) => {
      const { verifyAudit } = await import("../../otp_service/audit.ts");
      const tell = (check: Awaited<ReturnType<typeof verifyAudit>>) => {
        if (options.json) printJson(check);
        else if (check.ok) {
          console.log(
            `All ${check.lines} lines are unaltered. Hash of the last line: ${check.hash}`,
          );
        } else console.error(`dsign: ${check.problem}`);
        return check.ok ? EXIT.ok : EXIT.failed;
      };
      if (file !== undefined) return tell(await verifyAudit(linesOf(file)));
      return await withService(context, options, async ({ service: { store } }) => {
        const head = await store.auditHead();
        const check = await verifyAudit(store.audit(), undefined);
        if (check.ok) await store.check({ seals: true });
        // new lines may have been added meanwhile, but none may be missing
        return tell(
          check.ok && check.lines < head.seq
            ? { ...check, ok: false, problem: "Lines at the end are missing." }
            : check,
        );
      });
    }));
  serviceOptions(audit.command("export"), "no effect; the output is always one JSON object a line")
    .description("Print all lines, to keep them elsewhere.")
    .option("--from <number>", "first line to print", "1")
    .action(
      action((options: ServiceOptions & { from: string }) =>
        withService(context, options, async ({ service: { store } }) => {
          const from = Number(options.from);
          if (!Number.isInteger(from) || from < 1) {
            throw new UsageError("--from must be 1 or more.");
          }
          for await (const line of store.audit(from)) console.log(line);
          await store.run((tx) => {
            tx.audit({ event: "audit.exported", by: operator(), from });
            return Promise.resolve();
          });
        })
      ),
    );
}

async function* linesOf(path: string): AsyncGenerator<string> {
  using file = await Deno.open(path);
  let rest = "";
  for await (const text of file.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  if (rest !== "") yield rest;
}
