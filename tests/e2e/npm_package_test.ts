/** The npm package in a browser: React and the custom element, from the packed file. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as esbuild from "esbuild";
import type * as React from "react";
import type * as ReactDom from "react-dom/client";
import { DsignError } from "../../protocol/errors.ts";
import { npmPackage, PACKAGE } from "../../tasks/npm.ts";
import { testAgent } from "../fixtures/agent.ts";
import { launch } from "./browser.ts";

/** What pages of these tests import. */
export type Imports = [typeof React, typeof ReactDom];

const archive = await npmPackage();

/** Finds react and react-dom where Deno keeps packages. */
const fromDeno: esbuild.Plugin = {
  name: "from-deno",
  setup(build) {
    build.onResolve({ filter: /^(react|react-dom|scheduler)(\/|$)/ }, ({ path, importer }) => {
      const require = createRequire(/react-dom/.test(importer) ? importer : import.meta.url);
      return { path: require.resolve(path) };
    });
  },
};

/** Serves a page with this script, bundled with the package as a portal's bundler does it. */
async function servePage(source: string) {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(join(folder, "node_modules"));
  const modules = join(folder, "node_modules");
  await new Deno.Command("tar", { args: ["-xzf", archive, "-C", modules] }).output();
  await Deno.rename(join(modules, "package"), join(modules, PACKAGE));
  const { outputFiles } = await esbuild.build({
    stdin: { contents: source, resolveDir: folder, loader: "tsx" },
    bundle: true,
    format: "esm",
    write: false,
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"development"' },
    plugins: [fromDeno],
    logLevel: "error",
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, ({ url }) => {
    const [body, type] = url.endsWith(".js")
      ? [outputFiles[0]!.contents as Uint8Array<ArrayBuffer>, "text/javascript"]
      : [
        '<!doctype html><meta charset="utf-8"><body><script type="module" src="/page.js"></script>',
        "text/html",
      ];
    return new Response(body, { headers: { "content-type": type } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await esbuild.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("in React's StrictMode, a component that mounts twice asks the person once", async () => {
  await using test = await testAgent();
  await using site = await servePage(`
    import { StrictMode, useEffect, useState } from "react";
    import { createRoot } from "react-dom/client";
    import { useDsign } from "${PACKAGE}/react";
    let mounts = 0;
    function Page() {
      const { dsign, state, error } = useDsign({
        ports: [${test.agent.port}], securePorts: [], scopes: ["sign"], request: "Sign bills",
      });
      useEffect(() => { mounts++; }, []);
      const [signed, setSigned] = useState("");
      const sign = async () => {
        await dsign.call("sign.data", { content: { text: "Bill 7" } });
        setSigned("signed");
      };
      return <button disabled={!dsign} onClick={sign}>{mounts} {state} {error?.message} {signed}</button>;
    }
    const root = createRoot(document.body.appendChild(document.createElement("div")));
    root.render(<StrictMode><Page /></StrictMode>);
    globalThis.leave = () => root.unmount();
  `);
  await using browser = await launch();
  const page = await browser.newPage();
  await page.goto(site.url);
  await page.getByRole("button", { name: "2 connected" }).click();
  await page.getByRole("button", { name: "signed" }).waitFor();
  assert.deepEqual(test.person.asked, ["grant sign", "sign"]);
  await page.evaluate(() => (globalThis as unknown as { leave(): void }).leave());
});

Deno.test("<dsign-button> signs in the click, and says in the page's language what failed", async () => {
  await using test = await testAgent();
  await using site = await servePage(`
    import { bn } from "${PACKAGE}/bn";
    import { defineDsignButton } from "${PACKAGE}/element";
    defineDsignButton();
    document.body.innerHTML = '<dsign-button request="Sign bills">Sign the bill</dsign-button><output></output>';
    const button = document.querySelector("dsign-button");
    button.options = { ports: [${test.agent.port}], securePorts: [], messages: bn };
    button.toSign = () => ({ data: { content: { json: { bill: 7 } } } });
    const say = (text) => document.querySelector("output").textContent += text + " ";
    button.addEventListener("signed", ({ detail }) => say(detail.algorithm));
    button.addEventListener("failed", ({ detail }) => say(detail.code));
  `);
  await using browser = await launch();
  const page = await browser.newPage();
  await page.goto(site.url);
  const button = page.getByRole("button", { name: "Sign the bill" });
  await button.click();
  const output = page.locator("output");
  await output.getByText("RS256").waitFor();
  const yes = test.person.sign;
  test.person.sign = () => Promise.reject(new DsignError("token_removed"));
  await button.click();
  await page.getByRole("status").getByText("টোকেনটি আর পাওয়া যাচ্ছে না।").waitFor();
  test.person.sign = () => Promise.reject(new DsignError("user_cancelled"));
  await button.click();
  await output.getByText("user_cancelled").waitFor();
  assert.equal(await page.locator("dsign-button [role=status]").textContent(), "");
  test.person.sign = yes;
  await button.click();
  await output.getByText("RS256 token_removed user_cancelled RS256").waitFor();
  assert.equal(test.person.asked.filter((each) => each.startsWith("grant")).length, 1);
});
