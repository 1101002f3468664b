/** `dsign tokens unlock` and `dsign tokens pin` at a terminal, with a token that hides its certificates. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { buildFaultDriver } from "./fakes/pkcs11_fault.ts";
import { spied } from "./fakes/pkcs11_modules.ts";
import { PIN } from "./fakes/pkcs11_tokens.ts";
import { dsign, dsignAtTerminal, environment } from "./fixtures/cli.ts";
import { officerTokens } from "./fixtures/officers.ts";
import { inTempDir } from "./fixtures/openssl.ts";
import { makePki } from "./fixtures/pki.ts";

Deno.test("hidden certificates are listed after the PIN, and one C_SetPIN changes it", () =>
  inTempDir(async (dir) => {
    const { officers } = makePki({ officers: [{ name: "Anita", key: "p-256" }] });
    const spy = spied(await officerTokens(dir, officers), join(dir, "spy"));
    const driver = await buildFaultDriver(dir, spy);
    const env = environment(dir, { ...driver.env, HOME: dir });
    await Deno.mkdir(join(dir, "config/dsign"), { recursive: true });
    await Deno.writeTextFile(
      join(dir, "config/dsign/config.json"),
      JSON.stringify({ searchModules: false, modules: [{ path: driver.modulePath }] }),
    );
    const { fingerprint } = officers[0].certificate;
    driver.set("hide");

    const listed = await dsign(["tokens"], env);
    assert.match(listed.stdout, /locked: .*\n +dsign tokens unlock 'pkcs11:token=Anita;/);
    assert.deepEqual(driver.logins(), []);

    const unlocked = await dsignAtTerminal(["tokens", "unlock", "--json"], env, [
      [/token "Anita"[^]*PIN, empty to cancel: /, "00000000\r"],
      [/The PIN is wrong[^]*PIN, empty to cancel: /, `${PIN}\r`],
    ]);
    assert.equal(unlocked.code, 0, unlocked.stderr);
    assert.ok(!unlocked.stderr.includes(PIN), "the PIN is not shown");
    const found = JSON.parse(unlocked.stdout).certificates.map(({ id }: { id: string }) => id);
    assert.ok(found.includes(fingerprint));
    assert.deepEqual(driver.logins(), ["1", "1"]);

    // A signature wants the PIN twice, each time for one login.
    await Deno.writeTextFile(join(dir, "bill.txt"), "Pay");
    const signed = await dsignAtTerminal(["sign", "--detached", join(dir, "bill.txt")], env, [
      [/Nothing is signed[^]*PIN, empty to cancel: /, `${PIN}\r`],
      [/PIN to sign[^:]*: /, `${PIN}\r`],
    ]);
    assert.equal(signed.code, 0, signed.stderr);
    assert.deepEqual(driver.logins(), ["1", "1", "1", "1"]);

    const changed = await dsignAtTerminal(["tokens", "pin"], env, [
      [/4 to 255 characters[^]*\nPIN, empty to cancel: /, `${PIN}\r`],
      [/New PIN, empty to cancel: /, "1357\r"],
      [/New PIN again, empty to cancel: /, "1358\r"],
      [/The two new PINs differ[^]*New PIN, empty to cancel: /, "1357\r"],
      [/New PIN again, empty to cancel: /, "1357\r"],
    ]);
    assert.equal(changed.code, 0, changed.stderr);
    assert.match(changed.stdout, /The PIN has been changed/);
    const declined = await dsignAtTerminal(["tokens", "unlock"], env, [[/cancel: /, "\r"]]);
    assert.equal(declined.code, 3);
    const again = await dsignAtTerminal(["tokens", "unlock"], env, [[/cancel: /, "1357\r"]]);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /\+ Anita/);
    assert.deepEqual(driver.logins().slice(4), ["C_SetPIN", "1"]);
    const { stdout: log } = await dsign(["log"], env);
    assert.match(log, /change_pin \| done \| command line \| Anita/);
    assert.match(log, /unlock \| user_cancelled/);
    assert.ok(!log.includes("1357") && !log.includes(PIN));
    // One call for each PIN that was typed, and none for the cancelled question.
    const login = "C_Login";
    assert.deepEqual(spy.pins(), [login, login, login, login, "C_SetPIN", login]);
  }));
