/** The page in examples/methods runs every method against a trial agent. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { METHODS } from "../../protocol/methods.ts";
import { startTrial } from "../../web/client/testing.ts";
import { ROOT } from "../fixtures/docs.ts";
import { MAIN } from "../fixtures/program.ts";
import { launch } from "./browser.ts";

Deno.test("the page of methods runs each against a trial agent, and shows request and answer", async () => {
  const trial = await startTrial({
    command: [Deno.execPath(), "run", "-A", MAIN],
  });
  await using site = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async ({ url }) => {
      const isScript = url.endsWith("/methods.js");
      const file = join(ROOT, "examples/methods", isScript ? "methods.js" : "index.html");
      const type = isScript ? "text/javascript" : "text/html";
      return new Response(await Deno.readFile(file), { headers: { "content-type": type } });
    },
  );
  try {
    await using browser = await launch();
    const page = await browser.newPage();
    await page.goto(`http://localhost:${site.addr.port}/`);
    await page.getByLabel("Port of the trial agent").fill(String(trial.port));
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByText(`All ${Object.keys(METHODS).length} methods were run.`).waitFor();
    const outcomes = await page.locator("section").evaluateAll((all) =>
      all.map((each) => {
        const { method, outcome } = (each as HTMLElement).dataset;
        return `${method} ${outcome}`;
      })
    );
    const failed = outcomes.filter((each) => !each.endsWith(" done"));
    assert.deepEqual(failed, [
      "signature.extend timestamp_unavailable",
      "batch.show invalid_params",
    ]);
  } finally {
    await trial.stop();
  }
});
