/** A remote key through the agent: PIN with the consent, then the OTP in a question of its own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { verifyCms } from "../formats/cms/verify.ts";
import { DsignError } from "../protocol/errors.ts";
import { CscProvider } from "../signers/csc.ts";
import { otpRequest } from "../tests/fakes/consent_requests.ts";
import { startCscV1, V1 } from "../tests/fakes/csc_v1.ts";
import { answerTo, testAgent } from "../tests/fixtures/agent.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { Terminal } from "../tests/fixtures/terminal.ts";
import { WindowConsent } from "../signing/consent/window.ts";
import { PinentryConsent } from "../signing/consent/pinentry.ts";

const TEXT = { content: { text: "Pay 1200.00" } } as const;

async function withRemote(
  body: (fake: ReturnType<typeof startCscV1>, provider: CscProvider) => Promise<void>,
): Promise<void> {
  const fake = startCscV1();
  try {
    await inTempDir(async (dir) => {
      const passwordFile = join(dir, "password");
      await Deno.writeTextFile(passwordFile, V1.password, { mode: 0o600 });
      const login = { type: "basic", user: V1.user, passwordFile } as const;
      const provider = new CscProvider(
        { name: "Works", url: fake.url, login },
        () => Promise.reject(new Error("no browser")),
      );
      await body(fake, provider);
      await provider.close();
    });
  } finally {
    await fake.close();
  }
}

Deno.test("a remote key signs with PIN and OTP, and every request asks again", () =>
  withRemote(async (fake, provider) => {
    await using test = await testAgent({ providers: [provider], keepLogin: 60_000 });
    const { person } = test;
    person.sign = async (request, unlock) => {
      person.asked.push("sign");
      assert.equal(request.choices[0]!.pin.entry, "typed");
      assert.ok((await unlock(answerTo(request, V1.pin))).ok);
    };
    person.otp = async (request, resend) => {
      person.asked.push("otp");
      assert.equal(request.service, "Works");
      assert.equal(request.asker.origin, "https://portal.example");
      await resend();
      return new TextEncoder().encode(fake.lastOtp());
    };
    const client = await test.connect();
    for (let i = 0; i < 2; i++) {
      const { signature } = await client.call("sign.data", TEXT);
      const [signer] = verifyCms(Uint8Array.fromBase64(signature)).signers;
      assert.equal(signer!.status, "valid");
      assert.deepEqual(signer!.certificate!.der, fake.certificate);
    }
    assert.deepEqual(person.asked, ["sign", "otp", "sign", "otp"]);

    person.otp = () => Promise.reject(new DsignError("user_cancelled"));
    const before = fake.calls.length;
    await assert.rejects(client.call("sign.data", TEXT), { code: "user_cancelled" });
    const since = fake.calls.slice(before).map(({ method }) => method);
    assert.ok(!since.includes("credentials/authorize"), "nothing was authorized");
    person.otp = () => Promise.resolve(new TextEncoder().encode("999999"));
    await assert.rejects(client.call("sign.data", TEXT), { code: "pin_incorrect" });
  }));

Deno.test("window: the OTP is asked for separately, and can be sent again", async () => {
  let url = "";
  const consent = new WindowConsent({
    origin: "http://127.0.0.1:1",
    language: "en",
    openWindow: (opened) => Promise.resolve(void (url = opened)),
  });
  let sent = 0;
  const { signal } = new AbortController();
  const resend = () => {
    if (++sent > 1) return Promise.reject(new DsignError("busy"));
    return Promise.resolve();
  };
  const answered = consent.otp(otpRequest(), resend, signal);
  const ask = async (reply: unknown) => {
    const request = new Request("http://127.0.0.1:1/consent/answer", {
      method: "POST",
      headers: {
        authorization: `Bearer ${url.split("#")[1]}`,
        "content-type": "application/json",
      },
      body: JSON.stringify(reply),
    });
    return await (await consent.respond(request, "/consent/answer")).json();
  };
  assert.deepEqual(await ask({ decision: "resend" }), { ok: true });
  const late = await ask({ decision: "resend" });
  assert.deepEqual([late.ok, late.code, late.again], [false, "busy", true]);
  assert.deepEqual(await ask({ decision: "approve", pin: "123456" }), { ok: true });
  assert.equal(new TextDecoder().decode(await answered), "123456");
  assert.equal((await ask({ decision: "approve", pin: "1" })).code, "request_cancelled");

  const declined = consent.otp({ ...otpRequest(), canResend: false }, resend, signal);
  assert.equal((await ask({ decision: "resend" })).code, "invalid_request");
  await ask({ decision: "decline" });
  await assert.rejects(declined, { code: "user_cancelled" });
});

Deno.test("pinentry: an empty OTP sends it again", async () => {
  await using terminal = await Terminal.start("sleep", "120");
  const ttyName = await terminal.ttyName();
  const consent = new PinentryConsent({
    command: ["pinentry-curses"],
    ttyName,
    ttyType: "screen",
  });
  let sent = 0;
  const resend = () => Promise.resolve(void sent++);
  const asked = consent.otp(otpRequest(), resend, new AbortController().signal);
  const screen = await terminal.shows("OTP:");
  assert.match(screen, /Works wants an OTP/);
  await terminal.type("", "Enter");
  while (sent === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await terminal.type("246810", "Enter");
  assert.equal(new TextDecoder().decode(await asked), "246810");
});
