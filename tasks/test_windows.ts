/**
 * `deno task test:windows`: the driver boundaries, the main job and keys of the certificate store in Windows' own
 * Deno, under Wine. Installs Wine, MinGW-w64 and that Deno where it can; `deno task test` runs all but the last where
 * they are there. On Windows itself: software keys of its certificate store.
 */
import { missingForWindows, prepareWindows } from "./windows.ts";

const isWindows = Deno.build.os === "windows";
if (!isWindows) {
  await prepareWindows();
  const missing = await missingForWindows();
  if (missing.length > 0) {
    console.error(`Programs of Windows cannot be run here without: ${missing.join(" ")}`);
    Deno.exit(1);
  }
}
const files = isWindows
  ? ["tests/windows_system_test.ts"]
  : ["tests/windows_test.ts", "tests/windows_store_test.ts"];
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--no-check", ...files],
  cwd: new URL("..", import.meta.url),
  env: { DSIGN_TEST_WINDOWS: "1" },
  stdin: "null",
  stdout: "inherit",
  stderr: "inherit",
}).output();
Deno.exit(code);
