/** wss in Chromium once the authority is trusted, and what a managed policy allows. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { issueIdentity } from "../../agent/tls.ts";
import { nssStore, readAuthority, run } from "../../agent/trust.ts";
import { linuxPolicy } from "../../cli/browser_policy.ts";
import { build } from "../../tasks/build.ts";
import type { ConnectOptions } from "../../web/client.ts";
import { testAgent } from "../fixtures/agent.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { launch } from "./browser.ts";
import { asPublic, connectOutcome, serveSite } from "./sites.ts";

Deno.test("wss connects in Chromium once the authority is in its database", () =>
  inTempDir(async (dir) => {
    await build();
    const tls = await issueIdentity(new Date());
    await using site = serveSite();
    await using test = await testAgent({ tls, securePorts: [0] });
    const { port, securePort } = test.agent;
    const look = async (options: ConnectOptions, blockWs = false) => {
      const browser = await launch([], { HOME: dir });
      try {
        const page = await browser.newPage();
        // A browser that lets a page reach nothing without TLS.
        if (blockWs) {
          await page.addInitScript(() => {
            const Native = WebSocket;
            Object.assign(globalThis, {
              WebSocket: function (url: string) {
                return new Native(url.startsWith("ws:") ? "ws://127.0.0.1:1/" : url);
              },
            });
          });
        }
        await page.goto(site.origin);
        return await page.evaluate(connectOutcome, options);
      } finally {
        await browser.close();
      }
    };
    const secureOnly = { ports: [], securePorts: [securePort!] };
    assert.equal(await look(secureOnly), "not_installed");
    assert.equal(await look({ ports: [port] }, true), "certificate_untrusted");
    await Deno.writeTextFile(join(dir, "authority.pem"), tls.authority);
    await nssStore(run, join(dir, ".pki/nssdb"), "Chromium")
      .install(await readAuthority(join(dir, "authority.pem")));
    assert.equal(await look(secureOnly), "connected");
    assert.equal(await look({ ports: [port] }, true), "connected");
  }));

/** Browsers look for policies in one place of the system alone. */
const POLICY = linuxPolicy("chromium", ["https://portal.example"], null).path;
const mayWritePolicy = () => {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  try {
    Deno.statSync(POLICY);
    return false; // the computer's own
  } catch {
    return true;
  }
};

Deno.test({
  name: "a managed policy lets a portal connect without a prompt (optional: needs root on Linux)",
  ignore: !mayWritePolicy(),
}, async () => {
  await build();
  await using site = serveSite();
  await using other = serveSite();
  await using test = await testAgent();
  const { path, text } = linuxPolicy("chromium", [site.origin], null);
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, text!);
  try {
    const browser = await launch([asPublic(site, other)]);
    try {
      const on = async (origin: string) => {
        const page = await browser.newPage();
        await page.goto(origin);
        return await page.evaluate(connectOutcome, { ports: [test.agent.port] });
      };
      assert.equal(await on(site.origin), "connected");
      assert.equal(await on(other.origin), "permission_denied");
    } finally {
      await browser.close();
    }
  } finally {
    await Deno.remove(path);
  }
});
