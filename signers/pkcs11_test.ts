import assert from "node:assert/strict";
import { join } from "node:path";
import { verifySignature } from "../formats/x509/signature.ts";
import { Pkcs11Client } from "../pkcs11_ffi/client.ts";
import { buildFaultDriver, type FaultDriver } from "../tests/fakes/pkcs11_fault.ts";
import { HOST_COMMAND, PIN, type TestToken } from "../tests/fakes/pkcs11_tokens.ts";
import { officerTokens } from "../tests/fixtures/officers.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { makePki, type Pki } from "../tests/fixtures/pki.ts";
import { type NamedClient, Pkcs11Provider } from "./pkcs11.ts";
import type { AskPin, KeyInfo } from "./provider.ts";

const pin = (text: string): AskPin => () => Promise.resolve(new TextEncoder().encode(text));

interface Room {
  pki: Pki;
  hsm: TestToken;
  driver: FaultDriver;
  provider: Pkcs11Provider;
  /** The key of the officer with this name. */
  key(name: string): Promise<KeyInfo>;
}

/** Two officers on SoftHSM, behind a driver that can be told to misbehave. */
function inRoom(
  use: (room: Room) => Promise<void>,
  more: (room: { dir: string; hsm: TestToken }) => NamedClient[] = () => [],
): () => Promise<void> {
  return () =>
    inTempDir(async (dir) => {
      const pki = makePki({ officers: [{ name: "Anita" }, { name: "Bimal", key: "p-256" }] });
      const hsm = await officerTokens(dir, pki.officers);
      const driver = await buildFaultDriver(dir, hsm);
      const client = new Pkcs11Client({ ...driver, command: HOST_COMMAND });
      const provider = new Pkcs11Provider([{ name: "HSM", client }, ...more({ dir, hsm })]);
      const key = async (name: string) => {
        const { keys } = await provider.list();
        return keys.find(({ token, hasKey }) => token.label === name && hasKey)!;
      };
      try {
        await use({ pki, hsm, driver, provider, key });
      } finally {
        await provider.close();
      }
    });
}

Deno.test(
  "tokens, certificates and chains are listed, and a broken driver beside the good ones",
  inRoom(async ({ pki, provider }) => {
    const { tokens, keys, problems } = await provider.list();
    const officers = tokens.filter(({ state }) => state === "ready");
    assert.deepEqual(officers.map(({ label }) => label).sort(), ["Anita", "Bimal"]);
    assert.deepEqual(new Set(tokens.map(({ driver }) => driver)), new Set(["HSM"]));
    assert.deepEqual(problems.map(({ driver, code }) => [driver, code]).sort(), [
      ["absent", "driver_not_found"],
      ["text", "driver_not_pkcs11"],
    ]);
    for (const officer of pki.officers) {
      const own = keys.filter((key) => key.token.label === officer.name && key.hasKey);
      assert.equal(own.length, 1);
      assert.deepEqual(own[0].certificate.toHex(), officer.certificate.der.toHex());
      assert.deepEqual(
        own[0].chain.map((each) => each.toHex()),
        officer.chain.map((each) => new Uint8Array(each).toHex()),
      );
      assert.match(own[0].uri, /^pkcs11:.*;id=%01/);
    }
  }, ({ dir }) => {
    Deno.writeTextFileSync(join(dir, "text.so"), "no library");
    return ["absent", "text"].map((name) => ({
      name,
      client: new Pkcs11Client({ modulePath: join(dir, `${name}.so`), command: HOST_COMMAND }),
    }));
  }),
);

Deno.test(
  "messages and digests are signed with RSA and EC after one login, followed by a logout",
  inRoom(async ({ provider, driver, key }) => {
    for (const name of ["Anita", "Bimal"]) {
      const info = await key(name);
      const before = driver.logins().length;
      for (const hash of ["SHA-256", "SHA-512"] as const) {
        const signer = await provider.open(info, { hash, askPin: pin(PIN) });
        const message = new TextEncoder().encode("ব্যয় অনুমোদন");
        const long = new Uint8Array(100_000).fill(7);
        const digest = new Uint8Array(await crypto.subtle.digest(hash, message));
        for (const input of [{ message }, { message: long }, { digest }]) {
          const signature = await signer.sign(input);
          assert.ok(verifySignature(info.certificate, signer.algorithm, input, signature));
        }
        await signer.close();
      }
      assert.equal(driver.logins().length - before, 2, "one login each");
    }
    const old = await provider.open(await key("Anita"), { hash: "SHA-1", askPin: pin(PIN) });
    const input = { digest: new Uint8Array(20).fill(7) };
    assert.ok(verifySignature(old.certificate, old.algorithm, input, await old.sign(input)));
    await old.close();
    await assert.rejects(
      provider.open(await key("Bimal"), { hash: "SHA-1", askPin: pin(PIN) }),
      { code: "algorithm_forbidden" },
    );
  }),
);

Deno.test(
  "a wrong PIN is tried once, and the token's count of tries is passed on",
  inRoom(async ({ provider, driver, key }) => {
    const info = await key("Anita");
    await assert.rejects(provider.open(info, { hash: "SHA-256", askPin: pin("00000000") }), {
      name: "SignerError",
      code: "pin_incorrect",
      details: { triesLeft: "low" },
    });
    assert.equal(driver.logins().length, 1);
    const states: [string, string][] = [
      ["10000", "pin_low"],
      ["20000", "pin_final_try"],
      ["40000", "pin_locked"],
    ];
    for (const [flag, state] of states) {
      driver.set(`flags ${flag}`);
      assert.equal((await key("Anita")).token.state, state);
    }
    // The person's refusal to give a PIN leaves no login behind.
    driver.set();
    const refused = () => Promise.reject(new Error("no PIN today"));
    await assert.rejects(provider.open(info, { hash: "SHA-256", askPin: refused }), /no PIN today/);
    assert.equal(driver.logins().length, 1);
  }),
);

Deno.test(
  "crashes and pulled tokens are typed errors, and the next request works again",
  inRoom(async ({ provider, driver, key }) => {
    const info = await key("Anita");
    const open = () => provider.open(info, { hash: "SHA-256", askPin: pin(PIN) });
    const input = { message: new Uint8Array(3) };

    driver.set("crash C_Login");
    await assert.rejects(open(), { code: "driver_crashed" });
    driver.set();
    const signer = await open();
    driver.set("removed");
    await assert.rejects(signer.sign(input), { code: "token_removed" });
    assert.deepEqual((await provider.list()).keys, []);
    await assert.rejects(open(), { code: "token_not_present" });
    driver.set();
    await signer.close(); // the module underneath never knew
    const again = await open();
    assert.equal((await again.sign(input)).length, 256);
    await again.close();
  }),
);

Deno.test(
  "CKA_ALWAYS_AUTHENTICATE asks for the PIN at every signature",
  inRoom(async ({ provider, driver, key }) => {
    driver.set("always");
    const asked: string[] = [];
    const signer = await provider.open(await key("Anita"), {
      hash: "SHA-256",
      askPin: (wanted) => {
        asked.push(wanted);
        return pin(PIN)(wanted);
      },
    });
    const input = { message: new Uint8Array(3) };
    await signer.sign(input);
    await signer.sign(input);
    await signer.close();
    assert.deepEqual(asked, ["login", "signature", "signature"]);
  }),
);

Deno.test(
  "certificates that a token hides are read after one login, which ends; then its keys sign",
  inRoom(async ({ provider, driver, key }) => {
    driver.set("hide");
    const token = async () =>
      (await provider.list()).tokens.find(({ label }) => label === "Anita")!;
    const { keys } = await provider.list();
    assert.deepEqual([keys.length, (await token()).hidesCertificates], [0, true]);
    await assert.rejects(provider.reveal(await token(), pin("00000000")), {
      code: "pin_incorrect",
    });
    await provider.reveal(await token(), pin(PIN));
    assert.equal((await token()).hidesCertificates, undefined);
    const signer = await provider.open(await key("Anita"), { hash: "SHA-256", askPin: pin(PIN) });
    assert.equal((await signer.sign({ message: new Uint8Array(3) })).length, 256);
    await signer.close();
    assert.deepEqual(driver.logins(), ["1", "1", "1"]);
    driver.set("hide", "removed");
    await provider.list();
    driver.set("hide");
    assert.equal((await provider.list()).keys.length, 0, "the token was taken out");
  }),
);

Deno.test(
  "a PIN is changed by one C_SetPIN, with a login only where the driver wants one",
  inRoom(async ({ provider, driver, key }) => {
    const { token } = await key("Anita");
    const bytes = (text: string) => new TextEncoder().encode(text);
    const change = (old: string, next: string) =>
      provider.changePin(token, [bytes(old), bytes(next)]);
    assert.deepEqual(token.newPin, { min: 4, max: 255 });
    await assert.rejects(change("00000000", "1357"), {
      code: "pin_incorrect",
      details: { triesLeft: "low" },
    });
    await assert.rejects(change(PIN, "1"), { code: "pin_invalid" });
    await change(PIN, "1357");
    assert.deepEqual(driver.logins(), ["C_SetPIN", "C_SetPIN", "C_SetPIN"]);
    driver.set("login-first");
    await change("1357", PIN);
    assert.deepEqual(driver.logins().slice(3), ["C_SetPIN", "1", "C_SetPIN"]);
    const signer = await provider.open(await key("Anita"), { hash: "SHA-256", askPin: pin(PIN) });
    await signer.close();
  }),
);

Deno.test("a hanging driver is reported, and the listing continues without it, until it answers", () =>
  inTempDir(async (dir) => {
    const hsm = await officerTokens(dir, makePki({ officers: [{ name: "Anita" }] }).officers);
    const driver = await buildFaultDriver(dir, hsm);
    driver.set("hang C_GetSlotList");
    const slow = new Pkcs11Client({
      ...driver,
      command: HOST_COMMAND,
      timeouts: { requestMs: 3000 },
    });
    const provider = new Pkcs11Provider([
      { name: "slow", client: slow },
      { name: "good", client: new Pkcs11Client({ ...hsm, command: HOST_COMMAND }) },
    ], { listTimeout: 1500 });
    try {
      const { tokens, problems } = await provider.list();
      assert.deepEqual(problems.map(({ driver, code }) => [driver, code]), [
        ["slow", "driver_timeout"],
      ]);
      assert.ok(tokens.every(({ driver }) => driver === "good") && tokens.length > 0);
      driver.set(); // The process that hangs is ended, and the next one answers.
      for (let tries = 100;; tries--) {
        const { tokens } = await provider.list();
        if (tokens.some(({ driver }) => driver === "slow")) break;
        assert.ok(tries > 0, "it is never listed again");
      }
    } finally {
      await provider.close();
    }
  }));

Deno.test(
  "a PIN typed for a token without a serial number does not go to another in its place",
  inRoom(async ({ driver, provider, key }) => {
    driver.set("blank", "label 416e697461");
    const anita = await key("Anita");
    assert.equal(anita.token.serialNumber, "");
    const typing: AskPin = (wanted) => {
      driver.set("blank", "label 416e697461", "value 1:11 -"); // its certificate is not there
      return pin(PIN)(wanted);
    };
    await assert.rejects(provider.open(anita, { hash: "SHA-256", askPin: typing }), {
      code: "token_not_present",
    });
    assert.deepEqual(driver.logins(), []);
    driver.set("blank", "label 416e697461");
    await (await provider.open(anita, { hash: "SHA-256", askPin: pin(PIN) })).close();
    assert.deepEqual(driver.logins(), ["1"]);
  }),
);
