/**
 * Whoever is asked about a token tells the same: `dsign tokens`, `dsign doctor`, `dsign sign`, the console and a page,
 * each as a real program, with every odd driver. A typed PIN is one C_Login in all of them.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { TokenPin } from "../protocol/console.ts";
import type { Certificate, Result } from "../protocol/methods.ts";
import { startAgentProcess } from "./e2e/agent_process.ts";
import { ODD_DRIVERS, type OddDriver, OK } from "./fakes/odd_drivers.ts";
import { writePinentry } from "./fakes/pinentry.ts";
import { buildFaultDriver } from "./fakes/pkcs11_fault.ts";
import { makeKeys, PIN, softhsm } from "./fakes/pkcs11_tokens.ts";
import { PORTAL, TestClient } from "./fixtures/agent.ts";
import { dsign, environment } from "./fixtures/cli.ts";
import { inTempDir } from "./fixtures/openssl.ts";

interface Inventory {
  tokens: (Result<"token.list">["tokens"][number] & { hidden?: true })[];
  certificates: Certificate[];
  problems: Result<"token.list">["problems"];
}

interface Check {
  id: string;
  status: "ok" | "warning" | "error" | "skipped";
  seen: string;
}

const isHanging = ({ problems }: OddDriver) => problems?.includes("driver_timeout") ?? false;
/** Rows that share an agent. A driver that hangs has one for itself, so that all of them are waited for at the same time. */
const AGENTS = [
  ODD_DRIVERS.filter((row) => !isHanging(row)),
  ...ODD_DRIVERS.filter(isHanging).map((row) => [row]),
];
/** Deno looks for leaks after the whole test. */
const AT_ONCE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };

Deno.test({
  name: "command line, doctor, console and page tell the same of every odd driver",
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    const ended = await Promise.allSettled(AGENTS.map((rows) => rowsAgree(t, rows)));
    for (const each of ended) if (each.status === "rejected") throw each.reason;
  },
});

/** Asks all programs about the drivers of `rows`, one after the other. */
function rowsAgree(t: Deno.TestContext, rows: readonly OddDriver[]): Promise<void> {
  return inTempDir(async (dir) => {
    const path = (name: string) => join(dir, name);
    const token = await softhsm(dir, await makeKeys(dir, ["rsa2048", "p256"]));
    const driver = await buildFaultDriver(dir, token);
    await writePinentry(path("pinentry"), PIN);
    await Deno.writeTextFile(path("bill.txt"), "Pay");
    const env = environment(dir, { ...driver.env, HOME: dir });
    const program = async <T>(...args: string[]): Promise<T> =>
      JSON.parse((await dsign([...args, "--json"], env)).stdout);
    await using agent = await startAgentProcess(dir, {
      searchModules: false,
      modules: [{ path: driver.modulePath, name: "odd" }],
      consent: "pinentry",
      pinentry: [path("pinentry")],
      allowedOrigins: [{ origin: PORTAL, scopes: ["certificates", "sign"] }],
    }, env);
    const { port, origin } = agent;
    const page = await TestClient.connect(port, PORTAL);
    const consoleAsks = async <T>(name: string, init: RequestInit): Promise<T> =>
      await (await fetch(`${origin}/console/${name}`, { headers: { origin }, ...init })).json();
    const list = async (): Promise<Inventory> => ({
      ...await page.call("token.list", {}),
      ...await page.call("certificate.list", {}),
    });
    /** What comes of a signature: `ok`, or why there is none. */
    const signAtPage = (certificate?: string) =>
      page.call("sign.data", { content: { text: "Pay" }, certificate })
        .then(() => OK, ({ code, message }) => `${code}: ${message}`);
    const signAtTerminal = async (certificate?: string) => {
      const chosen = certificate === undefined ? [] : ["--certificate", certificate];
      const args = ["sign", "--detached", "--force", ...chosen, path("bill.txt")];
      const { error } = await program<{ error?: { code: string; message: string } }>(...args);
      return error ? `${error.code}: ${error.message}` : OK;
    };

    for (const row of rows) {
      await t.step({
        name: row.name,
        ...AT_ONCE,
        fn: async () => {
          // The agent loads the driver anew.
          driver.set("exit C_GetSlotList");
          await page.call("token.list", {});
          driver.set(...row.faults);
          const [told, { checks }] = await Promise.all([
            program<Inventory>("tokens"),
            program<{ checks: Check[] }>("doctor"),
          ]);
          const listed = {
            ...told,
            tokens: told.tokens.map(({ hidden: _, ...each }) => each),
          };
          let shown = await list();
          if (row.fleeting || isHanging(row)) {
            for (const { certificates } of [told, shown]) assert.deepEqual(certificates, []);
            assert.match(await signAtPage(), /^(driver|token)_/);
            return;
          }
          // The agent may have met the driver that exits once more.
          for (let tries = 20; tries > 0 && !isDeepStrictEqual(shown, listed); tries--) {
            shown = await list();
          }
          assert.deepEqual(shown, listed);
          const { certificates, problems } = shown;
          const pins = await consoleAsks<TokenPin[]>("pins", { method: "POST" });
          assert.deepEqual(
            pins.map(({ hides }) => hides),
            told.tokens.map(({ hidden }) => hidden === true),
          );
          const ofTokens = checks.filter(({ id }) => /^(driver|token|pin|certificate)_/.test(id));
          const first = ofTokens.find(({ status }) => status === "error")?.seen;
          const nextStep = async () =>
            (await consoleAsks<{ next: Check | null }>("start?language=en", {})).next?.seen;
          let next = await nextStep();
          // On a busy computer another look finds that it cannot reach itself in time.
          for (let tries = 20; tries > 0 && next !== first; tries--) next = await nextStep();
          assert.equal(next, first);
          agreesWith(told, ofTokens);

          const usable = certificates.filter(({ usable }) => usable)
            .sort((a, b) => b.keyType.localeCompare(a.keyType)); // RSA first
          const before = driver.logins().length;
          const signed: string[] = [];
          for (const { id } of usable) signed.push(await signAtPage(id));
          const logins = () => driver.logins().slice(before).filter((user) => user === "1").length;
          const typed = row.asked === 0 ? 0 : 1;
          assert.equal(logins(), typed * usable.length);
          if (usable.length === 0) signed.push(await signAtPage());
          if (row.signs || row.faults.length === 0) {
            const atPage = logins();
            assert.equal(await signAtTerminal(usable[0]?.id), signed[0]);
            assert.equal(logins() - atPage, usable.length > 0 ? typed : 0);
          }
          const expected = row.signs ?? [OK, OK];
          assert.deepEqual(
            ["RSA", "EC"].map((type) => {
              const i = usable.findIndex(({ keyType }) => keyType === type);
              return i < 0 ? null : signed[i].replace(/:.*/, "");
            }),
            expected,
          );
          if (usable.length === 0) {
            const [code] = signed[0].split(":");
            const reasons = [...problems.map((each) => each.code), "token_not_present"];
            assert.ok(reasons.includes(code), signed[0]);
            const isMissing = code === "token_not_present";
            const missing = checks.find(({ id }) => id === "token_missing")!.status;
            assert.equal(missing === "error", isMissing, "the doctor says so too");
          }
        },
      });
    }
    driver.set(); // ends the daemons
    page.socket.close();
    await page.closed;
  });
}

/** Whether the doctor tells what the list of tokens tells. */
function agreesWith({ certificates, problems, tokens }: Inventory, checks: Check[]): void {
  const found = checks.filter(({ status }) => status === "error" || status === "warning");
  for (const { code, message } of problems) {
    const isTold = code === "certificate_malformed"
      ? found.some(({ id }) => id === "certificate_unreadable")
      : found.some(({ id, seen }) => id.startsWith("driver_") && seen.includes(message));
    assert.ok(isTold, `${message} ${JSON.stringify(found)}`);
  }
  for (const { id, seen } of found.filter(({ id }) => id.startsWith("driver_"))) {
    assert.ok(problems.some(({ message }) => seen.includes(message)), `${id}: ${seen}`);
  }
  const errors = found.filter(({ status }) => status === "error");
  const canSign = certificates.some(({ usable }) => usable);
  assert.equal(errors.length === 0, canSign || tokens.some(({ hidden }) => hidden), `${errors}`);
}
