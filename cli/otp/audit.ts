/** `dsign otp-service audit` */
import type { Command } from "commander";
import type { Action, Context } from "../command.ts";
import { EXIT, printable, printJson, UsageError } from "../failure.ts";
import { operator, type ServiceOptions, serviceOptions, withService } from "./service_command.ts";

export function addAudit(service: Command, context: Context, action: Action): void {
  const audit = service.command("audit").description("What happened; kept for seven years.");
  serviceOptions(audit.command("show"), "print the lines as they are kept")
    .description("Show the last events.")
    .option("--last <count>", "how many", "50")
    .action(
      action((options: ServiceOptions & { last: string }) =>
        withService(context, options, async ({ service: { store } }) => {
          const count = Number(options.last);
          if (!Number.isInteger(count) || count < 1) {
            throw new UsageError("--last: a number from 1.");
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
      "\nFile the number and hash it prints: a later check against them shows if all was written anew.",
    )
    .action(action(async (file: string | undefined, options: ServiceOptions) => {
      const { verifyAudit } = await import("../../otp_service/audit.ts");
      const tell = (check: Awaited<ReturnType<typeof verifyAudit>>) => {
        if (options.json) printJson(check);
        else if (check.ok) {
          console.log(`${check.lines} lines are in order; the last is ${check.hash}.`);
        } else console.error(`dsign: ${check.problem}`);
        return check.ok ? EXIT.ok : EXIT.failed;
      };
      if (file !== undefined) return tell(await verifyAudit(linesOf(file)));
      return await withService(context, options, async ({ service: { store } }) => {
        const head = await store.auditHead();
        const check = await verifyAudit(store.audit(), undefined);
        if (check.ok) await store.check({ seals: true });
        // lines that came meanwhile are in order too; fewer than there were are not
        return tell(
          check.ok && check.lines < head.seq
            ? { ...check, ok: false, problem: "Lines at the end are missing." }
            : check,
        );
      });
    }));
  serviceOptions(audit.command("export"), "the same: one JSON object a line")
    .description("Print all lines, to be kept elsewhere.")
    .option("--from <number>", "only from this line on", "1")
    .action(
      action((options: ServiceOptions & { from: string }) =>
        withService(context, options, async ({ service: { store } }) => {
          const from = Number(options.from);
          if (!Number.isInteger(from) || from < 1) throw new UsageError("--from: a number from 1.");
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
