/** The trial agent: what it does for portals, and each rule that keeps it apart from the real one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readCertificates } from "../formats/x509/bundle.ts";
import { readCertificate } from "../formats/x509/certificate.ts";
import { PORTS } from "../protocol/envelope.ts";
import type { MethodName, Params } from "../protocol/methods.ts";
import { notARoot } from "../settings/roots.ts";
import { startTrial, type Trial } from "../web/client/testing.ts";
import { ScriptedPerson } from "../trial/person.ts";
import { makeTrialPki } from "../trial/pki.ts";
import { TrialTokens } from "../trial/tokens.ts";
import { TrustSets } from "../verify_service/trust_sets.ts";
import { connect } from "../web/client.ts";
import { TestClient } from "./fixtures/agent.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { testAgent } from "./fixtures/agent.ts";
import { ROOT } from "./fixtures/docs.ts";
import { MAIN } from "./fixtures/program.ts";

const DSIGN = [Deno.execPath(), "run", "-A", MAIN];

async function dsign(...args: string[]) {
  const [program, ...first] = DSIGN;
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args: [...first, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

const HERE = "http://localhost:3000";

/** Runs `test` with one trial agent and a page that has its grant. */
async function withTrial(
  test: (trial: Trial, page: TestClient) => Promise<void>,
  origins: string[] = [],
): Promise<void> {
  const trial = await startTrial({ command: DSIGN, origins });
  try {
    const page = await TestClient.connect(trial.port, HERE);
    await page.call("origin.request", { scopes: ["certificates", "sign"] });
    await test(trial, page);
    page.socket.close();
    await page.closed;
  } finally {
    await trial.stop();
  }
}

const codeOf = (page: TestClient, method: MethodName, params: unknown): Promise<string> =>
  page.call(method, params as Params<MethodName>).then(
    () => "done",
    (error) => error.code,
  );

const BILL = { content: { json: { bill: 7 } } };

Deno.test("a trial agent answers as the test says, and its results say trial", () =>
  withTrial(async (trial, page) => {
    const { signature, trial: isTrial } = await page.call("sign.data", BILL);
    assert.ok(signature.length > 100);
    assert.equal(isTrial, true);
    const login = await page.call("auth.authenticate", { nonce: btoa("n".repeat(44)) });
    assert.equal((login as { trial?: true }).trial, true);
    for (
      const [answer, code] of [
        ["decline", "user_cancelled"],
        ["wrong-pin", "pin_incorrect"],
        ["timeout", "consent_timeout"],
        ["removed", "token_removed"],
        ["sign", "done"],
      ] as const
    ) {
      await trial.set({ answer });
      assert.equal(await codeOf(page, "sign.data", BILL), code, answer);
    }
    await trial.set({ tokens: [2] });
    await page.take(({ method }) => method === "token.changed");
    const { certificates } = await page.call("certificate.list", {});
    assert.deepEqual(certificates.map(({ commonName }) => commonName), ["Bimal Roy (TRIAL)"]);
    await assert.rejects(trial.set({ answer: "maybe" as "sign" }), /maybe|Invalid option/);
  }));

Deno.test("wrong use of the agent and of startTrial is answered with what to write instead", () =>
  withTrial(async (trial, page) => {
    for (
      const [method, params, instead] of [
        ["signData", {}, /The method is called sign\.data\./],
        ["sign.pdf", {}, /rpc\.discover lists the methods/],
        ["undefined", {}, /rpc\.discover lists the methods/],
        ["sign.data", {}, /\{ json: … \}, \{ text: … \} or \{ base64: … \}/],
        ["sign.data", { content: { bill: 7 } }, /Write content: \{ json: … \}/],
        ["sign.data", { content: "bill" }, /Write content: \{ json: … \}/],
        ["sign.data", { ...BILL, format: "CAdES" }, /format: .*'cades'/],
        ["sign.data", { ...BILL, answerWithin: 5 }, /answerWithin: .*120/],
        ["auth.authenticate", { nonce: "short" }, /nonce: .*44 characters/],
        ["origin.request", { scopes: ["everything"] }, /"certificates"\|"sign"\|"sign_hash"/],
        ["sign.hash", { digests: [btoa("d".repeat(32))] }, /Call origin\.request/],
      ] as [MethodName, never, RegExp][]
    ) await assert.rejects(page.call(method, params), { message: instead }, method);
    for (
      const [answers, instead] of [
        [{ awnser: "sign" }, /awnser/],
        [{ answer: "declined" }, /"sign"\|"decline"\|"wrong-pin"\|"timeout"\|"removed"/],
        [{ officer: 3 }, /officer/],
        [{ tokens: 2 }, /expected array/],
        ["decline", /expected object/],
        [undefined, /expected object/],
      ] as [never, RegExp][]
    ) await assert.rejects(trial.set(answers), { name: "TypeError", message: instead });
    for (
      const [options, instead] of [
        [{ command: "dsign" }, /command is a list: startTrial\(\{ command/],
        [{ command: [] }, /command is a list/],
        [{ command: ["no-such-program"] }, /install D-Sign, or give command/],
        [{ command: ["echo"] }, /not what `dsign trial` prints. Correct command/],
        [{ origins: "https://portal.example" }, /origins is a list/],
        [{ command: DSIGN, origins: ["portal.example"] }, /as in https:\/\/portal\.example/],
        [{ command: DSIGN, answer: "maybe" }, /sign, decline, wrong-pin, timeout, removed/],
      ] as [never, RegExp][]
    ) await assert.rejects(startTrial(options), { message: instead });
  }));

Deno.test("startTrial ends a program that is not dsign trial", async () => {
  const command = ["sh", "-c", "echo number $$; exec sleep 600"];
  const { message } = await startTrial({ command }).catch((error) => error);
  const [, number] = /number (\d+)/.exec(message)!;
  const runs = async () =>
    (await new Deno.Command("kill", { args: ["-0", number!], stderr: "null" }).output()).success;
  while (await runs()) await new Promise((resolve) => setTimeout(resolve, 50));
});

Deno.test("the officer that is asked for signs, whichever certificate is offered first", async () => {
  const now = new Date("2026-11-30T12:00:00Z");
  const orders = new Set<string>();
  for (let tries = 0; orders.size < 2; tries++) {
    assert.ok(tries < 100, "both orders come");
    const tokens = new TrialTokens((await makeTrialPki(now)).officers);
    const person = new ScriptedPerson("sign", tokens);
    await using test = await testAgent({ providers: [tokens], consent: person, now: () => now });
    const client = await test.connect();
    const { certificates } = await client.call("certificate.list", {});
    const first = certificates[0]!.commonName;
    if (orders.has(first)) continue;
    orders.add(first);
    for (const officer of [1, 2]) {
      person.officer = officer;
      const { certificate } = await client.call("sign.data", BILL);
      const { name } = tokens.officers[officer - 1]!;
      assert.equal(certificates.find((each) => each.certificate === certificate)!.commonName, name);
    }
  }
});

Deno.test("dsign verify refuses a TRIAL chain without --trial, and accepts it with it", () =>
  withTrial(async (trial, page) => {
    const { signature } = await page.call("sign.data", BILL);
    await inTempDir(async (dir) => {
      const file = join(dir, "bill.p7s");
      await Deno.writeFile(file, Uint8Array.fromBase64(signature));
      const args = ["verify", "--json", "--trust", trial.root];
      const refused = await dsign(...args, file);
      assert.notEqual(refused.code, 0);
      assert.match(refused.stdout, /is of a trial agent, whose signatures are worth nothing/);
      const accepted = await dsign(...args, "--trial", "--pan", trial.officers[0]!.pan, file);
      assert.equal(accepted.code, 0, accepted.stdout);
      const elsewhere = await dsign("trust", "add", trial.root);
      assert.notEqual(elsewhere.code, 0, "nor does it become a trusted root");
      const [root] = readCertificates(await Deno.readFile(trial.root));
      assert.equal(await notARoot(readCertificate(root!)), "of_trial", "nor in the console");
    });
  }));

Deno.test("a trial agent verifies what its officers signed, and says trial; the real agent trusts none of it", () =>
  withTrial(async (trial, page) => {
    const signed = async (more: object) => {
      const { signature } = await page.call("sign.data", { ...BILL, ...more } as typeof BILL);
      return Uint8Array.fromBase64(signature);
    };
    const first = await signed({});
    await trial.set({ officer: 2 });
    const bill = await signed({ cosign: first.toBase64() });
    const verify = async (client: TestClient) => {
      const size = bill.length;
      const about = { name: "bill.p7s", size, keep: true };
      const { document } = await client.call("document.open", about);
      client.sendChunk(document, bill);
      return await client.call("signature.verify", { document });
    };
    const report = await verify(page);
    assert.equal(report.trial, true);
    assert.equal(report.indication, "TOTAL-PASSED");
    assert.deepEqual(
      report.signatures.map(({ signer }) => signer?.commonName).sort(),
      trial.officers.map(({ name }) => name),
    );
    await using test = await testAgent();
    const real = await verify(await test.connect());
    assert.equal(real.trial, undefined);
    assert.equal(real.indication, "INDETERMINATE");
  }));

Deno.test("a portal's tests see a signing route begin, go on and end", () =>
  withTrial(async (trial, page) => {
    const { certificates } = await page.call("certificate.list", {});
    // Where both are as good, either can be the first.
    const [maker, checker] = trial.officers.map(({ name }) => ({
      name,
      certificate: certificates.find(({ commonName }) => commonName === name)!.id,
    }));
    const created = await page.call("route.create", {
      ...BILL,
      name: "bill.json",
      steps: [
        { role: "Maker", signers: [maker!], quorum: 1 },
        { role: "Checker", signers: [checker!], quorum: 1 },
      ],
    });
    const begun = await page.call("route.sign", { route: created.route, ...BILL });
    assert.equal(begun.status.isComplete, false);
    await trial.set({ tokens: [1] }); // with both in, the checker's is offered
    await assert.rejects(page.call("route.sign", { route: begun.route, ...BILL }), {
      code: "out_of_turn",
    });
    await trial.set({ tokens: [2] });
    const told = await page.call("route.status", { route: begun.route });
    assert.deepEqual([told.trial, told.isComplete, told.next], [true, false, 1]);
    const { status, trial: isTrial } = await page.call("route.sign", {
      route: begun.route,
      ...BILL,
    });
    assert.equal(isTrial, true);
    assert.deepEqual(status.steps.map(({ unproven }) => unproven), [[], []]);
    assert.equal(status.isComplete, true);
  }));

Deno.test("a verification service takes a trial agent's root only with --trial", () =>
  withTrial((trial) =>
    inTempDir(async (dir) => {
      await Deno.copyFile(trial.root, join(dir, "root.pem"));
      await assert.rejects(TrustSets.load({ india: dir }), /is of a trial agent/);
      assert.equal((await TrustSets.load({ india: dir }, true)).get("india")!.length, 1);
    })
  ));

Deno.test("only sites of this computer and named ones reach a trial agent", () =>
  withTrial(async ({ port }) => {
    for (
      const origin of [
        "https://portal.example",
        "http://localhost.portal.example",
        "http://10.0.0.1",
      ]
    ) {
      await assert.rejects(TestClient.connect(port, origin), origin);
    }
    for (const origin of ["https://test.portal.example", "http://127.0.0.1:8080"]) {
      const page = await TestClient.connect(port, origin);
      page.socket.close();
      await page.closed;
    }
  }, ["https://test.portal.example"]));

Deno.test("the SDK takes a trial agent only by its port, and then no other", () =>
  withTrial(async ({ port }) => {
    assert.ok(!PORTS.some((each) => each === port));
    await using real = await testAgent();
    const code = (options: Parameters<typeof connect>[0]) =>
      connect(options).then((client) => client.close(), (error) => error.code ?? error.name);
    assert.equal(await code({ ports: [port], securePorts: [] }), "not_installed");
    assert.equal(await code({ trial: real.agent.port }), "not_installed");
    assert.equal(await code({ trial: PORTS[0] }), "TypeError");
    assert.equal(await code({ trial: 0 }), "TypeError", "as Number(null) is");
  }));

Deno.test("a trial agent does not take a port at which the SDK looks for the real one", async () => {
  const { code, stderr } = await dsign("trial", "--port", String(PORTS[1]));
  assert.notEqual(code, 0);
  assert.match(stderr, /port number that the real agent does not use/);
});

Deno.test("a trial agent ends with its parent, and leaves nothing behind", () =>
  inTempDir(async (dir) => {
    const started = join(dir, "started");
    // The shell is the parent: it waits for the first line, and goes.
    const script =
      `"$@" trial --json >"${started}" & until [ -s "${started}" ]; do sleep 0.1; done`;
    const shell = new Deno.Command("sh", { args: ["-c", script, "sh", ...DSIGN] });
    assert.ok((await shell.output()).success);
    const { port, root } = JSON.parse(await Deno.readTextFile(started));
    const isGone = () =>
      fetch(`http://127.0.0.1:${port}/status`).then(
        (r) => r.body!.cancel().then(() => false),
        () => true,
      );
    while (!await isGone()) await new Promise((resolve) => setTimeout(resolve, 100));
    const exists = () => Deno.stat(root).then(() => true, () => false);
    while (await exists()) await new Promise((resolve) => setTimeout(resolve, 100));
  }));

Deno.test("a trial agent touches neither drivers nor the person's folders", () =>
  inTempDir(async (dir) => {
    // A home in which every setting is a mistake that would end the real agent.
    const config = join(dir, ".config/dsign");
    await Deno.mkdir(config, { recursive: true });
    await Deno.writeTextFile(join(config, "config.json"), "no JSON");
    const names = ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "DENO_DIR"];
    const before = names.map((name) => Deno.env.get(name));
    const cache = before[3] ?? join(before[0]!, ".cache/deno"); // of the runtime itself
    names.forEach((name) => Deno.env.delete(name));
    Deno.env.set("HOME", dir);
    Deno.env.set("DENO_DIR", cache);
    try {
      await withTrial(async (_, page) => {
        const { tokens, problems } = await page.call("token.list", {});
        assert.deepEqual(tokens.map(({ driver }) => driver), ["trial", "trial"]);
        assert.deepEqual(problems, []);
      });
    } finally {
      names.forEach((name, i) =>
        before[i] === undefined ? Deno.env.delete(name) : Deno.env.set(name, before[i])
      );
    }
    const files = await Array.fromAsync(Deno.readDir(dir), ({ name }) => name);
    assert.deepEqual(files, [".config"]);
  }));

Deno.test("only the command `dsign trial` knows scripted answers", async () => {
  const info = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", join(ROOT, "cli/agent.ts")],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(info.stdout));
  const trial = modules.map(({ specifier }: { specifier: string }) => specifier)
    .filter((each: string) => each.startsWith("file:"))
    .map((each: string) => fileURLToPath(each).slice(ROOT.length + 1))
    .filter((each: string) => each.startsWith("trial/"));
  assert.deepEqual(trial, []);
  for await (const { name } of Deno.readDir(join(ROOT, "cli"))) {
    if (!name.endsWith(".ts") || name === "trial.ts") continue;
    const text = await Deno.readTextFile(join(ROOT, "cli", name));
    assert.doesNotMatch(text, /from "\.\.\/trial\//, name);
  }
});
