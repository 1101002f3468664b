/** The command line: one file a command, gathered here. */
import { Command } from "commander";
import { configureLog } from "../agent/log.ts";
import { DsignError } from "../protocol/errors.ts";
import { agentCommand, openConsole } from "./agent.ts";
import { autostartCommand } from "./autostart.ts";
import { doctorCommand } from "./doctor.ts";
import { EXIT, EXIT_HELP, report, UsageError } from "./failure.ts";
import { logCommand } from "./log.ts";
import { modulesCommand } from "./modules.ts";
import { openrpcCommand } from "./openrpc.ts";
import { otpServiceCommand } from "./otp_service.ts";
import { abandonAll } from "./output_file.ts";
import { signCommand } from "./sign.ts";
import { supportCommand } from "./support.ts";
import { tokensCommand } from "./tokens.ts";
import { policyCommand } from "./policy.ts";
import { trustCommand } from "./trust.ts";
import { updateCommand } from "./update.ts";
import { verifyCommand } from "./verify.ts";

/** What the commands are given by main.ts. */
export interface Context {
  version: string;
  /** Starts the process in which a driver runs (host_command.ts). */
  hostCommand: string[];
  /** Starts the process in which a PDF's text is searched (host_command.ts). */
  textCommand: string[];
  /** Starts this program again (self_command.ts). */
  selfCommand: string[];
  /** Folder of the built pages, ending in a slash. */
  web: URL;
  /** Fires when the program is to end. */
  signal: AbortSignal;
}

/** Milliseconds for a command to end in good order after a signal. */
const GRACE = 3000;

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
      code = await work(...args) ?? EXIT.ok;
    };
  };
  const program = new Command("dsign")
    .description("Signs documents and data with the keys on this computer's tokens.")
    .version(json ? JSON.stringify({ version: context.version }) : context.version, "-V, --version")
    .helpCommand(false)
    .enablePositionalOptions()
    .showHelpAfterError("(dsign --help tells more)")
    .addHelpText("after", EXIT_HELP)
    .configureOutput({
      writeErr: (text) => json ? undefined : console.error(text.trimEnd()),
      outputError: (text, write) => write(text.replace(/^error:/, "dsign:")),
    })
    .exitOverride()
    .option("--json", "print the result, or the error, as one JSON object")
    .action(action(() => openConsole(context, { json })));
  for (
    const add of [
      agentCommand,
      tokensCommand,
      signCommand,
      verifyCommand,
      openrpcCommand,
      doctorCommand,
      supportCommand,
      logCommand,
      trustCommand,
      policyCommand,
      modulesCommand,
      autostartCommand,
      updateCommand,
      otpServiceCommand,
    ]
  ) add(program, context, action);
  try {
    await configureLog(args.includes("--verbose") ? "debug" : "warning");
    const [first] = args;
    if (first && !first.startsWith("-") && !program.commands.some((c) => c.name() === first)) {
      throw new UsageError(`There is no command "${first}". dsign --help lists them.`);
    }
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!signal.aborted) code = report(error, json);
  }
  return interrupted() ?? code;
}

/** A signal lets the command end in good order, or after a while, or at the next signal, without. */
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

/** Adds a command to the program. */
export type AddCommand = (
  program: Command,
  context: Context,
  action: <A extends unknown[]>(
    work: (...args: A) => Promise<number | void>,
  ) => (...args: A) => Promise<void>,
) => void;
