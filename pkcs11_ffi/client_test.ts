/** The client over SoftHSM, through a driver that misbehaves on demand. */
import assert from "node:assert/strict";
import { verify } from "node:crypto";
import { join } from "node:path";
import { buildFaultDriver, type FaultDriver } from "../tests/fakes/pkcs11_fault.ts";
import {
  findModule,
  HOST_COMMAND,
  makeKeys,
  PIN,
  softhsm,
  type TestKey,
  type TestToken,
} from "../tests/fakes/pkcs11_tokens.ts";
import { openssl, run } from "../tests/fixtures/openssl.ts";
import {
  type ClientOptions,
  Pkcs11Client,
  Pkcs11Error,
  type Pkcs11ErrorCode,
  type Pkcs11Session,
  type TokenInfo,
} from "./client.ts";

const TOKEN = "pkcs11:token=D-Sign%20test";
const MESSAGE = new TextEncoder().encode("Pay to the order of …");
const RSA = {
  scheme: "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
  input: "message",
  data: MESSAGE,
} as const;

let dir: string;
let token: TestToken;
let rsa: TestKey;
let ec: TestKey;
let driver: FaultDriver;

Deno.test.beforeAll(async () => {
  dir = Deno.makeTempDirSync({ prefix: "dsign-pkcs11-" });
  token = await softhsm(dir, await makeKeys(dir, ["rsa2048", "p256"]));
  [rsa, ec] = token.keys;
});
Deno.test.afterAll(() => Deno.removeSync(dir, { recursive: true }));

const pin = (text = PIN) => new TextEncoder().encode(text);

/** Runs a test with a fresh driver and client. */
function test(
  name: string,
  fn: (client: Pkcs11Client, log: string[]) => Promise<void>,
  options: Partial<ClientOptions> = {},
): void {
  Deno.test(name, async () => {
    const own = Deno.makeTempDirSync({ dir });
    driver = await buildFaultDriver(own, token);
    const log: string[] = [];
    const client = new Pkcs11Client({
      modulePath: driver.modulePath,
      command: token.command,
      env: driver.env,
      onLog: (line) => log.push(line),
      ...options,
    });
    try {
      await fn(client, log);
    } finally {
      await client.close();
    }
  });
}

/** The promise fails with this code; gives the error. */
async function fails(promise: Promise<unknown>, code: Pkcs11ErrorCode): Promise<Pkcs11Error> {
  const error = await promise.then(() => undefined, (reason) => reason);
  assert.ok(error instanceof Pkcs11Error, `wanted ${code}, got ${error}`);
  assert.equal(error.code, code, `${error.message} ${error.reason}`);
  return error;
}

async function loggedIn(client: Pkcs11Client): Promise<Pkcs11Session> {
  const session = await client.openSession(TOKEN);
  await session.login(pin());
  return session;
}

const rsaKey = (session: Pkcs11Session) => session.key({ id: rsa.id });

function isRunning(pid: number): boolean {
  try {
    // A process that nobody waits for stays as a zombie where no init adopts it.
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

function verifies(signature: Uint8Array): void {
  assert.ok(verify("sha256", MESSAGE, rsa.certificate.publicKey, signature));
}

test("names the driver and its tokens", async (client) => {
  assert.equal((await client.info()).manufacturer, "SoftHSM");
  const found = (await client.tokens()).find(({ label }) => label === token.label)!;
  assert.match(found.uri, /^pkcs11:token=D-Sign%20test;manufacturer=SoftHSM%20project;serial=/);
  assert.ok(found.initialised && found.loginRequired && !found.protectedAuthenticationPath);
  const ids = (await client.certificates(found.uri)).map(({ id }) => id);
  assert.deepEqual(ids.sort(), [rsa.id, ec.id]);
  await fails(client.openSession("pkcs11:token=other"), "token_not_found");
  await fails(client.openSession("pkcs11:serial="), "token_not_initialised");
  await fails(client.openSession("token=other"), "uri_invalid");
});

test("tells twins apart by their slot only, and refuses to guess", async (client) => {
  driver.set("twin", "blank");
  const twins = (await client.tokens()).filter(({ initialised }) => initialised);
  assert.equal(twins.length, 2);
  for (const { uri, slotId, label } of twins) {
    assert.ok(uri.endsWith(`;slot-id=${slotId}`), uri);
    assert.equal(label, "");
    await (await client.openSession(uri)).close();
  }
  await fails(client.openSession("pkcs11:manufacturer=SoftHSM%20project"), "token_ambiguous");
});

test(
  "signs through slots that are far apart, a driver without locks and one that prints",
  async (client, log) => {
    driver.set("slots", "no-locking", "noise C_Sign", "noise C_GetSlotList", "no-always");
    const key = await rsaKey(await loggedIn(client));
    for (const signature of await Promise.all(Array.from({ length: 200 }, () => key.sign(RSA)))) {
      verifies(signature);
    }
    assert.ok(log.some((line) => line.startsWith("driver stdout: debug: entering C_GetSlotList")));
    assert.ok(!log.some((line) => line.includes("C_Sign")), "it knows the PIN by then");
  },
);

test("a wrong PIN is one C_Login, says what is left, and is wiped", async (client) => {
  const session = await client.openSession(TOKEN);
  const wrong = pin("00000000");
  const error = await fails(session.login(wrong), "pin_incorrect");
  assert.deepEqual([error.functionName, error.rv], ["C_Login", 0xa0]);
  assert.ok(wrong.every((byte) => byte === 0));
  assert.deepEqual(driver.logins(), ["1"]);
  driver.set("blank"); // The token never sets its PIN flags.
  await fails(client.openSession(TOKEN), "token_not_found");
  assert.equal((await fails(session.login(pin("1111")), "pin_incorrect")).triesLeft, "unknown");
  for (const [flag, left] of [["10000", "low"], ["20000", "final"], ["40000", "none"]]) {
    driver.set(`flags ${flag}`);
    assert.equal((await fails(session.login(pin("1111")), "pin_incorrect")).triesLeft, left);
  }
  driver.set("rv C_Login a4");
  assert.equal((await fails(session.login(pin()), "pin_locked")).triesLeft, "none");
  assert.equal(driver.logins().length, 6);
  await fails(session.login(new Uint8Array(0)), "pin_length");
  await fails(session.login(null), "pin_length");
  assert.equal(driver.logins().length, 6, "neither reached the token");
});

test("whatever C_Login returns, it is called once", async (client) => {
  const session = await client.openSession(TOKEN);
  for (const rv of ["5", "6", "13", "30", "a3", "b3", "e0", "100", "101", "102"]) {
    const before = driver.logins().length;
    driver.set(`rv C_Login ${rv}`);
    await assert.rejects(session.login(pin()));
    assert.equal(driver.logins().length, before + 1, rv);
  }
});

test("return codes keep their function", async (client) => {
  const session = await loggedIn(client);
  const key = await rsaKey(session);
  const cases: [string, Pkcs11ErrorCode][] = [
    ["31", "device_memory"],
    ["30", "device_error"],
    ["101", "user_not_logged_in"],
    ["60", "key_not_found"],
    ["68", "key_not_usable"],
    ["50", "cancelled"],
    ["5", "driver_error"],
    ["80001234", "driver_error"],
  ];
  for (const [rv, code] of cases) {
    driver.set(`rv C_SignInit ${rv}`);
    const error = await fails(key.sign(RSA), code);
    assert.deepEqual([error.functionName, error.rv], ["C_SignInit", parseInt(rv, 16)]);
  }
  driver.set();
  verifies(await key.sign(RSA));
});

test(
  "after a crash everything in flight fails, the driver starts again, nobody is logged in",
  async (client, log) => {
    const session = await loggedIn(client);
    const key = await rsaKey(session);
    driver.set("crash C_Sign");
    const crashed = Array.from({ length: 5 }, () => fails(key.sign(RSA), "driver_crashed"));
    assert.match((await Promise.all(crashed))[0].reason!, /SIGSEGV/);
    assert.ok(log.includes("driver process ended: SIGSEGV"));
    driver.set();
    await fails(key.sign(RSA), "user_not_logged_in");
    await client.tokens();
    await fails(key.sign(RSA), "user_not_logged_in");
    await fails(rsaKey(session), "user_not_logged_in");
    await session.close();
    assert.deepEqual(driver.logins(), ["1"], "no login was repeated");
    verifies(await (await rsaKey(await loggedIn(client))).sign(RSA));
  },
);

test("a driver that ends the process is a crash too", async (client) => {
  driver.set("exit C_GetTokenInfo");
  assert.match((await fails(client.tokens(), "driver_crashed")).reason!, /exit code 7/);
  driver.set("crash C_GetFunctionList");
  await fails(client.tokens(), "driver_crashed");
});

test("a driver that hangs is stopped, and started again", async (client) => {
  const session = await loggedIn(client);
  const key = await rsaKey(session);
  const [pid] = client.pids;
  driver.set("hang C_Sign");
  await fails(key.sign(RSA), "driver_timeout");
  driver.set("hang C_Initialize");
  await fails(client.tokens(), "driver_timeout");
  driver.set("hang C_Login");
  const again = await client.openSession(TOKEN);
  await fails(again.login(pin()), "driver_timeout");
  driver.set();
  assert.ok((await client.tokens()).length > 0);
  assert.notEqual(client.pids[0], pid);
  assert.equal(driver.logins().length, 2);
}, { timeouts: { startMs: 1500, requestMs: 1500, loginMs: 1500 } });

test("the time of a request runs only while the driver works on it", async (client) => {
  const key = await rsaKey(await loggedIn(client));
  driver.set("delay C_Sign 100"); // 256 ms each; together far longer than the limit.
  await Promise.all(Array.from({ length: 12 }, () => key.sign(RSA)));
}, { timeouts: { requestMs: 1500 } });

test("impossible answers are recognised", async (client) => {
  const session = await loggedIn(client);
  const key = await rsaKey(session);
  for (const name of ["C_GetSlotList", "C_GetMechanismList"]) {
    driver.set(`wrong ${name}`);
    const digest = { ...RSA, scheme: "RSASSA-PSS" } as const;
    const call = name === "C_GetSlotList" ? client.tokens() : key.sign(digest);
    assert.equal((await fails(call, "driver_nonsense")).functionName, name);
  }
  driver.set("wrong C_FindObjects");
  await fails(session.certificates(), "driver_nonsense");
  driver.set("wrong C_GetAttributeValue");
  await fails(session.certificates(), "driver_nonsense");
  driver.set("wrong C_Sign");
  await fails(key.sign(RSA), "driver_nonsense");
  driver.set("wrong C_GetTokenInfo");
  for (const { label, minPinLength, maxPinLength } of await client.tokens()) {
    assert.equal(label, "\ufffd".repeat(32));
    assert.deepEqual([minPinLength, maxPinLength], [0, 0]);
  }
  driver.set();
  verifies(await key.sign(RSA));
});

test("a token pulled out in the middle", async (client) => {
  const session = await loggedIn(client);
  const key = await rsaKey(session);
  driver.set("removed");
  await fails(key.sign(RSA), "token_removed");
  assert.deepEqual(await client.tokens(), []);
  await fails(client.openSession(TOKEN), "token_not_found");
  await session.close();
  driver.set();
  verifies(await (await rsaKey(await loggedIn(client))).sign(RSA));
});

test("a key that always authenticates takes one PIN a signature", async (client) => {
  driver.set("always");
  const session = await loggedIn(client);
  const key = await rsaKey(session);
  assert.equal(key.info.alwaysAuthenticate, true);
  await fails(key.sign(RSA), "context_login_required");
  const wrong = pin("00000000");
  await fails(key.sign(RSA, { pin: wrong }), "pin_incorrect");
  assert.ok(wrong.every((byte) => byte === 0));
  await fails(key.sign(RSA, { pin: null }), "pin_length");
  for (let i = 0; i < 2; i++) verifies(await key.sign(RSA, { pin: pin() }));
  assert.deepEqual(driver.logins(), ["1", "2", "2", "2"]);
});

test("works around missing mechanisms, or says so", async (client) => {
  driver.set("without 40");
  const digest = { ...RSA, input: "digest", data: new Uint8Array(32) } as const;
  const first = await loggedIn(client);
  const raw = await rsaKey(first);
  verifies(await raw.sign(RSA));
  assert.equal((await raw.sign(digest)).length, 256);
  await first.close();
  driver.set("without 1");
  const combined = await rsaKey(await loggedIn(client));
  verifies(await combined.sign(RSA));
  await fails(combined.sign(digest), "mechanism_unsupported");
  await fails(combined.sign({ ...RSA, scheme: "ECDSA" }), "mechanism_unsupported");
  await fails(combined.sign({ ...digest, data: new Uint8Array(20) }), "mechanism_unsupported");
  const oversize = new Uint8Array(1024 * 1024 + 1);
  await fails(combined.sign({ ...RSA, data: oversize }), "input_invalid");
});

test("a digest must be as long as its hash", async (client) => {
  const key = await rsaKey(await loggedIn(client));
  const data = new Uint8Array(20);
  await fails(key.sign({ ...RSA, input: "digest", data }), "input_invalid");
});

test("a PIN that is typed on the reader", async (client) => {
  driver.set("keypad");
  const [found] = await client.tokens();
  assert.equal(found.protectedAuthenticationPath, true);
  const session = await client.openSession(TOKEN);
  await session.login(null);
  verifies(await (await rsaKey(session)).sign(RSA));
  await session.close();

  driver.set("keypad", "hang C_Login");
  const waiting = await client.openSession(TOKEN);
  const stop = new AbortController();
  const login = fails(waiting.login(null, { signal: stop.signal }), "cancelled");
  while (driver.logins().length < 2) await new Promise((done) => setTimeout(done, 10));
  stop.abort();
  await login;
  await fails(rsaKey(waiting), "user_not_logged_in");
  assert.equal(driver.logins().length, 2);
});

test("a search that is empty at first is made again", async (client) => {
  driver.set("empty-first");
  assert.equal((await client.certificates(TOKEN)).length, 2);
});

test("only one session can be logged in to a token", async (client) => {
  const first = await loggedIn(client);
  const second = await client.openSession(TOKEN);
  // This PIN is never checked, so it must not count as right.
  await fails(second.login(pin("00000000")), "token_busy");
  await fails(rsaKey(second), "user_not_logged_in");
  await second.close();
  verifies(await (await rsaKey(first)).sign(RSA));
  await first.logout();
  await fails(rsaKey(first), "user_not_logged_in");
  await first.close();
});

test("finds keys by CKA_ID and by public part, and never a wrong one", async (client) => {
  const session = await loggedIn(client);
  const der = (key: TestKey) => key.certificate.raw;
  assert.equal((await session.key({ id: rsa.id })).info.label, rsa.name);
  assert.equal((await session.key({ id: "ff", certificate: der(rsa) })).info.label, rsa.name);
  assert.equal((await session.key({ certificate: der(rsa) })).info.label, rsa.name);
  // The identifier says one key and the certificate another: the certificate is right.
  assert.equal((await session.key({ id: ec.id, certificate: der(ec) })).info.label, ec.name);
  await fails(session.key({ id: "ff" }), "key_not_found");
  await fails(session.key({}), "key_not_found");
  await fails(session.key({ id: rsa.id, certificate: new Uint8Array(9) }), "key_not_found");

  // An EC private key does not know its public part; the public key beside it does.
  await fails(session.key({ id: "ff", certificate: der(ec) }), "key_not_found");
  const file = join(dir, "p256.pub");
  const args = ["pkey", "-in", ec.keyPem, "-pubout", "-outform", "DER", "-out", file];
  await openssl(args);
  await run("pkcs11-tool", "opensc", [
    ...["--module", token.modulePath, "--token-label", token.label, "--login", "--pin", PIN],
    ...["--write-object", file, "--type", "pubkey", "--id", ec.id],
  ], { env: token.env });
  assert.equal((await session.key({ id: "ff", certificate: der(ec) })).info.label, ec.name);
});

test("cancels what waits, and forgets what is under way", async (client) => {
  const key = await rsaKey(await loggedIn(client));
  driver.set("delay C_Sign 10");
  const stop = new AbortController();
  const cancelled = Array.from(
    { length: 100 },
    () => fails(key.sign(RSA, { signal: stop.signal }), "cancelled"),
  );
  const kept = key.sign(RSA);
  setTimeout(() => stop.abort(), 20);
  await Promise.all(cancelled);
  verifies(await kept);
  await fails(key.sign(RSA, { signal: stop.signal }), "cancelled");
});

test("a pool logs in once in each process, and goes on without one of them", async (client) => {
  const wrong = await client.openSession(TOKEN);
  await fails(wrong.login(pin("00000000")), "pin_incorrect");
  assert.equal(driver.logins().length, 1, "no other process tries a wrong PIN");
  await wrong.close();
  const session = await loggedIn(client);
  assert.equal(driver.logins().length, 3);
  const key = await rsaKey(session);
  (await Promise.all(Array.from({ length: 50 }, () => key.sign(RSA)))).forEach(verifies);
  const [first, second] = client.pids;
  Deno.kill(first, "SIGKILL");
  while (client.pids.includes(first)) await new Promise((done) => setTimeout(done, 10));
  verifies(await key.sign(RSA));
  assert.deepEqual(client.pids, [second]);
  assert.equal(driver.logins().length, 3);
  await session.close();
}, { poolSize: 2 });

test("watches tokens come and go, and survives the driver", async (client) => {
  const seen: TokenInfo[][] = [];
  const errors: string[] = [];
  let wake = () => {};
  const next = (what: unknown[], count: number) =>
    new Promise<void>((done) => {
      wake = () => what.length >= count && done();
      wake();
    });
  const stop = client.watch(
    (tokens) => (seen.push(tokens), wake()),
    20,
    ({ code }) => (errors.push(code), wake()),
  );
  await next(seen, 1);
  driver.set("removed");
  await next(seen, 2);
  driver.set("crash C_GetSlotList");
  await next(errors, 1);
  driver.set();
  await next(seen, 3);
  stop();
  assert.deepEqual(seen.map(({ length }) => length > 0), [true, false, true]);
  assert.equal(errors[0], "driver_crashed");
});

test("argv and environment of the child tell neither PIN nor driver options", async (client) => {
  await loggedIn(client);
  const [pid] = client.pids;
  const read = (name: string) => Deno.readTextFileSync(`/proc/${pid}/${name}`);
  assert.ok(!read("cmdline").includes(PIN) && !read("cmdline").includes(driver.modulePath));
  assert.ok(!read("environ").includes(PIN));
});

test("the child ends with the process that started it", async (client) => {
  await client.tokens();
  const code = `
    import { Pkcs11Client } from ${JSON.stringify(import.meta.resolve("./client.ts"))};
    const client = new Pkcs11Client(JSON.parse(Deno.args[0]));
    await client.tokens();
    console.log(client.pids[0]);
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { modulePath, env } = driver;
  const options = JSON.stringify({ modulePath, env, command: token.command });
  const file = join(dir, "parent.ts");
  Deno.writeTextFileSync(file, code);
  const parent = new Deno.Command(Deno.execPath(), { args: ["run", "-A", file, options] });
  const pid = Number(new TextDecoder().decode((await parent.output()).stdout));
  assert.ok(pid > 0);
  while (isRunning(pid)) await new Promise((done) => setTimeout(done, 10));
});

test("closing ends the child, even one that hangs, and what it was asked", async (client) => {
  const key = await rsaKey(await loggedIn(client));
  const [pid] = client.pids;
  driver.set("hang C_Sign");
  const pending = fails(key.sign(RSA), "closed");
  await new Promise((done) => setTimeout(done, 50));
  await client.close();
  await pending;
  assert.ok(!isRunning(pid));
  await fails(client.tokens(), "closed");
});

Deno.test("a file that is not a driver gets its own error", async () => {
  const own = Deno.makeTempDirSync({ dir });
  driver = await buildFaultDriver(own, token);
  const text = join(own, "text.so");
  Deno.writeTextFileSync(text, "not a library");
  const foreign = join(own, "foreign.so");
  const elf = Deno.readFileSync(driver.modulePath);
  elf[18] ^= 0xff; // e_machine
  Deno.writeFileSync(foreign, elf);
  const torn = join(own, "torn.so");
  Deno.writeFileSync(torn, Deno.readFileSync(driver.modulePath).subarray(0, 2000));
  const short = join(own, "short.so");
  Deno.writeFileSync(short, Deno.readFileSync(driver.modulePath).subarray(0, 64));
  const cases: [string, Pkcs11ErrorCode, string?][] = [
    [join(own, "missing.so"), "driver_not_found"],
    ["libsofthsm2.so", "driver_not_found"],
    [text, "driver_not_pkcs11"],
    [own, "driver_not_pkcs11"],
    [foreign, "driver_wrong_architecture"],
    [torn, "driver_crashed"], // The system's loader reads past the end of the file.
    [short, "driver_load_failed"],
    [findModule(["libc.so.6"], "libc6"), "driver_not_pkcs11"],
    [driver.modulePath, "driver_not_pkcs11", "null C_GetFunctionList"],
    [driver.modulePath, "driver_not_pkcs11", "rv C_GetFunctionList 5"],
    [driver.modulePath, "driver_not_pkcs11", "null C_Sign"],
    [driver.modulePath, "device_memory", "rv C_Initialize 31"],
  ];
  for (const [modulePath, code, fault = ""] of cases) {
    driver.set(fault);
    const client = new Pkcs11Client({ modulePath, command: HOST_COMMAND, env: driver.env });
    await fails(client.tokens(), code);
    await client.close();
  }
  const client = new Pkcs11Client({ modulePath: text, command: [join(own, "no-program")] });
  await fails(client.tokens(), "driver_load_failed");
  await client.close();
});
