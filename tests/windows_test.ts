/**
 * Windows, as far as Wine shows it: structures laid out by a compiler for Windows, the driver boundary's unit tests in
 * Windows' own Deno, and the main job through a driver that MinGW-w64 built.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Certificate, Token } from "../protocol/methods.ts";
import { missingForWindows } from "../tasks/windows.ts";
import { buildWindowsDriver } from "./fakes/pkcs11_win.ts";
import { aPageSigns, configure, dsign, installDsign, withAgent } from "./fakes/windows_dsign.ts";
import {
  bundleForWindows,
  compileForWindows,
  onWindows,
  SEALED,
  windowsPath,
} from "./fakes/wine.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { makePki } from "./fixtures/pki.ts";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** Those that need no driver of this machine. */
const UNIT_TESTS = ["abi", "error", "library", "mechanism", "messages", "uri"];

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
          await bundleForWindows(
            dir,
            UNIT_TESTS.map((name) => `pkcs11_ffi/${name}_test.ts`),
            ["lp64", "llp64_packed"].map((name) => `tests/golden/pkcs11_layout_${name}.txt`),
          );
          const { code, stdout, stderr } = await windows.run(
            "deno.exe",
            ["test", "-A", "--no-check", ...SEALED, "pkcs11_ffi"],
          );
          assert.equal(code, 0, stdout + stderr);
          const passed = Number(/^ok \| (\d+) passed .*\| 0 failed/m.exec(stdout)?.[1]);
          assert.ok(passed >= 25, stdout);
        });

        await installDsign(dir);
        const driver = join(dir, "driver.dll");
        await buildWindowsDriver(driver, officer);

        await t.step("the program finds the token and its certificate", async () => {
          await configure(windows, dir, settingsFor(driver));
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
            await aPageSigns(port, dir, officer);
          });
        });

        await t.step("a driver with unpacked structures is not understood", async () => {
          const unpacked = join(dir, "unpacked.dll");
          await buildWindowsDriver(unpacked, officer, "unpacked");
          await configure(windows, dir, settingsFor(unpacked));
          const { code, stdout } = await dsign(windows, dir, "tokens", "--json");
          assert.equal(code, 4, stdout);
          assert.deepEqual(JSON.parse(stdout).tokens, []);
        });
      })
    );
  },
);

const settingsFor = (driver: string) => ({
  modules: [{ name: "Windows driver", path: windowsPath(driver) }],
});
