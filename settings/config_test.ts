import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { findPaths, languageOf, makeStateFolder, readConfig } from "./config.ts";

const env = (values: Record<string, string>) => (name: string) => values[name];

Deno.test(
  "paths follow the conventions of the system",
  { ignore: Deno.build.os === "windows" },
  () => {
    assert.deepEqual(findPaths(env({ HOME: "/home/a" }), "linux"), {
      config: "/home/a/.config/dsign/config.json",
      state: "/home/a/.local/state/dsign",
      grants: "/home/a/.local/state/dsign/origins.json",
      keyFiles: "/home/a/.config/dsign/keys",
      audit: "/home/a/.local/state/dsign/audit",
      batches: "/home/a/.local/state/dsign/batches",
      tls: "/home/a/.local/state/dsign/tls",
      log: "/home/a/.local/state/dsign/agent.log",
      phrase: "/home/a/.local/state/dsign/phrase.txt",
      identity: "/home/a/.local/state/dsign/identity.json",
      spool: "/home/a/.local/state/dsign/spool",
    });
    const xdg = { HOME: "/home/a", XDG_CONFIG_HOME: "/c", XDG_STATE_HOME: "relative" };
    assert.equal(findPaths(env(xdg), "linux").config, "/c/dsign/config.json");
    assert.equal(findPaths(env(xdg), "linux").state, "/home/a/.local/state/dsign");
    assert.equal(
      findPaths(env({ HOME: "/Users/a" }), "darwin").config,
      "/Users/a/Library/Application Support/dsign/config.json",
    );
    const appData = { APPDATA: "/r", LOCALAPPDATA: "/l" };
    assert.equal(findPaths(env(appData), "windows").config, "/r/dsign/config.json");
    assert.equal(findPaths(env(appData), "windows").state, "/l/dsign");
    assert.throws(() => findPaths(env({}), "linux"), { code: "storage_failed" });
  },
);

Deno.test("without a file, everything is as by default", () =>
  inTempDir(async (dir) => {
    const config = await readConfig(join(dir, "absent.json"));
    assert.equal(config.consent, "window");
    assert.equal(config.keepLogin, 0);
    assert.deepEqual(config.allowedOrigins, []);
  }));

Deno.test("origins of sites on any port and of extensions, and a byte order mark, are understood", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "config.json");
    const allowedOrigins = [
      { origin: "https://a.example:8443", scopes: ["sign"] },
      { origin: "http://[::1]:8080", scopes: ["sign"] },
      { origin: "chrome-extension://abcdefgh", scopes: ["certificates"] },
    ];
    await Deno.writeTextFile(path, "\ufeff" + JSON.stringify({ allowedOrigins }));
    assert.deepEqual((await readConfig(path)).allowedOrigins, allowedOrigins);
  }));

Deno.test("a wrong configuration is refused with a sentence", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "config.json");
    for (
      const [text, sentence] of [
        ["{", "it is not JSON"],
        ["[]", '""'],
        ['{"brwoser":["x"]}', 'unknown setting "brwoser"'],
        ['{"modules":[{"path":"/x","pin":"1"}]}', 'unknown setting "modules.0.pin"'],
        ['{"modules":[{"path":"lib.so"}]}', '"modules.0.path": must be an absolute path'],
        ['{"keepLogin":-1}', '"keepLogin"'],
        ['{"consent":"none"}', '"consent"'],
        ['{"ports":[]}', '"ports"'],
        // another user's program may listen at [::1], where the service does not
        [
          '{"remote":[{"name":"Works","url":"http://localhost:7900/csc/v2"}]}',
          '"remote.0.url": must be as https',
        ],
        ['{"browser":"chromium"}', '"browser"'],
        [
          '{"allowedOrigins":[{"origin":"https://a.example/","scopes":["sign"]}]}',
          '"allowedOrigins.0.origin": must be an origin',
        ],
        ...[
          "https://a.example:443",
          "https://*.example",
          "https://ä.example",
          "https://u@a.example",
        ]
          .map((origin) => [
            JSON.stringify({ allowedOrigins: [{ origin, scopes: ["sign"] }] }),
            '"allowedOrigins.0.origin": must be an origin',
          ]),
        ['{"pkcs12":["~/keys"]}', '"pkcs12.0": must be an absolute path'],
        ['{"allowedOrigins":[{"origin":"*","scopes":["sign"]}]}', '"allowedOrigins.0.origin"'],
        ['{"allowedOrigins":[{"origin":"null","scopes":["sign"]}]}', '"allowedOrigins.0.origin"'],
      ]
    ) {
      await Deno.writeTextFile(path, text);
      await assert.rejects(readConfig(path), (error: Error) => {
        assert.ok(error.message.includes(`${path} is wrong: ${sentence}`), error.message);
        return true;
      });
    }
  }));

Deno.test("only its user can read the state folder", {
  ignore: Deno.build.os === "windows",
}, () =>
  inTempDir(async (dir) => {
    const state = join(dir, "a", "dsign");
    await makeStateFolder(state);
    await Deno.chmod(state, 0o777);
    await makeStateFolder(state);
    assert.equal((await Deno.stat(state)).mode! & 0o777, 0o700);
    await Deno.writeTextFile(join(dir, "file"), "");
    await assert.rejects(makeStateFolder(join(dir, "file", "dsign")), { code: "storage_failed" });
  }));

Deno.test("the language is the configured one, else the system's, else English", () => {
  assert.equal(languageOf({ language: "hi" }, env({ LANG: "bn_IN.UTF-8" })), "hi");
  assert.equal(languageOf({}, env({ LANG: "bn_IN.UTF-8" })), "bn");
  assert.equal(languageOf({}, env({ LC_ALL: "C", LANG: "bn_IN.UTF-8" })), "en");
});

Deno.test({
  name: "a configuration that every user of the computer can change is refused",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inTempDir(async (dir) => {
      const path = join(dir, "config.json");
      await Deno.writeTextFile(path, "{}");
      await Deno.chmod(path, 0o664);
      await readConfig(path);
      await Deno.chmod(path, 0o666);
      await assert.rejects(readConfig(path), { code: "invalid_params", message: /Every user/ });
      await Deno.chmod(path, 0o600);
      await Deno.chmod(dir, 0o777);
      await assert.rejects(readConfig(path), { code: "invalid_params" });
    }),
});
