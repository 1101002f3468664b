/**
 * Windows, as far as Wine shows it: structures laid out by a compiler for Windows, the driver boundary's unit tests in
 * Windows' own Deno, and the main job through a driver that MinGW-w64 built.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Certificate, Token } from "../protocol/methods.ts";
import { programFiles } from "../tasks/compile.ts";
import { build } from "../tasks/build.ts";
import { connectAs } from "../tasks/page.ts";
import { missingForWindows } from "../tasks/windows.ts";
import { buildWindowsDriver } from "./fakes/pkcs11_win.ts";
import { compileForWindows, onWindows, type Windows, windowsPath } from "./fakes/wine.ts";
import { inTempDir, openssl } from "./fixtures/openssl.ts";
import { pem } from "../formats/asn1/pem.ts";
import { makePki } from "./fixtures/pki.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const ORIGIN = "https://treasury.example";
/** Those that need no driver of this machine. */
const UNIT_TESTS = ["abi", "error", "library", "mechanism", "messages", "uri"];
const SEALED = ["--no-config", "--no-lock", "--no-npm", "--no-remote"];

/** A pinentry program: says yes, and types a wrong PIN before the right one. */
const PINENTRY = `
const pins = ["87654321", "12345678"];
const say = (line) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\\n"));
say("OK");
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  for (const line of text.split("\\n").filter((line) => line !== "")) {
    if (line.startsWith("GETPIN")) say(pins.length > 0 ? "D " + pins.shift() : "ERR 99 no more");
    say("OK");
    if (line.startsWith("BYE")) Deno.exit(0);
  }
}
`;

const ignore = (await missingForWindows()).length > 0;

Deno.test(
  "the program works on Windows (optional: needs wine, gcc-mingw-w64-x86-64 and npm's @deno/win32-x64)",
  {
    ignore,
  },
  async (t) => {
    await inTempDir((dir) =>
      onWindows(dir, async (windows) => {
        const { officers: [officer] } = makePki({ officers: [{ name: "Anita" }] });

        await t.step("structures have the layout of the golden file", async () => {
          const program = join(dir, "layout.exe");
          const source = join(ROOT, "tests/fakes/pkcs11_layout.c");
          await compileForWindows(program, "-DPACKED", source);
          const { stdout } = await windows.run(program, []);
          const golden = join(ROOT, "tests/golden/pkcs11_layout_llp64_packed.txt");
          assert.equal(stdout, await Deno.readTextFile(golden));
        });

        await t.step("the driver boundary's unit tests pass", async () => {
          await bundleUnitTests(dir);
          const { code, stdout, stderr } = await windows.run(
            "deno.exe",
            ["test", "-A", "--no-check", ...SEALED, "pkcs11_ffi"],
          );
          assert.equal(code, 0, stdout + stderr);
          const passed = Number(/^ok \| (\d+) passed .*\| 0 failed/m.exec(stdout)?.[1]);
          assert.ok(passed >= 25, stdout);
        });

        await build();
        for (const { name, bytes } of await programFiles()) {
          const path = join(dir, "dsign", name);
          await Deno.mkdir(dirname(path), { recursive: true });
          await Deno.writeFile(path, bytes);
        }
        await Deno.writeTextFile(join(dir, "pinentry.js"), PINENTRY);
        const driver = join(dir, "driver.dll");
        await buildWindowsDriver(driver, officer);

        await t.step("the program finds the token and its certificate", async () => {
          await configure(windows, dir, driver);
          const { code, stdout, stderr } = await dsign(windows, dir, "tokens", "--json");
          assert.equal(code, 0, stderr);
          const { tokens, certificates, problems } = JSON.parse(stdout) as {
            tokens: Token[];
            certificates: Certificate[];
            problems: unknown[];
          };
          assert.deepEqual(problems, []);
          assert.deepEqual(
            tokens.map(({ label, model, serialNumber, state }) => ({
              label,
              model,
              serialNumber,
              state,
            })),
            [{
              label: "Windows token",
              model: "LLP64 packed",
              serialNumber: "0123456789ABCDEF",
              state: "ready",
            }],
          );
          assert.deepEqual(certificates.map(({ certificate }) => certificate), [
            officer.certificate.der.toBase64(),
          ]);
        });

        await t.step("the doctor finds the driver and the token", async () => {
          const { stdout, stderr } = await dsign(windows, dir, "doctor", "--json");
          const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string }[] };
          const status = (id: string) => checks.find((each) => each.id === id)?.status;
          for (
            const id of [
              "profile_not_writable",
              "driver_missing",
              "driver_wrong_architecture",
              "driver_broken",
              "token_missing",
              "pin_locked",
              "certificate_missing",
              "port_taken",
              "loopback_blocked",
            ]
          ) assert.equal(status(id), "ok", `${id} ${stdout} ${stderr}`);
        });

        await t.step("the Run key starts it at login until it is disabled", async () => {
          const status = async () =>
            JSON.parse((await dsign(windows, dir, "autostart", "status", "--json")).stdout);
          for (const [command, enabled] of [["enable", true], ["disable", false]] as const) {
            const { code, stderr } = await dsign(windows, dir, "autostart", command);
            assert.equal(code, 0, stderr);
            const { enabled: is, kind } = await status();
            assert.deepEqual([is, kind], [enabled, enabled ? "run-key" : null]);
          }
        });

        await t.step("a page gets a signature, and OpenSSL agrees", async () => {
          await withAgent(windows, dir, async (port) => {
            const page = await connectAs(ORIGIN, port);
            try {
              const { certificates: [{ id }] } = await page.call("certificate.list", {});
              const { signature } = await page.call("sign.data", {
                content: { text: "Sanctioned." },
                certificate: id,
              });
              await verifies(dir, signature, officer.chain);
            } finally {
              page.close();
            }
          });
        });

        await t.step("a driver with unpacked structures is not understood", async () => {
          const unpacked = join(dir, "unpacked.dll");
          await buildWindowsDriver(unpacked, officer, "unpacked");
          await configure(windows, dir, unpacked);
          const { code, stdout } = await dsign(windows, dir, "tokens", "--json");
          assert.equal(code, 4, stdout);
          assert.deepEqual(JSON.parse(stdout).tokens, []);
        });
      })
    );
  },
);

/** With what they read, where they look for it. */
async function bundleUnitTests(dir: string): Promise<void> {
  const sources = UNIT_TESTS.map((name) => `pkcs11_ffi/${name}_test.ts`);
  const output = ["--outdir", join(dir, "pkcs11_ffi")];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--platform", "deno", "--code-splitting", ...output, ...sources],
    cwd: ROOT,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const golden = "tests/golden";
  await Deno.mkdir(join(dir, golden), { recursive: true });
  for (const name of ["pkcs11_layout_lp64.txt", "pkcs11_layout_llp64_packed.txt"]) {
    await Deno.copyFile(join(ROOT, golden, name), join(dir, golden, name));
  }
}

async function configure({ appData }: Windows, dir: string, driver: string): Promise<void> {
  await Deno.mkdir(join(appData, "dsign"), { recursive: true });
  const deno = windowsPath(join(dir, "programs/deno.exe"));
  await Deno.writeTextFile(
    join(appData, "dsign/config.json"),
    JSON.stringify({
      modules: [{ name: "Windows driver", path: windowsPath(driver) }],
      searchModules: false,
      consent: "pinentry",
      pinentry: [deno, "run", "-A", ...SEALED, windowsPath(join(dir, "pinentry.js"))],
      allowedOrigins: [{ origin: ORIGIN, scopes: ["certificates", "sign"] }],
    }),
  );
}

const dsignArguments = (...args: string[]) => [
  ...["run", "--quiet", ...SEALED, "--no-prompt", "--allow-all", "main.js"],
  ...args,
];

const dsign = (windows: Windows, dir: string, ...args: string[]) =>
  windows.run("deno.exe", dsignArguments(...args), join(dir, "dsign"));

async function withAgent(windows: Windows, dir: string, work: (port: number) => Promise<void>) {
  const args = dsignArguments("agent", "--port", "0", "--json");
  const agent = windows.command("deno.exe", args, join(dir, "dsign")).spawn();
  const said = new Response(agent.stderr).text();
  const reader = agent.stdout.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) assert.fail(await said);
      text += value;
    }
    await work(JSON.parse(text).port);
  } finally {
    agent.kill("SIGKILL");
    while (!(await reader.read()).done);
    await agent.status;
    await said;
  }
}

async function verifies(dir: string, signature: string, chain: readonly Uint8Array[]) {
  const file = (name: string) => join(dir, name);
  await Deno.writeFile(file("signature.p7s"), Uint8Array.fromBase64(signature));
  await Deno.writeTextFile(
    file("chain.pem"),
    chain.map((each) => pem("CERTIFICATE", each)).join(""),
  );
  const content = await openssl([
    ...["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", file("signature.p7s")],
    ...["-CAfile", file("chain.pem"), "-purpose", "any"],
  ]);
  assert.equal(new TextDecoder().decode(content), "Sanctioned.");
}
