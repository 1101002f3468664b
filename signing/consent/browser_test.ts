import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { browserCommand, openBrowser } from "./browser.ts";

const URL = "http://127.0.0.1:7791/consent#t";
const env = (values: Record<string, string>) => (name: string) => values[name];

Deno.test("the configured browser is used first, then BROWSER, then an installed one", () =>
  inTempDir(async (dir) => {
    const chromium = join(dir, "chromium");
    await Deno.writeTextFile(chromium, "");
    const all = env({ BROWSER: "my-browser --new %s:other", PATH: `relative:${dir}` });
    assert.deepEqual(await browserCommand(URL, ["x", "-w"], all, "linux"), ["x", "-w", URL]);
    assert.deepEqual(await browserCommand(URL, undefined, all, "linux"), [
      "my-browser",
      "--new",
      URL,
    ]);
    const installed = env({ PATH: `relative:${dir}` });
    assert.deepEqual(await browserCommand(URL, undefined, installed, "linux"), [
      chromium,
      `--app=${URL}`,
    ]);
    assert.deepEqual(await browserCommand(URL, undefined, env({}), "linux"), ["xdg-open", URL]);
    assert.deepEqual(await browserCommand(URL, undefined, env({}), "windows"), [
      "rundll32",
      "url.dll,FileProtocolHandler",
      URL,
    ]);
  }));

Deno.test("a browser that is not there, or fails, is said so", async () => {
  // A browser does not keep the agent alive; something else must, until it has ended.
  const alive = setInterval(() => {}, 1000);
  await openBrowser([Deno.execPath(), "--version"]);
  await assert.rejects(openBrowser(["/nowhere/browser", URL]), { code: "consent_unavailable" });
  await assert.rejects(openBrowser([Deno.execPath(), "no-such-command"]), {
    code: "consent_unavailable",
  });
  clearInterval(alive);
});
