import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { HANDLE_LENGTH, LIMITS } from "../protocol/envelope.ts";
import { answerTo, PORTAL, testAgent, type TestClient } from "../tests/fixtures/agent.ts";

const errorOf = (frame: Record<string, unknown>) =>
  (frame.error as { data: { code: string } } | undefined)?.data.code;

/** The error that answers the last frame, which had no readable id. */
async function complaint(client: TestClient): Promise<string | undefined> {
  return errorOf(await client.take((frame) => frame.id === null));
}

Deno.test("garbage is answered with an error, and the connection stays open", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (
    const [frame, code] of [
      ["", "parse_error"],
      ["\u0000\u0001", "parse_error"],
      ["{", "parse_error"],
      ["[".repeat(100_000), "parse_error"],
      ["[]", "invalid_request"],
      ["null", "invalid_request"],
      ['{"jsonrpc":"2.0","method":7,"id":1}', "invalid_request"],
      ['{"jsonrpc":"2.0","method":"agent.info","id":[1]}', "invalid_request"],
    ]
  ) {
    client.socket.send(frame);
    assert.equal(await complaint(client), code, frame.slice(0, 40));
  }
  for (let length = 0; length < 64; length += 7) {
    client.socket.send(crypto.getRandomValues(new Uint8Array(length)));
    const expected = length < HANDLE_LENGTH ? "invalid_request" : "document_not_found";
    assert.equal(await complaint(client), expected);
  }
  assert.equal((await client.call("agent.info", {})).version, "1.2.3");
});

Deno.test("wrong methods and parameters each have their error", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const call = client.call.bind(client) as (m: string, p: unknown) => Promise<unknown>;
  for (const method of ["", "nothing", "constructor", "__proto__", "toString", "sign", "rpc.x"]) {
    await assert.rejects(call(method, {}), { code: "method_not_found" }, method);
  }
  for (
    const [method, params, path] of [
      ["sign.data", {}, "content"],
      ["sign.data", { content: { text: 7 } }, "content"],
      ["sign.data", { content: { text: "a", json: 1 } }, "content"],
      ["sign.data", { content: { text: "a" }, hash: "SHA-1" }, "hash"],
      ["sign.data", { content: { text: "a" }, certificate: "ABC" }, "certificate"],
      ["sign.data", { content: { text: "a" }, purpose: "x".repeat(201) }, "purpose"],
      ["sign.hash", { digests: [] }, "digests"],
      ["sign.hash", { digests: ["%"] }, "digests.0"],
      ["sign.hash", { digests: ["AAAA"] }, "digests"],
      ["document.open", { name: "a", size: -1 }, "size"],
      ["document.open", { name: "a", size: 1e300 }, "size"],
      ["document.open", { name: "", size: 1 }, "name"],
      ["origin.request", { scopes: ["everything"] }, "scopes.0"],
      ["agent.info", [], "params"],
      ["agent.info", 7, "params"],
    ] as [string, unknown, string][]
  ) {
    await assert.rejects(call(method, params), (error: Error & { code: string }) => {
      assert.equal(error.code, "invalid_params", method);
      assert.ok(error.message.startsWith(`${path}: `), error.message);
      return true;
    });
  }
  const deep = "[".repeat(300_000) + "]".repeat(300_000);
  client.socket.send(
    `{"jsonrpc":"2.0","id":"deep","method":"sign.data","params":{"content":{"json":${deep}}}}`,
  );
  const reply = await client.take((frame) => frame.id === "deep" || frame.id === null);
  assert.equal(errorOf(reply), "too_large");
  await assert.rejects(
    call("sign.data", { content: { json: JSON.parse("[".repeat(999) + "]".repeat(999)) } }),
    { code: "too_large" },
  );
});

Deno.test("half a character is refused before anybody is asked", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (
    const params of [
      { content: { text: "a" }, name: "\ud800.txt" },
      { content: { text: "Pay \udc00" } },
      { content: { json: { "\ud83d": 1 } } },
      { content: { text: "a" }, purpose: "\udc00\ud800" },
    ]
  ) await assert.rejects(client.call("sign.data", params), { code: "invalid_params" });
  assert.deepEqual(test.person.asked, []);
  const { content } = await client.call("sign.data", {
    content: { text: "\u{1f642} \\ud800" },
    name: "\u{1f642}.txt",
  });
  assert.equal(content, new TextEncoder().encode("\u{1f642} \\ud800").toBase64());
});

Deno.test("frames beyond the limit end the connection", async () => {
  await using test = await testAgent();
  for (
    const frame of [
      " ".repeat(LIMITS.textFrame + 1),
      new Uint8Array(HANDLE_LENGTH + LIMITS.chunk + 1),
    ]
  ) {
    const client = await test.connect();
    client.socket.send(frame);
    assert.equal(await complaint(client), "too_large");
    assert.equal((await client.closed).code, 1009);
  }
  assert.ok(await (await test.connect()).call("agent.info", {}));
});

Deno.test("requests are counted, and an id is used once at a time", async () => {
  await using test = await testAgent();
  test.person.choose = (_, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const client = await test.connect();
  const send = (id: string | number) =>
    client.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "certificate.choose" }));
  for (let i = 0; i < LIMITS.requestsInFlight; i++) send(i);
  send(0);
  assert.equal(
    errorOf(await client.take(({ id, error }) => id === 0 && !!error)),
    "invalid_request",
  );
  send("more");
  assert.equal(errorOf(await client.take(({ id }) => id === "more")), "busy");
  client.socket.close();

  // A few large ones count as much.
  const other = await test.connect();
  const params = { padding: "x".repeat(LIMITS.textFrame - 100) };
  const fitting = Math.floor(LIMITS.bytesInFlight / params.padding.length);
  for (let id = 0; id <= fitting; id++) {
    other.socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "certificate.choose", params }));
  }
  assert.equal(errorOf(await other.take(({ error }) => !!error)), "busy");
  other.socket.close();
});

Deno.test("$/cancelRequest cancels only the request with this id", async () => {
  await using test = await testAgent();
  const asked = Promise.withResolvers<void>();
  test.person.choose = (request, signal) => {
    if (request.asker.purpose !== "wait") return Promise.resolve(request.choices[0].certificate.id);
    asked.resolve();
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason))
    );
  };
  const client = await test.connect();
  const first = client.call("certificate.choose", { purpose: "wait" });
  const { lastId } = client;
  const second = client.call("certificate.choose", {});
  await asked.promise;
  client.notify("$/cancelRequest", { id: 999 });
  client.notify("$/cancelRequest", "nonsense");
  client.notify("no.such.notification", {});
  client.notify("$/cancelRequest", { id: lastId });
  await assert.rejects(first, { code: "request_cancelled" });
  assert.equal((await second).commonName, "Anita Das (TEST)");
});

Deno.test("a page's requests are cancelled when it goes", async () => {
  await using test = await testAgent();
  const asked = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  test.person.sign = (_request, _unlock, signal) => {
    asked.resolve();
    return new Promise((_, reject) =>
      signal.addEventListener("abort", () => {
        gone.resolve();
        reject(signal.reason);
      })
    );
  };
  const client = await test.connect();
  client.call("sign.data", { content: { text: "a" } }).catch(() => {});
  await asked.promise;
  client.socket.close();
  await gone.promise;
  const other = await test.connect();
  test.person.sign = () => Promise.reject(new Error("not of this test"));
  await assert.rejects(other.call("sign.data", { content: { text: "a" } }), {
    code: "internal_error",
    message: "Something went wrong in D-Sign. See its log for details.",
  });
});

/** A WebSocket by hand, for what no library sends. */
async function rawSocket(port: number) {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const write = async (bytes: Uint8Array) => {
    for (let n = 0; n < bytes.length;) n += await connection.write(bytes.subarray(n));
  };
  await write(new TextEncoder().encode([
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    `Origin: ${PORTAL}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "",
    "",
  ].join("\r\n")));
  /** Reads until the agent closes or drops the connection; returns how many bytes came. */
  const readToEnd = async () => {
    const buffer = new Uint8Array(1024 * 1024);
    let total = 0;
    try {
      for (let n: number | null = 0; n !== null; n = await connection.read(buffer)) total += n;
    } catch (error) {
      assert.ok(error instanceof Deno.errors.ConnectionReset, String(error));
    }
    return total;
  };
  return { write, readToEnd, [Symbol.dispose]: () => connection.close() };
}

Deno.test("a page is told that its person is asked, and of a request that is answered nothing more", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const told = Promise.withResolvers<void>();
  test.person.sign = async (request, unlock) => {
    await told.promise;
    await unlock(answerTo(request));
  };
  const signed = client.call("sign.data", { content: { text: "Bill 7" } });
  const id = client.lastId;
  const { params } = await client.take(({ method }) => method === "request.progress");
  assert.deepEqual(params, { id, phase: "waiting_for_person" });
  told.resolve();
  await signed;
  await client.call("agent.info", {});
  assert.deepEqual(client.unasked, []);
});

Deno.test("an invalid WebSocket frame closes only its connection", async () => {
  await using test = await testAgent();
  const { port } = test.agent;
  const frames: Record<string, number[]> = {
    "reserved bits": [0xf1, 0x80, 0, 0, 0, 0],
    "reserved opcode": [0x83, 0x80, 0, 0, 0, 0],
    "no UTF-8": [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe],
    "a control frame that is too long": [0x89, 0xfe, 1, 0, 0, 0, 0, 0],
    "terabytes announced": [0x82, 0xff, 0, 0, 0x7f, 0, 0, 0, 0, 0, 1, 2, 3, 4],
  };
  for (const [name, frame] of Object.entries(frames)) {
    using socket = await rawSocket(port);
    await socket.write(Uint8Array.from(frame));
    assert.ok(await socket.readToEnd() < 1000, name);
  }
  assert.ok(await (await test.connect()).call("agent.info", {}));
});

Deno.test("a client that does not read is dropped", async () => {
  await using test = await testAgent();
  using socket = await rawSocket(test.agent.port);
  const frame = (id: number) => {
    const text = `{"jsonrpc":"2.0","id":${id},"method":"rpc.discover"}`;
    return [0x81, 0x80 | text.length, 0, 0, 0, 0, ...new TextEncoder().encode(text)];
  };
  const other = await test.connect("https://other.example");
  // Each answer is some 60 KB: much more than the agent and the system keep for one that does not read.
  for (let i = 0; i < 60; i++) {
    await socket.write(Uint8Array.from(Array.from({ length: 20 }, (_, n) => frame(n)).flat()));
    await other.call("agent.info", {}); // others are served all the while
  }
  assert.ok(await socket.readToEnd() < 1200 * 60_000);
});

async function send(client: TestClient, bytes: Uint8Array, chunk: number) {
  const { document } = await client.call("document.open", { name: "a.txt", size: bytes.length });
  for (let i = 0; i < bytes.length; i += chunk) {
    client.sendChunk(document, bytes.subarray(i, i + chunk));
  }
  return document;
}

Deno.test("documents arrive in pieces, are acknowledged, and are hashed", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const bytes = new Uint8Array(3 * 1024 * 1024 + 17).map((_, i) => i * 7 + (i >> 8));
  const document = await send(client, bytes, 700_000);
  const acknowledged: number[] = [];
  while (acknowledged.at(-1) !== bytes.length) {
    const { params } = await client.take(({ method }) => method === "document.ack");
    acknowledged.push((params as { received: number }).received);
  }
  assert.ok(acknowledged.length <= 4, String(acknowledged));
  const result = await client.call("sign.document", { document });
  assert.ok(result.format === "cades");
  const { digest } = result;
  assert.equal(digest, createHash("sha256").update(bytes).digest("base64"));
  await client.call("document.close", { document });
  await assert.rejects(client.call("sign.document", { document }), { code: "document_not_found" });
  await assert.rejects(client.call("document.close", { document }), { code: "document_not_found" });
});

Deno.test("documents: empty ones, incomplete ones, too many bytes, too many documents", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const empty = await send(client, new Uint8Array(0), 1);
  const result = await client.call("sign.document", { document: empty });
  assert.ok(result.format === "cades");
  const { digest } = result;
  assert.equal(digest, createHash("sha256").digest("base64"));

  const { document } = await client.call("document.open", { name: "a", size: 10 });
  client.sendChunk(document, new Uint8Array(9));
  await assert.rejects(client.call("sign.document", { document }), { code: "document_incomplete" });
  client.sendChunk(document, new Uint8Array(2));
  assert.equal(await complaint(client), "too_large");
  client.sendChunk(document, new Uint8Array(1));
  await client.call("sign.document", { document });

  for (let i = 2; i < LIMITS.openDocuments; i++) {
    await client.call("document.open", { name: "a", size: 1 });
  }
  await assert.rejects(client.call("document.open", { name: "a", size: 1 }), { code: "busy" });
  const other = await test.connect();
  await assert.rejects(other.call("sign.document", { document }), { code: "document_not_found" });
});

Deno.test("token.changed reaches only pages that may see tokens", async () => {
  await using test = await testAgent();
  const portal = await test.connect();
  const own = await test.connect(test.agent.origin);
  const stranger = await test.connect("https://stranger.example");
  test.provider.change();
  await portal.take(({ method }) => method === "token.changed");
  await own.take(({ method }) => method === "token.changed");
  await stranger.call("agent.info", {});
  assert.deepEqual(stranger.unasked, []);
});

Deno.test("rpc.discover answers with the contract", async () => {
  await using test = await testAgent();
  const client = await test.connect("https://stranger.example");
  const { openrpc, info } = await client.call("rpc.discover", {});
  assert.equal(openrpc, "1.3.2");
  assert.equal((info as { version: string }).version, "1.2.3");
});

Deno.test("a reply that is larger than what may wait unread arrives", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const text = "y".repeat(3_300_000);
  const { signature, content } = await client.call("sign.data", { content: { text } });
  assert.ok(signature.length + content.length > LIMITS.unread);
  assert.equal((await client.call("agent.info", {})).name, "dsign");
});

Deno.test("a call on a connection that has ended fails at once", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  client.socket.close();
  await client.closed;
  await assert.rejects(client.call("agent.info", {}), /closed/);
});

Deno.test("what a page sends, closes or opens while its person looks changes nothing in what is signed", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const other = await test.connect();
  const open = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    const { document } = await client.call("document.open", { name: text, size: bytes.length });
    client.sendChunk(document, bytes);
    return document;
  };
  const document = await open("shown");
  const code = "document_not_found";
  await assert.rejects(
    other.call("sign.document", { document }),
    { code },
    "handles are no site's",
  );
  test.person.sign = async (request, unlock) => {
    client.sendChunk(document, new TextEncoder().encode("!"));
    await client.call("document.close", { document });
    await open("other");
    await unlock(answerTo(request));
  };
  const signed = await client.call("sign.document", { document });
  const { digest } = signed as Extract<typeof signed, { format: "cades" }>;
  assert.equal(digest, createHash("sha256").update("shown").digest("base64"));
});
