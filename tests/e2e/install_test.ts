/** The download page in a real browser: the file for this computer, waiting, and "Connection opened". */
import assert from "node:assert/strict";
import { freePort } from "../fixtures/free_port.ts";
import { generateKeyPairSync } from "node:crypto";
import { build } from "../../tasks/build.ts";
import { signManifest } from "../../tasks/release_manifest.ts";
import { LANGUAGES } from "../../words/agent.ts";
import { INSTALL_WORDS } from "../../words/install.ts";
import { testAgent } from "../fixtures/agent.ts";
import { axeFindings, launch, screenshot, watchConsole } from "./browser.ts";

const WEB = new URL("../../dist/web/", import.meta.url);
const { en, bn } = INSTALL_WORDS;
const FILE = { url: "https://example.org/x", size: 45_086_912, sha256: "5e".repeat(32) };
const WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/147.0.0.0";

const RELEASE = signManifest({
  product: "dsign",
  channel: "stable",
  version: "1.2.3",
  issued: "2026-11-20T00:00:00Z",
  expires: "2026-12-20T00:00:00Z",
  files: [
    { ...FILE, target: "x86_64-pc-windows-msvc", name: "dsign-1.2.3-windows-x64.exe" },
    { ...FILE, target: "x86_64-unknown-linux-gnu", name: "dsign_1.2.3_amd64.deb" },
    { ...FILE, target: "aarch64-apple-darwin", name: "dsign-1.2.3-macos-arm64.pkg" },
  ],
}, generateKeyPairSync("ed25519").privateKey);

/** A portal that offers D-Sign; its manifest can be taken away. */
function servePortal() {
  const types: Record<string, string> = {
    css: "text/css",
    html: "text/html; charset=utf-8",
    js: "text/javascript",
    svg: "image/svg+xml",
  };
  const portal = { hasRelease: true };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async ({ url }) => {
    const name = new URL(url).pathname.slice(1);
    if (name === "release.json" && portal.hasRelease) return new Response(RELEASE);
    const type = types[name.split(".").at(-1)!];
    if (!/^[\w.]+$/.test(name) || type === undefined) return new Response(null, { status: 204 });
    return new Response(await Deno.readFile(new URL(name, WEB)), {
      headers: {
        "content-type": type,
        "content-security-policy":
          "default-src 'self'; connect-src 'self' http://127.0.0.1:* ws://127.0.0.1:*",
      },
    });
  });
  return Object.assign(portal, {
    url: `http://127.0.0.1:${server.addr.port}/install.html`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}

Deno.test("the download page leads from the file to the open connection", async (t) => {
  await build();
  await using portal = servePortal();
  const browser = await launch();
  try {
    const port = freePort();
    const context = await browser.newContext({
      locale: "en-IN",
      userAgent: WINDOWS,
      viewport: { width: 800, height: 900 },
    });
    const errors = watchConsole(context);
    const page = await context.newPage();
    await page.goto(`${portal.url}?port=${port}`);

    await t.step("the file for this computer comes first, with its checksum", async () => {
      const links = page.locator("#get a");
      await links.first().waitFor();
      assert.equal(await links.first().innerText(), "Download dsign-1.2.3-windows-x64.exe");
      assert.equal(await links.first().getAttribute("href"), FILE.url);
      await page.getByText(en.install_windows).waitFor();
      await page.getByText(en.checksum).first().click();
      await page.getByText(FILE.sha256).first().waitFor();
      await page.getByText("certutil -hashfile dsign-1.2.3-windows-x64.exe SHA256").waitFor();
    });

    await t.step("without D-Sign it waits, and its connection test says why", async () => {
      // Chromium would ask the person first, so nothing looks before a click.
      await page.getByRole("button", { name: en.look }).click();
      await page.getByText(en.looking).waitFor();
      await page.getByRole("button", { name: en.test, exact: true }).click();
      await page.getByText(en.failed_not_installed).waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "install_waiting");
    });

    await t.step("it finds D-Sign when it starts, and the connection opens", async () => {
      await using _agent = await testAgent({ ports: [port] });
      await page.getByText("D-Sign 1.2.3 is running.").waitFor();
      await page.getByRole("button", { name: en.test, exact: true }).click();
      await page.getByText("Connection opened").waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, "install-en");
      for (const language of ["hi", "bn"] as const) {
        await page.getByRole("button", { name: LANGUAGES[language] }).click();
        await page.getByText(INSTALL_WORDS[language].opened, { exact: true }).waitFor();
        await screenshot(page, `install-${language}`);
      }
    });

    await t.step("a portal without installers says whom to ask", async () => {
      portal.hasRelease = false;
      await page.goto(`${portal.url}?port=${port}`);
      await page.getByText(bn.no_release).waitFor(); // the language is kept
    });
    // Chromium itself notes every probe that found nobody.
    assert.deepEqual(errors.filter((error) => !error.includes("ERR_CONNECTION_REFUSED")), []);
  } finally {
    await browser.close();
  }
});
