/** What the README says is so. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Config } from "../agent/config.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path: string) => Deno.readTextFile(join(ROOT, path));
const readme = await read("README.md");

/** The code blocks in a language. */
const blocks = (language: string) =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "gms"))].map(([, text]) =>
    text!
  );

Deno.test("CI runs the README's test command", async () => {
  const command = readme.match(/^ {4}(npx \S+ deno@\S+ task test)/m)![1]!;
  assert.ok((await read(".ci/run")).includes(`exec ${command}\n`));
});

Deno.test("every task and every file that the README names is there", async () => {
  const { tasks } = JSON.parse(await read("deno.json"));
  for (const [, task] of readme.matchAll(/(?:deno|deno@[\d.]+) task ([a-z]+)/g)) {
    assert.ok(Object.hasOwn(tasks, task!), task);
  }
  for (const [, path] of readme.matchAll(/`((?:web|protocol|tests)\/[\w./]+)`/g)) {
    await Deno.stat(join(ROOT, path!));
  }
});

Deno.test("the README's code for portals fits the SDK", async () => {
  const [snippet] = blocks("ts");
  const sdk = pathToFileURL(join(ROOT, "web/client.ts")).href;
  await inTempDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/portal.ts`, snippet!.replace("./client.js", sdk));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", join(ROOT, "deno.json"), `${dir}/portal.ts`],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  });
});

Deno.test("the README's configuration is a right one, and its table has every setting", () => {
  Config.parse(JSON.parse(blocks("json")[0]!));
  for (const setting of Object.keys(Config.shape)) {
    assert.ok(readme.includes(`\`${setting}\``), setting);
  }
});
