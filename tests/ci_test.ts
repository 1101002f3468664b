/** The workflows of CI. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { NEED_PROGRAMS, portableTests } from "../tasks/test_portable.ts";
import { ROOT } from "./fixtures/docs.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const WORKFLOWS = join(ROOT, ".github/workflows");

/** Runs actionlint from its Go module, whose hash Go's checksum database knows; null if that is not possible here. */
async function actionlint(...args: string[]): Promise<{ code: number; text: string } | null> {
  try {
    const { code, stdout, stderr } = await new Deno.Command("go", {
      args: ["run", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12", "-no-color", ...args],
    }).output();
    return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

const version = await actionlint("-version");

Deno.test(
  "actionlint finds nothing in the workflows, and finds a planted error (optional: needs go and its modules)",
  {
    ignore: version?.code !== 0,
  },
  () =>
    inTempDir(async (dir) => {
      const files = [...Deno.readDirSync(WORKFLOWS)].map(({ name }) => join(WORKFLOWS, name));
      assert.ok(files.length >= 2);
      assert.deepEqual(await actionlint(...files), { code: 0, text: "" });

      const planted = join(dir, "planted.yml");
      const text = await Deno.readTextFile(join(WORKFLOWS, "test.yml"));
      await Deno.writeTextFile(planted, text.replace("matrix.runner", "matrix.runer"));
      const found = await actionlint(planted);
      assert.equal(found?.code, 1);
      assert.match(found.text, /property "runer" is not defined/);
    }),
);

Deno.test("every action is pinned by its commit, and no job may write without declaring it", async () => {
  for (const { name } of Deno.readDirSync(WORKFLOWS)) {
    const text = await Deno.readTextFile(join(WORKFLOWS, name));
    for (const [, action] of text.matchAll(/uses: (.*)/g)) {
      assert.match(action!, /^[\w/-]+@[0-9a-f]{40} # v\d/, `${name}: ${action}`);
    }
    assert.match(text, /^permissions:\n {2}contents: read$/m, name);
  }
});

/** Files of this repository that `file` imports, itself and by way of others. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = Deno.readTextFileSync(join(ROOT, file));
  for (const [, path] of text.matchAll(/(?:from|import) "(\.{1,2}\/[^"]+\.tsx?)";/g)) {
    reached(join(dirname(file), path!), seen);
  }
  return seen;
}

Deno.test("CI runs no test on other systems that starts a program of Linux", () => {
  const starts = (file: string) =>
    /^tests\/(?:fixtures|fakes)\/|_test\.ts$/.test(file) &&
    Deno.readTextFileSync(join(ROOT, file)).includes("new Deno.Command(");
  const starting = (test: string) => [...reached(test)].some(starts);
  assert.deepEqual(portableTests().filter(starting), []);
  const loading = ["pkcs11_ffi/modules_test.ts", "pkcs11_ffi/generate_test.ts"];
  assert.deepEqual(
    NEED_PROGRAMS.filter((test) => !starting(test) && !loading.includes(test)),
    [],
  );
});
