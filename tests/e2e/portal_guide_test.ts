/** Follows docs/portals.md: its page signs in Chromium, its commands verify the result. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "../../tasks/build.ts";
import { testAgent } from "../fixtures/agent.ts";
import { environment } from "../fixtures/cli.ts";
import { blocks, commandLines, readDoc, ROOT } from "../fixtures/docs.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { pem } from "../../formats/asn1/pem.ts";
import { makePki } from "../fixtures/pki.ts";
import { MAIN } from "../fixtures/program.ts";
import { launch, watchConsole } from "./browser.ts";

const guide = await readDoc("docs/portals.md");

Deno.test("the portal guide's page and examples sign, and its commands verify the signatures", () =>
  inTempDir(async (dir) => {
    await build();
    const html = blocks(await readDoc("README.md"), "html")[0]!;
    assert.equal(html.trim().split("\n").length, 20);
    const { officers } = makePki({
      officers: [{ name: "Anita Das", pan: "ABCDE1234F" }, { name: "Bikram Sen" }],
    });
    await using test = await testAgent({
      officers,
      web: new URL("../../dist/web/", import.meta.url),
    });
    const sent = new Map<string, Uint8Array>();
    const order = await Deno.readFile(join(ROOT, "tests/fixtures/anchors.pdf"));
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (
      request,
    ) => {
      const { pathname } = new URL(request.url);
      if (request.method !== "GET") sent.set(pathname, await request.bytes());
      switch (pathname) {
        case "/":
          // A test's agent has an arbitrary port; a person's has one that the SDK knows.
          return new Response(html.replace("connect({", `connect({ ports: [${test.agent.port}],`), {
            headers: { "content-type": "text/html" },
          });
        case "/client.js":
          return new Response(await Deno.readFile(join(ROOT, "dist/web/client.js")), {
            headers: { "content-type": "text/javascript" },
          });
        case "/order.pdf":
          return new Response(order);
        case "/officers":
          return Response.json(officers.map(({ name, certificate }) => ({
            name,
            person: certificate.subject.text("serialNumber"),
          })));
        case "/login/nonce":
          return new Response(crypto.getRandomValues(new Uint8Array(32)).toBase64());
        default:
          return new Response(null, { status: 204 });
      }
    });
    const browser = await launch();
    try {
      const context = await browser.newContext();
      const errors = watchConsole(context);
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${server.addr.port}`);
      await page.getByRole("button").click();
      await page.getByText("Signed.").waitFor();
      assert.deepEqual(test.person.asked, ["grant certificates,sign", "sign"]);
      for (const example of blocks(guide, "ts")) {
        await page.evaluate(async ([example, port]) => {
          const sdk = "/client.js";
          const { connect, acceptNewAgent }: typeof import("../../web/client.ts") = await import(
            sdk
          );
          const at: typeof connect = (options) => connect({ ...options, ports: [Number(port)] });
          const dsign = await at();
          const pdf = await (await fetch("/order.pdf")).blob();
          const files = ["a.pdf", "b.pdf"].map((name) => new File([pdf], name));
          const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
          const given = { dsign, file: files[0], files, connect: at, acceptNewAgent };
          await AsyncFunction(...Object.keys(given), example!)(...Object.values(given));
          dsign.close();
        }, [example, String(test.agent.port)]);
      }
      assert.deepEqual(errors, []);
    } finally {
      await browser.close();
    }
    assert.deepEqual([...sent.keys()].sort(), [
      "/bills/TR-0142",
      "/login",
      "/orders/7",
      "/orders/a.pdf",
      "/orders/b.pdf",
      "/routes/TR-0142",
      "/tenders/9.asice",
    ]);
    for (const path of ["/orders/7", "/orders/a.pdf", "/orders/b.pdf"]) {
      const signed = sent.get(path)!;
      assert.ok(signed.length > order.length && order.every((byte, i) => byte === signed[i]), path);
    }
    const container = new TextDecoder("latin1").decode(sent.get("/tenders/9.asice")!);
    assert.match(container, /^PK.{28}mimetypeapplication\/vnd\.etsi\.asic-e\+zip/s);
    await Deno.writeFile(join(dir, "signature.txt"), sent.get("/bills/TR-0142")!);

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
    const { chain } = officers[0]!;
    await Deno.writeTextFile(join(dir, "root.pem"), pem("CERTIFICATE", chain.at(-1)!));

    const main = `'${Deno.execPath()}' run --no-prompt -A '${MAIN}'`;
    const run = async (line: string, wanted = 0) => {
      // Nobody answers for the test's authorities.
      const offline = line.replace(" --online", "")
        .replace("dsign verify", "dsign verify --revocation if-available");
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", offline.replace(/^dsign/, main)],
        cwd: dir,
        env: environment(dir),
      }).output();
      const [text, problem] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      assert.equal(code, wanted, `${line}: ${text} ${problem}`);
      return text!;
    };
    // Those for a trial agent are run by five_minutes_test.ts.
    const lines = commandLines(guide)
      .filter((line) => /^(openssl|dsign verify) /.test(line) && !line.includes("--trial"));
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

    // The other guides' commands verify with the root in the person's folder, as they say.
    await Deno.mkdir(join(dir, "config/dsign/trust"), { recursive: true });
    await Deno.copyFile(join(dir, "root.pem"), join(dir, "config/dsign/trust/root.pem"));
    for (const name of ["order.pdf", "order-signed.pdf"]) {
      await Deno.writeFile(join(dir, name), sent.get("/orders/7")!);
    }
    await Deno.writeFile(join(dir, "bill.route"), sent.get("/routes/TR-0142")!);
    await Deno.writeTextFile(
      join(dir, "bill.json"),
      '{"bill":"2026-27/TR-0142","net":"4,58,375.00"}',
    );
    for (const name of ["officers", "officers.bn", "officers.hi", "verification"]) {
      for (const line of commandLines(await readDoc(`docs/${name}.md`))) {
        if (!line.startsWith("dsign verify")) continue;
        const isRoute = line.includes("bill.route"); // the checker has not signed yet
        await run(line.replace("--report", "--force --report"), isRoute ? 1 : 0);
      }
    }
  }));
