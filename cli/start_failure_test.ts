import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { DOCTOR_WORDS } from "../words/doctor.ts";

Deno.test({
  name: "a double-click that fails says why in a browser, in the person's language",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTempDir(async (dir) => {
      const browser = join(dir, "browser");
      await Deno.writeTextFile(browser, `#!/bin/sh\necho "$1" >>'${dir}/opened'\n`, {
        mode: 0o755,
      });
      await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
      await Deno.writeTextFile(join(dir, "config/dsign/config.json"), '{"<prots>":1}');
      const env = environment(dir, { BROWSER: browser, LC_ALL: "bn_IN.UTF-8", TMPDIR: dir });
      const { code, stderr } = await dsign([], env);
      assert.equal(code, 2);
      assert.match(stderr, /<prots>/);
      const address = (await Deno.readTextFile(join(dir, "opened"))).trim();
      const page = await Deno.readTextFile(fileURLToPath(address));
      assert.match(page, /lang="bn"/);
      assert.ok(page.includes("&lt;prots&gt;") && !page.includes("<prots>"));
      assert.ok(page.includes(DOCTOR_WORDS.bn.tickets.configuration_wrong.meaning));
      assert.ok(page.includes(join(dir, "config/dsign/config.json")));

      // Other problems, such as a missing driver, are left out.
      await Deno.remove(join(dir, "opened"));
      using blocker = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = blocker.addr as Deno.NetAddr;
      const config = { searchModules: false, ports: [port] };
      await Deno.writeTextFile(join(dir, "config/dsign/config.json"), JSON.stringify(config));
      assert.equal((await dsign([], env)).code, 1);
      const taken = fileURLToPath((await Deno.readTextFile(join(dir, "opened"))).trim());
      assert.ok(
        (await Deno.readTextFile(taken)).includes(DOCTOR_WORDS.bn.tickets.port_taken.meaning),
      );
      await Deno.writeTextFile(join(dir, "config/dsign/config.json"), "{");

      // Readers of standard error or JSON need no page.
      await Deno.remove(join(dir, "opened"));
      const json = await dsign(["--json"], env);
      assert.equal(JSON.parse(json.stdout).error.code, "invalid_params");
      await assert.rejects(Deno.stat(join(dir, "opened")), Deno.errors.NotFound);
    }),
});
