/** The program as on Windows, to which the system sends the signal of the first argument soon after it listens for that. */
import { run } from "../../cli/program.ts";
import type { Context } from "../../cli/command.ts";

const [sent, readerWorker, ...args] = Deno.args;
Object.defineProperty(Deno, "build", { value: { ...Deno.build, os: "windows" } });
Deno.addSignalListener = (signal, handler) => {
  if (signal === sent) setTimeout(handler, 500);
};
const context = {
  ...{
    version: "0",
    hostCommand: [],
    storeHostCommand: [],
    readerCommand: [],
    textCommand: [],
    selfCommand: [],
  },
  ...{ unpacked: null, web: new URL("file:///none/"), readerWorker: new URL(readerWorker) },
} satisfies Omit<Context, "signal">;
Deno.exit(await run(args, context));
