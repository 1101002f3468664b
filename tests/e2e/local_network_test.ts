/** The SDK on a page that the browser takes for one of the internet: Chromium's Local Network Access. */
import assert from "node:assert/strict";
import type { Frame, Page } from "playwright-core";
import { prove } from "../fakes/proof.ts";
import { build } from "../../tasks/build.ts";
import { freePort } from "../fixtures/free_port.ts";
import { launch } from "./browser.ts";
import { asPublic, serveSite } from "./sites.ts";

/** As much of the agent as it takes to connect. */
function serveAgent(): Deno.HttpServer<Deno.NetAddr> {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (request.headers.has("upgrade")) {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onmessage = async ({ data }) => {
        const { id, params: { nonce } } = JSON.parse(data);
        const result = await prove(request.headers.get("origin")!, port, nonce);
        socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }));
      };
      return response;
    }
    return Response.json({ name: "dsign", version: "0.1.0", protocol: 2 }, {
      headers: { "access-control-allow-origin": "*" },
    });
  });
  const { port } = server.addr;
  return server;
}

/** Result of `connect()` on this page: a code and a sentence. */
function said(page: Page | Frame, port: number): Promise<[string, string]> {
  return page.evaluate(async (port) => {
    const path = "/client.js";
    const { connect }: typeof import("../../web/client.ts") = await import(path);
    return await connect({ ports: [port] }).then(
      () => ["connected", ""],
      ({ code, message }) => [code, message],
    );
  }, port);
}
const outcome = async (page: Page | Frame, port: number) => (await said(page, port))[0];
const sentence = async (page: Page | Frame, port: number) => (await said(page, port))[1];

Deno.test("a page without https is told so, whether or not it could reach the agent", async () => {
  await build();
  await using agent = serveAgent();
  await using site = serveSite();
  for (const more of [[], [asPublic(site)]]) {
    await using browser = await launch([
      "--host-resolver-rules=MAP portal.test 127.0.0.1",
      ...more,
    ]);
    const page = await browser.newPage();
    await page.goto(`http://portal.test:${site.port}`);
    assert.deepEqual(await said(page, agent.addr.port), [
      "blocked_by_browser",
      "The browser keeps this page from reaching D-Sign. Open the page by its https address.",
    ]);
  }
});

Deno.test("a public page reaches the agent only with the browser's permission", async (t) => {
  await build();
  const agent = serveAgent();
  const { port } = agent.addr;
  await using site = serveSite();
  const frame = (allow: string) =>
    serveSite(`<iframe src="${site.origin}" allow="${allow}"></iframe>`);
  await using withholding = frame("");
  await using allowing = frame("loopback-network; local-network-access");
  const browser = await launch([asPublic(site, withholding, allowing)]);
  // Without a person to ask, a headless browser denies what is not granted.
  const withPermissions = async (permissions: string[], url: string) => {
    const context = await browser.newContext({ permissions });
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
  const frameOf = (page: Page) => page.frames().find((each) => each.url().startsWith(site.origin))!;
  try {
    await t.step("with the permission granted it connects", async () => {
      const page = await withPermissions(["local-network-access"], site.origin);
      assert.equal(await outcome(page, port), "connected");
    });
    await t.step("with the permission granted and no agent it reports not_installed", async () => {
      const page = await withPermissions(["local-network-access"], site.origin);
      assert.equal(await outcome(page, freePort()), "not_installed");
    });
    await t.step("with the permission denied it reports permission_denied", async () => {
      const page = await withPermissions([], site.origin);
      assert.equal(await outcome(page, port), "permission_denied");
    });
    await t.step("in a frame without the permission it reports blocked_by_browser", async () => {
      // A permission that is granted by automation would override what the embedding page allows.
      const page = await withPermissions([], withholding.origin);
      assert.equal(await outcome(frameOf(page), port), "blocked_by_browser");
      assert.match(await sentence(frameOf(page), port), /allow="loopback-network"/);
    });
    await t.step("in a frame that may use it, the permission decides", async () => {
      const denied = await withPermissions([], allowing.origin);
      assert.equal(await outcome(frameOf(denied), port), "permission_denied");
      const granted = await withPermissions(["local-network-access"], allowing.origin);
      assert.equal(await outcome(frameOf(granted), port), "connected");
    });
    await t.step("with the permission pending it waits for the person, and says so", async () => {
      const page = await withPermissions([], site.origin);
      // A headless browser asks nobody: the question is put in its place.
      await page.addInitScript(() => {
        let answer: (state: PermissionState) => void;
        let state: PermissionState = "prompt";
        const asked = new Promise<PermissionState>((resolve) => answer = resolve);
        navigator.permissions.query = () =>
          Promise.resolve({ state } as unknown as PermissionStatus);
        globalThis.fetch = async () => {
          state = await asked;
          if (state === "denied") throw new TypeError("Failed to fetch");
          return Response.json({ name: "something else" });
        };
        Object.assign(globalThis, { answer: (given: PermissionState) => answer(given) });
      });
      for (const [given, code] of [["denied", "permission_denied"], ["granted", "not_installed"]]) {
        await page.reload();
        await page.evaluate(async (port) => {
          const path = "/client.js";
          const { connect }: typeof import("../../web/client.ts") = await import(path);
          const globals = globalThis as unknown as { prompted: boolean; connecting: unknown };
          const onPrompt = () => globals.prompted = true;
          globals.connecting = connect({ ports: [port], onPrompt }).catch((error) => error.code);
        }, port);
        await page.waitForFunction(() =>
          (globalThis as unknown as { prompted?: boolean }).prompted
        );
        const outcome = await page.evaluate((given) => {
          const globals = globalThis as unknown as {
            answer(given: string): void;
            connecting: Promise<string>;
          };
          globals.answer(given!);
          return globals.connecting;
        }, given);
        assert.equal(outcome, code);
      }
    });
  } finally {
    await browser.close();
    await agent.shutdown();
  }
});

const XVFB = "/usr/bin/Xvfb";
const hasXvfb = () => {
  try {
    return Deno.statSync(XVFB).isFile;
  } catch {
    return false;
  }
};

Deno.test({
  name: "a pending permission is asked in a visible browser (optional: needs xvfb)",
  ignore: !hasXvfb(),
}, async () => {
  await build();
  const agent = serveAgent();
  await using site = serveSite();
  const args = ["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"];
  const xvfb = new Deno.Command(XVFB, { args, stdout: "piped", stderr: "null" }).spawn();
  try {
    // Its number and the end of the line are written one by one: it dies if nobody reads the second.
    let display = ":";
    for await (const text of xvfb.stdout.pipeThrough(new TextDecoderStream())) {
      display += text;
      if (display.endsWith("\n")) break;
    }
    display = display.trim();
    const browser = await launch([asPublic(site)], { DISPLAY: display });
    try {
      const page = await browser.newPage();
      await page.goto(site.origin);
      await page.evaluate(async (port) => {
        const path = "/client.js";
        const { connect }: typeof import("../../web/client.ts") = await import(path);
        const globals = globalThis as unknown as { prompted?: boolean; outcome?: string };
        connect({ ports: [port], onPrompt: () => globals.prompted = true }).then(
          () => globals.outcome = "connected",
          ({ code }) => globals.outcome = code,
        );
      }, agent.addr.port);
      await page.waitForFunction(() => (globalThis as unknown as { prompted?: true }).prompted);
      assert.deepEqual(
        await page.evaluate(async () => [
          (globalThis as unknown as { outcome?: string }).outcome ?? "waiting",
          (await navigator.permissions.query({ name: "loopback-network" as PermissionName })).state,
        ]),
        ["waiting", "prompt"],
      );
    } finally {
      await browser.close();
    }
  } finally {
    xvfb.kill();
    await xvfb.status;
    await agent.shutdown();
  }
});
