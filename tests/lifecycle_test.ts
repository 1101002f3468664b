/** A working day of the real agent: two users, a second start, a lid that closes, a token that comes and goes. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writePinentry } from "./fakes/pinentry.ts";
import { freePort } from "./fixtures/free_port.ts";
import { buildFaultDriver } from "./fakes/pkcs11_fault.ts";
import { PIN } from "./fakes/pkcs11_tokens.ts";
import { TestClient } from "./fixtures/agent.ts";
import { dsign, environment, startDsign } from "./fixtures/cli.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { makePki } from "./fixtures/pki.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LINUX = Deno.build.os === "linux";
const PORTAL = "https://portal.example";

interface Agent {
  port: number;
  kill(signal: Deno.Signal): void;
  /** Sends the signal, and waits for the end. */
  end(signal?: Deno.Signal): Promise<void>;
}

/** An agent that was started with `--json`, once it listens. */
async function listening(child: Deno.ChildProcess): Promise<Agent> {
  const reader = child.stdout.getReader();
  const end: Agent["end"] = async (signal = "SIGTERM") => {
    child.kill(signal);
    await reader.cancel();
    await child.status;
  };
  const { value } = await reader.read();
  assert.ok(value, "the agent ended");
  const { port } = JSON.parse(new TextDecoder().decode(value));
  return { port, end, kill: (signal) => child.kill(signal) };
}

Deno.test({
  name:
    "pages are told when a token is removed and reinserted, and it signs again, also after the lid was closed",
  ignore: !LINUX,
  fn: () =>
    inTempDir(async (dir) => {
      const { officers } = makePki({ officers: [{ name: "Anita", key: "p-256" }] });
      const driver = await buildFaultDriver(dir, await officerTokens(dir, officers));
      const env = environment(dir, { ...driver.env });
      const path = (name: string) => join(dir, name);
      await Deno.mkdir(path("config/dsign"), { recursive: true });
      await writePinentry(path("pinentry"), PIN);
      await Deno.writeTextFile(
        path("config/dsign/config.json"),
        JSON.stringify({
          searchModules: false,
          modules: [{ path: driver.modulePath }],
          consent: "pinentry",
          pinentry: [path("pinentry")],
          allowedOrigins: [{ origin: PORTAL, scopes: ["certificates", "sign"] }],
        }),
      );
      const start = () => listening(startDsign(["agent", "--port", "0", "--json"], env));
      const agent = await start();
      try {
        const client = await TestClient.connect(agent.port, PORTAL);
        const tokens = async () =>
          (await client.call("token.list", {})).tokens
            .filter(({ state }) => state !== "empty").map(({ label }) => label);
        const sign = () => client.call("sign.data", { content: { text: "Bill 7" } });
        const changed = () => client.take((frame) => frame.method === "token.changed");
        assert.ok((await sign()).signature.length > 0);

        driver.set("removed");
        await changed();
        assert.deepEqual(await tokens(), []);
        await assert.rejects(sign(), { code: "token_not_present" });
        driver.set();
        await changed();
        assert.deepEqual(await tokens(), ["Anita"]);
        assert.ok((await sign()).signature.length > 0);

        // A computer that goes to sleep stops its programs in the middle of any work.
        const listing = tokens();
        agent.kill("SIGSTOP");
        await new Promise((resolve) => setTimeout(resolve, 1500));
        agent.kill("SIGCONT");
        assert.deepEqual(await listing, ["Anita"]);
        assert.ok((await sign()).signature.length > 0);
        assert.equal(driver.logins().length, 3, "one login a signature");
        client.socket.close();
        await client.closed;

        // Started again, by a double-click or by hand, it finds the one that runs.
        const second = await dsign(["agent", "--json"], env);
        assert.equal(JSON.parse(second.stdout).error.code, "busy");
      } finally {
        await agent.end();
      }
      // One that was killed leaves nothing that keeps the next from starting.
      await (await start()).end("SIGKILL");
      await (await start()).end();
    }),
});

Deno.test({
  name:
    "two users of one computer each have their own agent, port and folder (optional: needs root and setpriv)",
  ignore: !LINUX || Deno.uid() !== 0,
  fn: () =>
    inTempDir(async (dir) => {
      // The other user can read neither this user's Deno nor its cache.
      await Deno.chmod(dir, 0o755);
      const runtime = join(dir, "deno");
      await Deno.link(Deno.execPath(), runtime).catch(() =>
        Deno.copyFile(Deno.execPath(), runtime)
      );
      const main = join(dir, "main.mjs");
      const bundled = await new Deno.Command(Deno.execPath(), {
        args: ["bundle", "--quiet", "--platform", "deno", "-o", main, "main.ts"],
        cwd: ROOT,
        stdout: "null",
      }).output();
      assert.ok(bundled.success, new TextDecoder().decode(bundled.stderr));
      const ports = [freePort(), freePort()];
      const home = async (name: string, uid: number) => {
        const folder = join(dir, name);
        await Deno.mkdir(join(folder, "config/dsign"), { recursive: true });
        await Deno.writeTextFile(
          join(folder, "config/dsign/config.json"),
          JSON.stringify({ searchModules: false, ports, consent: "terminal" }),
        );
        for (const each of ["", "config", "config/dsign", "config/dsign/config.json"]) {
          await Deno.chown(join(folder, each), uid, uid);
        }
        return { ...environment(folder), HOME: folder, DENO_DIR: join(folder, "deno") };
      };
      const asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
      const sealed = ["--no-config", "--no-lock", "--no-npm", "--no-remote", "--no-prompt", "-A"];
      const start = (prefix: string[], env: Record<string, string>, ...args: string[]) => {
        const [program, ...rest] = [...prefix, runtime, "run", ...sealed, main, ...args];
        return new Deno.Command(program, {
          args: rest,
          env,
          cwd: "/",
          stdin: "null",
          stdout: "piped",
          stderr: "inherit",
        }).spawn();
      };
      const [mine, theirs] = [await home("mine", 0), await home("theirs", 65534)];
      const first = await listening(start([], mine, "agent", "--json"));
      let second: Agent | undefined;
      try {
        assert.equal(first.port, ports[0]);
        second = await listening(start(asNobody, theirs, "agent", "--json"));
        assert.equal(second.port, ports[1], "the next port is taken");
        const asked = async (port: number) => {
          const script = `exec 3<>/dev/tcp/127.0.0.1/${port}
            printf 'GET /status HTTP/1.1\\r\\nHost: 127.0.0.1:${port}\\r\\nConnection: close\\r\\n\\r\\n' >&3
            head -c 12 <&3`;
          const { stdout } = await new Deno.Command(asNobody[0], {
            args: [...asNobody.slice(1), "bash", "-c", script],
          }).output();
          return new TextDecoder().decode(stdout);
        };
        assert.equal(await asked(ports[0]), "", "the other's agent is not theirs");
        assert.equal(await asked(ports[1]), "HTTP/1.1 200");
        // The other user's second start finds his own agent, not the first that listens.
        const again = await start(asNobody, theirs, "agent", "--json").output();
        const { error } = JSON.parse(new TextDecoder().decode(again.stdout));
        assert.match(error.message, new RegExp(`port ${ports[1]}`));
        const health = await start(asNobody, theirs, "doctor", "--json").output();
        const { checks } = JSON.parse(new TextDecoder().decode(health.stdout));
        const status = (id: string) => checks.find((each: { id: string }) => each.id === id).status;
        assert.deepEqual([status("agent_not_running"), status("port_taken")], ["ok", "ok"]);
      } finally {
        await second?.end();
        await first.end();
      }
    }),
});
