/** Remote credentials: against the real PIN/OTP service (version 2) and a small one of version 1. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { verifySignature } from "../formats/x509/signature.ts";
import { sha256, startCscV1, V1 } from "../tests/fakes/csc_v1.ts";
import { freePort } from "../tests/fixtures/free_port.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { makeService, PIN as SERVICE_PIN } from "../tests/fixtures/otp_service.ts";
import { enrol, initialise, Instance, mailServer, PIN } from "../tests/fixtures/otp_process.ts";
import { CscProvider, type CscService } from "./csc.ts";
import type { AskPin, OtpPrompt } from "./provider.ts";

const noBrowser = () => Promise.reject(new Error("no browser is wanted"));
const bytes = (text: string) => new TextEncoder().encode(text);

/** A person who knows the PIN and reads the OTP. */
function person(pin: string, readOtp: (prompt: OtpPrompt) => string | Promise<string>) {
  const asked: string[] = [];
  const askPin: AskPin = async (wanted, prompt) => {
    asked.push(wanted);
    return bytes(wanted === "otp" ? await readOtp(prompt!) : pin);
  };
  return { asked, askPin };
}

async function secretFile(dir: string, secret: string): Promise<string> {
  const path = join(dir, crypto.randomUUID());
  await Deno.writeTextFile(path, `${secret}\n`, { mode: 0o600 });
  return path;
}

async function withV1(
  body: (fake: ReturnType<typeof startCscV1>, service: CscService) => Promise<void>,
) {
  const fake = startCscV1();
  try {
    await inTempDir(async (dir) => {
      const passwordFile = await secretFile(dir, V1.password);
      const login = { type: "basic", user: V1.user, passwordFile } as const;
      await body(fake, { name: "Fake", url: fake.url, login });
    });
  } finally {
    await fake.close();
  }
}

Deno.test("in version 1, simultaneous signatures are authorized together, by PIN and OTP", () =>
  withV1(async (fake, service) => {
    const provider = new CscProvider(service, noBrowser);
    const { tokens, keys: [key], problems } = await provider.list();
    assert.deepEqual(problems, []);
    assert.equal(tokens.length, 1);
    assert.equal(key!.eachSignature, true);
    assert.deepEqual(key!.certificate, fake.certificate);
    assert.equal(key!.chain.length, 3);

    const { asked, askPin } = person(V1.pin, ({ service, description }) => {
      assert.deepEqual([service, description], ["Fake", "Sent to your phone"]);
      return fake.lastOtp();
    });
    const signer = await provider.open(key!, { hash: "SHA-256", askPin });
    assert.deepEqual(asked, [], "nothing is asked before something is to be signed");
    const digests = ["one", "two", "three"].map(sha256);
    const signatures = await Promise.all(digests.map((digest) => signer.sign({ digest })));
    signatures.forEach((signature, i) => {
      const input = { digest: digests[i]! };
      assert.ok(verifySignature(key!.certificate, signer.algorithm, input, signature));
    });
    // two, which is all that one authorization may hold, then one
    assert.deepEqual(asked, ["signature", "otp", "signature", "otp"]);
    const authorized = fake.calls.filter(({ method }) => method === "credentials/authorize");
    assert.deepEqual(authorized.map(({ body }) => body.numSignatures), [2, 1]);
    // one after the other
    for (const digest of digests.slice(0, 2)) {
      const signature = await signer.sign({ digest });
      assert.ok(verifySignature(key!.certificate, signer.algorithm, { digest }, signature));
    }
    assert.equal(asked.length, 8);
    await signer.close();
    await assert.rejects(signer.sign({ digest: digests[0]! }), { code: "key_not_found" });
    await provider.close();
  }));

Deno.test("a wrong PIN or OTP ends the request and is never sent again", () =>
  withV1(async (fake, service) => {
    const provider = new CscProvider(service, noBrowser);
    const { keys: [key] } = await provider.list();
    const attempt = async (pin: string, otp: () => string) => {
      const { askPin } = person(pin, otp);
      const signer = await provider.open(key!, { hash: "SHA-256", askPin });
      return await signer.sign({ digest: sha256("x") });
    };
    const count = () =>
      fake.calls.filter(({ method }) => method === "credentials/authorize").length;
    await assert.rejects(attempt("0000", () => fake.lastOtp()), { code: "pin_incorrect" });
    await assert.rejects(attempt(V1.pin, () => "000000"), { code: "pin_incorrect" });
    assert.equal(count(), 2);
    await assert.rejects(attempt("0000", () => "0"), { code: "pin_incorrect" });
    await assert.rejects(attempt(V1.pin, () => fake.lastOtp()), { code: "pin_locked" });
    const declined = new Error("declined");
    const signer = await provider.open(key!, {
      hash: "SHA-256",
      askPin: () => Promise.reject(declined),
    });
    await assert.rejects(signer.sign({ digest: sha256("x") }), declined);
    assert.equal(count(), 4);
    await provider.close();
  }));

Deno.test("an OTP can be sent again", () =>
  withV1(async (fake, service) => {
    const provider = new CscProvider(service, noBrowser);
    const { keys: [key] } = await provider.list();
    const { askPin } = person(V1.pin, async ({ resend }) => {
      const first = fake.lastOtp();
      await resend!();
      assert.notEqual(fake.lastOtp(), first);
      return fake.lastOtp();
    });
    const signer = await provider.open(key!, { hash: "SHA-256", askPin });
    await signer.sign({ message: bytes("order") });
    await provider.close();
  }));

Deno.test("a misbehaving service is a problem, and the others still work", () =>
  withV1(async (fake, service) => {
    const problemOf = async (service: CscService) => {
      const provider = new CscProvider(service, noBrowser);
      const { keys, problems: [problem] } = await provider.list();
      await provider.close();
      assert.equal(keys.length, 0);
      return problem!;
    };
    const elsewhere = () => Response.redirect("https://elsewhere.example/");
    const cases: [string, () => Response, string][] = [
      ["info", elsewhere, "driver_timeout"],
      ["info", () => new Response("<html>"), "driver_error"],
      ["info", () => new Response("x".repeat(2_000_000)), "driver_timeout"],
      ["credentials/list", () => Response.json({ credentialIDs: 7 }), "driver_error"],
      [
        "credentials/info",
        () => Response.json({ error: "e", error_description: "a\u001b[2Jb" }, { status: 500 }),
        "driver_error",
      ],
    ];
    for (const [method, answer, code] of cases) {
      fake.answer = { [method]: answer };
      const problem = await problemOf(service);
      assert.equal(problem.code, code, method);
      assert.ok(!problem.message.includes("\u001b"));
    }
    fake.answer = {};
    await inTempDir(async (dir) => {
      const passwordFile = await secretFile(dir, "wrong");
      const login = { type: "basic", user: V1.user, passwordFile } as const;
      assert.equal((await problemOf({ ...service, login })).code, "token_not_present");
      await Deno.chmod(passwordFile, 0o644);
      assert.match((await problemOf({ ...service, login })).message, /can be read by others/);
    });
    assert.throws(
      () => new CscProvider({ ...service, url: "http://sign.example/csc/v1" }, noBrowser),
      { code: "driver_error" },
    );
    // the number of signatures is not what was asked for
    const provider = new CscProvider(service, noBrowser);
    const { keys: [key] } = await provider.list();
    fake.answer = { "signatures/signHash": () => Response.json({ signatures: [] }) };
    const { askPin } = person(V1.pin, () => fake.lastOtp());
    const signer = await provider.open(key!, { hash: "SHA-256", askPin });
    await assert.rejects(signer.sign({ digest: sha256("x") }), { code: "driver_error" });
    await provider.close();
  }));

Deno.test("version 2 works with the real service in a separate process", () =>
  inTempDir(async (dir) => {
    const mail = await mailServer();
    try {
      const { config, secret } = await initialise(dir, mail.port, {});
      const instance = await Instance.start(config);
      try {
        const token = await instance.token(secret);
        const credentialID = await enrol(instance, token, mail.mails, "asen", { kind: "stored" });
        assert.ok(credentialID);
        const passwordFile = await secretFile(dir, secret);
        const provider = new CscProvider({
          name: "Works",
          url: `http://127.0.0.1:${instance.port}/csc/v2`,
          login: { type: "basic", user: "portal", passwordFile },
          userID: "asen",
        }, noBrowser);
        const { keys: [key], problems } = await provider.list();
        assert.deepEqual(problems, []);
        const { asked, askPin } = person(PIN, () => mail.lastOtp());
        const signer = await provider.open(key!, { hash: "SHA-256", askPin });
        const message = bytes("Technical Sanction 7");
        const signature = await signer.sign({ message });
        assert.ok(verifySignature(key!.certificate, signer.algorithm, { message }, signature));
        assert.deepEqual(asked, ["signature", "otp"]);
        const wrong = await provider.open(key!, {
          hash: "SHA-256",
          askPin: person("111222", () => mail.lastOtp()).askPin,
        });
        await assert.rejects(wrong.sign({ message }), { code: "pin_incorrect" });
        await provider.close();
      } finally {
        await instance.end("SIGTERM");
      }
    } finally {
      await mail.close();
    }
  }));

Deno.test("version 2 in a browser signs in, then takes PIN and OTP on the service's page", async () => {
  let handler = (_: Request): Promise<Response> => Promise.resolve(new Response());
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handler(request),
  );
  const origin = `http://127.0.0.1:${server.addr.port}`;
  const redirectUri = `http://127.0.0.1:${freePort()}/back`;
  const test = makeService({ publicUrl: origin });
  (test.service.clients[0]!.redirectUris as string[]).push(redirectUri);
  handler = test.handler;
  const login = {
    type: "browser",
    clientId: "portal",
    clientSecretFile: await Deno.makeTempFile(),
    redirectUri,
  } as const;
  await Deno.writeTextFile(login.clientSecretFile, "portal-secret-of-128-bits-at-least");
  /** The person in the browser. */
  const browse = async (url: string) => {
    const opened = await fetch(url, { redirect: "manual" });
    await opened.body?.cancel();
    let ticket = new URL(opened.headers.get("location")!).hash.slice(1);
    const talk = async (path: string, body: unknown = {}) =>
      await (await fetch(`${origin}/otp/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${ticket}`, origin },
        body: JSON.stringify(body),
      })).json();
    let redirect: string | undefined;
    while (redirect === undefined) {
      const view = await (await fetch(`${origin}/otp/view`, {
        headers: { authorization: `Bearer ${ticket}` },
      })).json();
      let reply: unknown = { decision: "sign_in", userID: "asen", pin: SERVICE_PIN };
      if (view.kind === "sign") {
        await talk("send");
        reply = { decision: "approve", pin: SERVICE_PIN, otp: test.lastOtp(), language: "en" };
      }
      const answered = await talk("answer", reply);
      assert.equal(answered.ok, true, answered.code);
      ({ redirect, ticket = ticket } = answered);
    }
    await (await fetch(redirect)).body?.cancel();
  };
  const provider = new CscProvider({ name: "Works", url: `${origin}/csc/v2`, login }, browse);
  try {
    await test.enrol({ userID: "asen", credential: { kind: "stored", mode: "oauth2code" } });
    const noWindow = () => Promise.reject(new Error("No browser was found."));
    const blind = new CscProvider({ name: "Works", url: `${origin}/csc/v2`, login }, noWindow);
    await blind.list();
    let [problem] = (await blind.list()).problems;
    while (!/failed/.test(problem!.message)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      [problem] = (await blind.list()).problems;
    }
    assert.match(problem!.message, /Signing in to Works failed: No browser was found\./);
    await blind.close();

    const signedIn = Promise.withResolvers<void>();
    const unwatch = provider.watch(() => signedIn.resolve());
    const first = await provider.list();
    assert.deepEqual(first.problems.map(({ code }) => code), ["token_not_present"]);
    await signedIn.promise;
    const { keys: [key], problems } = await provider.list();
    assert.deepEqual(problems, []);
    assert.equal(key!.token.protectedAuthenticationPath, true);
    const { asked, askPin } = person("", () => "");
    const signer = await provider.open(key!, { hash: "SHA-256", askPin });
    const message = bytes("Technical Sanction 8");
    const signature = await signer.sign({ message });
    assert.ok(verifySignature(key!.certificate, signer.algorithm, { message }, signature));
    assert.deepEqual(asked, [], "D-Sign sees neither PIN nor OTP");
    unwatch();
  } finally {
    await provider.close();
    await server.shutdown();
    await test.close();
    await Deno.remove(login.clientSecretFile);
  }
});
