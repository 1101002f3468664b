/** The command line: one file a command, put together here. */
import { Command } from "commander";
import { configureLog } from "../settings/log.ts";
import { DsignError } from "../protocol/errors.ts";
import type { AddCommand, Context } from "./command.ts";
import { EXIT, EXIT_HELP, report, UsageError } from "./failure.ts";
import { abandonAll } from "./output_file.ts";
import { commandOf } from "./roles.ts";

/** Every command by its name. */
export const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  agent: async () => (await import("./agent.ts")).agentCommand,
  trial: async () => (await import("./trial.ts")).trialCommand,
  tokens: async () => (await import("./tokens.ts")).tokensCommand,
  sign: async () => (await import("./sign.ts")).signCommand,
  verify: async () => (await import("./verify.ts")).verifyCommand,
  extend: async () => (await import("./extend.ts")).extendCommand,
  openrpc: async () => (await import("./openrpc.ts")).openrpcCommand,
  doctor: async () => (await import("./doctor.ts")).doctorCommand,
  support: async () => (await import("./support.ts")).supportCommand,
  log: async () => (await import("./log.ts")).logCommand,
  trust: async () => (await import("./trust.ts")).trustCommand,
  policy: async () => (await import("./policy.ts")).policyCommand,
  modules: async () => (await import("./modules.ts")).modulesCommand,
  autostart: async () => (await import("./autostart.ts")).autostartCommand,
  identity: async () => (await import("./identity.ts")).identityCommand,
  update: async () => (await import("./update.ts")).updateCommand,
  "verify-service": async () => (await import("./verify_service.ts")).verifyServiceCommand,
  "otp-service": async () => (await import("./otp/otp_service.ts")).otpServiceCommand,
};

/** The commands that these arguments need: an agent that runs for weeks should not hold the code of the others. */
function asked(args: string[]): (() => Promise<AddCommand>)[] {
  const name = args.find((arg) => !arg.startsWith("-"));
  if (name !== undefined && Object.hasOwn(COMMANDS, name)) return [COMMANDS[name]];
  return name === undefined && !args.some(isHelp) ? [] : Object.values(COMMANDS);
}

const isHelp = (arg: string) => arg === "--help" || arg === "-h";

/** Milliseconds that a command gets to clean up after a signal. */
const GRACE = 900;

/**
 * Runs one command.
 *
 * @returns the exit code (failure.ts)
 */
export async function run(
  args: string[],
  product: Omit<Context, "signal">,
): Promise<number> {
  const { signal, interrupted } = endBySignal();
  const context: Context = { ...product, signal };
  const json = args.includes("--json");
  let code: number = EXIT.ok;
  /** Wraps a command's function, which returns an exit code or nothing for 0. */
  const action = <A extends unknown[]>(work: (...args: A) => Promise<number | void>) => {
    return async (...args: A) => {
      // commander passes options and command last; `dsign --json COMMAND` means the command's --json
      if (program.opts().json) Object.assign(args.at(-2) as object, { json: true });
      code = await work(...args) ?? EXIT.ok;
    };
  };
  const program = new Command("dsign")
    .description("Sign documents and data with the keys on your token.")
    .version(json ? JSON.stringify({ version: context.version }) : context.version, "-V, --version")
    .helpCommand(false)
    .enablePositionalOptions()
    .showHelpAfterError("(see dsign --help)")
    .addHelpText("after", EXIT_HELP)
    .configureOutput({
      writeErr: (text) => json ? undefined : console.error(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error:/, "dsign:")),
    })
    .exitOverride()
    .option("--json", "print the result, or the error, as one JSON object")
    .action(action(async () => (await import("./agent.ts")).openConsole(context, { json })));
  for (const load of asked(args)) (await load())(program, context, action);
  try {
    const json = args.includes("--log-json");
    const level = args.includes("--verbose") ? "debug" : json ? "info" : "warning";
    await configureLog(level, { json });
    const first = commandOf(args);
    if (first && !first.startsWith("-") && !program.commands.some((c) => c.name() === first)) {
      throw new UsageError(`Unknown command "${first}". See dsign --help.`);
    }
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!signal.aborted) code = report(error, json);
  }
  return interrupted() ?? code;
}

/** The first signal asks the command to stop; after {@linkcode GRACE}, or at the second signal, the program exits. */
function endBySignal(): { signal: AbortSignal; interrupted(): number | undefined } {
  const codes: Partial<Record<Deno.Signal, number>> = Deno.build.os === "windows"
    ? { SIGINT: 130, SIGBREAK: 130 }
    : { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
  const ending = new AbortController();
  let ended: number | undefined;
  for (const [signal, code] of Object.entries(codes)) {
    const end = () => {
      abandonAll();
      Deno.exit(code);
    };
    Deno.addSignalListener(signal as Deno.Signal, () => {
      if (ended !== undefined) end();
      ended = code;
      setTimeout(end, GRACE);
      ending.abort(new DsignError("request_cancelled"));
    });
  }
  return { signal: ending.signal, interrupted: () => ended };
}
