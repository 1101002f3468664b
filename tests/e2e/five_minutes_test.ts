/**
 * Follows the first pages of docs/portals.md as a stranger would, with their own commands and files alone: an empty
 * folder, the packed package, a trial agent, a page, a server, a test.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { npmPackage, PACKAGE } from "../../tasks/npm.ts";
import { untilAnswers } from "../fixtures/answering.ts";
import { blocks, commandLine, readDoc } from "../fixtures/docs.ts";
import { freePort } from "../fixtures/free_port.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { MAIN } from "../fixtures/program.ts";
import { findChromium, launch } from "./browser.ts";

const archive = await npmPackage();

Deno.test("the guide's five minutes and its hour end as it says, with its files and commands alone", () =>
  inTempDir(async (dir) => {
    const guide = await readDoc("docs/portals.md");
    const [trialPort, port] = [freePort(), freePort()].map(String) as [string, string];
    const atFreePorts = (text: string) =>
      text.replaceAll("17000", trialPort).replaceAll("3000", port);
    const save = (name: string, text: string) =>
      Deno.writeTextFile(join(dir, name), atFreePorts(text));
    // As it is installed.
    await Deno.mkdir(join(dir, "bin"));
    const main = `exec '${Deno.execPath()}' run -A '${MAIN}' "$@"`;
    await Deno.writeTextFile(join(dir, "bin/dsign"), `#!/bin/sh\n${main}\n`, { mode: 0o755 });
    const env = { PATH: `${join(dir, "bin")}:${Deno.env.get("PATH")}` };
    const command = (line: string) =>
      new Deno.Command("sh", {
        args: ["-c", `exec ${atFreePorts(line)}`],
        cwd: dir,
        env,
        stdout: "piped",
        stderr: "piped",
      });
    const run = async (line: string) => {
      const { success, stdout, stderr } = await command(line).output();
      const text = new TextDecoder().decode(new Uint8Array([...stdout, ...stderr]));
      assert.ok(success, text);
      return text;
    };
    const start = async (line: string, at: string) => {
      const child = command(line).spawn();
      await untilAnswers(`http://localhost:${at}/status`, child);
      return {
        async [Symbol.asyncDispose]() {
          child.kill("SIGTERM");
          await child.output();
        },
      };
    };

    // Five minutes
    await Deno.copyFile(archive, join(dir, `${PACKAGE}-0.1.0.tgz`));
    await run(commandLine(guide, "tar -xzf"));
    await save("config.json", blocks(guide, "json")[0]!);
    await save("index.html", blocks(guide, "html")[0]!);
    await using _trial = await start(commandLine(guide, "dsign trial"), trialPort);
    await using browser = await launch();
    const press = async (says: string) => {
      const page = await browser.newPage();
      await page.goto(`http://localhost:${port}`);
      await page.getByRole("button").click();
      await page.getByText(says).waitFor();
      await page.close();
    };
    {
      await using _web = await start(commandLine(guide, "python3 -m http.server"), port);
      await press("The portal did not take the signature.");
    }

    // One hour
    const code = blocks(guide, "js");
    const [server] = code.filter((each) => each.includes("createServer"));
    await save("server.mjs", server!);
    {
      await using _server = await start(commandLine(guide, "node server.mjs"), port);
      const nothing = await fetch(`http://localhost:${port}/package/nothing.js`);
      await nothing.body?.cancel();
      assert.equal(nothing.status, 404);
      await press("Signed.");
      const page = await Deno.readTextFile(join(dir, "index.html"));
      await save("index.html", page.replace("4,58,375.00", "9,58,375.00"));
      await press("The portal did not take the signature.");
      await save("index.html", page);
    }

    // Its tests; npm_vite_test.ts installs by npm.
    await Deno.mkdir(join(dir, "node_modules"));
    await Deno.symlink(join(dir, "package"), join(dir, "node_modules", PACKAGE));
    const { resolve } = createRequire(import.meta.url);
    const playwright = dirname(resolve("playwright-core/package.json"));
    await Deno.symlink(playwright, join(dir, "node_modules/playwright"));
    const [test] = code.filter((each) => each.includes("node:test"));
    const debian = JSON.stringify({ executablePath: findChromium(), args: ["--no-sandbox"] });
    await save("portal.test.mjs", test!.replace("launch()", `launch(${debian})`));
    assert.match(await run(commandLine(guide, "node --test")), /^(#|ℹ) pass 1$/m);
  }));
