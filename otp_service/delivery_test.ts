/** Messages through a real SMTP server and a gateway on the loopback address. */
import assert from "node:assert/strict";
import { SMTPServer } from "smtp-server";
import {
  DeliveryError,
  enrolmentMessage,
  hashPrefix,
  otpMessage,
  wrongMessage,
} from "./delivery.ts";
import { smsDelivery } from "./delivery_sms.ts";
import { smtpDelivery } from "./delivery_smtp.ts";
import type { Person } from "./rows.ts";

const PERSON: Person = {
  id: "asen",
  name: "Anita Sen",
  language: "bn",
  otp: "mail",
  email: "anita@works.example",
  phone: "+919800000001",
};
const HASH = new Uint8Array(32).fill(0xab).toBase64();
const FACTS = {
  otp: "493817",
  client: "Project portal",
  purpose: "Technical Sanction\r\nBcc: evil@example\u202e র\u200d্যাক",
  document: { label: "sanction-7.pdf", hash: HASH },
  signatures: 1,
};

Deno.test("the message names OTP, purpose, document and the hash's beginning, in every language", () => {
  for (const language of ["en", "bn", "hi"] as const) {
    const { subject, text } = otpMessage(language, FACTS);
    assert.match(subject, /493817/);
    for (
      const part of ["Project portal", "Technical Sanction Bcc", "sanction-7.pdf", hashPrefix(HASH)]
    ) {
      assert.ok(text.includes(part), part);
    }
    assert.ok(!/[\r\u202e]/.test(subject + text));
    assert.ok(text.includes("র\u200d্যাক"), "what joins letters belongs to the word");
    const many = otpMessage(language, { ...FACTS, document: undefined, signatures: 3 });
    assert.ok(many.text.includes("3") && !many.text.includes("sanction-7.pdf"));
    assert.match(
      enrolmentMessage({ ...PERSON, language }, "https://x/#c", 48).text,
      /https:\/\/x\/#c/,
    );
    const told = ([[5, "answers"], [50, "answers"], [5, "sign_ins"], [50, "sign_ins"]] as const)
      .map(([count, which]) => wrongMessage({ ...PERSON, language }, count, which).text);
    assert.equal(new Set(told).size, 4);
    for (const text of told) assert.match(text, /50|৫০|५०/);
    const change = otpMessage(language, { otp: "493817", change: true });
    assert.match(change.subject, /493817/);
    assert.ok(!change.text.includes("undefined"));
  }
  assert.equal(hashPrefix(HASH), "ABAB ABAB ABAB ABAB");
});

Deno.test("an OTP is delivered by mail, and refusals are reported", async () => {
  const mails: string[] = [];
  let refuse = false;
  let spam = false;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS"],
    onRcptTo: (_address, _session, done) => done(refuse ? new Error("mailbox full") : null),
    onData(stream, _session, done) {
      const parts: Uint8Array[] = [];
      stream.on("data", (part: Uint8Array) => parts.push(part));
      stream.on("end", () => {
        const mail = parts.map((part) => new TextDecoder().decode(part)).join("");
        if (spam) return done(new Error(`spam: ${/^Subject:.*$/m.exec(mail)![0]}`));
        mails.push(mail);
        done();
      });
    },
  });
  const { port } = await new Promise<{ port: number }>((resolve) => {
    const net = server.listen(0, "127.0.0.1", () => resolve(net.address() as { port: number }));
  });
  const delivery = smtpDelivery({
    host: "127.0.0.1",
    port,
    tls: "none",
    from: "Signing service <sign@works.example>",
  });
  try {
    await delivery.send(PERSON, otpMessage("en", FACTS));
    assert.equal(mails.length, 1);
    assert.match(mails[0], /^To: Anita Sen <anita@works\.example>\r$/m);
    assert.match(mails[0], /^Subject: OTP 493817 to sign for Project portal\r$/m);
    assert.ok(!/^Bcc:/mi.test(mails[0]));
    spam = true;
    await assert.rejects(delivery.send(PERSON, otpMessage("en", FACTS)), (error) =>
      // what the server repeats of the message is a secret still
      error instanceof DeliveryError && /status 450/.test(error.message) &&
      !error.message.includes("493817"));
    refuse = true;
    await assert.rejects(
      delivery.send(PERSON, otpMessage("en", FACTS)),
      (error) =>
        error instanceof DeliveryError && /mailbox full/.test(error.message) &&
        !error.message.includes("493817"),
    );
    await assert.rejects(delivery.send({ ...PERSON, email: undefined }, otpMessage("en", FACTS)));
  } finally {
    delivery.close();
    await new Promise<void>((resolve) => server.close(resolve));
  }
  await assert.rejects(
    smtpDelivery({ host: "127.0.0.1", port, tls: "none", from: "a@b.example" })
      .send(PERSON, otpMessage("en", FACTS)),
    DeliveryError,
  );
});

Deno.test("an OTP is delivered by an SMS gateway, and refusals are reported", async () => {
  const requests: { url: string; body: string }[] = [];
  let answer = () => new Response("OK 17");
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    requests.push({ url: request.url, body: await request.text() });
    return answer();
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  try {
    const get = smsDelivery({
      method: "GET",
      url: `${url}/send?n={to}&m={text}`,
      headers: {},
      success: "OK",
    });
    await get.send(PERSON, { subject: "", text: 'a & b "c"\n{to} $&' });
    const sent = new URL(requests[0].url).searchParams;
    assert.deepEqual([sent.get("n"), sent.get("m")], ["+919800000001", 'a & b "c"\n{to} $&']);
    const post = smsDelivery({
      method: "POST",
      url,
      headers: { "content-type": "application/json" },
      body: '{"to":["{to}"],"text":"{text}"}',
    });
    await post.send(PERSON, { subject: "", text: 'a & b "c"\n{to} $&' });
    assert.deepEqual(JSON.parse(requests[1].body), {
      to: ["+919800000001"],
      text: 'a & b "c"\n{to} $&',
    });
    for (
      const bad of [
        () => new Response("OK", { status: 500 }),
        () => new Response("ERR no credit"),
        () => new Response(null, { status: 302, headers: { location: url } }),
        () => new Response("x".repeat(70_000)),
      ]
    ) {
      answer = bad;
      await assert.rejects(
        get.send(PERSON, { subject: "", text: "493817" }),
        (error) => error instanceof DeliveryError && !error.message.includes("493817"),
      );
    }
  } finally {
    await server.shutdown();
  }
});
