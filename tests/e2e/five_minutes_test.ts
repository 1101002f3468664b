/** Follows the first pages of docs/portals.md with their own commands: an empty folder, a trial agent, a page. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "../../tasks/build.ts";
import { blocks, commandLine, readDoc, ROOT } from "../fixtures/docs.ts";
import { untilAnswers } from "../fixtures/answering.ts";
import { freePort } from "../fixtures/free_port.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { launch } from "./browser.ts";

Deno.test("the guide's five minutes end with a signature, which its next command accepts", () =>
  inTempDir(async (dir) => {
    await build();
    const guide = await readDoc("docs/portals.md");
    const [trialPort, port] = [freePort(), freePort()].map(String) as [string, string];
    await Deno.copyFile(join(ROOT, "dist/web/client.js"), join(dir, "client.js"));
    const page = blocks(guide, "html")[0]!.replace("connect({", `connect({ trial: ${trialPort},`);
    await Deno.writeTextFile(join(dir, "index.html"), page);
    const start = (line: string) => {
      const words = line.replace("17000", trialPort).replace("3000", port).split(" ");
      const dsign = [Deno.execPath(), "run", "-A", join(ROOT, "main.ts")];
      const [program, ...args] = words[0] === "dsign" ? [...dsign, ...words.slice(1)] : words;
      return new Deno.Command(program!, { args, cwd: dir, stdout: "piped", stderr: "piped" });
    };
    await using stack = new AsyncDisposableStack();
    for (
      const [line, at] of [["dsign trial", trialPort], ["python3 -m http.server", port]] as const
    ) {
      const child = start(commandLine(guide, line)).spawn();
      stack.defer(async () => {
        child.kill("SIGTERM");
        await child.output();
      });
      await untilAnswers(`http://127.0.0.1:${at}/status`, child);
    }
    await using browser = await launch();
    const tab = await browser.newPage();
    await tab.goto(`http://localhost:${port}`);
    const sent = tab.waitForRequest((each) => each.method() === "POST");
    await tab.getByRole("button").click();
    await tab.getByText("The portal did not take the signature.").waitFor();
    const signature = (await sent).postData()!;
    await Deno.writeFile(join(dir, "bill.p7s"), Uint8Array.fromBase64(signature));
    const check = commandLine(guide, "dsign verify --json --trial");
    const { code, stdout } = await start(check).output();
    assert.equal(code, 0, new TextDecoder().decode(stdout));
    assert.notEqual((await start(check.replace("--trial ", "")).output()).code, 0);
  }));
