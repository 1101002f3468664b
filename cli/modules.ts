/** `dsign modules`: the token drivers in use, and whether they work. */
import { resolve } from "node:path";
import type { DriverModule } from "../signers/modules.ts";
import { changeConfig } from "./config_file.ts";
import { type DriverReport, inspectDriver, probeDriver } from "./driver_probe.ts";
import { EXIT, printable, printJson, UsageError } from "./failure.ts";
import type { AddCommand } from "./command.ts";
import { findDrivers, loadConfig } from "./providers.ts";

/** `dsign modules` */
export const modulesCommand: AddCommand = (program, { hostCommand }, action) => {
  const group = program.command("modules")
    .description("List, add, remove and test PKCS#11 modules (token drivers).");

  group.command("list", { isDefault: true })
    .description("List the modules without loading them.")
    .option("--json", "print one JSON object: modules, duplicates, problems")
    .action(action(async ({ json }: { json?: boolean }) => {
      const { modules, duplicates, problems } = await findDrivers((await loadConfig()).config);
      const reports = modules.map(inspectDriver);
      if (json) {
        printJson({
          modules: reports.map(({ module: { initArgs: _, ...module }, ...report }) => ({
            ...module,
            builtFor: report.builtFor,
            // Only `modules test` knows whether a token is inserted.
            fault: report.message ? report.state : null,
          })),
          duplicates,
          problems,
        });
        return;
      }
      if (modules.length === 0) console.log("No module found. Install the token's driver.");
      for (const report of reports) {
        console.log(printable(`${report.module.name} (${report.module.source})`));
        console.log(printable(`  ${report.module.path}`));
        if (report.message) console.log(printable(`  ${report.message}`));
      }
      for (const { message } of problems) console.error(`dsign: ${printable(message)}`);
    }));

  group.command("add <path>")
    .description("Add a module. The file is inspected but not loaded.")
    .option("--name <name>", "display name")
    .option("--init-args <text>", "CK_C_INITIALIZE_ARGS.pReserved (NSS softokn needs it)")
    .option("--json", "print one JSON object: added")
    .action(action(async (
      path: string,
      { name, initArgs, json }: { name?: string; initArgs?: string; json?: boolean },
    ) => {
      const { paths } = await changeable();
      const module = { path: resolve(path), ...name && { name }, ...initArgs && { initArgs } };
      const { message } = inspectDriver({ name: path, source: "configuration", ...module });
      if (message) throw new UsageError(`${path}: ${message}`);
      await changeConfig(paths.config, (settings) => {
        const others = settings.modules?.filter((each) => each.path !== module.path) ?? [];
        settings.modules = [...others, module];
      });
      if (json) printJson({ added: module });
      else console.log(`Added. To test it: dsign modules test ${printable(path)}`);
    }));

  group.command("remove <module>")
    .description("Remove a configured module, given by name or path.")
    .option("--json", "print one JSON object: removed")
    .action(action(async (wanted: string, { json }: { json?: boolean }) => {
      const { paths } = await changeable();
      let removed: { path: string }[] = [];
      await changeConfig(paths.config, (settings) => {
        const isWanted = (each: { name?: string; path: string }) =>
          each.name === wanted || each.path === wanted || each.path === resolve(wanted);
        removed = settings.modules?.filter(isWanted) ?? [];
        settings.modules = settings.modules?.filter((each) => !isWanted(each)) ?? [];
      });
      if (removed.length === 0) {
        throw new UsageError(
          `No module "${wanted}" is configured. Modules that D-Sign finds by itself (see ` +
            "`dsign modules list`) disappear with their driver or in p11-kit's configuration.",
        );
      }
      if (json) printJson({ removed: removed.map(({ path }) => path) });
      else console.log("Removed.");
    }));

  group.command("test [module...]")
    .description(
      "Load modules in separate processes and list their tokens. Never asks for a PIN.",
    )
    .option("--json", "print one JSON object: modules")
    .addHelpText(
      "after",
      "\nExit code 4: a module cannot be used. A missing token is not an error.",
    )
    .action(action(async (wanted: string[], { json }: { json?: boolean }) => {
      const { modules, problems } = await findDrivers((await loadConfig()).config);
      const chosen = wanted.length === 0 ? modules : wanted.map((each) => choose(each, modules));
      const reports = await Promise.all(chosen.map((module) => probeDriver(module, hostCommand)));
      if (json) printJson({ modules: reports.map(toJson) });
      else reports.forEach(show);
      const missing = wanted.length === 0 ? problems : [];
      for (const { message } of missing) console.error(`dsign: ${printable(message)}`);
      const isBad = missing.length > 0 || reports.some(({ message }) => message !== "");
      return isBad ? EXIT.token : EXIT.ok;
    }));
};

/** The configuration, unless the administrator decides about modules. */
async function changeable() {
  const loaded = await loadConfig();
  if (!loaded.policy.modules) return loaded;
  throw new UsageError("The administrator's policy decides which modules are used.");
}

/** A module by name or path; any path may be tested. */
function choose(wanted: string, modules: readonly DriverModule[]): DriverModule {
  return modules.find(({ name, path }) => name === wanted || path === resolve(wanted)) ??
    { name: wanted, path: resolve(wanted), source: "configuration" };
}

function toJson({ module, state, message, builtFor, info, tokens }: DriverReport) {
  const { name, path, source } = module;
  return {
    name,
    path,
    source,
    state,
    message,
    builtFor,
    library: info,
    tokens: tokens.map(({ uri, label, certificates }) => ({
      uri,
      label,
      certificates: certificates.length,
    })),
  };
}

function show({ module, state, message, info, tokens }: DriverReport): void {
  const line = (text: string) => console.log(printable(text));
  line(
    `${module.name}: ${
      message || (state === "ready" ? "works" : "works, but no token is inserted")
    }`,
  );
  line(`  ${module.path}`);
  if (info) line(`  ${info.manufacturer} ${info.description} ${info.libraryVersion}`);
  for (const { label, uri, certificates } of tokens) {
    line(`  ${label}, certificates: ${certificates.length}`);
    line(`    ${uri}`);
  }
}
