import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { verifySignature } from "../formats/x509/signature.ts";
import type { HashName } from "../formats/signer.ts";
import type { ConsentItem, SignRequest, Unlocked } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import { PIN } from "../tests/fakes/memory_provider.ts";
import { answerTo, PORTAL, testAgent, typing } from "../tests/fixtures/agent.ts";
import { LETTER_PDF } from "../tests/fixtures/deceits.ts";
import { openssl } from "../tests/fixtures/openssl.ts";
import { Audit } from "./audit.ts";
import { describeSign } from "./consent/text.ts";
import { bindingOf } from "./unlock.ts";

const TEXT = { content: { text: "Pay 1200.00 to the treasury" } } as const;
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
const bytesOf = (base64: string) => Uint8Array.fromBase64(base64);

function checkRaw(
  certificate: string,
  hash: HashName,
  input: { message: Uint8Array } | { digest: Uint8Array },
  signature: string,
) {
  const algorithm = { scheme: "RSASSA-PKCS1-v1_5", hash } as const;
  assert.ok(verifySignature(bytesOf(certificate), algorithm, input, bytesOf(signature)));
}

Deno.test("sign.data: raw, with each hash, over the canonical form of JSON", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (const hash of ["SHA-256", "SHA-384", "SHA-512"] as const) {
    const { signature, content, certificate, algorithm } = await client.call("sign.data", {
      content: { json: { b: 1, a: "é" } },
      format: "raw",
      hash,
    });
    assert.equal(new TextDecoder().decode(bytesOf(content)), '{"a":"é","b":1}');
    assert.equal(algorithm, `RS${hash.slice(4)}`);
    checkRaw(certificate, hash, { message: bytesOf(content) }, signature);
  }
  assert.deepEqual(test.provider.story.slice(0, 3), ["login 0", "sign 0", "logout 0"]);
});

Deno.test("names in JSON that mean something to JavaScript are shown and signed as any others", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  let preview: string | undefined;
  test.person.sign = async (request, unlock) => {
    preview = request.items[0].preview?.text;
    await unlock(answerTo(request));
  };
  const text = '{"__proto__":{"amount":9},"constructor":1,"toJSON":2,"toString":"x"}';
  const { content } = await client.call("sign.data", { content: { json: JSON.parse(text) } });
  assert.equal(new TextDecoder().decode(bytesOf(content)), text);
  assert.equal(preview, text);
});

Deno.test("SHA-1 is used only for bare signatures for sites of the legacy profile", async () => {
  const legacyOrigins = ["https://old.example"];
  const allowedOrigins = [PORTAL, ...legacyOrigins].map((origin) => ({
    origin,
    scopes: ["certificates" as const, "sign" as const, "sign_hash" as const],
  }));
  await using test = await testAgent({ legacyOrigins, allowedOrigins });
  const seen: string[] = [];
  test.person.sign = async (request, unlock) => {
    seen.push(describeSign(request, { previewLines: 0, items: 1 }));
    await unlock(answerTo(request));
  };
  const raw = { ...TEXT, format: "raw", hash: "SHA-1" } as const;
  const digests = ["2jmj7l5rSw0yVb/vlWAYkK/YBwk="];
  const portal = await test.connect();
  await assert.rejects(portal.call("sign.data", raw), { code: "algorithm_forbidden" });
  await assert.rejects(portal.call("sign.hash", { digests, hash: "SHA-1" }), {
    code: "algorithm_forbidden",
  });
  assert.deepEqual(seen, [], "nobody is asked");

  const old = await test.connect(legacyOrigins[0]);
  const { signature, certificate, algorithm } = await old.call("sign.data", raw);
  assert.equal(algorithm, "RS1");
  const message = new TextEncoder().encode(TEXT.content.text);
  checkRaw(certificate, "SHA-1", { message }, signature);
  const { signatures } = await old.call("sign.hash", { digests, hash: "SHA-1" });
  checkRaw(certificate, "SHA-1", { digest: bytesOf(digests[0]) }, signatures[0]);
  assert.equal(seen.length, 2);
  for (const text of seen) assert.match(text, /SHA-1, and can be forged/);
  for (const format of ["cades", "xades", "xmldsig", "jws"] as const) {
    await assert.rejects(old.call("sign.data", { ...raw, format } as never), {
      code: "invalid_params",
    });
  }
});

Deno.test("sign.data and sign.document make CAdES that OpenSSL accepts", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const dir = test.dir;
  const verify = async (signature: string, ...args: string[]) => {
    await Deno.writeFile(`${dir}/s.p7s`, bytesOf(signature));
    const verified = await openssl([
      ...["cms", "-verify", "-binary", "-noverify", "-inform", "DER", "-in", `${dir}/s.p7s`],
      ...args,
    ]);
    return new TextDecoder().decode(verified);
  };
  const attached = await client.call("sign.data", TEXT);
  assert.equal(await verify(attached.signature), TEXT.content.text);

  await Deno.writeTextFile(`${dir}/content`, TEXT.content.text);
  const detached = await client.call("sign.data", { ...TEXT, packaging: "detached" });
  assert.equal(await verify(detached.signature, "-content", `${dir}/content`), TEXT.content.text);
  assert.ok(detached.signature.length < attached.signature.length);

  const bytes = new TextEncoder().encode(TEXT.content.text);
  const { document } = await client.call("document.open", {
    name: "order.txt",
    size: bytes.length,
    hash: "SHA-512",
  });
  client.sendChunk(document, bytes);
  const ofDocument = await client.call("sign.document", { document });
  assert.equal(ofDocument.algorithm, "RS512");
  assert.ok(ofDocument.format === "cades");
  assert.equal(await verify(ofDocument.signature, "-content", `${dir}/content`), TEXT.content.text);
});

Deno.test("sign.hash signs digests in their order, with one PIN, and says that it is blind", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const seen: SignRequest[] = [];
  test.person.sign = async (request, unlock) => {
    seen.push(request);
    await unlock(answerTo(request));
  };
  const digests = Array.from({ length: 100 }, (_, i) => sha256(Uint8Array.of(i)));
  const { signatures, certificate } = await client.call("sign.hash", {
    digests: digests.map((digest) => digest.toString("base64")),
  });
  signatures.forEach((signature, i) =>
    checkRaw(certificate, "SHA-256", { digest: digests[i] }, signature)
  );
  assert.equal(seen.length, 1);
  assert.ok(seen[0].blind);
  assert.ok(seen[0].items.every(({ preview, size }) => preview === null && size === null));
  assert.equal(seen[0].binding, createHash("sha256").update(Buffer.concat(digests)).digest("hex"));
  assert.equal(test.provider.story.filter((each) => each.startsWith("login")).length, 1);
  assert.equal(test.provider.story.at(-1), "logout 0");
});

Deno.test("a bare signature is blind, over a text too: it may be one under any document", async () => {
  const origin = "https://site.example";
  await using test = await testAgent({
    allowedOrigins: [
      { origin, scopes: ["certificates", "sign"] },
      { origin: PORTAL, scopes: ["certificates", "sign", "sign_hash"] },
    ],
  });
  const blind: boolean[] = [];
  test.person.sign = async (request, unlock) => {
    blind.push(request.blind);
    await unlock(answerTo(request));
  };
  // SET OF Attribute: what a CMS signature is made over.
  const attributes = { content: { base64: "MYGiMBgGCSqGSIb3DQEJAzEL" }, format: "raw" } as const;
  const site = await test.connect(origin);
  await assert.rejects(site.call("sign.data", attributes), { code: "scope_not_granted" });
  await assert.rejects(
    site.call("sign.data", { content: { text: "seen" }, format: "raw" }),
    { code: "scope_not_granted" },
  );
  assert.deepEqual(blind, []);
  await site.call("sign.data", { ...attributes, format: "cades" });
  const portal = await test.connect();
  await portal.call("sign.data", attributes);
  await portal.call("sign.data", { content: { text: "seen" }, format: "raw" });
  assert.deepEqual(blind, [false, true, true]);
});

Deno.test("a PDF is shown page by page, though the site calls it a text", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const bytes = LETTER_PDF;
  const seen: { item: ConsentItem; shown: Uint8Array }[] = [];
  test.person.sign = async (request, unlock, _signal, show) => {
    const { source } = await show(0);
    seen.push({ item: request.items[0], shown: source.read(0, source.size) });
    await unlock(answerTo(request));
  };
  const about = { name: "leave.txt", mediaType: "text/plain", size: bytes.length };
  const { document } = await client.call("document.open", about);
  client.sendChunk(document, bytes);
  await client.call("sign.document", { document });
  const content = { base64: bytes.toBase64() };
  await client.call("sign.data", { content, name: "leave.txt" });
  assert.equal(seen.length, 2);
  for (const { item: { mediaType, preview, pdf }, shown } of seen) {
    assert.deepEqual({ mediaType, preview, pdf }, {
      mediaType: "application/pdf",
      preview: null,
      pdf: { adds: null },
    });
    assert.deepEqual(shown, bytes);
  }
});

Deno.test("the person sees the site, its purpose, and exactly the bytes to sign", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  let seen: SignRequest | undefined;
  test.person.sign = async (request, unlock) => {
    seen = request;
    await unlock(answerTo(request));
  };
  await client.call("sign.data", { content: { json: { b: 1, a: 2 } }, purpose: "Bill 7" });
  assert.deepEqual(seen!.asker.origin, "https://portal.example");
  assert.equal(seen!.asker.purpose, "Bill 7");
  assert.deepEqual(seen!.items[0].preview, { text: '{"a":2,"b":1}', truncated: false });
  assert.equal(seen!.items[0].hash.hex, sha256(new TextEncoder().encode('{"a":2,"b":1}')).toHex());
  assert.equal(seen!.binding, bindingOf(seen!.items));
  assert.equal(seen!.choices.length, 2);
  const [first, second] = seen!.choices;
  await client.call("sign.data", { ...TEXT, certificate: second.certificate.id });
  assert.deepEqual(seen!.choices, [second]);
  assert.ok(first.certificate.usable);

  await client.call("sign.data", { content: { base64: "AAEC" } });
  assert.equal(seen!.items[0].preview, null);
});

Deno.test("a long text is shown in part, cut between characters", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  let seen: SignRequest | undefined;
  test.person.sign = async (request, unlock) => {
    seen = request;
    await unlock(answerTo(request));
  };
  await client.call("sign.data", { content: { text: "é".repeat(200_000) + "x" } });
  assert.ok(seen!.items[0].preview!.truncated);
  assert.match(seen!.items[0].preview!.text, /^é+$/);
});

Deno.test("content that was not shown is not signed", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const seen: Unlocked[] = [];
  test.person.sign = async (request, unlock) => {
    seen.push(await unlock({ ...answerTo(request), binding: "0".repeat(64) }));
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "consent_mismatch" });
  test.person.sign = async (request, unlock) => {
    seen.push(await unlock({ ...answerTo(request), certificate: "0".repeat(64) }));
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "certificate_not_found" });
  test.person.sign = () => Promise.resolve();
  await assert.rejects(client.call("sign.data", TEXT), { code: "internal_error" });
  assert.deepEqual(seen.map((each) => !each.ok && each.again), [false, false]);
  assert.deepEqual(test.provider.story, []);
});

Deno.test("a wrong PIN may be typed again; no other", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const seen: Unlocked[] = [];
  test.provider.triesLeft = 10;
  typing(test.person, seen, "1", "2", PIN);
  await client.call("sign.data", TEXT);
  const again: Unlocked = {
    ok: false,
    code: "pin_incorrect",
    message: "The PIN is wrong.",
    again: true,
    pin: { entry: "typed", why: null, tries: null, confirm: false },
  };
  assert.deepEqual(seen, [again, again, { ok: true }]);
  assert.deepEqual(test.provider.story, ["login 0", "sign 0", "logout 0"]);
  assert.equal(test.provider.triesLeft, 8);

  typing(test.person, seen, "1");
  await assert.rejects(client.call("sign.data", TEXT), { code: "pin_incorrect" });
  assert.equal(test.provider.triesLeft, 7, "a PIN is never tried twice");
});

Deno.test("the last try needs a confirmation, and is not made without", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const seen: Unlocked[] = [];
  const codes = () => seen.splice(0).map((each) => each.ok ? "ok" : each.code);
  test.provider.triesLeft = 2;
  typing(test.person, seen, "wrong", PIN);
  await assert.rejects(client.call("sign.data", TEXT), { code: "pin_final_try" });
  assert.deepEqual(codes(), ["pin_incorrect", "pin_final_try"]);
  assert.equal(test.provider.triesLeft, 1);

  // The next request remembers, even where the token's flags said nothing.
  let state: string | undefined;
  test.person.sign = async (request, unlock) => {
    state = request.choices[0].pin.tries ?? undefined;
    seen.push(await unlock(answerTo(request)));
    seen.push(await unlock(answerTo(request, PIN, true)));
  };
  await client.call("sign.data", TEXT);
  assert.equal(state, "final");
  assert.deepEqual(codes(), ["pin_final_try", "ok"]);

  // So does one of which the driver says so from the start.
  test.provider.tokens[0].state = "pin_final_try";
  test.person.sign = async (request, unlock) => {
    seen.push(await unlock(answerTo(request)));
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "pin_final_try" });
  assert.deepEqual(codes(), ["pin_final_try"]);
  test.provider.tokens[0].state = "ready";

  // A token that does not count aloud may be counting.
  test.provider.triesLeft = null;
  typing(test.person, seen, "wrong", PIN);
  await assert.rejects(client.call("sign.data", TEXT), { code: "pin_final_try" });
  codes();

  test.provider.triesLeft = 1;
  test.person.sign = async (request, unlock) => {
    seen.push(await unlock(answerTo(request, "wrong", true)));
    seen.push(await unlock(answerTo(request, "wrong", true)));
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "pin_locked" });
  assert.equal(test.provider.triesLeft, 0);
});

Deno.test("a PIN that proves wrong at the signature is tried once, and the next try is confirmed", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  test.provider.looksLate = true;
  test.provider.triesLeft = null;
  const seen: Unlocked[] = [];
  typing(test.person, seen, "wrong");
  await assert.rejects(client.call("sign.data", TEXT), { code: "pin_incorrect" });
  assert.deepEqual(seen.splice(0), [{ ok: true }]);

  const tries: unknown[] = [];
  test.person.sign = async (request, unlock) => {
    tries.push(request.choices[0].pin.tries);
    seen.push(await unlock(answerTo(request)));
    seen.push(await unlock(answerTo(request, PIN, true)));
  };
  await client.call("sign.data", TEXT);
  assert.deepEqual(seen.map((each) => each.ok ? "ok" : each.code), ["pin_final_try", "ok"]);
  // The right one ends the danger.
  test.person.sign = async (request, unlock) => {
    tries.push(request.choices[0].pin.tries);
    await unlock(answerTo(request));
  };
  await client.call("sign.data", TEXT);
  assert.deepEqual(tries, ["unknown", null]);
});

Deno.test("a token that is locked, empty or without a PIN gets none, however it is asked", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (
    const [state, code] of [
      ["pin_locked", "pin_locked"],
      ["pin_not_set", "pin_not_set"],
      ["empty", "token_not_initialised"],
    ] as const
  ) {
    test.provider.tokens[0].state = state;
    test.person.sign = async (request, unlock) => {
      assert.equal(request.choices[0].pin.entry, "impossible");
      const unlocked = await unlock(answerTo(request, PIN, true));
      assert.ok(!unlocked.ok && !unlocked.again);
    };
    await assert.rejects(client.call("sign.data", TEXT), { code });
  }
  assert.deepEqual(test.provider.story, []);
});

Deno.test("PINs are zeroed in every path", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const pins: Uint8Array[] = [];
  /** Watches a PIN and all copies of it. */
  const watched = (pin: Uint8Array): Uint8Array => {
    pins.push(pin);
    return Object.assign(pin, { slice: () => watched(Uint8Array.from(pin)) });
  };
  test.provider.triesLeft = 10;
  test.person.sign = async (request, unlock) => {
    for (const pin of ["wrong", PIN]) {
      const answer = answerTo(request, pin);
      watched(answer.pin!);
      await unlock(answer);
    }
  };
  await client.call("sign.data", TEXT);
  test.provider.failOpen = "driver_crashed";
  await assert.rejects(client.call("sign.data", TEXT), { code: "driver_crashed" });
  test.provider.failOpen = undefined;
  test.person.sign = async (request, unlock) => {
    const answer = { ...answerTo(request), binding: "" };
    watched(answer.pin!);
    await unlock(answer);
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "consent_mismatch" });
  assert.ok(pins.length > 5);
  for (const pin of pins) assert.ok(pin.every((byte) => byte === 0));
});

Deno.test("no login outlives its request, and requests have the token one after the other", async () => {
  await using test = await testAgent();
  const [first, second] = [await test.connect(), await test.connect("http://localhost:1")];
  await second.call("origin.request", { scopes: ["sign"] });
  const all = [first, second, first, second].map((client) => client.call("sign.data", TEXT));
  await Promise.all(all);
  const one = ["login 0", "sign 0", "logout 0"];
  assert.deepEqual(test.provider.story, [...one, ...one, ...one, ...one]);
});

Deno.test("a kept login serves its own certificate, until another or its time ends it", async () => {
  await using test = await testAgent({ keepLogin: 3_600_000 });
  const client = await test.connect();
  const { certificates: [anita, bimal] } = await client.call("certificate.list", {});
  const seen: boolean[] = [];
  test.person.sign = async (request, unlock) => {
    const unlocked = request.choices[0].pin.entry === "unlocked";
    seen.push(unlocked);
    const answer = answerTo(request);
    await unlock(unlocked ? { ...answer, pin: null } : answer);
  };
  const params = { ...TEXT, certificate: anita.id };
  await client.call("sign.data", params);
  const { lists } = test.provider;
  await Promise.all([1, 2, 3].map(() => client.call("sign.data", params)));
  assert.deepEqual(seen, [false, true, true, true]);
  assert.equal(test.provider.lists, lists, "the token is not looked at again");
  await client.call("sign.data", { ...params, certificate: bimal.id });
  await client.call("sign.data", { ...params, hash: "SHA-512" });
  test.provider.failSign = "token_removed";
  await assert.rejects(client.call("sign.data", { ...params, hash: "SHA-512" }), {
    code: "token_removed",
  });
  const opens = test.provider.story.filter((each) => !each.startsWith("sign"));
  assert.deepEqual(opens, ["login 0", "login 1", "logout 0", "login 0", "logout 0"]);
});

Deno.test("a key that wants the PIN for each signature gets it, and is not kept", async () => {
  await using test = await testAgent({ keepLogin: 3_600_000 });
  test.provider.alwaysAuthenticate = true;
  const client = await test.connect();
  const digests = [1, 2, 3].map((i) => sha256(Uint8Array.of(i)).toString("base64"));
  await client.call("sign.hash", { digests });
  assert.equal(test.provider.story.at(-1), "logout 0");
});

Deno.test("certificates that cannot be used have their reason, before anybody is asked", async () => {
  await using test = await testAgent({
    officers: [
      { name: "Expired", kind: "expired" },
      { name: "Early", kind: "not_yet_valid" },
      { name: "Encrypts", kind: "encryption_only" },
      { name: "Good" },
    ],
  });
  const client = await test.connect();
  const { certificates } = await client.call("certificate.list", {});
  assert.deepEqual(
    certificates.map(({ commonName, usable, reason }) => [commonName, usable, reason]),
    [
      ["Good", true, null],
      ["Early", false, "certificate_not_yet_valid"],
      ["Encrypts", false, "certificate_not_for_signing"],
      ["Expired", false, "certificate_expired"],
    ],
  );
  assert.equal(certificates[0].class, "3");
  for (const { id, reason } of certificates.slice(1)) {
    await assert.rejects(client.call("sign.data", { ...TEXT, certificate: id }), { code: reason! });
  }
  await assert.rejects(client.call("sign.data", { ...TEXT, certificate: "0".repeat(64) }), {
    code: "certificate_not_found",
  });
  test.provider.hasKey = false;
  await assert.rejects(client.call("sign.data", { ...TEXT, certificate: certificates[0].id }), {
    code: "key_not_found",
  });
  test.provider.tokens.length = 0;
  await assert.rejects(client.call("sign.data", TEXT), { code: "token_not_present" });
  assert.deepEqual(test.person.asked, []);
});

Deno.test("failures of tokens and drivers keep their names", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (
    const code of [
      "token_removed",
      "driver_crashed",
      "driver_timeout",
      "pin_locked",
      "pin_expired",
      "mechanism_unsupported",
    ] as const
  ) {
    test.provider.failOpen = code;
    await assert.rejects(client.call("sign.data", TEXT), { code });
    test.provider.failOpen = undefined;
    test.provider.failSign = code;
    await assert.rejects(client.call("sign.data", TEXT), { code });
    assert.equal(test.provider.story.at(-1), "logout 0");
    test.provider.failSign = undefined;
  }
  test.provider.problems = [{ driver: "broken", code: "driver_not_pkcs11", message: "No." }];
  assert.deepEqual((await client.call("token.list", {})).problems, test.provider.problems);
  assert.ok(await client.call("sign.data", TEXT));
});

Deno.test("a signature that does not verify is not released", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  test.provider.wrongSignature = true;
  await assert.rejects(client.call("sign.data", TEXT), { code: "signature_invalid" });
  await assert.rejects(client.call("sign.data", { ...TEXT, format: "raw" }), {
    code: "signature_invalid",
  });
  const digests = [sha256(new Uint8Array()).toString("base64")];
  await assert.rejects(client.call("sign.hash", { digests }), { code: "signature_invalid" });
});

Deno.test("an agent ends only after its cancelled requests have ended and are logged", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const asked = Promise.withResolvers<void>();
  test.person.sign = async () => {
    asked.resolve();
    await new Promise((resolve) => setTimeout(resolve, 300));
    throw new DsignError("request_cancelled");
  };
  client.call("sign.data", TEXT).catch(() => {});
  await asked.promise;
  await test.agent.close();
  const log = await Deno.readTextFile(join(test.dir, "audit", "000001.jsonl")).catch(String);
  assert.match(log, /"action":"sign".*"outcome":"request_cancelled"/);
});

Deno.test("a request cancelled while the token signs ends, and logs out", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const digests = Array.from({ length: 100 }, () => sha256(new Uint8Array()).toString("base64"));
  test.provider.beforeSign = () => {
    client.notify("$/cancelRequest", { id: client.lastId });
    return new Promise((resolve) => setTimeout(resolve, 20));
  };
  await assert.rejects(client.call("sign.hash", { digests }), { code: "request_cancelled" });
  assert.equal(test.provider.story.at(-1), "logout 0");
  assert.ok(test.provider.story.length < 100);
});

Deno.test("a key opened after the consent was over is closed again", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  let late: Promise<Unlocked> | undefined;
  test.person.sign = (request, unlock) => {
    late = unlock(answerTo(request));
    return Promise.reject(new DsignError("user_cancelled"));
  };
  await assert.rejects(client.call("sign.data", TEXT), { code: "user_cancelled" });
  const unlocked = await late!;
  assert.ok(!unlocked.ok && unlocked.code === "request_cancelled");
  assert.deepEqual(test.provider.story, ["login 0", "logout 0"]);
});

Deno.test("a request and its result are in the audit log before the reply", async () => {
  await using test = await testAgent();
  const audit = new Audit(join(test.dir, "audit"));
  const client = await test.connect();
  const { certificate } = await client.call("sign.data", TEXT);
  const [signed] = await audit.newest(1);
  assert.deepEqual(
    [signed.action, signed.origin, signed.format, signed.outcome],
    ["sign", PORTAL, "CAdES B-B", "done"],
  );
  assert.equal(signed.documents![0].hash, sha256(Buffer.from(TEXT.content.text)).toString("hex"));
  assert.equal(signed.certificate!.id, sha256(bytesOf(certificate)).toString("hex"));

  test.person.sign = () => Promise.reject(new DsignError("user_cancelled"));
  await assert.rejects(client.call("sign.data", TEXT), { code: "user_cancelled" });
  const stranger = await test.connect("https://new.example");
  await stranger.call("origin.request", { scopes: ["sign"] });
  const [granted, declined] = await audit.newest(2);
  assert.deepEqual([declined.outcome, declined.certificate], ["user_cancelled", undefined]);
  assert.deepEqual(
    [granted.action, granted.origin, granted.scopes, granted.outcome],
    ["grant", "https://new.example", ["sign"], "done"],
  );
  assert.equal((await audit.verify()).fault, null);
  // The digits of a hash may happen to be those of the PIN.
  const text = JSON.stringify(await audit.newest(100)).replaceAll(/[0-9a-f]{64}/g, "");
  for (const secret of [PIN, TEXT.content.text]) assert.ok(!text.includes(secret));
});

Deno.test("no signature is given out that could not be written down", async () => {
  await using test = await testAgent();
  await Deno.writeTextFile(join(test.dir, "audit"), "no folder");
  const client = await test.connect();
  await assert.rejects(client.call("sign.data", TEXT), { code: "storage_failed" });
  await assert.rejects(
    (await test.connect("https://new.example")).call("origin.request", { scopes: ["sign"] }),
    { code: "storage_failed" },
  );
});
