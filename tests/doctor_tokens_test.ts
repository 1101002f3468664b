/** `dsign doctor` with real modules: right where they work, and where the service behind them does not run. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Check } from "../cli/doctor/words.ts";
import { cardReader } from "./fakes/card_reader.ts";
import { p11KitServer, tpm2 } from "./fakes/pkcs11_modules.ts";
import {
  findModule,
  HOST_COMMAND,
  makeKeys,
  opencryptoki,
  type TestKey,
  type TestToken,
} from "./fakes/pkcs11_tokens.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";

const isRoot = Deno.uid() === 0;
const optional = isRoot ? "" : " (optional: needs root)";

/** Runs a program where no service of the system is reached. */
const WITHOUT_SERVICES = ["unshare", "--mount", "sh", "-c"];
const SERVICELESS = [...WITHOUT_SERVICES, 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"];

/** What the doctor says of drivers, tokens and their certificates, but for what is well. */
async function examined(
  dir: string,
  { modulePath, env }: Pick<TestToken, "modulePath" | "env">,
  wrapper: string[] = [],
): Promise<Check[]> {
  await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
  const config = { searchModules: false, modules: [{ path: modulePath }], ports: [0] };
  await Deno.writeTextFile(join(dir, "config/dsign/config.json"), JSON.stringify(config));
  // Whoever runs the tests may be far away.
  const desk = environment(dir, { ...env, HOME: dir, SSH_CONNECTION: "" });
  const { stdout } = await dsign(["doctor", "--json"], desk, wrapper);
  return (JSON.parse(stdout).checks as Check[]).filter(({ id, status }) =>
    /^(driver|token|pin|certificate)_/.test(id) && status !== "ok" && status !== "skipped"
  );
}

const idsOf = (checks: readonly Check[]) => checks.map(({ id }) => id);

function assertStopped(checks: readonly Check[], service: string): void {
  assert.deepEqual(idsOf(checks), ["driver_service_missing"]);
  assert.match(checks[0].seen, new RegExp(`^The service ${service}, `));
  assert.match(checks[0].action, /systemctl/);
}

const MODULES: {
  name: string;
  keys: string[];
  ignore?: boolean;
  make(dir: string, keys: TestKey[]): Promise<TestToken>;
  /** Where its service has ended. */
  stopped(dir: string, token: TestToken): Promise<void>;
}[] = [
  {
    name: `openCryptoki, and its daemon${optional}`,
    keys: ["rsa2048"],
    ignore: !isRoot,
    make: opencryptoki,
    stopped: async (dir, token) =>
      assertStopped(await examined(dir, token, SERVICELESS), "pkcsslotd"),
  },
  {
    name: "tpm2-pkcs11, and its TPM",
    keys: [],
    make: tpm2,
    async stopped(dir, token) {
      const [check, ...more] = await examined(dir, token);
      assert.deepEqual([check.id, more], ["driver_broken", []]);
      assert.match(check.action, /If its token is a USB token or a card/);
    },
  },
  {
    name: "p11-kit's client, and its server",
    keys: ["p256"],
    make: p11KitServer,
    stopped: async (dir, token) => assertStopped(await examined(dir, token), "p11-kit server"),
  },
];

for (const { name, keys, ignore, make, stopped } of MODULES) {
  Deno.test({
    name: `doctor is right for ${name}`,
    ignore,
    fn: () =>
      inTempDir(async (dir) => {
        const token = await make(dir, await makeKeys(dir, keys));
        const wrapper = token.command.slice(0, token.command.length - HOST_COMMAND.length);
        try {
          assert.deepEqual(await examined(dir, token, wrapper), []);
        } finally {
          await token.close();
        }
        await stopped(dir, token);
      }),
  });
}

Deno.test({
  name: `doctor is right for a card, two readers, and pcscd${optional}`,
  ignore: !isRoot,
  fn: () =>
    inTempDir(async (dir) => {
      const folders = ["one", "other"].map((name) => join(dir, name));
      for (const folder of folders) Deno.mkdirSync(folder);
      const [[key], [other]] = await Promise.all(folders.map((each) => makeKeys(each, ["p256"])));
      const modulePath = findModule(["opensc-pkcs11.so"], "opensc-pkcs11");
      const reader = await cardReader(dir);
      const look = () => examined(dir, { modulePath, env: {} }, reader.wrapper);
      /** Until the readers have noticed a card. */
      const seen = async () => {
        for (let tries = 60;; tries--) {
          const checks = await look();
          if (!idsOf(checks).includes("token_missing") || tries === 0) return checks;
        }
      };
      const both = async () => {
        for (let tries = 60; tries > 0; tries--) {
          const desk = environment(dir, { HOME: dir });
          const { stdout } = await dsign(["tokens", "--json"], desk, reader.wrapper);
          if (JSON.parse(stdout).tokens.length === 2) return;
        }
        assert.fail("the second card is not seen");
      };
      try {
        assert.deepEqual(idsOf(await look()), ["token_missing"]);
        reader.insert(key);
        assert.deepEqual(await seen(), []);
        reader.insert(other, { reader: 1 });
        await both();
        assert.deepEqual(await look(), []);
      } finally {
        await reader.close();
      }
      assertStopped(await examined(dir, { modulePath, env: {} }, SERVICELESS), "pcscd");
    }),
});
