import assert from "node:assert/strict";
import { selfCommand } from "./self_command.ts";

Deno.test("the program restarts from the self-extracting file, or from its sources", () => {
  const env = (self: string | undefined) => (name: string) =>
    name === "DSIGN_SELF" ? self : undefined;
  const bundled = "file:///home/a/.cache/dsign/x/main.js";
  assert.deepEqual(selfCommand(bundled, env("/opt/d sign/dsign")), ["/opt/d sign/dsign"]);
  assert.deepEqual(selfCommand(bundled, env("/opt/./x/../dsign")), ["/opt/dsign"]);
  const flags = ["run", "--quiet", "--no-prompt", "--allow-all"];
  const byRuntime = [Deno.execPath(), ...flags, "/home/a/.cache/dsign/x/main.js"];
  for (const self of [undefined, "dsign", ""]) {
    assert.deepEqual(selfCommand(bundled, env(self)), byRuntime);
  }
  // An agent started by another one's environment is still this one.
  assert.deepEqual(selfCommand("file:///src/main.ts", env("/usr/bin/dsign")), [
    Deno.execPath(),
    ...flags,
    "/src/main.ts",
  ]);
});
