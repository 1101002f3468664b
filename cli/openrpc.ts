import { openrpcText } from "../protocol/openrpc.ts";
import type { AddCommand } from "./command.ts";

/** `dsign openrpc` */
export const openrpcCommand: AddCommand = (program, { version }, action) => {
  program.command("openrpc")
    .description("Print the agent's API for web pages as an OpenRPC document.")
    .option("--json", "no effect; the output is always JSON")
    .action(action(() => {
      console.log(openrpcText(version).trimEnd());
      return Promise.resolve();
    }));
};
