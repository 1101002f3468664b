import assert from "node:assert/strict";
import { hostCommand, readerCommand, storeHostCommand, textCommand } from "./host_command.ts";

Deno.test("the child process gets only ffi and read, and a bundled program loads nothing from outside", () => {
  for (
    const [main, ...flags] of [
      ["file:///opt/d%20sign/main.ts", "--cached-only"],
      ["file:///opt/d%20sign/main.mjs", "--no-config", "--no-remote", "--no-npm", "--no-lock"],
    ]
  ) {
    const [runtime, ...args] = hostCommand(main);
    assert.equal(runtime, Deno.execPath());
    assert.equal(args[0], "run");
    assert.equal(args.at(-1), "pkcs11-host");
    assert.match(args.at(-2)!, /[\\/]d sign[\\/]main\.m?[tj]s$/);
    const given = args.filter((flag) => flag.startsWith("--allow-") || flag === "-A");
    assert.deepEqual(given, ["--allow-ffi", "--allow-read"]);
    assert.equal(storeHostCommand(main).at(-1), "windows-store-host");
    const storeFlags = storeHostCommand(main).filter((flag) => flag.startsWith("--allow-"));
    assert.deepEqual(storeFlags, ["--allow-ffi", "--allow-read"]);
    assert.equal(textCommand(main).at(-1), "pdf-text");
    const textFlags = textCommand(main).filter((flag) => flag.startsWith("--allow-"));
    assert.deepEqual(textFlags, ["--allow-read"]);
    assert.equal(readerCommand(main).at(-1), "reader");
    const readerFlags = readerCommand(main).filter((flag) => flag.startsWith("--allow-"));
    assert.deepEqual(readerFlags, ["--allow-read"]);
    for (const flag of [...flags, "--no-prompt"]) assert.ok(args.includes(flag), flag);
  }
});
