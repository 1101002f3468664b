import assert from "node:assert/strict";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Config } from "./config.ts";
import { policyPath, policySchemaText, readPolicy, underPolicy } from "./policy_file.ts";

const PORTAL = { origin: "https://portal.example", scopes: ["certificates", "sign"] };
const EXAMPLE = {
  $schema: "policy.schema.json",
  allowedOrigins: [PORTAL],
  otherOrigins: "refuse",
  legacyOrigins: ["https://old.example"],
  modules: [{ name: "Token", path: "/opt/token/libtoken.so" }],
  searchModules: false,
  windowsStore: "off",
  windowsPin: "windows",
  ports: [7791],
  timestampAuthority: "http://tsa.example/",
  intranetServices: true,
  logLevel: "info",
  updateChannel: "none",
  updateSource: {
    manifest: "https://updates.example/{channel}.json",
    keys: ["A".repeat(43) + "="],
  },
};

/** Writes a policy of which this user is the administrator. */
const withPolicy = (
  text: string,
  use: (path: string, read: () => ReturnType<typeof readPolicy>) => Promise<void>,
) =>
  inTempDir(async (dir) => {
    const path = join(dir, "policy.json");
    await Deno.writeTextFile(path, text);
    await Deno.chmod(path, 0o644);
    await use(path, () => readPolicy(path, Deno.uid()!));
  });
const POSIX = { ignore: Deno.build.os === "windows" };

Deno.test("policy.schema.json is what the code says, and accepts what the code accepts", async () => {
  const committed = await Deno.readTextFile(new URL("policy.schema.json", import.meta.url));
  assert.ok(
    committed === policySchemaText(),
    "stale: run `deno run -A settings/policy_file.ts` and commit the result",
  );
  const validate = new Ajv2020({ validateFormats: false }).compile(JSON.parse(committed));
  assert.ok(validate(EXAMPLE), JSON.stringify(validate.errors));
  assert.ok(validate({}));
  for (
    const wrong of [{ port: 1 }, { otherOrigins: "maybe" }, { ports: [] }, { modules: [{}] }, []]
  ) assert.equal(validate(wrong), false, JSON.stringify(wrong));
});

Deno.test(
  "the policy wins over the configuration, setting by setting",
  POSIX,
  () =>
    withPolicy(JSON.stringify(EXAMPLE), async (_, read) => {
      const { policy, ignored } = await read();
      assert.equal(ignored, null);
      const config = Config.parse({
        ports: [1],
        searchModules: true,
        modules: [{ path: "/x.so" }],
        windowsStore: "all",
        language: "hi",
      });
      const settings = underPolicy(config, policy);
      assert.deepEqual(settings.ports, [7791]);
      assert.equal(settings.searchModules, false);
      assert.deepEqual(settings.modules, EXAMPLE.modules);
      assert.equal(settings.windowsStore, "off");
      assert.equal(settings.otherOrigins, "refuse");
      assert.equal(settings.language, "hi");
      assert.ok(!("$schema" in settings));
      assert.equal(underPolicy(config, {}).otherOrigins, "ask");
      assert.deepEqual(underPolicy(config, {}).ports, [1]);
      assert.equal(underPolicy(config, {}).windowsStore, "all");
      assert.equal(underPolicy(Config.parse({}), {}).windowsStore, "hardware");
    }),
);

Deno.test("no policy leaves everything to the person", async () => {
  assert.deepEqual(await readPolicy("/nowhere/policy.json"), { policy: {}, ignored: null });
});

Deno.test(
  "a policy that cannot be understood stops the program, and the sentence says where",
  POSIX,
  async () => {
    const cases: [string, RegExp][] = [
      ["{", /not JSON/],
      ["[]", /expected object/],
      ['{"port":1}', /unknown setting "port"/],
      ['{"ports":["a"]}', /"ports\.0"/],
      ['{"allowedOrigins":[{"origin":"https://A.example/","scopes":["sign"]}]}', /origin/],
      ['{"modules":[{"path":"lib.so"}]}', /absolute/],
      ['{"timestampAuthority":"file:///x"}', /timestampAuthority/],
    ];
    for (const [text, message] of cases) {
      await withPolicy(text, async (path, read) => {
        await assert.rejects(read(), { code: "invalid_params", message });
        await assert.rejects(read(), { message: new RegExp(path) });
      });
    }
  },
);

Deno.test(
  "a policy that others can change stops the program",
  POSIX,
  () =>
    withPolicy("{}", async (path, read) => {
      await read();
      await Deno.chmod(path, 0o646);
      await assert.rejects(read(), {
        code: "invalid_params",
        message: /Others than the administrator can change/,
      });
      await Deno.chmod(path, 0o644);
      await Deno.chmod(join(path, ".."), 0o777);
      await assert.rejects(read(), { code: "invalid_params" });
      await Deno.chmod(join(path, ".."), 0o700);
      await read();
    }),
);

Deno.test(
  "somebody else's file is no policy, and stops nothing",
  POSIX,
  () =>
    withPolicy('{"otherOrigins":"refuse","nonsense":1}', async (path) => {
      const { policy, ignored } = await readPolicy(path, Deno.uid()! + 1);
      assert.deepEqual(policy, {});
      assert.match(ignored!, /not an administrator's/);
    }),
);

Deno.test("the policy's place, on each system", () => {
  assert.equal(policyPath(() => undefined, "linux"), "/etc/dsign/policy.json");
  assert.equal(
    policyPath(() => undefined, "darwin"),
    "/Library/Application Support/dsign/policy.json",
  );
  const env = (name: string) => name === "ProgramData" ? "D:\\Data" : undefined;
  assert.equal(policyPath(env, "windows"), "D:\\Data\\dsign\\policy.json");
});
