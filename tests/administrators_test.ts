/** The administrator's guide is true. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Config } from "../settings/config.ts";
import { Policy, readPolicy } from "../settings/policy_file.ts";
import { TICKETS } from "../cli/doctor/tickets.ts";
import { environment } from "./fixtures/cli.ts";
import { blocks, commandLines, readDoc } from "./fixtures/docs.ts";
import { finish, inTempDir } from "./fixtures/openssl.ts";
import { MAIN } from "./fixtures/program.ts";
import { startTrial } from "../web/client/testing.ts";

const guide = await readDoc("docs/administrators.md");

Deno.test("the guide's policy and configuration are valid, and its tables list every setting", () => {
  const sections: [string, { shape: object; parse(value: unknown): unknown }][] = [
    ["Policy", Policy],
    ["Configuration of a person", Config],
  ];
  for (const [title, { shape, parse }] of sections) {
    const section = guide.text.split(`\n## ${title}\n`)[1]!.split("\n## ")[0]!;
    const [json] = blocks({ ...guide, text: section }, "json");
    parse(JSON.parse(json!));
    for (const setting of Object.keys(shape).filter((name) => name !== "$schema")) {
      assert.match(section, new RegExp(`^\\| .*\`${setting}\`.* \\|`, "m"), setting);
    }
  }
});

Deno.test("the commands that install the policy make one that is honoured", {
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
}, () =>
  inTempDir(async (dir) => {
    const script = commandLines(guide).filter((line) => line.startsWith("install "))
      .map((line) => line.replaceAll("/etc/dsign", `${dir}/etc`)).join(" && ");
    await Deno.writeTextFile(join(dir, "policy.json"), '{"otherOrigins":"refuse"}');
    const { success } = await new Deno.Command("sh", { args: ["-c", script], cwd: dir }).output();
    assert.ok(success);
    const { policy } = await readPolicy(join(dir, "etc/policy.json"));
    assert.equal(policy.otherOrigins, "refuse");
  }));

/** `dsign` with a policy of the administrator's own, in an /etc that no other program sees. */
async function dsignUnder(policy: string, dir: string): Promise<string[]> {
  await Deno.writeTextFile(join(dir, "policy.json"), policy);
  const script = `mount -t tmpfs tmpfs /mnt && cp -a /etc/. /mnt/ && mount --bind /mnt /etc &&
    mkdir -p /etc/dsign && install -m 644 "$0" /etc/dsign/policy.json && exec "$@"`;
  return [
    ...["unshare", "--mount", "sh", "-c", script, join(dir, "policy.json")],
    ...[Deno.execPath(), "run", "--no-prompt", "-A", MAIN],
  ];
}

async function underPolicy(policy: string, dir: string, ...args: string[]) {
  const [program, ...first] = await dsignUnder(policy, dir);
  return await finish(program!, { args: [...first, ...args], env: environment(dir) });
}

const canMount = Deno.build.os === "linux" && Deno.uid() === 0 &&
  await new Deno.Command("unshare", { args: ["--mount", "true"], stderr: "null" }).output()
    .then(({ success }) => success, () => false);

Deno.test({
  name:
    "the policy overrides the real program's settings, and one with a mistake stops the agent (optional: needs root and unshare)",
  ignore: !canMount,
  fn: () =>
    inTempDir(async (dir) => {
      const wrong = await underPolicy('{"otherOrigins":"never"}', dir, "agent", "--json");
      assert.equal(wrong.code, 2);
      assert.match(
        JSON.parse(wrong.stdout).error.message,
        /\/etc\/dsign\/policy\.json.*otherOrigins/,
      );
      const doctor = await underPolicy('{"otherOrigins":"never"}', dir, "doctor", "--json");
      const { checks } = JSON.parse(doctor.stdout);
      assert.equal(checks[0].id, TICKETS[0]);
      assert.equal(checks[0].status, "error");
      assert.match(checks[0].seen, /otherOrigins/);

      await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
      await Deno.writeTextFile(
        join(dir, "config/dsign/config.json"),
        '{"modules":[{"path":"/mine.so"}]}',
      );
      const policy = '{"searchModules":false,"modules":[{"path":"/theirs.so"}]}';
      const list = await underPolicy(policy, dir, "modules", "list", "--json");
      const { problems } = JSON.parse(list.stdout);
      assert.deepEqual(problems.map(({ driver }: { driver: string }) => driver), ["/theirs.so"]);
      const add = await underPolicy(policy, dir, "modules", "add", "/x.so");
      assert.match(add.stderr, /administrator's policy/);
    }),
});

Deno.test({
  name:
    "with the policy trial: off no trial agent starts, and its startTrial says why (optional: needs root and unshare)",
  ignore: !canMount,
  fn: () =>
    inTempDir(async (dir) => {
      const off = await underPolicy('{"trial":"off"}', dir, "trial", "--json");
      assert.notEqual(off.code, 0);
      assert.equal(JSON.parse(off.stdout).error.code, "scope_not_granted");
      const message = "The administrator of this computer does not allow trial agents.";
      const command = await dsignUnder('{"trial":"off"}', dir);
      await assert.rejects(startTrial({ command }), { message });
      const wrong = await underPolicy('{"trial":"no"}', dir, "trial", "--json");
      assert.match(
        JSON.parse(wrong.stdout).error.message,
        /policy\.json.*trial/,
        "nor by accident",
      );
      const trial = await startTrial({ command: await dsignUnder("{}", dir) });
      await trial.stop();
    }),
});
