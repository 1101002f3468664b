/** The real command against SoftHSM and key files; OpenSSL judges the results. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { writePinentry } from "./fakes/pinentry.ts";
import { pem } from "../formats/asn1/pem.ts";
import { writePkcs12 } from "../signers/pkcs12_write.ts";
import { PIN, type TestToken } from "./fakes/pkcs11_tokens.ts";
import { dsign, dsignAtTerminal, environment, startDsign, type Step } from "./fixtures/cli.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { inTempDir, openssl } from "./fixtures/openssl.ts";
import { makePki, type Officer, type Pki } from "./fixtures/pki.ts";

interface Desk {
  dir: string;
  path(name: string): string;
  pki: Pki;
  hsm: TestToken;
  env: Record<string, string>;
  /** Writes the configuration file. */
  configure(config: Record<string, unknown>): Promise<void>;
}

/** One officer with a token, a file to sign, the root certificate, and a configuration with that token alone. */
function atDesk(use: (desk: Desk) => Promise<void>, officer: { key?: "p-256" } = {}) {
  return () =>
    inTempDir(async (dir) => {
      const pki = makePki({ officers: [{ name: "Anita", ...officer }] });
      const hsm = await officerTokens(dir, pki.officers);
      const path = (name: string) => join(dir, name);
      await Deno.writeTextFile(path("bill.json"), '{"bill":7,"amount":"1200.00"}\n');
      await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", pki.root.certificate.der));
      await Deno.mkdir(path("config/dsign"), { recursive: true });
      const configure = (config: Record<string, unknown>) =>
        Deno.writeTextFile(path("config/dsign/config.json"), JSON.stringify(config));
      await configure({ searchModules: false, modules: [{ path: hsm.modulePath }] });
      await use({ dir, path, pki, hsm, env: environment(dir, hsm.env), configure });
    });
}

const typePin: Step = [/PIN to sign[^:]*: /, `${PIN}\r`];

/** Content that OpenSSL extracts from a signature, or verifies it against. */
function opensslVerify(path: Desk["path"], signature: string, content?: string) {
  const detached = content === undefined ? [] : ["-content", path(content)];
  const trust = ["-CAfile", path("root.pem"), "-purpose", "any"];
  return openssl([
    ...["cms", "-verify", "-binary", "-inform", "DER", "-in", path(signature)],
    ...detached,
    ...trust,
  ]);
}

/** No file but those that there were. */
async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir), ({ name }) => name)).sort();
}

Deno.test(
  "attached, detached and raw signatures are made and verified, with the PIN typed at the terminal",
  atDesk(async ({ path, pki, env }) => {
    const file = path("bill.json");
    const detached = await dsignAtTerminal(["sign", "--detached", "--json", file], env, [typePin]);
    assert.equal(detached.code, 0, detached.stderr);
    assert.match(detached.stderr, /bill\.json/);
    assert.ok(!detached.stderr.includes(PIN), "the PIN is not shown");
    assert.deepEqual(JSON.parse(detached.stdout), {
      signed: [{
        file,
        output: `${file}.p7s`,
        algorithm: "RS256",
        certificate: pki.officers[0].certificate.fingerprint,
      }],
    });
    await opensslVerify(path, "bill.json.p7s", "bill.json");

    // Nobody serves revocation lists here.
    const args = ["verify", `${file}.p7s`, "--json", "--revocation", "if-available"];
    const verified = async (...more: string[]) => {
      const { code, stdout } = await dsign([...args, ...more], env);
      const { ok, files: [{ signatures: [signature] }] } = JSON.parse(stdout);
      assert.equal(ok, code === 0);
      return signature;
    };
    const untrusting = await verified();
    assert.equal(untrusting.subIndication, "NO_CERTIFICATE_CHAIN_FOUND");
    assert.equal(untrusting.signer.commonName, "Anita");
    assert.equal(untrusting.signer.class, 3);
    assert.ok(Math.abs(Date.parse(untrusting.claimedTime) - Date.now()) < 300_000);
    assert.equal((await verified("--trust", path("root.pem"))).indication, "TOTAL-PASSED");
    await Deno.writeTextFile(
      path("stranger.pem"),
      pem("CERTIFICATE", makePki({ officers: [] }).root.certificate.der),
    );
    const stranger = await verified("--trust", path("stranger.pem"));
    assert.equal(stranger.indication, "INDETERMINATE");
    const other = path("other.json");
    await Deno.writeTextFile(other, "{}");
    assert.equal((await verified("--content", other)).subIndication, "HASH_FAILURE");
    // Roots in the trust folder are trusted without an option.
    const folder = `${env.XDG_CONFIG_HOME}/dsign/trust`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.copyFile(path("root.pem"), `${folder}/root.pem`);
    const spoken = await dsign(["verify", `${file}.p7s`], env);
    assert.equal(spoken.code, 1);
    assert.match(spoken.stdout, /CANNOT BE CONFIRMED \(INDETERMINATE, TRY_LATER\)[\s\S]*Anita/);
    const verify = ["verify", "--revocation", "if-available"];

    const attached = path("attached.p7m");
    const signed = await dsignAtTerminal(["sign", "--output", attached, file], env, [typePin]);
    assert.equal(signed.code, 0, signed.stderr);
    assert.deepEqual(await opensslVerify(path, "attached.p7m"), await Deno.readFile(file));
    assert.equal((await dsign([...verify, attached], env)).code, 0);

    const raw = await dsignAtTerminal(["sign", "--format", "raw", file], env, [typePin]);
    assert.equal(raw.code, 0, raw.stderr);
    await Deno.writeFile(path("key.der"), pki.officers[0].key.publicKey);
    await openssl([
      ...["dgst", "-sha256", "-verify", path("key.der"), "-keyform", "DER"],
      ...["-signature", `${file}.sig`, file],
    ]);
  }),
);

Deno.test(
  "sign takes several files with one PIN, each confirmed, and an EC key",
  atDesk(async ({ path, env }) => {
    await Deno.writeTextFile(path("two.txt"), "two");
    const files = [path("bill.json"), path("two.txt")];
    const { code, stderr } = await dsignAtTerminal(["sign", "--detached", ...files], env, [
      typePin,
      [/two\.txt[\s\S]*Sign\? \[y\/N\] /, "y\r"],
    ]);
    assert.equal(code, 0, stderr);
    await opensslVerify(path, "bill.json.p7s", "bill.json");
    await opensslVerify(path, "two.txt.p7s", "two.txt");
  }, { key: "p-256" }),
);

Deno.test(
  "sign asks again after a wrong PIN; a decline or a signal leaves nothing behind",
  atDesk(async ({ dir, path, env }) => {
    // Requests are in the log; other tests look at its content.
    const left = async () => (await namesIn(dir)).filter((name) => name !== "state");
    const before = await left();
    const file = path("bill.json");
    const declined = await dsignAtTerminal(["sign", "--json", file], env, [
      [/PIN to sign[^:]*: /, "00000000\r"],
      [/PIN to sign[^:]*: /, "\r"],
    ]);
    assert.equal(declined.code, 3, declined.stderr);
    assert.match(declined.stderr, /PIN is wrong/);
    assert.equal(JSON.parse(declined.stdout).error.code, "user_cancelled");
    assert.deepEqual(await left(), before);
    const interrupted = await dsignAtTerminal(["sign", file], env, [[/PIN to sign/, "\x03"]]);
    assert.equal(interrupted.code, 3);

    const ended = await dsignAtTerminal(["sign", file], env, [
      [/PIN to sign/, (pid) => Deno.kill(pid, "SIGTERM")],
    ]);
    assert.equal(ended.code, 143);
    assert.deepEqual(await left(), before);

    const nobody = await dsign(["sign", "--json", file], env);
    assert.equal(nobody.code, 3);
    assert.equal(JSON.parse(nobody.stdout).error.code, "consent_unavailable");
    assert.deepEqual(await left(), before);
  }),
);

Deno.test(
  "sign keeps an existing signature unless --force is given",
  atDesk(async ({ path, env }) => {
    const file = path("bill.json");
    await Deno.writeTextFile(`${file}.p7s`, "mine");
    const kept = await dsign(["sign", file], env);
    assert.equal(kept.code, 1);
    assert.match(kept.stderr, /--force/);
    assert.equal(await Deno.readTextFile(`${file}.p7s`), "mine");
    const forced = await dsignAtTerminal(["sign", "--force", file], env, [typePin]);
    assert.equal(forced.code, 0, forced.stderr);
    assert.deepEqual(await opensslVerify(path, "bill.json.p7s"), await Deno.readFile(file));
  }),
);

Deno.test("sign takes a key file as the token, and a token chosen by its URI", () =>
  inTempDir(async (dir) => {
    const { officers, root } = makePki({ officers: [{ name: "Anita" }, { name: "Bimal" }] });
    const path = (name: string) => join(dir, name);
    await Deno.writeTextFile(path("root.pem"), pem("CERTIFICATE", root.certificate.der));
    const write = async ({ name, pkcs8, certificate, chain }: Officer) => {
      const bytes = await writePkcs12({
        key: pkcs8,
        certificates: [certificate.der, ...chain],
        password: new TextEncoder().encode("geheim"),
        friendlyName: name,
      });
      await Deno.writeFile(path(`${name}.p12`), bytes);
    };
    for (const officer of officers) await write(officer);
    await Deno.mkdir(path("config/dsign"), { recursive: true });
    const config = JSON.stringify({ searchModules: false, pkcs12: [dir] });
    await Deno.writeTextFile(path("config/dsign/config.json"), config);
    await Deno.writeTextFile(path("a.txt"), "a");
    const env = environment(dir);
    const only = ["--token", "pkcs11:token=Bimal"];
    const signed = await dsignAtTerminal(["sign", "--json", ...only, path("a.txt")], env, [
      [/PIN to sign[^:]*: /, "geheim\r"],
    ]);
    assert.equal(signed.code, 0, signed.stderr);
    assert.equal(
      JSON.parse(signed.stdout).signed[0].certificate,
      officers[1].certificate.fingerprint,
    );
    const trust = ["--revocation", "if-available", "--trust", path("root.pem")];
    assert.equal((await dsign(["verify", path("a.txt.p7s"), ...trust], env)).code, 0);

    const none = await dsign([
      "sign",
      "--json",
      "--token",
      "pkcs11:token=X",
      path("a.txt"),
      "--force",
    ], env);
    assert.equal(none.code, 4);
    assert.equal(JSON.parse(none.stdout).error.code, "token_not_present");
  }));

Deno.test(
  "sign takes the PIN typed into the configured pinentry",
  atDesk(async ({ path, hsm, env, configure }) => {
    const program = path("pinentry");
    await writePinentry(program, PIN);
    const modules = [{ path: hsm.modulePath }];
    await configure({ searchModules: false, modules, pinentry: [program] });
    const file = path("bill.json");
    const args = ["sign", "--detached", "--consent", "pinentry", file];
    const { code, stderr } = await dsign(args, env);
    assert.equal(code, 0, stderr);
    await opensslVerify(path, "bill.json.p7s", "bill.json");
  }),
);

Deno.test(
  "tokens lists inserted tokens and driver problems",
  atDesk(async ({ path, pki, hsm, env, configure }) => {
    const good = await dsign(["tokens", "--json"], env);
    assert.equal(good.code, 0, good.stderr);
    const { tokens, certificates, problems } = JSON.parse(good.stdout);
    assert.ok(tokens.some(({ label }: { label: string }) => label === "Anita"));
    const [first, ...others] = certificates;
    assert.equal(first.id, pki.officers[0].certificate.fingerprint);
    assert.equal(first.usable, true);
    assert.ok(others.every(({ usable }: { usable: boolean }) => !usable));
    assert.deepEqual(problems, []);
    const spoken = await dsign(["tokens"], env);
    assert.match(spoken.stdout, /Anita — SoftHSM2[\s\S]*\+ Anita, class 3/);

    await Deno.writeTextFile(path("text.so"), "no library");
    const broken = [{ path: path("absent.so") }, { path: path("text.so"), name: "text" }];
    await configure({ searchModules: false, modules: broken });
    const bad = await dsign(["tokens", "--json"], env);
    assert.equal(bad.code, 4);
    const codes = JSON.parse(bad.stdout).problems.map(({ code }: { code: string }) => code).sort();
    assert.deepEqual(codes, ["driver_not_found", "driver_not_pkcs11"]);
    await configure({ searchModules: false, modules: [...broken, { path: hsm.modulePath }] });
    assert.equal((await dsign(["tokens"], env)).code, 0);
    await configure({ searchModules: false });
    const empty = await dsign(["tokens"], env);
    assert.equal(empty.code, 0);
    assert.match(empty.stdout, /No token was found.\n.*driver is not installed/);
    const sign = await dsign(["sign", "--json", path("bill.json")], env);
    assert.equal(sign.code, 4);
    assert.equal(JSON.parse(sign.stdout).error.code, "driver_not_found");
  }),
);

Deno.test("wrong usage ends with exit code 2 and says what to do", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    const file = join(dir, "a.txt");
    await Deno.writeTextFile(file, "a");
    const wrong: [string[], RegExp][] = [
      [["sing", file], /Unknown command/],
      [["sign"], /missing required argument/],
      [["sign", "--pin", "1234", file], /unknown option '--pin'/],
      [["sign", "--format", "pgp", file], /Allowed choices/],
      [["sign", "--output", "x", file, file], /one file/],
      [["sign", "--token", "Anita", file], /PKCS#11 URI/],
      [["sign", "--token", "pkcs11:token=A?pin-value=1", file], /PKCS#11 URI/],
      [["sign", "--certificate", "ab", file], /64 hexadecimal/],
      [["sign", file, file], /more than once/],
      [["agent", "--port", "x"], /port/i],
      [["verify", file, "--trust", file], /--trust: .* cannot be read/],
      [["verify", file, "--pan", "AAAPA1234"], /--pan must be five letters/],
      [["verify", file, file, "--content", file], /exactly one file/],
    ];
    for (const [args, message] of wrong) {
      const { code, stderr } = await dsign(args, env);
      assert.match(stderr, message);
      assert.equal(code, 2, args.join(" "));
    }
    const json = await dsign(["sign", "--json", "--format", "pgp", file], env);
    assert.equal(json.code, 2);
    assert.equal(JSON.parse(json.stdout).error.code, "usage");
    assert.equal(json.stderr, "");
  }));

Deno.test("verify exits with code 1 for missing files and files without signatures", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    const file = join(dir, "a.p7s");
    await Deno.writeTextFile(file, "0nonsense");
    for (const name of [file, join(dir, "absent.p7s"), dir]) {
      const { code, stdout } = await dsign(["verify", "--json", name], env);
      assert.equal(code, 1);
      assert.ok(JSON.parse(stdout).error.message);
    }
  }));

Deno.test("help lists the exit codes, and version and contract are printed", () =>
  inTempDir(async (dir) => {
    const env = environment(dir);
    const help = await dsign(["--help"], env);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Exit codes:[\s\S]*3 {2}you declined/);
    for (const command of ["agent", "tokens", "sign", "verify", "openrpc"]) {
      assert.ok(help.stdout.includes(command));
      assert.equal((await dsign([command, "--help"], env)).code, 0);
    }
    const { version } = JSON.parse(
      await Deno.readTextFile(new URL("../deno.json", import.meta.url)),
    );
    assert.equal((await dsign(["--version"], env)).stdout.trim(), version);
    assert.deepEqual(JSON.parse((await dsign(["--version", "--json"], env)).stdout), { version });
    const { stdout } = await dsign(["openrpc"], env);
    assert.equal(JSON.parse(stdout).info.version, version);
  }));

Deno.test(
  "the agent answers, is found by a second start, and ends at a signal",
  atDesk(async ({ dir, env }) => {
    const agent = startDsign(["agent", "--port", "0", "--json", "--consent", "terminal"], env);
    const lines = agent.stdout.pipeThrough(new TextDecoderStream()).getReader();
    try {
      const { port } = JSON.parse((await lines.read()).value!);
      const status = await (await fetch(`http://127.0.0.1:${port}/status`)).json();
      assert.equal(status.name, "dsign");
      const second = await dsign(["agent", "--json"], env);
      assert.equal(second.code, 1);
      assert.equal(JSON.parse(second.stdout).error.code, "busy");
    } finally {
      agent.kill("SIGTERM");
      await lines.cancel();
    }
    assert.equal((await agent.status).code, 143);
    assert.deepEqual(
      (await namesIn(join(dir, "state/dsign"))).filter((n) => n === "agent.json"),
      [],
    );
  }),
);

Deno.test(
  "plain dsign starts the agent with its console, and a second one opens the first's console",
  atDesk(async ({ path, env, configure }) => {
    const browser = path("browser");
    const opened = path("opened");
    await Deno.writeTextFile(browser, `#!/bin/sh\necho "$1" >>'${opened}'\n`, { mode: 0o755 });
    await configure({ searchModules: false, ports: [0], browser: [browser] });
    const agent = startDsign(["--json"], env);
    const lines = agent.stdout.pipeThrough(new TextDecoderStream()).getReader();
    try {
      const { port } = JSON.parse((await lines.read()).value!);
      const second = await dsign(["--json"], env);
      assert.equal(second.code, 0, second.stderr);
      assert.deepEqual(JSON.parse(second.stdout), { port, running: true });
      // The first one starts its browser after announcing that it listens.
      let addresses: string[] = [];
      for (let tries = 0; addresses.length < 2 && tries < 200; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        addresses = (await Deno.readTextFile(opened)).trim().split("\n");
      }
      assert.deepEqual(addresses, Array(2).fill(`http://127.0.0.1:${port}/`));
    } finally {
      agent.kill("SIGINT");
      await lines.cancel();
    }
    assert.equal((await agent.status).code, 130);
  }),
);

Deno.test(
  "a single bundled file, run without configuration or network, also starts its driver process",
  atDesk(async ({ path, env }) => {
    const main = path("main.mjs");
    const bundle = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--platform", "deno", "-o", main, "main.ts"],
      cwd: new URL("..", import.meta.url),
      stdout: "null",
    }).output();
    assert.ok(bundle.success, new TextDecoder().decode(bundle.stderr));
    const sealed = ["--no-config", "--no-lock", "--no-npm", "--no-remote", "--no-prompt", "-A"];
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", ...sealed, main, "tokens", "--json"],
      env,
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { tokens, problems } = JSON.parse(new TextDecoder().decode(stdout));
    assert.deepEqual(problems, []);
    assert.ok(tokens.some(({ label }: { label: string }) => label === "Anita"));
  }),
);
