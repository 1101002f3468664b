/**
 * The one-file form as an officer has it: with an empty home, a PATH of the few system tools that it needs, and no
 * node, npm or deno in sight.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writePinentry } from "./fakes/pinentry.ts";
import type { Token } from "../protocol/methods.ts";
import { type DemoTokens, makeTokens } from "../tasks/demo_tokens.ts";
import { connectAs } from "../tasks/page.ts";
import { classicPdf, documentObjects } from "./fixtures/pdf.ts";
import { finish, type Finished, inTempDir, openssl } from "./fixtures/openssl.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DSIGN = join(ROOT, "dist/dsign");
const TOOLS = ["id", "ls", "mkdir", "mktemp", "mv", "rm", "tail", "gzip", "tar", "sh"];
const ORIGIN = "https://treasury.example";

interface Machine {
  home: string;
  tokens: DemoTokens;
  run(...args: string[]): Promise<Finished>;
  command(...args: string[]): Deno.Command;
}

async function onMachine(test: (machine: Machine) => Promise<void>) {
  await inTempDir(async (dir) => {
    const [home, bin, store] = [`${dir}/home`, `${dir}/bin`, `${dir}/store`];
    for (const folder of [home, bin, store]) await Deno.mkdir(folder, { mode: 0o700 });
    for (const tool of TOOLS) {
      const place = ["/usr/bin", "/bin"].find((folder) => {
        try {
          return Deno.statSync(`${folder}/${tool}`).isFile;
        } catch {
          return false;
        }
      });
      await Deno.symlink(`${place}/${tool}`, `${bin}/${tool}`);
    }
    const tokens = await makeTokens(store);
    assert.ok(tokens.store.provider === "pkcs11:softhsm2", "install the packages softhsm2 opensc");
    const env = { PATH: bin, HOME: home, TMPDIR: dir, ...tokens.store.env };
    const alone = { cwd: home, clearEnv: true, env };
    const command = (...args: string[]) =>
      new Deno.Command(DSIGN, {
        ...alone,
        args,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      });
    const run = (...args: string[]) => finish(DSIGN, { ...alone, args });
    await test({ home, tokens, run, command });
  });
}

async function configure({ home, tokens: { store, officers } }: Machine) {
  assert.ok(store.provider === "pkcs11:softhsm2");
  await Deno.mkdir(`${home}/.config/dsign`, { recursive: true });
  await writePinentry(`${home}/pinentry`, officers[0]!.pin);
  await Deno.writeTextFile(
    `${home}/.config/dsign/config.json`,
    JSON.stringify({
      modules: [{ name: "SoftHSM", path: store.library }],
      searchModules: false,
      consent: "pinentry",
      pinentry: [`${home}/pinentry`],
      allowedOrigins: [{ origin: ORIGIN, scopes: ["certificates", "sign"] }],
    }),
  );
}

Deno.test("the one-file program works", { ignore: Deno.build.os === "windows" }, async (t) => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "compile"],
    cwd: ROOT,
  }).output();
  const said = new TextDecoder().decode(stderr);
  assert.ok(success, said);
  await t.step({
    name: "building the same source elsewhere makes the same file",
    ignore: !said.includes("self-extracting"), // deno compile does as it does
    fn: () =>
      inTempDir(async (dir) => {
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: [
            "-c",
            'set -e; tar --exclude=./dist --exclude=./.git -cf - . | tar -xf - -C "$1"; cd "$1"; ' +
            '"$2" task compile; sha256sum dist/dsign',
            ...["sh", dir, Deno.execPath()],
          ],
          cwd: ROOT,
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        const hash = createHash("sha256").update(await Deno.readFile(DSIGN)).digest("hex");
        assert.equal(new TextDecoder().decode(stdout), `${hash}  dist/dsign\n`);
      }),
  });

  await onMachine(async (machine) => {
    const { home, tokens, run, command } = machine;
    const { version } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
    const [officer] = tokens.officers;

    await t.step("it prints its version from an empty home folder", async () => {
      const { code, stdout, stderr } = await run("--version");
      assert.equal(stdout, `${version}\n`, stderr);
      assert.equal(code, 0);
    });

    await t.step(
      "the PIN/OTP service finds the script of the thread that checks PINs",
      async () => {
        const folder = `${home}/otp-service`;
        const { code, stderr } = await run(
          ...["otp-service", "init", folder, "--organization", "Works", "--policy", "2.999.6.1"],
        );
        assert.equal(code, 0, stderr);
        const config = `${folder}/config.json`;
        const settings = JSON.parse(await Deno.readTextFile(config));
        await Deno.writeTextFile(config, JSON.stringify({ ...settings, listen: "127.0.0.1:0" }));
        const service = command("otp-service", "--config", config, "--json").spawn();
        const reader = service.stdout.pipeThrough(new TextDecoderStream()).getReader();
        const { port } = JSON.parse((await reader.read()).value!);
        const answer = await fetch(`http://127.0.0.1:${port}/csc/v2/auth/login`, {
          method: "POST",
          headers: { authorization: `Basic ${btoa("nobody:493817")}` },
        });
        assert.equal((await answer.json()).error, "authentication_error");
        service.kill("SIGTERM");
        await Promise.all([reader.cancel(), service.stderr.cancel(), service.status]);
        await Deno.remove(folder, { recursive: true });
      },
    );

    // from here on no driver is loaded but SoftHSM: what others write into a home is not the program's
    await configure(machine);
    await t.step(
      "its login entry starts the file itself, and the doctor accepts that",
      async () => {
        const { code, stderr } = await run("autostart", "enable");
        assert.equal(code, 0, stderr);
        const entry = await Deno.readTextFile(`${home}/.config/autostart/dsign.desktop`);
        assert.match(entry, new RegExp(`^TryExec=${DSIGN}$`, "m"));
        const { checks } = JSON.parse((await run("doctor", "--json")).stdout);
        const check = checks.find(({ id }: { id: string }) => id === "autostart_elsewhere");
        assert.equal(check.status, "ok", check.seen);
        assert.equal((await run("autostart", "disable")).code, 0);
      },
    );

    await t.step("it lists tokens through a separate driver process", async () => {
      const { code, stdout, stderr } = await run("tokens", "--json");
      assert.equal(code, 0, stderr);
      const { tokens: found, certificates, problems } = JSON.parse(stdout);
      assert.deepEqual(problems, []);
      // SoftHSM always offers one token more, an empty one
      const labels = (found as Token[]).filter(({ state }) => state !== "empty").map(({ label }) =>
        label
      );
      assert.deepEqual(labels.sort(), tokens.officers.map(({ name }) => name));
      assert.ok(certificates.some(({ id }: { id: string }) => id === officer!.fingerprint));
    });

    await t.step("it signs a file, and OpenSSL agrees", async () => {
      await Deno.writeTextFile(`${home}/order.txt`, "Sanctioned.\n");
      const { code, stderr } = await run(
        ...["sign", "order.txt", "--detached", "--certificate", officer!.fingerprint],
      );
      assert.equal(code, 0, stderr);
      const verified = await openssl([
        ...[
          "cms",
          "-verify",
          "-cades",
          "-binary",
          "-inform",
          "DER",
          "-in",
          `${home}/order.txt.p7s`,
        ],
        ...["-content", `${home}/order.txt`, "-CAfile", tokens.root, "-purpose", "any"],
      ]);
      assert.equal(new TextDecoder().decode(verified), "Sanctioned.\n");
    });

    await t.step("it answers a page and ends on a signal", async () => {
      const older = `${home}/.cache/dsign/${"0".repeat(64)}`;
      await Deno.mkdir(older);
      await Deno.writeTextFile(`${older}/whole`, "");
      await Deno.utime(`${older}/whole`, 0, 0);
      const agent = command("agent", "--port", "0", "--json").spawn();
      const reader = agent.stdout.pipeThrough(new TextDecoderStream()).getReader();
      try {
        let text = "";
        while (!text.includes("\n")) {
          const { value, done } = await reader.read();
          if (done) assert.fail(await new Response(agent.stderr).text());
          text += value;
        }
        const { port } = JSON.parse(text);
        const page = await connectAs(ORIGIN, port);
        const info = await page.call("agent.info", {});
        assert.equal(info.version, version);
        const { certificates } = await page.call("certificate.list", {});
        assert.ok(certificates.some(({ id }) => id === officer!.fingerprint));
        const { signature } = await page.call("sign.data", {
          content: { text: "Sanctioned." },
          certificate: officer!.fingerprint,
        });
        assert.ok(signature.length > 0);
        // the reader, the search for a text, and fonts
        const pdf = new Blob([classicPdf(documentObjects()) as Uint8Array<ArrayBuffer>]);
        const signed = await page.signPdf(pdf, {
          visible: { anchor: "Page 1" },
          certificate: officer!.fingerprint,
        });
        const { signatures } = await page.verify(signed.pdf);
        assert.deepEqual(signatures.map(({ coverage }) => coverage.extent), ["whole"]);
        page.close();
        const console_ = await fetch(`http://127.0.0.1:${port}/`);
        assert.match(await console_.text(), /<title>D-Sign/, "the pages are in the file");
      } finally {
        agent.kill("SIGTERM");
        while (!(await reader.read()).done);
        await agent.stderr.cancel();
        await agent.status;
      }
      await assert.rejects(Deno.stat(older), Deno.errors.NotFound, "an old version is removed");
    });

    await t.step("it writes only to its own folders", async () => {
      const names = (await Array.fromAsync(Deno.readDir(home))).map(({ name }) => name).sort();
      const state = Deno.build.os === "darwin" ? "Library" : ".local";
      assert.deepEqual(
        names.filter((name) => ![".cache", ".config", state].includes(name)),
        ["order.txt", "order.txt.p7s", "pinentry"],
      );
    });
  });
});
