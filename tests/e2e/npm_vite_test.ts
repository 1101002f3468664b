/** A portal with Vite and React, made by npm from the packed file: `deno task test:npm`. */
import assert from "node:assert/strict";
import { basename, extname, join } from "node:path";
import { npmPackage, PACKAGE } from "../../tasks/npm.ts";
import { testAgent } from "../fixtures/agent.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { launch } from "./browser.ts";

const VITE = ["vite@8.4.0", "react@19.3.1", "react-dom@19.3.1"];
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };

Deno.test({
  name: "Vite builds a React page in StrictMode, and the person is asked once (deno task test:npm)",
  ignore: !Deno.env.has("DSIGN_TEST_NPM"),
  fn: () =>
    inTempDir(async (dir) => {
      const run = async (program: string, ...args: string[]) => {
        const { success, stderr } = await new Deno.Command(program, { args, cwd: dir }).output();
        assert.ok(success, new TextDecoder().decode(stderr));
      };
      const archive = await npmPackage();
      await Deno.copyFile(archive, join(dir, basename(archive)));
      await using test = await testAgent();
      await Deno.writeTextFile(join(dir, "package.json"), '{ "private": true, "type": "module" }');
      await run("npm", "install", "--no-audit", "--no-fund", `./${basename(archive)}`, ...VITE);
      await Deno.writeTextFile(
        join(dir, "index.html"),
        '<!doctype html><div id="root"></div><script type="module" src="/main.jsx"></script>',
      );
      await Deno.writeTextFile(
        join(dir, "main.jsx"),
        `
        import { createElement, StrictMode } from "react";
        import { createRoot } from "react-dom/client";
        import { useDsign } from "${PACKAGE}/react";
        function Page() {
          const { state } = useDsign({
            ports: [${test.agent.port}], securePorts: [], scopes: ["sign"], request: "Sign bills",
          });
          return createElement("p", null, state);
        }
        createRoot(document.getElementById("root"))
          .render(createElement(StrictMode, null, createElement(Page)));
        `,
      );
      // StrictMode mounts twice in development only.
      await run("npx", "vite", "build", "--mode", "development");
      await using site = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        async ({ url }) => {
          const { pathname } = new URL(url);
          const file = pathname === "/" ? "/index.html" : pathname;
          const headers = { "content-type": TYPES[extname(file)] ?? "text/plain" };
          const body = await Deno.readFile(join(dir, "dist", file)).catch(() => null);
          return new Response(body, { headers, status: body ? 200 : 404 });
        },
      );
      await using browser = await launch();
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${site.addr.port}/`);
      await page.getByText("connected").waitFor();
      assert.deepEqual(test.person.asked, ["grant sign"]);
    }),
});
