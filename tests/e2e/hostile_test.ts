/** Hostile pages in Chromium against the agent: a rebound name, an opaque origin, frames, forged requests. */
import assert from "node:assert/strict";
import { build } from "../../tasks/build.ts";
import { PORTAL, testAgent } from "../fixtures/agent.ts";
import { launch } from "./browser.ts";
import { serveSite } from "./sites.ts";

const WEB = new URL("../../dist/web/", import.meta.url);

/** In the page: whether a WebSocket to this address opens. */
const opens = (url: string) =>
  new Promise<boolean>((resolve) => {
    const socket = new WebSocket(url);
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
  });

Deno.test("hostile pages get nothing", async (t) => {
  await build();
  await using site = serveSite();
  await using test = await testAgent({ web: WEB });
  const { port, origin } = test.agent;
  const browser = await launch(["--host-resolver-rules=MAP *.evil.example 127.0.0.1"]);
  try {
    const page = await browser.newPage();

    await t.step("a name that was rebound to this computer is not answered", async () => {
      for (const path of ["/", "/status", "/consent", "/bridge"]) {
        const answer = await page.goto(`http://a.evil.example:${port}${path}`);
        assert.equal(answer!.status(), 421);
      }
      assert.equal(await page.evaluate(opens, `ws://a.evil.example:${port}/`), false);
    });

    await page.goto(site.origin);

    await t.step("a page of an opaque origin is a stranger", async () => {
      const opened = await page.evaluate(
        ([url, code]) => {
          const frame = document.createElement("iframe");
          frame.sandbox.add("allow-scripts");
          frame.srcdoc = `<script>(${code})("${url}").then((is) => parent.postMessage(is, "*"))` +
            "</script>";
          return new Promise((resolve) => {
            addEventListener("message", ({ data }) => resolve(data), { once: true });
            document.body.append(frame);
          });
        },
        [`ws://127.0.0.1:${port}/`, String(opens)],
      );
      assert.equal(opened, false);
    });

    await t.step("a site may open its socket, but not the bridge's", async () => {
      assert.equal(await page.evaluate(opens, `ws://127.0.0.1:${port}/`), true);
      const behalf = `ws://127.0.0.1:${port}/bridge?origin=${encodeURIComponent(PORTAL)}`;
      assert.equal(await page.evaluate(opens, behalf), false);
    });

    await t.step("no page of the agent is shown in a frame", async () => {
      for (const path of ["/", "/consent", "/bridge", "/status"]) {
        await page.evaluate((src) => {
          document.body.replaceChildren();
          const frame = document.createElement("iframe");
          frame.src = src;
          document.body.append(frame);
          return new Promise((resolve) => frame.onload = resolve);
        }, origin + path);
        const frame = page.frames().find((each) => each !== page.mainFrame());
        const text = await frame?.locator("body").innerText().catch(() => "") ?? "";
        // `/status` is for every page; nothing on it can be clicked.
        if (path !== "/status") assert.doesNotMatch(text, /D-Sign/, path);
      }
    });

    await t.step("forged requests to the console change nothing", async () => {
      const told = await page.evaluate(async (origin) => {
        const results: string[] = [];
        for (const name of ["revoke", "language", "phrase", "autostart", "sites", "history"]) {
          for (const mode of ["cors", "no-cors"] as const) {
            results.push(
              await fetch(`${origin}/console/${name}`, {
                method: "POST",
                mode,
                credentials: "include",
                body: '{"origin":"https://portal.example","language":"bn"}',
              }).then(
                async (response) => `${response.type} ${(await response.text()).length}`,
                () => "refused",
              ),
            );
          }
        }
        return results;
      }, origin);
      for (const each of told) assert.match(each, /^(refused|opaque 0)$/);
      const sites = await fetch(`${origin}/console/sites`, {
        method: "POST",
        headers: { origin },
        body: "{}",
      });
      assert.deepEqual((await sites.json()).map(({ origin }: { origin: string }) => origin), [
        PORTAL,
      ]);
    });

    await t.step("a window of the console knows nothing of its opener", async () => {
      const opened = page.waitForEvent("popup");
      await page.evaluate((origin) => void open(origin), origin);
      const console_ = await opened;
      await console_.waitForLoadState();
      assert.equal(await console_.evaluate(() => globalThis.opener === null), true);
      await console_.close();
    });
  } finally {
    await browser.close();
  }
});
