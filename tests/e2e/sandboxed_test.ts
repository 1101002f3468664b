/** A browser in bubblewrap, by which Flatpak makes its sandboxes, with the network shared as they share it. */
import { join } from "node:path";
import { chromium } from "playwright-core";
import deno from "../../deno.json" with { type: "json" };
import { build } from "../../tasks/build.ts";
import { AGENT_WORDS } from "../../words/agent.ts";
import { inTempDir } from "../fixtures/openssl.ts";
import { startAgentProcess } from "./agent_process.ts";
import { findChromium } from "./browser.ts";

const SANDBOX = [
  ...["--ro-bind", "/", "/", "--bind", "/tmp", "/tmp", "--dev", "/dev", "--proc", "/proc"],
  ...["--unshare-user", "--unshare-ipc", "--unshare-uts"],
  ...["--uid", "1000", "--gid", "1000"], // the person's number there
];

const canSandbox = await new Deno.Command("bwrap", { args: [...SANDBOX, "true"], stderr: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name: "a browser in a sandbox reaches the agent (optional: needs bubblewrap)",
  ignore: !canSandbox,
  fn: () =>
    inTempDir(async (dir) => {
      await build();
      const executablePath = join(dir, "browser");
      const command = ["bwrap", ...SANDBOX, findChromium()].join(" ");
      await Deno.writeTextFile(executablePath, `#!/bin/sh\nexec ${command} "$@"\n`, {
        mode: 0o700,
      });
      await using agent = await startAgentProcess(dir, { searchModules: false }, {});
      const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
      try {
        const page = await browser.newPage({ locale: "en-IN" });
        await page.goto(agent.origin);
        const { version } = deno;
        await page.getByText(AGENT_WORDS.en.console_running.replace("{version}", version))
          .waitFor();
      } finally {
        await browser.close();
      }
    }),
});
