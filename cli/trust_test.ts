import assert from "node:assert/strict";
import { join } from "node:path";
import { dsign, environment } from "../tests/fixtures/cli.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";

Deno.test(
  {
    name: "dsign policy writes the file it announces, for each system",
    ignore: Deno.build.os === "windows",
  },
  () =>
    inTempDir(async (dir) => {
      const env = environment(dir);
      const policy = (...args: string[]) => dsign(["policy", "--output", dir, ...args], env);
      const wrote = await policy("--os", "linux", "https://portal.example");
      assert.equal(wrote.code, 0, wrote.stderr);
      const chromium = join(dir, "etc/chromium/policies/managed/dsign.json");
      assert.match(await Deno.readTextFile(chromium), /"https:\/\/portal.example"/);
      assert.equal((await Deno.stat(chromium)).mode! & 0o777, 0o644);
      const firefox = join(dir, "etc/firefox/policies/policies.json");
      await Deno.writeTextFile(firefox, '{"policies":{"DisableTelemetry":true}}');
      await policy("--os", "linux", "--browser", "firefox", "https://portal.example");
      assert.match(await Deno.readTextFile(firefox), /DisableTelemetry[^]*SkipDomains/);
      await policy("--os", "linux", "--remove");
      await assert.rejects(Deno.stat(chromium), Deno.errors.NotFound);
      assert.doesNotMatch(await Deno.readTextFile(firefox), /SkipDomains/);
      await policy("--os", "windows", "https://portal.example");
      assert.match(await Deno.readTextFile(join(dir, "dsign.reg")), /^\ufeff?Windows Registry/);
      await policy("--os", "darwin", "https://portal.example");
      assert.match(await Deno.readTextFile(join(dir, "dsign.mobileconfig")), /<plist/);
      for (
        const wrong of [
          [],
          ["https://portal.example/"],
          ["http://portal.example"],
          ["--browser", "opera", "https://portal.example"],
          ["--remove", "https://portal.example"],
          ["--os", "plan9", "https://portal.example"],
        ]
      ) assert.equal((await policy(...wrong)).code, 2, wrong.join(" "));
      await Deno.writeTextFile(firefox, "{");
      const left = await policy("--os", "linux", "https://portal.example");
      assert.equal(left.code, 2);
      assert.equal(await Deno.readTextFile(firefox), "{");
    }),
);

Deno.test(
  {
    name: "dsign trust adds the certificate to this user's databases and removes it again",
    ignore: Deno.build.os !== "linux",
  },
  () =>
    inTempDir(async (dir) => {
      const env = { ...environment(dir), HOME: dir };
      // The store of the whole computer is left alone: update-ca-certificates and root's rights are agent/trust_test.ts's.
      const trust = async (name: string) => {
        const done = await dsign(["trust", name, "--json", "--personal"], env);
        assert.equal(done.code, 0, done.stderr + done.stdout);
        return JSON.parse(done.stdout).stores as { store: string; trusted: boolean }[];
      };
      const chromium = `Chromium, Chrome, Edge (${dir}/.pki/nssdb)`;
      assert.deepEqual(await trust("status"), [{ store: chromium, trusted: false }]);
      assert.deepEqual(await trust("install"), [{ store: chromium, trusted: true }]);
      assert.deepEqual(await trust("install"), [{ store: chromium, trusted: true }]);
      assert.deepEqual(await trust("uninstall"), [{ store: chromium, trusted: false }]);
    }),
);
