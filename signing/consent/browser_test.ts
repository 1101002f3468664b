import assert from "node:assert/strict";
import { join } from "node:path";
import { grantRequest } from "../../tests/fakes/consent_requests.ts";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { browserCommand, openBrowser } from "./browser.ts";
import { WindowConsent } from "./window.ts";

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

Deno.test({
  name:
    "a wrapper whose window never came is ended with what it started; a browser that is seen is left alone",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inTempDir(async (dir) => {
      const ids = join(dir, "ids");
      const script = 'sleep 61 & echo $! $$ > "$0.part"; mv "$0.part" "$0"; wait';
      const wrapper = ["/bin/sh", "-c", script, ids];
      const lives = (id: number) => {
        try {
          // Of an ended child whose parent has gone the entry may stay for a moment: it is a zombie then.
          return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${id}/status`));
        } catch {
          return false;
        }
      };
      const until = async (what: () => boolean | Promise<boolean>) => {
        while (!await what()) await new Promise((resolve) => setTimeout(resolve, 20));
      };
      for (const seen of [false, true]) {
        const opened = Promise.withResolvers<string>();
        const consent = new WindowConsent({
          origin: "http://127.0.0.1:7791",
          language: "en",
          openWindow: (url, unseen) => {
            opened.resolve(url);
            return openBrowser(wrapper, unseen);
          },
        });
        const cancel = new AbortController();
        const granted = consent.grant(grantRequest(), cancel.signal);
        granted.catch(() => {});
        const headers = { authorization: `Bearer ${(await opened.promise).split("#")[1]}` };
        await until(() => Deno.stat(ids).then(() => true, () => false));
        const [sleep, shell] = (await Deno.readTextFile(ids)).split(" ").map(Number);
        await Deno.remove(ids);
        if (seen) {
          const path = "/consent/alive";
          const request = new Request(`http://127.0.0.1:7791${path}`, { headers });
          assert.equal((await consent.respond(request, path)).status, 200);
        }
        cancel.abort();
        await assert.rejects(granted, { code: "request_cancelled" });
        if (!seen) await until(() => !lives(sleep) && !lives(shell));
        else {
          assert.ok(lives(sleep) && lives(shell));
          Deno.kill(-shell, "SIGTERM");
          await until(() => !lives(sleep) && !lives(shell));
        }
      }
    }),
});
