/** The SDK on a page that the browser takes for one of the internet: Chromium's Local Network Access. */
import assert from "node:assert/strict";
import type { Frame, Page } from "playwright-core";
import { build } from "../../tasks/build.ts";
import { launch } from "./browser.ts";

const WEB = new URL("../../dist/web/", import.meta.url);

/** Serves the SDK and an empty page; with `frame`, the page shows that address in a frame. */
function serveSite(frame?: string): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname !== "/client.js") {
      const body = frame ? `<iframe src="${frame}"></iframe>` : "";
      return new Response(`<!DOCTYPE html><title>Portal</title>${body}`, {
        headers: { "content-type": "text/html" },
      });
    }
    return new Response(await Deno.readFile(new URL("client.js", WEB)), {
      headers: { "content-type": "text/javascript" },
    });
  });
}

/** As much of the agent as it takes to connect. */
function serveAgent(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    if (request.headers.has("upgrade")) return Deno.upgradeWebSocket(request).response;
    return Response.json({ name: "dsign", version: "0.1.0", protocol: 1 }, {
      headers: { "access-control-allow-origin": "*" },
    });
  });
}

/** What `connect()` says on this page. */
function outcome(page: Page | Frame, port: number): Promise<string> {
  return page.evaluate(async (port) => {
    const path = "/client.js";
    const { connect }: typeof import("../../web/client.ts") = await import(path);
    return await connect({ ports: [port] }).then(() => "connected", (error) => error.code);
  }, port);
}

Deno.test("a page of the internet reaches the agent as the browser's permission has it", async (t) => {
  await build();
  const agent = serveAgent();
  const site = serveSite();
  const siteUrl = `http://127.0.0.1:${site.addr.port}/`;
  const embedding = serveSite(siteUrl);
  const embeddingUrl = `http://localhost:${embedding.addr.port}/`;
  const { port } = agent.addr;
  const browser = await launch([
    `--ip-address-space-overrides=127.0.0.1:${site.addr.port}=public,` +
    `127.0.0.1:${embedding.addr.port}=public`,
  ]);
  // Without a person to ask, a headless browser denies what is not granted.
  const withPermissions = async (permissions: string[], url: string) => {
    const context = await browser.newContext({ permissions });
    const page = await context.newPage();
    await page.goto(url);
    return page;
  };
  try {
    await t.step("granted: connected", async () => {
      const page = await withPermissions(["local-network-access"], siteUrl);
      assert.equal(await outcome(page, port), "connected");
    });
    await t.step("granted, and nothing listens: not_installed", async () => {
      const page = await withPermissions(["local-network-access"], siteUrl);
      const nobody = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      nobody.close();
      assert.equal(await outcome(page, nobody.addr.port), "not_installed");
    });
    await t.step("denied: permission_denied", async () => {
      const page = await withPermissions([], siteUrl);
      assert.equal(await outcome(page, port), "permission_denied");
    });
    await t.step("in a frame that was not given the permission: blocked_by_browser", async () => {
      // A permission that is granted by automation would override what the embedding page allows.
      const page = await withPermissions([], embeddingUrl);
      const frame = page.frames().find((each) => each.url() === siteUrl)!;
      assert.equal(await outcome(frame, port), "blocked_by_browser");
    });
  } finally {
    await browser.close();
    await Promise.all([agent, site, embedding].map((server) => server.shutdown()));
  }
});
