/** What docs/portals.md says, done: its page signs in Chromium, its commands check what came of it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "../../tasks/build.ts";
import { testAgent } from "../fixtures/agent.ts";
import { environment } from "../fixtures/cli.ts";
import { blocks, commandLines, readDoc, ROOT } from "../fixtures/docs.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { makePki, pem } from "../fixtures/pki.ts";
import { launch, watchConsole } from "./browser.ts";

const guide = await readDoc("docs/portals.md");

Deno.test("the page of the guide for portals signs, and its commands check the signature", () =>
  inTempDir(async (dir) => {
    await build();
    const html = blocks(guide, "html")[0]!;
    assert.equal(html.trim().split("\n").length, 20);
    const posted = Promise.withResolvers<string>();
    await using test = await testAgent({
      officers: makePki({ officers: [{ name: "Anita Das", pan: "ABCDE1234F" }] }).officers,
    });
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (
      request,
    ) => {
      if (request.method === "POST") posted.resolve(await request.text());
      const { pathname } = new URL(request.url);
      if (pathname === "/favicon.ico") return new Response(null, { status: 204 });
      if (pathname !== "/client.js") {
        // The agent of a test has a port of its own; a person's has one that the SDK knows.
        const page = html.replace("connect({", `connect({ ports: [${test.agent.port}],`);
        return new Response(page, { headers: { "content-type": "text/html" } });
      }
      return new Response(await Deno.readFile(join(ROOT, "dist/web/client.js")), {
        headers: { "content-type": "text/javascript" },
      });
    });
    const browser = await launch();
    try {
      const context = await browser.newContext();
      const errors = watchConsole(context);
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${server.addr.port}`);
      await page.getByRole("button").click();
      await page.getByText("Signed.").waitFor();
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
    assert.deepEqual(test.person.asked, ["grant certificates,sign", "sign"]);
    await Deno.writeTextFile(join(dir, "signature.txt"), await posted.promise);

    const client = await test.connect();
    const drawing = new Uint8Array(100_000);
    const { document } = await client.call("document.open", {
      name: "drawing.dwg",
      size: drawing.length,
    });
    client.sendChunk(document, drawing);
    const signed = await client.call("sign.document", { document });
    assert.ok(signed.format === "cades");
    await Deno.writeFile(join(dir, "drawing.dwg"), drawing);
    await Deno.writeFile(join(dir, "drawing.p7s"), Uint8Array.fromBase64(signed.signature));
    const { chain } = test.provider.officers[0]!;
    await Deno.writeTextFile(join(dir, "root.pem"), pem("CERTIFICATE", chain.at(-1)!));

    const main = `'${Deno.execPath()}' run --no-prompt -A '${join(ROOT, "main.ts")}'`;
    const run = async (line: string) => {
      // Nobody answers for the test's authorities.
      const offline = line.replace("--online", "--revocation if-available");
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", offline.replace(/^dsign/, main)],
        cwd: dir,
        env: environment(dir),
      }).output();
      const [text, problem] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(code, 0, `${line}: ${text} ${problem}`);
      return text!;
    };
    const lines = commandLines(guide);
    for (const line of lines.filter((each) => each.startsWith("openssl"))) await run(line);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(join(dir, "bill.json"))), {
      bill: "2026-27/TR-0142",
      net: "4,58,375.00",
      payee: "Sample Builders",
    });
    for (const line of lines.filter((each) => each.startsWith("dsign"))) {
      const { files: [{ signatures: [{ signer }] }] } = JSON.parse(await run(line));
      assert.equal(signer.commonName, "Anita Das");
    }
    assert.equal(lines.length, 6);
  }));
