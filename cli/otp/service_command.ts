/** Shared by the subcommands of `dsign otp-service`: options, the service's parts, failures in words. */
import { type Command, Option } from "commander";
import { DsignError } from "../../protocol/errors.ts";
import type { Context } from "../command.ts";
import type { OpenedStore } from "./open_store.ts";
import type { OtpParts } from "./parts.ts";

export interface ServiceOptions {
  config: string;
  json?: boolean;
}

/** @param json help for `--json` */
export function serviceOptions(command: Command, json: string): Command {
  return command
    .addOption(
      new Option("--config <file>", "configuration of the service")
        .env("DSIGN_OTP_CONFIG").default("otp-service/config.json"),
    )
    .option("--verbose", "log more")
    .option("--json", json);
}

/** Loads the service's parts, runs `work` with them, and closes them. */
export async function withService(
  context: Context,
  { config }: ServiceOptions,
  work: (parts: OtpParts) => Promise<number | void>,
): Promise<number | void> {
  const { openParts } = await import("./parts.ts");
  await leaveForeignFolder();
  return await inWords(async () => {
    const parts = await openParts(config, context);
    try {
      return await work(parts);
    } finally {
      await parts.close();
    }
  });
}

/** Opens the service's store alone, runs `work` with it, and closes it. */
export async function withStore(
  { config }: ServiceOptions,
  work: (opened: OpenedStore) => Promise<number | void>,
): Promise<number | void> {
  const { openStore } = await import("./open_store.ts");
  await leaveForeignFolder();
  return await inWords(async () => {
    const opened = await openStore(config);
    try {
      return await work(opened);
    } finally {
      await opened.close();
    }
  });
}

/** From a folder that this user may not enter, as root's where `runuser` was typed, no process can be started. */
async function leaveForeignFolder(): Promise<void> {
  try {
    await Deno.stat(".");
  } catch {
    Deno.chdir("/");
  }
}

/** Turns failures that an administrator can act on into sentences. Any other error is a bug and is rethrown. */
export async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = [
      "SetupError",
      "CscError",
      "DatabaseError",
      "DeliveryError",
      "Pkcs11Error",
      "SignerError",
      "TamperedError",
    ];
    if (error instanceof Error && known.includes(error.name)) {
      // unlike a portal, the administrator may see the reason
      const { message, reason } = error as Error & { reason?: string };
      throw new DsignError("invalid_params", reason ? `${message}: ${reason}` : message);
    }
    throw error;
  }
}

/** The operator's name in the audit log. */
export function operator(): string {
  return `command line: ${Deno.env.get("SUDO_USER") ?? Deno.env.get("USER") ?? "unknown"}`;
}
