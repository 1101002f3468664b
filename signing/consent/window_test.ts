import assert from "node:assert/strict";
import type { ConsentReply, ConsentView, Unlocked } from "../../protocol/consent.ts";
import { DsignError } from "../../protocol/errors.ts";
import { PIN } from "../../tests/fakes/memory_provider.ts";
import { PORTAL, testAgent, type TestClient } from "../../tests/fixtures/agent.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { makePki } from "../../tests/fixtures/pki.ts";
import { fromLatin1 } from "../../formats/pdf/value.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { WindowConsent, type WindowOptions } from "./window.ts";

const TEXT = { content: { text: "Pay 1200.00" } } as const;

/** The page in the window, as the agent sees it. */
class Page {
  #alive: AbortController | undefined;

  constructor(readonly origin: string, readonly ticket: string) {}

  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.origin + path, {
      ...init,
      headers: { authorization: `Bearer ${this.ticket}`, ...init.headers },
    });
  }

  async view(): Promise<ConsentView> {
    const response = await this.ask("/consent/view");
    assert.equal(response.status, 200);
    return await response.json();
  }

  /** Resolves once the agent knows the asking. */
  async open(): Promise<{ status: number; ended: Promise<string | null | undefined> }> {
    this.#alive = new AbortController();
    const response = await this.ask("/consent/alive", { signal: this.#alive.signal });
    if (response.status !== 200) {
      await response.body?.cancel();
      return { status: response.status, ended: Promise.resolve(undefined) };
    }
    const lines = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    await lines.read();
    const ended = (async () => {
      try {
        for (let text = "";;) {
          const { done, value } = await lines.read();
          if (done) return undefined;
          text += value;
          const end = text.split("\n").find((line) => line.includes('"ended"'));
          if (end) {
            while (!(await lines.read()).done);
            return JSON.parse(end).code;
          }
        }
      } catch {
        return undefined; // closed by us
      }
    })();
    return { status: 200, ended };
  }

  close(): void {
    this.#alive?.abort();
  }

  async answer(reply: unknown): Promise<{ status: number; body: Unlocked }> {
    const response = await this.ask("/consent/answer", {
      method: "POST",
      headers: { "content-type": "application/json", origin: this.origin },
      body: typeof reply === "string" ? reply : JSON.stringify(reply),
    });
    return { status: response.status, body: await response.json() };
  }

  async approve(pin: string, more: Partial<ConsentReply> = {}) {
    const { request } = await this.view();
    assert.equal(request.kind, "sign");
    if (request.kind !== "sign") throw new Error();
    return await this.answer({
      decision: "approve",
      certificate: request.choices[0].certificate.id,
      binding: request.binding,
      revision: request.choices[0].revision,
      pin,
      ...more,
    });
  }
}

async function windowAgent(
  options: Partial<WindowOptions> = {},
  agentOptions: Parameters<typeof testAgent>[0] = {},
) {
  const urls: string[] = [];
  let opened = Promise.withResolvers<string>();
  const test = await testAgent({
    consent: (origin) =>
      new WindowConsent({
        origin,
        language: "bn",
        heartbeat: 20,
        openWindow: (url) => {
          urls.push(url);
          opened.resolve(url);
          return Promise.resolve();
        },
        ...options,
      }),
    ...agentOptions,
  });
  return {
    test,
    urls,
    async page(): Promise<Page> {
      const [origin, ticket] = (await opened.promise).split("/consent#");
      opened = Promise.withResolvers();
      assert.match(ticket, /^[A-Za-z0-9_-]{43}$/);
      return new Page(origin, ticket);
    },
    [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
  };
}

const sign = (client: TestClient) => {
  const signed = client.call("sign.data", TEXT);
  signed.catch(() => {}); // looked at later
  return signed;
};

Deno.test("approved: the page gets the view, types the PIN, and is told the end", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const signed = sign(client);
  const page = await asking.page();
  const { ended } = await page.open();
  const view = await page.view();
  assert.equal(view.language, "bn");
  assert.equal(view.request.asker.origin, "https://portal.example");
  assert.ok(new Date(view.deadline) > new Date());
  const wrong = await page.approve("1111");
  assert.ok(!wrong.body.ok && wrong.body.code === "pin_incorrect" && wrong.body.again);
  assert.equal((await page.approve("2222")).body.ok, false);
  assert.ok(!(await page.approve("3333")).body.ok, "the last try is not made without confirmation");
  assert.equal(asking.test.provider.triesLeft, 1);
  assert.deepEqual((await page.approve(PIN, { finalTry: true } as never)).body, { ok: true });
  assert.equal(await ended, null);
  assert.ok((await signed).signature);
  for (const path of ["/consent/view", "/consent/alive"]) {
    const late = await page.ask(path);
    assert.equal(late.status, 404, "the ticket is spent");
    await late.body?.cancel();
  }
});

Deno.test("a language chosen in the window is kept, and another one is refused", async () => {
  const kept: string[] = [];
  await using asking = await windowAgent({
    keepLanguage: (language) => Promise.resolve(void kept.push(language)),
  });
  const signed = sign(await asking.test.connect());
  const page = await asking.page();
  const choose = async (language: string) => {
    const answer = await page.ask("/consent/language", {
      method: "POST",
      headers: { "content-type": "application/json", origin: page.origin },
      body: JSON.stringify({ language }),
    });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await choose("hi"), 200);
  assert.equal(await choose("tlh"), 400);
  assert.deepEqual(kept, ["hi"]);
  assert.equal((await page.answer({ decision: "decline" })).status, 200);
  await assert.rejects(signed, { code: "user_cancelled" });
});

Deno.test("the windows' port is another one, and nothing else is answered there", async () => {
  await using asking = await windowAgent();
  const signed = sign(await asking.test.connect());
  const page = await asking.page();
  assert.notEqual(page.origin, asking.test.agent.origin);
  for (const path of ["/", "/status", "/bridge", "/console/sites"]) {
    const answer = await fetch(page.origin + path);
    assert.equal(answer.status, 404, path);
    await answer.body?.cancel();
  }
  await page.answer({ decision: "decline" });
  await assert.rejects(signed, { code: "user_cancelled" });
});

Deno.test("of two answers at once, as by a double click, one is tried", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const signed = sign(client);
  const page = await asking.page();
  await page.open();
  const { provider } = asking.test;
  const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const open = provider.open.bind(provider);
  let attempts = 0;
  provider.open = async (key, options) => {
    attempts++;
    begun.resolve();
    await go.promise;
    return await open(key, options);
  };
  const first = page.approve("1111");
  await begun.promise;
  assert.equal((await page.approve("1111")).status, 409);
  go.resolve();
  assert.equal((await first).status, 200);
  assert.equal(attempts, 1);
  await page.answer({ decision: "decline" });
  await assert.rejects(signed, { code: "user_cancelled" });
});

Deno.test("declined, and closed, are the person's no", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const first = sign(client);
  const page = await asking.page();
  const { ended } = await page.open();
  await page.answer({ decision: "decline" });
  assert.equal(await ended, "user_cancelled");
  await assert.rejects(first, { code: "user_cancelled" });

  const second = sign(client);
  const closing = await asking.page();
  await closing.open();
  closing.close();
  await assert.rejects(second, { code: "user_cancelled" });
  assert.deepEqual(asking.test.provider.story, []);
});

Deno.test("nobody answers: consent_timeout; the page is told, if there is one", async () => {
  await using asking = await windowAgent({ timeout: 300 });
  const client = await asking.test.connect();
  const signed = sign(client);
  const { ended } = await (await asking.page()).open();
  await assert.rejects(signed, { code: "consent_timeout" });
  assert.equal(await ended, "consent_timeout");
  await assert.rejects(sign(client), { code: "consent_timeout" });
});

Deno.test("when the page cancels, its window is told", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const signed = sign(client);
  const { lastId } = client;
  const { ended } = await (await asking.page()).open();
  client.notify("$/cancelRequest", { id: lastId });
  await assert.rejects(signed, { code: "request_cancelled" });
  assert.equal(await ended, "request_cancelled");
});

Deno.test("no browser: consent_unavailable", async () => {
  await using asking = await windowAgent({
    openWindow: () => Promise.reject(new DsignError("consent_unavailable")),
  });
  await assert.rejects(sign(await asking.test.connect()), { code: "consent_unavailable" });
});

Deno.test("a ticket opens one window, and only its own request", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const signed = sign(client);
  const page = await asking.page();
  assert.equal((await page.open()).status, 200);
  assert.equal((await page.open()).status, 409);
  const { origin, ticket } = page;
  for (const other of ["", "A".repeat(43), ticket.slice(1), ticket + "A", ticket.toLowerCase()]) {
    const response = await new Page(origin, other).ask("/consent/view");
    assert.equal(response.status, 404);
    await response.body?.cancel();
  }
  for (const authorization of ["", ticket, `Basic ${ticket}`, `bearer ${ticket}`]) {
    const response = await fetch(`${origin}/consent/view`, { headers: { authorization } });
    assert.equal(response.status, 404, authorization);
    await response.body?.cancel();
  }
  const foreign = await page.ask("/consent/view", { headers: { origin: "https://evil.example" } });
  assert.equal(foreign.status, 403);
  await foreign.body?.cancel();
  await page.answer({ decision: "decline" });
  await assert.rejects(signed);
});

Deno.test("an invalid answer is refused, and the request stays open", async () => {
  await using asking = await windowAgent();
  const signed = sign(await asking.test.connect());
  const page = await asking.page();
  await page.open();
  for (
    const reply of [
      "",
      "{",
      "null",
      "[]",
      { decision: "maybe" },
      { decision: "decline", pin: "1" },
      { decision: "approve", pin: 7 },
      { decision: "approve", pin: "1".repeat(256) },
      { decision: "approve", extra: true },
      "x".repeat(5000),
    ]
  ) assert.equal((await page.answer(reply)).status, 400, JSON.stringify(reply));
  const form = await page.ask("/consent/answer", {
    method: "POST",
    headers: { "content-type": "text/plain", origin: page.origin },
    body: '{"decision":"decline"}',
  });
  assert.equal(form.status, 400);
  await form.body?.cancel();
  await page.approve(PIN);
  assert.ok((await signed).signature);
});

Deno.test("one window at a time, in turn between sites", async () => {
  const sites = [PORTAL, "https://modest.example"];
  await using asking = await windowAgent({}, {
    allowedOrigins: sites.map((origin) => ({ origin, scopes: ["certificates", "sign"] })),
  });
  const { test } = asking;
  const greedy = await test.connect();
  const order: string[] = [];
  const all = [1, 2, 3].map(() => sign(greedy).then(() => order.push("greedy")));
  const first = await asking.page();
  await first.open();
  const modest = await test.connect(sites[1]);
  const granted = modest.call("origin.request", { scopes: ["sign_hash"] })
    .then(() => order.push("modest"));
  await modest.call("agent.info", {});
  assert.equal(asking.urls.length, 1);
  await first.approve(PIN);
  for (let i = 0; i < 3; i++) {
    const page = await asking.page();
    await page.open();
    const { request } = await page.view();
    if (request.kind === "sign") await page.approve(PIN);
    else await page.answer({ decision: "approve" });
  }
  await Promise.all([...all, granted]);
  assert.ok(order.indexOf("modest") < 3, order.join());
});

Deno.test("grant and choose", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect("https://new.example");
  const granted = client.call("origin.request", { scopes: ["certificates"], purpose: "See" });
  let page = await asking.page();
  const view = await page.view();
  assert.equal(view.request.kind, "grant");
  assert.equal(view.request.asker.purpose, "See");
  await page.answer({ decision: "approve" });
  assert.deepEqual((await granted).scopes, ["certificates"]);
  const chosen = client.call("certificate.choose", {});
  page = await asking.page();
  const { request } = await page.view();
  if (request.kind !== "choose") throw new Error(request.kind);
  const { id } = request.choices[1].certificate;
  await page.answer({ decision: "approve", certificate: id });
  assert.equal((await chosen).id, id);
});

Deno.test("a PDF is shown by the very bytes that are signed, with its earlier signatures", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const pdf = signPdf(
    classicPdf(documentObjects()),
    makePki({ officers: [{ name: "Asha" }] }).officers[0],
    {
      time: new Date("2026-11-20T10:00:00Z"),
    },
  );
  const open = await client.call("document.open", {
    name: "order.pdf",
    mediaType: "application/pdf",
    size: pdf.length,
  });
  client.sendChunk(open.document, pdf);
  const signed = client.call("sign.document", {
    document: open.document,
    format: "pades",
    pdf: { reason: "Sanctioned", lock: { action: "All" } },
  });
  const page = await asking.page();
  await page.open();
  const { request } = await page.view();
  assert.ok(request.kind === "sign");
  assert.deepEqual(request.items[0].pdf, {
    adds: { level: "B-B", reason: "Sanctioned", locks: true, visible: null },
  });
  assert.deepEqual(await (await page.ask("/consent/document/0")).bytes(), pdf);
  // As it will be signed: the document, and what goes behind it but for the signature's value.
  const [{ certificate: { id } }] = request.choices;
  const { digest, boxes } = await (await page.ask(`/consent/revision/0?certificate=${id}`)).json();
  assert.equal(digest, request.choices[0].revision);
  assert.deepEqual(boxes, []);
  const prepared = `/consent/document/0?certificate=${id}&revision=`;
  const revision = await (await page.ask(prepared + digest)).bytes();
  assert.deepEqual(revision.subarray(0, pdf.length), pdf);
  assert.match(fromLatin1(revision.subarray(pdf.length)), /\/Reason \(Sanctioned\)/);
  for (const other of ["", "00".repeat(32)]) {
    const response = await page.ask(prepared + other);
    assert.equal(response.status, 404, "another revision");
    await response.body?.cancel();
  }
  const { signatures, damaged } = await (await page.ask("/consent/signatures/0")).json();
  assert.equal(damaged, false);
  assert.deepEqual(signatures, [{
    field: "Signature1",
    kind: "signature",
    signer: "Asha",
    status: "valid",
    time: "2026-11-20T10:00:00.000Z",
    timestamped: false,
    proven: false,
    reason: null,
    certifies: null,
    revision: { number: 2, of: 2 },
    changes: [],
  }]);
  for (
    const path of ["document/1", "signatures/1", "document/-1", "document/0/", "document/123456"]
  ) {
    const response = await page.ask(`/consent/${path}`);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
  await client.call("document.close", { document: open.document });
  assert.deepEqual(
    await (await page.ask("/consent/document/0")).bytes(),
    pdf,
    "it stays till the end",
  );
  await page.approve(PIN);
  assert.ok((await signed).certificate);
  const late = await page.ask("/consent/document/0");
  assert.equal(late.status, 404);
  await late.body?.cancel();
});

Deno.test("a text of a batch is brought when it is looked at, and no other than the list names", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect();
  const text = new TextEncoder().encode('{"net":"4,58,375.00"}');
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
  const item = { name: "bill.json", mediaType: "application/json", size: text.length, sha256 };
  const asked = client.call("sign.batch", { format: "cades", items: [item] });
  asked.catch(() => {}); // looked at later
  const page = await asking.page();
  await page.open();
  const shown = page.ask("/consent/look/0");
  const { params } = await client.take(({ method }) => method === "batch.wanted") as {
    params: { id: number; item: number };
  };
  const { document } = await client.call("document.open", {
    name: "bill.json",
    mediaType: "application/json",
    size: text.length,
    keep: true,
  });
  client.sendChunk(document, text);
  await client.call("batch.show", { ...params, document });
  assert.deepEqual(await (await shown).json(), {
    mediaType: "text/plain",
    preview: { text: '{"net":"4,58,375.00"}', truncated: false },
  });
  await page.answer({ decision: "decline" });
  await assert.rejects(asked, { code: "user_cancelled" });
});

Deno.test("a site cannot open windows without end by taking its requests back", async () => {
  await using asking = await windowAgent();
  const client = await asking.test.connect("https://new.example");
  for (let i = 0; i < 5; i++) {
    const asked = client.call("origin.request", { scopes: ["sign"] });
    asked.catch(() => {}); // looked at below
    const page = await asking.page();
    await page.open();
    client.notify("$/cancelRequest", { id: client.lastId });
    await assert.rejects(asked, { code: "request_cancelled" });
  }
  await assert.rejects(client.call("origin.request", { scopes: ["sign"] }), { code: "busy" });
  assert.equal(asking.urls.length, 5);
});
