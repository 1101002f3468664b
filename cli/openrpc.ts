import { openrpcText } from "../protocol/openrpc.ts";
import type { AddCommand } from "./command.ts";

/** `dsign openrpc` */
export const openrpcCommand: AddCommand = (program, { version }, action) => {
  program.command("openrpc")
    .description("Print the contract that web pages speak with the agent, as an OpenRPC document.")
    .option("--json", "accepted for likeness: the document is JSON in any case")
    .action(action(() => {
      console.log(openrpcText(version).trimEnd());
      return Promise.resolve();
    }));
};
