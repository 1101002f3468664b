/** The real `dsign doctor` on machines that are broken in each of the ways it knows. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import deno from "../deno.json" with { type: "json" };
import { linuxPolicy } from "../cli/browser_policy.ts";
import { checkLoopback } from "../cli/doctor/agent.ts";
import { diagnose } from "../cli/doctor/diagnose.ts";
import { type Machine, thisMachine } from "../cli/doctor/machine.ts";
import { type Ticket, TICKETS } from "../cli/doctor/tickets.ts";
import type { Check } from "../cli/doctor/words.ts";
import { buildFaultDriver, type FaultDriver } from "./fakes/pkcs11_fault.ts";
import { HOST_COMMAND, softhsm } from "./fakes/pkcs11_tokens.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { foreignLibrary } from "./fixtures/libraries.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { finish, inTempDir, run } from "./fixtures/openssl.ts";
import { makePki, type Officer } from "./fixtures/pki.ts";
import { MAIN } from "./fixtures/program.ts";

const LINUX = Deno.build.os === "linux";

/** A person's computer in a folder. */
interface Desk {
  dir: string;
  driver: FaultDriver;
  env: Record<string, string>;
  path(name: string): string;
  configure(config: Record<string, unknown>): Promise<void>;
  /** `dsign doctor --json`, started by `wrapper`. */
  doctor(args?: string[], wrapper?: string[]): Promise<Report>;
}

interface Report {
  code: number;
  fixed?: Ticket[];
  checks: Check[];
  /** Statuses of a ticket. */
  of(id: Ticket): string[];
  /** The one finding of a ticket that is no `ok`. */
  trouble(id: Ticket): Check;
}

/** Keys take long to make: officers are made once. */
const officers = new Map<string, Officer>();
function officer(kind: "good" | "expired" | "not_yet_valid" | "encryption_only"): Officer {
  if (officers.size === 0) {
    const kinds = ["good", "expired", "not_yet_valid", "encryption_only"] as const;
    const pki = makePki({
      officers: kinds.map((kind) => ({ name: `Anita ${kind}`, kind, key: "p-256" })),
    });
    kinds.forEach((kind, i) => officers.set(kind, pki.officers[i]));
  }
  return officers.get(kind)!;
}

/** A desk with SoftHSM, and these officers' tokens (none: an empty slot), behind a driver that can misbehave. */
function atDesk(
  people: () => readonly Officer[],
  use: (desk: Desk) => Promise<void>,
): () => Promise<void> {
  return () =>
    inTempDir(async (dir) => {
      const path = (name: string) => join(dir, name);
      const tokens = people();
      const hsm = tokens.length > 0 ? await officerTokens(dir, tokens) : await emptySoftHsm(dir);
      const driver = await buildFaultDriver(dir, hsm);
      const env = environment(dir, { ...driver.env, HOME: dir });
      await Deno.mkdir(path("config/dsign"), { recursive: true });
      const configure = (config: Record<string, unknown>) =>
        Deno.writeTextFile(path("config/dsign/config.json"), JSON.stringify(config));
      await configure(driverAlone(driver));
      const doctor: Desk["doctor"] = async (args = [], wrapper = []) => {
        const command = [
          ...wrapper,
          Deno.execPath(),
          ...["run", "--no-prompt", "-A", MAIN, "doctor", "--json", ...args],
        ];
        const { code, stdout, stderr } = await new Deno.Command(command[0], {
          args: command.slice(1),
          env,
          stdin: "null",
        }).output();
        const text = new TextDecoder().decode(stdout);
        assert.notEqual(text, "", new TextDecoder().decode(stderr));
        return report(code, JSON.parse(text));
      };
      await use({ dir, driver, env, path, configure, doctor });
      assert.deepEqual(driver.logins(), [], "no PIN was tried");
    });
}

const driverAlone = ({ modulePath }: { modulePath: string }) => ({
  searchModules: false,
  modules: [{ path: modulePath }],
  ports: [0],
});

function report(code: number, { checks, fixed }: { checks: Check[]; fixed?: Ticket[] }): Report {
  // Every ticket is mentioned, and every problem is described in full.
  assert.deepEqual([...new Set(checks.map(({ id }) => id))], [...TICKETS]);
  for (const { id, status, seen, meaning, action } of checks) {
    assert.ok(seen.length > 0, id);
    assert.ok(!/\{\w+\}|undefined|null/.test(seen + meaning + action), `${id}: ${seen} ${action}`);
    const isProblem = status === "error" || status === "warning";
    assert.equal(meaning !== "" && action !== "", isProblem, id);
  }
  assert.equal(code, checks.some(({ status }) => status === "error") ? 1 : 0);
  return {
    code,
    checks,
    fixed,
    of: (id) => checks.filter((check) => check.id === id).map(({ status }) => status),
    trouble: (id) => {
      const [check] = checks.filter((check) => check.id === id && check.status !== "ok");
      assert.ok(check && check.status !== "skipped", `${id} is not found`);
      return check;
    },
  };
}

/** SoftHSM with nothing but the slot in which a token could be made. */
async function emptySoftHsm(dir: string) {
  const hsm = await softhsm(dir, []);
  await Deno.remove(join(dir, "softhsm"), { recursive: true });
  await Deno.mkdir(join(dir, "softhsm"));
  return hsm;
}

const good = () => [officer("good")];

Deno.test({
  name: "doctor finds nothing wrong on a healthy computer, before and after the agent starts",
  ignore: !LINUX,
  fn: atDesk(good, async ({ doctor, path }) => {
    const before = await doctor();
    assert.deepEqual(
      before.checks.filter(({ status }) => status === "error").map(({ id }) => id),
      ["agent_not_running"],
    );
    const fixed = await doctor(["--fix"]);
    const { pid } = JSON.parse(await Deno.readTextFile(path("state/dsign/agent.json")));
    try {
      assert.deepEqual(fixed.fixed, ["agent_not_running"]);
      assert.equal(fixed.code, 0);
      assert.deepEqual(fixed.of("agent_not_running"), ["ok"]);
      assert.deepEqual(fixed.of("agent_outdated"), ["ok"]);
      for (const { id, status } of fixed.checks) {
        assert.ok(status === "ok" || status === "skipped", `${id}: ${status}`);
      }
      const text = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-prompt", "-A", MAIN, "doctor", "--language", "hi"],
        env: { ...environment(path("")), HOME: path("") },
      }).output();
      assert.match(new TextDecoder().decode(text.stdout), /\p{Script=Devanagari}/u);
    } finally {
      Deno.kill(pid, "SIGTERM");
      const isThere = () => Deno.stat(path("state/dsign/agent.json")).then(() => true, () => false);
      for (let tries = 1200; await isThere(); tries--) {
        assert.ok(tries > 0, "the agent does not end");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }),
});

Deno.test({
  name: "doctor reports no driver, and a missing, foreign, broken or crashing one",
  ignore: !LINUX,
  fn: atDesk(good, async ({ dir, env, path, driver, configure, doctor }) => {
    await configure({ searchModules: false });
    const none = await doctor();
    assert.equal(none.trouble("driver_missing").status, "error");
    assert.deepEqual(none.of("token_missing"), ["skipped"]);

    await configure({ searchModules: false, modules: [{ path: "/nowhere/libtoken.so" }] });
    assert.match((await doctor()).trouble("driver_path_wrong").seen, /\/nowhere\/libtoken\.so/);

    const old = await foreignLibrary(dir, "32-bit");
    await configure({ searchModules: false, modules: [{ path: old }] });
    const wrong = (await doctor()).trouble("driver_wrong_architecture");
    assert.equal(wrong.status, "error");
    assert.match(wrong.seen, /x86 \(32-bit\)/);
    assert.ok(wrong.action.includes(Deno.build.arch));

    await Deno.writeTextFile(path("text.so"), "no library");
    await configure({ searchModules: false, modules: [{ path: path("text.so") }] });
    assert.equal((await doctor()).trouble("driver_broken").status, "error");

    await configure(driverAlone(driver));
    driver.set("crash C_GetSlotList");
    assert.match((await doctor()).trouble("driver_broken").seen, /crashed/);

    // A driver that leaves a daemon behind, which holds its pipes.
    driver.set("fork");
    assert.deepEqual((await doctor()).of("driver_broken"), ["ok"]);
    assert.equal((await dsign(["tokens"], env)).code, 0);

    // One that reaches tokens through a service that does not run: `dsign tokens` says the same.
    const card = path("card.so");
    const library = await Deno.readFile(driver.modulePath);
    await Deno.writeFile(
      card,
      new Uint8Array([...library, ...new TextEncoder().encode("libpcsclite.so.1")]),
    );
    env.PCSCLITE_CSOCK_NAME = path("pcscd.comm");
    await configure({ searchModules: false, modules: [{ path: card }] });
    driver.set("removed");
    const service = await doctor();
    assert.match(service.trouble("driver_service_missing").seen, /The service pcscd/);
    assert.equal(service.trouble("driver_service_missing").status, "error");
    const told = await dsign(["tokens"], env);
    assert.equal(told.code, 4);
    assert.match(told.stderr, /The service pcscd, .*, is not running/);
    driver.set("rv C_GetSlotList 5");
    assert.deepEqual((await doctor()).of("driver_broken"), ["ok"]);
    await Deno.writeTextFile(env.PCSCLITE_CSOCK_NAME, "");
    assert.deepEqual((await doctor()).of("driver_service_missing"), ["ok"]);

    // Beside a token that works the same troubles are for notice.
    driver.set();
    const modules = [{ path: driver.modulePath }, { path: old }, { path: "/nowhere/lib.so" }];
    await configure({ searchModules: false, modules });
    const beside = await doctor();
    assert.equal(beside.trouble("driver_wrong_architecture").status, "warning");
    assert.equal(beside.trouble("driver_path_wrong").status, "warning");
    assert.deepEqual(beside.of("token_missing"), ["ok"]);
  }),
});

Deno.test({
  name:
    "doctor reports no token, and a PIN that is locked, at its last or few tries, or the factory's",
  ignore: !LINUX,
  fn: atDesk(good, async ({ driver, env, doctor }) => {
    driver.set("removed");
    assert.equal((await doctor()).trouble("token_missing").status, "error");
    env.XRDP_SESSION = "1";
    assert.match((await doctor()).trouble("token_not_forwarded").seen, /\(xrdp\)/);
    driver.set();
    assert.deepEqual((await doctor()).of("token_not_forwarded"), ["ok"]);
    delete env.XRDP_SESSION;
    const flags: [string, Ticket, string][] = [
      ["flags 40000", "pin_locked", "error"],
      ["flags 20000", "pin_last_try", "warning"],
      ["flags 10000", "pin_few_tries", "warning"],
      ["flags 80000", "pin_default", "warning"],
    ];
    for (const [fault, id, status] of flags) {
      driver.set(fault);
      const check = (await doctor()).trouble(id);
      assert.equal(check.status, status, id);
      assert.match(check.seen, /Anita good/);
    }
  }),
});

Deno.test({
  name: "doctor reports an empty token, and one without a PIN or certificate",
  ignore: !LINUX,
  fn: atDesk(() => [], async ({ driver, env, doctor }) => {
    assert.equal((await doctor()).trouble("token_not_initialised").status, "error");
    const init = ["--init-token", "--label", "fresh", "--so-pin", "87654321", "--slot-index", "0"];
    const real = env.PKCS11_FAULT_REAL;
    await run("pkcs11-tool", "opensc", ["--module", real, ...init], { env: driver.env });
    const fresh = await doctor();
    assert.match(fresh.trouble("pin_not_set").seen, /fresh/);
    assert.match(fresh.trouble("certificate_missing").seen, /fresh/);
    assert.deepEqual(fresh.of("certificate_expired"), ["skipped"]);
  }),
});

for (
  const [kind, id] of [
    ["expired", "certificate_expired"],
    ["not_yet_valid", "certificate_not_yet_valid"],
    ["encryption_only", "certificate_encryption_only"],
  ] as const
) {
  Deno.test({
    name: `doctor: ${id}`,
    ignore: !LINUX,
    fn: atDesk(() => [officer(kind)], async ({ doctor }) => {
      const check = (await doctor()).trouble(id);
      assert.equal(check.status, "error");
      assert.match(check.seen, new RegExp(`Anita ${kind}`));
    }),
  });
}

Deno.test({
  name: "doctor reports a missing issuer's certificate",
  ignore: !LINUX,
  fn: atDesk(
    () => [{ ...officer("good"), chain: officer("good").chain.slice(1) }],
    async ({ doctor }) => {
      const check = (await doctor()).trouble("chain_incomplete");
      assert.equal(check.status, "warning");
      assert.match(check.seen, /Sub-CA/);
    },
  ),
});

Deno.test({
  name:
    "doctor reports a wrong configuration, a slow clock, a taken port, another running version and an outdated autostart entry",
  ignore: !LINUX,
  fn: atDesk(good, async ({ path, driver, configure, doctor }) => {
    await Deno.writeTextFile(path("config/dsign/config.json"), '{"prots":[1]}');
    const wrong = (await doctor()).trouble("configuration_wrong");
    assert.match(wrong.seen, /prots/);
    assert.ok(wrong.action.includes(path("config/dsign/config.json")));

    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    await configure({ ...driverAlone(driver), ports: [port] });
    const taken = await doctor();
    listener.close();
    assert.match(taken.trouble("port_taken").seen, new RegExp(`${port}`));
    assert.deepEqual((await doctor()).of("port_taken"), ["ok"]);

    await Deno.mkdir(path("state/dsign"), { recursive: true });
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => Response.json({ name: "dsign", version: "0.0.1", protocol: 2 }),
    );
    const running = JSON.stringify({ port: server.addr.port, pid: Deno.pid });
    await Deno.writeTextFile(path("state/dsign/agent.json"), running);
    const outdated = await doctor();
    assert.match(outdated.trouble("agent_outdated").seen, /0\.0\.1/);
    assert.deepEqual(outdated.of("agent_not_running"), ["ok"]);

    const future = new Date(Date.now() + 48 * 3600 * 1000);
    await Deno.utime(path("state/dsign/agent.json"), future, future);
    const late = (await doctor()).trouble("clock_wrong");
    assert.match(late.seen, /agent\.json/);
    await Deno.remove(path("state/dsign/agent.json"));

    await Deno.mkdir(path("config/autostart"));
    const entry = path("config/autostart/dsign.desktop");
    await Deno.writeTextFile(entry, "[Desktop Entry]\nExec=/old/dsign agent\n");
    assert.ok((await doctor()).trouble("autostart_elsewhere").seen.includes(entry));
    // The port is taken, so that --fix starts no agent here.
    const blocker = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await configure({ ...driverAlone(driver), ports: [(blocker.addr as Deno.NetAddr).port] });
    const fixed = await doctor(["--fix"]);
    blocker.close();
    assert.deepEqual(fixed.fixed, ["autostart_elsewhere"]);
    assert.deepEqual(fixed.of("autostart_elsewhere"), ["ok"]);
  }),
});

Deno.test({
  name: "doctor reports a proxy, a browser without the policy, and denied sites",
  ignore: !LINUX,
  fn: atDesk(good, async ({ path, env, driver, configure, doctor }) => {
    env.http_proxy = "http://user:hunter2@proxy.example:3128";
    const proxied = (await doctor()).trouble("proxy_in_the_way");
    assert.match(proxied.seen, /proxy\.example:3128/);
    assert.ok(!proxied.seen.includes("hunter2"));
    env.no_proxy = "127.0.0.1";
    assert.deepEqual((await doctor()).of("proxy_in_the_way"), ["ok"]);

    await Deno.mkdir(path("config/chromium/Default"), { recursive: true });
    const portal = { origin: "https://portal.example", scopes: ["sign"] };
    await configure({ ...driverAlone(driver), allowedOrigins: [portal] });
    assert.match((await doctor()).trouble("browser_policy_missing").seen, /portal\.example/);

    const exceptions = { loopback_network: { "https://portal.example:443,*": { setting: 2 } } };
    await Deno.writeTextFile(
      path("config/chromium/Default/Preferences"),
      JSON.stringify({ profile: { content_settings: { exceptions } } }),
    );
    const firefox = path(".mozilla/firefox/x.default");
    await Deno.mkdir(firefox, { recursive: true });
    await Deno.writeTextFile(join(firefox, "prefs.js"), "");
    const database = new DatabaseSync(join(firefox, "permissions.sqlite"));
    database.exec(
      "CREATE TABLE moz_perms (id INTEGER PRIMARY KEY, origin TEXT, type TEXT, permission INTEGER);" +
        "INSERT INTO moz_perms (origin, type, permission) VALUES " +
        "('https://fox.example', 'loopback-network', 2), ('https://ok.example', 'localhost', 1)",
    );
    database.close();
    const denied = (await doctor()).checks
      .filter(({ id }) => id === "local_network_access_denied").map(({ seen }) => seen);
    assert.equal(denied.length, 2);
    assert.match(denied[0], /Chromium.*portal\.example/);
    assert.match(denied[1], /Firefox.*fox\.example/);
  }),
});

Deno.test({
  name: "doctor reports a browser that does not trust the certificate for wss",
  ignore: !LINUX,
  fn: atDesk(good, async ({ env, doctor }) => {
    const trust = async (verb: string) => {
      const { code, stderr } = await dsign(["trust", verb, "--personal"], env);
      assert.equal(code, 0, stderr);
    };
    assert.deepEqual((await doctor()).of("local_certificate_untrusted"), ["skipped"]);
    await trust("install");
    assert.deepEqual((await doctor()).of("local_certificate_untrusted"), ["ok"]);
    await trust("uninstall");
    const check = (await doctor()).trouble("local_certificate_untrusted");
    assert.match(check.seen, /Chromium.*nssdb/);
  }),
});

/** Root is asked for no permission by the file system; without these capabilities it is. */
const AS_ANYBODY = Deno.uid() === 0
  ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
  : [];

Deno.test({
  name: "doctor reports a profile that cannot be written, and --fix corrects it",
  ignore: !LINUX,
  fn: atDesk(good, async ({ path, driver, env, configure, doctor }) => {
    await Deno.mkdir(path("state/dsign"), { recursive: true });
    await Deno.chmod(path("state/dsign"), 0o500);
    const check = (await doctor([], AS_ANYBODY)).trouble("profile_not_writable");
    assert.ok(check.seen.includes(path("state/dsign")));
    assert.ok(check.action.includes(`sudo chown -R "$USER" '${path("state/dsign")}'`));

    // A home that is not there: what it would be made in is not the person's.
    env.XDG_STATE_HOME = path("everybody's/home/state");
    await Deno.mkdir(path("everybody's"), { mode: 0o500 });
    const { action } = (await doctor([], AS_ANYBODY)).trouble("profile_not_writable");
    assert.ok(!action.includes("chown"), action);
    const line = /sudo (install .*?state\/dsign')/.exec(action)![1];
    env.XDG_STATE_HOME = path("state");
    await run("sh", "dash", ["-c", line.replace('"$USER"', String(Deno.uid()))]);
    assert.ok((await Deno.stat(path("everybody's/home/state/dsign"))).isDirectory);
    const blocker = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    await configure({ ...driverAlone(driver), ports: [(blocker.addr as Deno.NetAddr).port] });
    const fixed = await doctor(["--fix"], AS_ANYBODY);
    blocker.close();
    assert.deepEqual(fixed.fixed, ["profile_not_writable"]);
    assert.deepEqual(fixed.of("profile_not_writable"), ["ok"]);
    assert.equal((await Deno.stat(path("state/dsign"))).mode! & 0o777, 0o700);
  }),
});

/** Whether new namespaces can be made: as root, or if users may make their own. */
async function canUnshare(...flags: string[]): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("unshare", {
      args: [...AS_USER, ...flags, "true"],
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}
const AS_USER = Deno.uid() === 0 ? [] : ["--map-root-user"];

Deno.test({
  name: "doctor reports a full disk (optional: needs unshare --mount)",
  ignore: !LINUX || !await canUnshare("--mount"),
  fn: atDesk(good, async ({ path, doctor }) => {
    await Deno.mkdir(path("state/dsign"), { recursive: true });
    const script = `mount -t tmpfs -o size=256k tmpfs "$0" || exit 99
      dd if=/dev/zero of="$0/full" bs=4k 2>/dev/null
      exec "$@"`;
    const full = ["unshare", ...AS_USER, "--mount", "sh", "-c", script, path("state/dsign")];
    const check = (await doctor([], full)).trouble("disk_full");
    assert.equal(check.status, "error");
    assert.ok(check.seen.includes(path("state/dsign")));
  }),
});

Deno.test({
  name:
    "doctor reports an unreachable loopback address, and the agent too that it has none but IPv6 (optional: needs unshare --net)",
  ignore: !LINUX || !await canUnshare("--net"),
  fn: atDesk(good, async ({ env, doctor }) => {
    // A new network namespace has a loopback device that is down.
    const alone = ["unshare", ...AS_USER, "--net"];
    const down = (await doctor([], alone)).trouble("loopback_blocked");
    assert.equal(down.status, "error");
    const ipv6 = 'ip link set lo up && ip address del 127.0.0.1/8 dev lo && exec "$@"';
    alone.push("sh", "-c", ipv6, "sh");
    const check = (await doctor([], alone)).trouble("loopback_missing");
    assert.equal(check.status, "error");
    const { code, stderr } = await finish(alone[0], {
      args: [...alone.slice(1), Deno.execPath(), "run", "-A", MAIN, "agent"],
      env,
    });
    assert.equal(code, 1);
    assert.match(stderr, /This computer has no address 127\.0\.0\.1/);
  }),
});

Deno.test("doctor reports another program that answers in the agent's place", async () => {
  const [check] = await checkLoopback(() => Promise.resolve({ status: 403, text: "blocked" }));
  assert.equal(check.status, "error");
  assert.match(`${check.values!.error}`, /403/);
});

Deno.test({
  name:
    "doctor reports a policy that is malformed, writable by others or a stranger's, and browsers that do not follow it",
  ignore: !LINUX,
  fn: () =>
    inTempDir(async (dir) => {
      const env: Record<string, string> = { HOME: dir, XDG_CONFIG_HOME: join(dir, "config") };
      const machine: Machine = {
        ...thisMachine({
          version: deno.version,
          hostCommand: HOST_COMMAND,
          storeHostCommand: [],
          readerCommand: [],
          selfCommand: ["/x"],
        }),
        env: (name) => env[name],
        root: dir,
        administrator: Deno.uid()!,
      };
      const policy = join(dir, "etc/dsign/policy.json");
      await Deno.mkdir(dirname(policy), { recursive: true });
      await Deno.chmod(dirname(policy), 0o755);
      const status = async (id: Ticket, changed: Partial<Machine> = {}) =>
        (await diagnose({ ...machine, ...changed })).find((each) => each.id === id)!;
      await Deno.writeTextFile(policy, "{", { mode: 0o644 });
      assert.equal((await status("policy_refused")).status, "error");
      const portal = { origin: "https://portal.example", scopes: ["sign"] };
      await Deno.writeTextFile(
        policy,
        JSON.stringify({ searchModules: false, modules: [], allowedOrigins: [portal] }),
      );
      assert.equal((await status("policy_refused")).status, "ok");
      const stranger = await status("policy_refused", { administrator: Deno.uid()! + 1 });
      assert.equal(stranger.status, "warning");

      await Deno.mkdir(join(dir, "config/chromium/Default"), { recursive: true });
      assert.equal((await status("browser_policy_missing")).status, "warning");
      await Deno.mkdir(join(dir, ".mozilla/firefox/x.default"), { recursive: true });
      await Deno.writeTextFile(join(dir, ".mozilla/firefox/x.default/prefs.js"), "");
      for (const browser of ["chromium", "firefox"] as const) {
        const written = linuxPolicy(browser, ["https://portal.example"], null);
        await Deno.mkdir(dirname(dir + written.path), { recursive: true });
        assert.equal((await status("browser_policy_missing")).status, "warning");
        await Deno.writeTextFile(dir + written.path, written.text!);
      }
      assert.equal((await status("browser_policy_missing")).status, "ok");

      // Browsers of Flatpak do not read those policies.
      assert.equal((await status("browser_sandboxed")).status, "ok");
      const flatpak = join(dir, ".var/app/org.chromium.Chromium/config/chromium/Default");
      await Deno.mkdir(flatpak, { recursive: true });
      const sandboxed = await status("browser_sandboxed");
      assert.deepEqual([sandboxed.status, sandboxed.values], ["warning", { browser: "Chromium" }]);

      await Deno.chmod(policy, 0o666);
      const writable = await status("policy_refused");
      assert.equal(writable.status, "error");
      assert.match(
        `${writable.values!.error}`,
        /Others than the administrator can change the policy/,
      );

      // The clock is behind this very program.
      const clock = await status("clock_wrong", { now: () => new Date(0) });
      assert.equal(clock.status, "error");
    }),
});
