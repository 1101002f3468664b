/** `dsign support`: shows a support bundle, then writes it; sends nothing. */
import { join } from "node:path";
import { printable, printJson } from "./failure.ts";
import { createOutput } from "./output_file.ts";
import type { AddCommand } from "./command.ts";
import type { SupportFile } from "./support_files.ts";

interface Options {
  output?: string;
  yes?: boolean;
  force?: boolean;
  json?: boolean;
}

/** `dsign support` */
export const supportCommand: AddCommand = (program, context, action) => {
  program.command("support")
    .description(
      "Show and write a ZIP file for the help desk: versions, findings, drivers, configuration and " +
        "log, without PINs, keys, names, numbers or documents. Nothing is sent.",
    )
    .option("--output <file>", "output file (default: dsign-support-DATE.zip)")
    .option("--yes", "write without asking")
    .option("--force", "replace an existing file")
    .option("--json", "print one JSON object: output (null if not written), files")
    .action(action(async ({ output, yes, force, json }: Options) => {
      const [{ thisMachine }, { gather }] = await Promise.all([
        import("./doctor/machine.ts"),
        import("./support_files.ts"),
      ]);
      const machine = thisMachine(context);
      const files = await gather(machine);
      const date = machine.now().toISOString().slice(0, 10);
      const path = output ?? join(Deno.cwd(), `dsign-support-${date}.zip`);
      if (!json) show(files);
      const write = yes || (!json && Deno.stdin.isTerminal() &&
        confirm(`Write this to ${printable(path)}? Nothing is sent.`));
      if (write) await writeZip(path, files, machine.now(), force ?? false);
      if (json) printJson({ output: write ? path : null, files });
      else if (write) console.log(`Wrote ${printable(path)}`);
      else console.log("Nothing was written. Use --yes to write without asking.");
    }));
};

function show(files: readonly SupportFile[]): void {
  for (const { name, text } of files) {
    console.log(`=== ${name}`);
    console.log(text.split("\n").map(printable).join("\n"));
  }
  console.log("Contents:");
  for (const { name, text } of files) console.log(`  ${name}, ${text.length} characters`);
}

async function writeZip(
  path: string,
  files: readonly SupportFile[],
  at: Date,
  force: boolean,
): Promise<void> {
  const { strToU8, zipSync } = await import("fflate");
  // made by Unix, so that the mode counts
  const attributes = { mtime: at, os: 3, attrs: 0o100600 << 16 };
  const archive = zipSync(
    Object.fromEntries(files.map(({ name, text }) => [name, [strToU8(text), attributes]])),
  );
  const output = await createOutput(path, force);
  try {
    await output.write(archive);
    await output.finish();
  } finally {
    output.abandon();
  }
}
