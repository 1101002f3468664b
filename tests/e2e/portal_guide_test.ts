/** The page and the server's commands of the portal developers' guide, as they stand there. */
import assert from "node:assert/strict";
import { build } from "../../tasks/build.ts";
import { testAgent } from "../fixtures/agent.ts";
import { dsign, environment } from "../fixtures/cli.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { makePki } from "../fixtures/pki.ts";
import { launch, watchConsole } from "./browser.ts";

const ROOT = new URL("../../", import.meta.url);
const guide = await Deno.readTextFile(new URL("docs/portals.md", ROOT));

Deno.test("the guide's page signs, and its server's commands find the signature valid", () =>
  inTempDir(async (dir) => {
    await build();
    const pki = makePki({ officers: [{ name: "Anita", pan: "ABCDE1234F" }] });
    await using test = await testAgent({ officers: pki.officers, allowedOrigins: [] });
    const [, html] = /^```html\n(.*?)^```/ms.exec(guide)!;
    // the agent of this test is at a port of its own
    const page = html.replace("connect({ ", `connect({ ports: [${test.agent.port}], `);
    assert.notEqual(page, html);
    const posted = Promise.withResolvers<string>();
    const server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (request) => {
        const { pathname } = new URL(request.url);
        if (pathname === "/signatures") posted.resolve(await request.text());
        if (pathname === "/client.js") {
          const body = await Deno.readFile(new URL("dist/web/client.js", ROOT));
          return new Response(body, { headers: { "content-type": "text/javascript" } });
        }
        return pathname === "/"
          ? new Response(page, { headers: { "content-type": "text/html" } })
          : new Response(null, { status: 204 });
      },
    );
    const browser = await launch();
    try {
      const context = await browser.newContext();
      const errors = watchConsole(context);
      const tab = await context.newPage();
      await tab.goto(`http://127.0.0.1:${server.addr.port}/`);
      await tab.getByRole("button", { name: "Sign" }).click();
      await tab.getByText("Signed.").waitFor();
      assert.deepEqual(test.person.asked.map((each) => each.split(" ")[0]), ["grant", "sign"]);
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
      await server.shutdown();
    }

    await Deno.writeTextFile(`${dir}/signature.txt`, await posted.promise);
    const root = pki.root.certificate.der.toBase64();
    const pem = `-----BEGIN CERTIFICATE-----\n${root}\n-----END CERTIFICATE-----\n`;
    await Deno.writeTextFile(`${dir}/root.pem`, pem);
    for (const [, line] of guide.matchAll(/^ {4}(openssl .*)$/gm)) {
      const { success, stderr } = await new Deno.Command("sh", { args: ["-c", line], cwd: dir })
        .output();
      assert.ok(success, `${line}: ${new TextDecoder().decode(stderr)}`);
    }
    assert.equal(
      await Deno.readTextFile(`${dir}/bill.json`),
      '{"bill":"2026-27/TR-0142","net":"4,58,375.00"}',
    );
    const lines = [...guide.matchAll(/^ {4}dsign (verify .*)$/gm)].map(([, line]) => line);
    assert.equal(lines.length, 2);
    for (const line of lines) {
      // nobody answers here for the test's authorities
      const words = line.replace("--online", "--revocation if-available").split(" ")
        .map((word) => /^(root\.pem|bill\.p7s)$/.test(word) ? `${dir}/${word}` : word);
      const { code, stdout, stderr } = await dsign(words, environment(dir));
      assert.equal(code, 0, stdout + stderr);
    }
  }));
