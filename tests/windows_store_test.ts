/**
 * Keys of the Windows certificate store, as far as Wine shows them: its own store and provider, and providers of
 * ours that misbehave on purpose. Their child runs in Windows' Deno, its client here.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import { ERRORS } from "../protocol/errors.ts";
import type { KeyInfo } from "../signers/provider.ts";
import { WindowsStoreProvider } from "../signers/windows_store.ts";
import { selectorOf } from "../signers/certificates.ts";
import { missingForWindows } from "../tasks/windows.ts";
import {
  CNG_KEY,
  installProviders,
  putInStore,
  type Stored,
  WINDOWS_PIN,
} from "./fakes/windows_store.ts";
import { aPageSigns, configure, dsign, installDsign, withAgent } from "./fakes/windows_dsign.ts";
import {
  bundleForWindows,
  compileForWindows,
  onWindows,
  SEALED,
  type Windows,
  windowsPath,
} from "./fakes/wine.ts";
import { inTempDir, openssl } from "./fixtures/openssl.ts";
import { makePki, type Officer } from "./fixtures/pki.ts";

const ROOT = join(import.meta.dirname!, "..");
const AES = "Microsoft Enhanced RSA and AES Cryptographic Provider";
/** Knows SHA-1 alone; its containers are those of the other. */
const OLDER = "Microsoft Enhanced Cryptographic Provider v1.0";
const CARD = "Microsoft Smart Card Key Storage Provider";
const TRIAL = "Trial Key Storage Provider";
const MESSAGE = new TextEncoder().encode("Sanctioned.");

const NAMES = [
  ...["soft", "older", "rsa", "ec", "card", "eager", "cancel", "blocked", "removed", "pulled"],
  ...["other", "uninstalled", "csp", "sha1", "away"],
] as const;
type Name = typeof NAMES[number];

/**
 * Set by `deno task test:windows`. Wine ends a process at its start once in a while, and this test starts forty:
 * too often for a test that everybody runs.
 */
const isWanted = Deno.env.has("DSIGN_TEST_WINDOWS");
const ignore = !isWanted || (await missingForWindows()).length > 0;

Deno.test(
  "keys of the Windows store (deno task test:windows)",
  { ignore },
  async (t) => {
    const { officers } = makePki({
      officers: NAMES.map((name) => ({ name, ...name === "ec" && { key: "p-256" as const } })),
    });
    const of = Object.fromEntries(NAMES.map((name, i) => [name, officers[i]])) as Record<
      Name,
      Officer
    >;
    const csp = (name: Name, provider: string, type: number): Stored => ({
      officer: of[name],
      provider,
      type,
      container: name,
      keySpec: 1,
      withKey: true,
    });
    const cng = (name: Name, provider: string): Stored => ({
      officer: of[name],
      provider,
      type: 0,
      container: name,
      keySpec: CNG_KEY,
    });
    const stored = [
      csp("soft", AES, 24),
      csp("older", OLDER, 1),
      ...(["rsa", "ec", "cancel", "blocked", "removed", "pulled", "other"] as const)
        .map((name) => cng(name, TRIAL)),
      cng("card", CARD),
      cng("eager", CARD),
      cng("uninstalled", "Uninstalled Provider"),
      csp("csp", "Trial CSP", 1),
      csp("sha1", "SHA-1 CSP", 1),
      csp("away", "Pulled CSP", 1),
    ];
    await inTempDir((dir) =>
      onWindows(dir, async (windows) => {
        await t.step("structures and constants are those of the golden file", async () => {
          const program = join(dir, "layout.exe");
          await compileForWindows(program, join(ROOT, "tests/fakes/windows_layout.c"));
          const { stdout } = await windows.run(program, []);
          const golden = await Deno.readTextFile(join(ROOT, "tests/golden/windows_layout.txt"));
          assert.equal(stdout, golden);
        });

        await t.step("a person without certificates has no tokens and no problems", async () => {
          await using store = openStore(windows, dir);
          const { tokens, keys, problems } = await store.provider.list();
          assert.deepEqual([tokens, keys, problems], [[], [], []]);
        });

        await installProviders(windows, dir, of.rsa, of.ec);
        await putInStore(windows, dir, stored);
        await using hardware = openStore(windows, dir);
        let keys: readonly KeyInfo[] = [];
        const keyOf = (name: Name) => keys.find(isOf(of[name]))!;

        await t.step("keys in hardware are listed, and why others cannot be used", async () => {
          const listing = await hardware.provider.list();
          const { tokens, problems } = listing;
          keys = listing.keys;
          assert.deepEqual(problems, []);
          assert.deepEqual(
            tokens.map(({ label }) => label).sort(),
            [CARD, "Trial CSP", TRIAL],
          );
          const missing = Object.fromEntries(
            keys.map((key) => [NAMES.find((name) => isOf(of[name])(key)), key.missing ?? "usable"]),
          );
          assert.deepEqual(missing, {
            ...{ rsa: "usable", ec: "usable", cancel: "usable", blocked: "usable" },
            ...{ removed: "usable", card: "usable", eager: "usable", csp: "usable" },
            ...{ pulled: "token_not_present", other: "token_not_present" },
            ...{ away: "token_not_present", uninstalled: "driver_not_found" },
            sha1: "driver_sha1_only",
          });
          // Silent: NCRYPT_SILENT_FLAG and CRYPT_SILENT are 0x40.
          const calls = await hardware.calls();
          const opened = calls.filter((call) => /^NCryptOpenKey|^CryptAcquire/.test(call));
          assert.ok(opened.length >= 13, calls.join("\n"));
          for (const call of opened) assert.match(call, /4[0-9a-f]$/);
          assert.ok(!calls.some((call) => /Sign|Pin/.test(call)), calls.join("\n"));
        });

        await t.step(
          "software keys sign where they are wanted, the older provider's too",
          async () => {
            await using store = openStore(windows, dir, { keys: "all" });
            const all = await store.provider.list();
            for (const name of ["soft", "older"] as const) {
              const key = all.keys.find(isOf(of[name]))!;
              assert.equal(key.token.loginRequired, false);
              for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
                const signer = await store.provider.open(key, { hash, askPin: notAsked });
                const signature = await signer.sign({ message: MESSAGE });
                await signer.close();
                await verified(dir, of[name], signature, hash);
              }
            }
          },
        );

        await t.step(
          "Windows is let ask for the PIN: RSA and ECDSA, by CNG and by a CSP",
          async () => {
            for (const name of ["rsa", "ec", "csp"] as const) {
              assert.equal(keyOf(name).token.windowsAsks, true);
              const signer = await hardware.open(keyOf(name));
              await hardware.calls();
              for (let i = 0; i < 2; i++) {
                await verified(dir, of[name], await signer.sign({ message: MESSAGE }), "SHA-256");
              }
              const calls = (await hardware.calls()).filter((call) =>
                !/HWND|SetProvParam 1 /.test(call)
              );
              await signer.close();
              // Opened loudly once, and signed with one call each.
              assert.deepEqual(
                calls,
                name === "csp" ? ["CryptAcquireContext csp 0", ...twice("CryptSignHash 0 once")] : [
                  ...twice("NCryptFreeObject"),
                  `NCryptOpenStorageProvider ${TRIAL} 0`,
                  `NCryptOpenKey ${name} 0 0`,
                  ...twice(`NCryptSignHash ${name} 32 once ${name === "ec" ? 0 : 2}`),
                ],
              );
            }
          },
        );

        await t.step("PSS has a salt as long as the digest", async () => {
          const client = hardware.client();
          try {
            const session = await client.openSession(keyOf("rsa").token.uri);
            const key = await session.key(selectorOf(of.rsa.certificate.der));
            const request = { scheme: "RSASSA-PSS", input: "message", data: MESSAGE } as const;
            for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
              const signature = await key.sign({ ...request, hash }, { pin: null });
              const pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
              await verified(dir, of.rsa, signature, hash, pss);
            }
          } finally {
            await client.close();
          }
        });

        await t.step(
          "what ends a dialog has its own error, and the key signs no more",
          async () => {
            for (
              const [name, code] of [
                ["cancel", "user_cancelled"],
                ["blocked", "pin_locked"],
                ["removed", "token_removed"],
              ] as const
            ) {
              const signer = await hardware.open(keyOf(name));
              await hardware.calls();
              const signed = [1, 2, 3].map(() => signer.sign({ message: MESSAGE }));
              for (const each of await Promise.allSettled(signed)) {
                assert.equal(each.status === "rejected" && each.reason.code, code);
              }
              const calls = (await hardware.calls()).filter((call) =>
                call.startsWith("NCryptSignHash")
              );
              assert.equal(calls.length, name === "removed" ? 3 : 1, code);
              await signer.close();
            }
          },
        );

        await t.step(
          "a PIN from our window is tried once, and wrong at the opening or the signature",
          async () => {
            const open = (name: Name, pin: string) => {
              // As with the setting windowsPin: "window".
              const { windowsAsks: _, ...token } = keyOf(name).token;
              return hardware.open({ ...keyOf(name), token }, pin);
            };
            await hardware.calls();
            const wrong = { code: "pin_incorrect", details: { triesLeft: "unknown" } };
            await assert.rejects(open("eager", "wrong"), wrong);
            const late = await open("card", "wrong");
            await assert.rejects(late.sign({ message: MESSAGE }), wrong);
            await assert.rejects(late.sign({ message: MESSAGE }), wrong);
            await late.close();
            const calls = await hardware.calls();
            assert.equal(calls.filter((call) => call.startsWith("NCryptSignHash")).length, 1);
            // Silent, so that Windows does not ask as well.
            assert.ok(
              calls.some((call) => /^NCryptSignHash card .* 42$/.test(call)),
              calls.join("\n"),
            );
            const right = await open("card", WINDOWS_PIN);
            await verified(dir, of.rsa, await right.sign({ message: MESSAGE }), "SHA-256");
            await right.close();
          },
        );

        await t.step("the PIN is wiped from the child's memory", async () => {
          const client = hardware.client();
          try {
            const { token, certificate } = keyOf("card");
            const session = await client.openSession(token.uri);
            const key = await session.key(selectorOf(certificate));
            const [pid] = client.pids;
            assert.ok(holds(pid, "SmartCardPin".slice(0, 9)), "the search finds what is there");
            await session.login(new TextEncoder().encode(WINDOWS_PIN));
            const request = {
              scheme: "RSASSA-PKCS1-v1_5",
              hash: "SHA-256",
              input: "message",
            } as const;
            await key.sign({ ...request, data: MESSAGE });
            assert.ok(!holds(pid, WINDOWS_PIN), "ASCII or UTF-16");
          } finally {
            await client.close();
          }
        });

        await installDsign(dir);
        await configure(windows, dir, {});
        await putInStore(
          windows,
          dir,
          stored.filter(({ officer }) => [of.csp, of.away, of.sha1].includes(officer))
            .map((each) => ({ ...each, withKey: false })),
        );

        await t.step(
          "the program lists the store's tokens, and tells those that are away",
          async () => {
            const { code, stdout, stderr } = await dsign(windows, dir, "tokens");
            assert.equal(code, 0, stderr);
            const [here, away] = stdout.split("Not inserted, or not usable:\n");
            assert.match(here, /^Trial CSP — Windows certificate store, ready\n.*\n {2}\+ csp,/m);
            assert.match(
              away,
              /- away.*\n.*\n.*\n {6}Pulled CSP\n {6}The token is not inserted\. /,
            );
            assert.match(away, /- sha1.*\n.*\n.*\n {6}SHA-1 CSP\n.*SHA-1 only/);
          },
        );

        await t.step("the doctor finds them, and tells providers that cannot be used", async () => {
          const { stdout, stderr } = await dsign(windows, dir, "doctor", "--json");
          const { checks } = JSON.parse(stdout) as {
            checks: { id: string; status: string; seen: string }[];
          };
          const of = (id: string) => checks.filter((each) => each.id === id);
          for (const id of ["driver_missing", "token_missing", "certificate_missing"]) {
            assert.deepEqual(
              of(id).map(({ status }) => status),
              ["ok"],
              `${id} ${stdout} ${stderr}`,
            );
          }
          assert.deepEqual(of("provider_broken").map(({ status, seen }) => [status, seen]), [
            ["warning", `SHA-1 CSP: ${ERRORS.driver_sha1_only.message}`],
          ]);
        });

        await t.step("a page gets a signature of the store's key, and OpenSSL agrees", async () => {
          await withAgent(windows, dir, (port) => aPageSigns(port, dir, of.csp));
        });

        await t.step("a store that is switched off is not looked at", async () => {
          await configure(windows, dir, { windowsStore: "off" });
          const { stdout } = await dsign(windows, dir, "tokens", "--json");
          const { tokens, certificates } = JSON.parse(stdout);
          assert.deepEqual([tokens, certificates], [[], []]);
        });

        await t.step("the unit tests of the store pass in Windows' Deno", async () => {
          await bundleForWindows(
            dir,
            ["layout", "errors", "host"].map((name) => `windows_ffi/${name}_test.ts`),
            ["tests/golden/windows_layout.txt"],
          );
          const args = ["test", "-A", "--no-check", ...SEALED, "windows_ffi"];
          const { code, stdout, stderr } = await windows.run("deno.exe", args);
          assert.equal(code, 0, stdout + stderr);
        });
      })
    );
  },
);

/** Many processes start at once under Wine. */
const PATIENT = { listTimeout: 300_000, timeouts: { startMs: 300_000, requestMs: 300_000 } };

const notAsked = () => Promise.reject(new Error("A PIN was asked for."));
const isOf = ({ certificate: { der } }: Officer) => ({ certificate }: KeyInfo) =>
  certificate.toHex() === der.toHex();
const twice = (call: string) => [call, call];

/** The store as its child in Windows' Deno shows it; the fakes write down what they are asked. */
function openStore(
  windows: Windows,
  dir: string,
  more: { keys?: "all" } = {},
) {
  const log = join(dir, "calls.txt");
  const host = windowsPath(join(ROOT, "windows_ffi/host.ts"));
  const child = {
    command: [
      "wine",
      windows.deno,
      "run",
      "--quiet",
      ...SEALED,
      "--no-prompt",
      "--allow-ffi",
      host,
    ],
    env: { ...windows.env, FAKE_LOG: windowsPath(log) },
  };
  const provider = new WindowsStoreProvider({
    ...child,
    keys: "hardware",
    pin: "windows",
    ...PATIENT,
    ...more,
  });
  return {
    provider,
    client: () => new Pkcs11Client({ ...child, modulePath: "", timeouts: PATIENT.timeouts }),
    /** Without a PIN, none may be asked for. */
    open: (key: KeyInfo, pin?: string) =>
      provider.open(key, {
        hash: "SHA-256",
        askPin: () =>
          pin === undefined ? notAsked() : Promise.resolve(new TextEncoder().encode(pin)),
      }),
    /** Since the last time. */
    async calls() {
      const text = await Deno.readTextFile(log).catch(() => "");
      await Deno.writeTextFile(log, "");
      return text.replaceAll("\r", "").split("\n").filter((line) => line !== "");
    },
    async [Symbol.asyncDispose]() {
      await provider.close();
      await Deno.remove(log).catch(() => {});
    },
  };
}

/** By OpenSSL's program. */
async function verified(
  dir: string,
  { certificate }: Officer,
  signature: Uint8Array,
  hash: string,
  options: string[] = [],
): Promise<void> {
  const file = (name: string) => join(dir, name);
  const key = createPublicKey(pem("CERTIFICATE", certificate.der)).export({
    type: "spki",
    format: "pem",
  });
  await Deno.writeTextFile(file("key.pem"), key as string);
  await Deno.writeFile(file("signature"), signature);
  await Deno.writeFile(file("message"), MESSAGE);
  await openssl([
    ...["dgst", `-${hash.toLowerCase().replace("-", "")}`, "-verify", file("key.pem"), ...options],
    ...["-signature", file("signature"), file("message")],
  ]);
}

/** Whether the memory of a process that runs under Wine has a text, in ASCII or UTF-16. */
function holds(pid: number, text: string): boolean {
  const wanted = [text, [...text].join("\0")].map((each) => Buffer.from(each));
  using memory = Deno.openSync(`/proc/${pid}/mem`);
  for (const line of Deno.readTextFileSync(`/proc/${pid}/maps`).split("\n")) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    if (start === undefined) continue;
    const from = parseInt(start, 16);
    const bytes = new Uint8Array(parseInt(end, 16) - from);
    let length = 0;
    try {
      memory.seekSync(from, Deno.SeekMode.Start);
      while (length < bytes.length) {
        const read = memory.readSync(bytes.subarray(length));
        if (!read) break;
        length += read;
      }
    } catch {
      // Reserved, and not there.
    }
    const found = Buffer.from(bytes.buffer, 0, length);
    if (wanted.some((each) => found.includes(each))) return true;
  }
  return false;
}
