import assert from "node:assert/strict";
import { prove } from "../tests/fakes/proof.ts";
import { type Client, type ClientEvent, connect, DsignClientError } from "./client.ts";

const PDF = new Blob(["%PDF-1.7"]);

type Message = { id?: number; method: string; params: Record<string, unknown> };

/** How the fake signer program handles one message. */
type Script = (message: Message, socket: WebSocket) => void;

interface Fake {
  port: number;
  binary: Uint8Array[];
  text: Message[];
  /** Resolves when a message of this method has arrived. */
  arrived(method: string): Promise<Message>;
  /** Answers a call of the newest connection. */
  answer(id: number | undefined, result: unknown): void;
}

/** Runs `test` against a signer program that behaves as told, over a real socket. */
async function withFake(
  options: { status?: unknown; script?: Script; onChunk?: (fake: Fake, socket: WebSocket) => void },
  test: (fake: Fake) => Promise<void>,
): Promise<void> {
  const sockets: WebSocket[] = [];
  const waiting: { method: string; resolve: (message: Message) => void }[] = [];
  const fake: Fake = {
    port: 0,
    binary: [],
    text: [],
    answer: (id, result) => reply(sockets.at(-1)!, id, result),
    arrived: (method) => {
      const message = fake.text.find((each) => each.method === method);
      return message
        ? Promise.resolve(message)
        : new Promise((resolve) => waiting.push({ method, resolve }));
    },
  };
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, (request) => {
    if (new URL(request.url).pathname === "/status") {
      return Response.json(options.status ?? { name: "dsign", version: "0.1.0", protocol: 2 });
    }
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    sockets.push(socket);
    socket.onmessage = ({ data }) => {
      if (data instanceof ArrayBuffer) {
        fake.binary.push(new Uint8Array(data));
        options.onChunk?.(fake, socket);
        return;
      }
      const message = JSON.parse(data) as Message;
      if (message.method === "agent.prove") {
        const { nonce } = message.params as { nonce: string };
        // There is no page here, so no origin.
        return void prove("undefined", fake.port, nonce)
          .then((proof) => reply(socket, message.id, proof));
      }
      fake.text.push(message);
      for (const each of waiting) if (each.method === message.method) each.resolve(message);
      options.script?.(message, socket);
    };
    return response;
  });
  fake.port = server.addr.port;
  try {
    await test(fake);
  } finally {
    for (const socket of sockets) socket.close();
    await server.shutdown();
  }
}

const reply = (socket: WebSocket, id: number | undefined, result: unknown) =>
  socket.send(JSON.stringify({ jsonrpc: "2.0", id, result }));
const refuse = (socket: WebSocket, id: number | null | undefined, code: string, more = {}) =>
  socket.send(JSON.stringify({
    jsonrpc: "2.0",
    id,
    error: { code: -32000, message: `said ${code}`, data: { code, retryable: true, ...more } },
  }));
const notify = (socket: WebSocket, method: string, params: unknown) =>
  socket.send(JSON.stringify({ jsonrpc: "2.0", method, params }));

/** The code of the error that `attempt` ends with. */
async function code(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(() => assert.fail("it succeeded"), (error) => error);
  assert.ok(error instanceof DsignClientError, String(error));
  assert.ok(error.message.length > 0);
  return error.code;
}

function until(client: Client, event: ClientEvent): Promise<void> {
  return new Promise((resolve) => client.addEventListener(event, () => resolve(), { once: true }));
}

async function unusedPort(): Promise<number> {
  const server = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = server.addr;
  server.close();
  return await Promise.resolve(port);
}

Deno.test("in WebKit, connect says that it cannot tell why nothing answers", async () => {
  Object.defineProperty(navigator, "vendor", { value: "Apple Computer, Inc.", configurable: true });
  try {
    const ports = { ports: [await unusedPort()], securePorts: [await unusedPort()] };
    assert.equal(await code(connect(ports)), "cannot_tell");
  } finally {
    Reflect.deleteProperty(navigator, "vendor");
  }
});

Deno.test("connect works in browsers without AbortSignal.any, with a signal and without", async () => {
  const { any } = AbortSignal;
  Reflect.deleteProperty(AbortSignal, "any");
  try {
    await withFake({}, async ({ port }) => {
      for (const signal of [undefined, new AbortController().signal]) {
        (await connect({ ports: [port], signal })).close();
      }
    });
  } finally {
    Object.assign(AbortSignal, { any });
  }
});

Deno.test("connect says not_installed where nothing listens", async () => {
  assert.equal(await code(connect({ ports: [await unusedPort()] })), "not_installed");
});

Deno.test("connect passes by a port where something else answers", async () => {
  await withFake({ status: { name: "something else" } }, async (stranger) => {
    assert.equal(await code(connect({ ports: [stranger.port] })), "not_installed");
    await withFake({}, async (fake) => {
      const client = await connect({ ports: [await unusedPort(), stranger.port, fake.port] });
      assert.equal(client.status.version, "0.1.0");
      client.close();
    });
  });
});

Deno.test("connect says whether the page or the program is outdated", async () => {
  for (const [protocol, words] of [[1, /newest version/], [3, /site/]] as const) {
    await withFake({ status: { name: "dsign", version: "9", protocol } }, async (fake) => {
      await assert.rejects(
        connect({ ports: [fake.port] }),
        (error) =>
          error instanceof DsignClientError && error.code === "outdated" &&
          words.test(error.message),
      );
    });
  }
});

Deno.test("connect returns the portal's download address", async () => {
  const download = "https://portal.example/d-sign";
  await assert.rejects(
    connect({ ports: [await unusedPort()], securePorts: [], download }),
    { code: "not_installed", download },
  );
});

Deno.test("connect fails if scopes are missing, or asks for them", async () => {
  let scopes: string[] = ["certificates"];
  const script: Script = ({ id, method }, socket) => {
    if (method === "origin.request") scopes = ["certificates", "sign"];
    reply(socket, id, { origin: "https://portal.example", scopes, expiresAt: null });
  };
  await withFake({ script }, async (fake) => {
    const options = { ports: [fake.port], scopes: ["sign" as const] };
    assert.equal(await code(connect(options)), "no_grant");
    const client = await connect({ ...options, request: "Sign bills" });
    assert.deepEqual((await fake.arrived("origin.request")).params, {
      scopes: ["sign"],
      purpose: "Sign bills",
    });
    client.close();
    (await connect(options)).close();
  });
});

Deno.test("where only the socket is refused, its TLS form is tried, and its certificate judged", async () => {
  const refusing = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    ({ url }) => {
      const status = { name: "dsign", version: "1", protocol: 2, securePort };
      return new URL(url).pathname === "/status"
        ? Response.json(status)
        : new Response(null, { status: 403 });
    },
  );
  const ports = [refusing.addr.port];
  let securePort: number | null = null;
  assert.equal(await code(connect({ ports })), "blocked_by_browser");
  securePort = await unusedPort();
  assert.equal(await code(connect({ ports })), "certificate_untrusted");
  await refusing.shutdown();
});

Deno.test("a connection that breaks is opened again, and nothing is sent twice", async () => {
  let breaks = 1;
  const script: Script = ({ id }, socket) =>
    breaks-- > 0 ? socket.close() : reply(socket, id, { name: "dsign" });
  await withFake({ script }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const again = until(client, "reconnect");
    assert.equal(await code(client.call("agent.info", {})), "connection_lost");
    await again;
    assert.equal((await client.call("agent.info", {})).name, "dsign");
    assert.equal(fake.text.length, 2);
    client.close();
  });
});

Deno.test("connect can be cancelled", async () => {
  await withFake({}, async (fake) => {
    assert.equal(
      await code(connect({ ports: [fake.port], signal: AbortSignal.abort() })),
      "request_cancelled",
    );
  });
});

Deno.test("calls are matched with their answers in any order", async () => {
  const held: Message[] = [];
  const script: Script = (message, socket) => {
    held.push(message);
    if (held.length === 3) {
      for (const each of held.toReversed()) reply(socket, each.id, { name: `call ${each.id}` });
    }
  };
  await withFake({ script }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const results = await Promise.all([1, 2, 3].map(() => client.call("agent.info", {})));
    assert.deepEqual(results.map((each) => String(each.name)), ["call 1", "call 2", "call 3"]);
    client.close();
  });
});

Deno.test("an error carries its code, sentence, retryable and tries left", async () => {
  const script: Script = ({ id }, socket) =>
    refuse(socket, id, "pin_incorrect", { triesLeft: "final" });
  await withFake({ script }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const error = await client.call("token.list", {}).catch((error) => error);
    assert.ok(error instanceof DsignClientError);
    assert.deepEqual(
      [error.code, error.message, error.retryable, error.triesLeft],
      ["pin_incorrect", "said pin_incorrect", true, "final"],
    );
    client.close();
  });
});

Deno.test("aborting a call tells the signer program and rejects at once", async () => {
  await withFake({}, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const abort = new AbortController();
    const call = client.call("certificate.choose", {}, { signal: abort.signal });
    await fake.arrived("certificate.choose");
    abort.abort();
    assert.equal(await code(call), "request_cancelled");
    assert.deepEqual((await fake.arrived("$/cancelRequest")).params, { id: 1 });
    client.close();
  });
});

Deno.test("progress and token changes reach the page", async () => {
  const script: Script = ({ id }, socket) => {
    notify(socket, "token.changed", {});
    notify(socket, "request.progress", { id, phase: "waiting_for_person" });
    notify(socket, "request.progress", { id: 99, phase: "signing" });
    notify(socket, "something.new", {});
    reply(socket, id, {});
  };
  await withFake({ script }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const changed = until(client, "tokenchanged");
    const seen: unknown[] = [];
    await client.call("token.list", {}, { onProgress: (progress) => seen.push(progress) });
    await changed;
    assert.deepEqual(seen, [{ phase: "waiting_for_person" }]);
    client.close();
  });
});

Deno.test("a lost connection ends every call, and later ones", async () => {
  await withFake({ script: (_, socket) => socket.close() }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const gone = until(client, "disconnect");
    assert.equal(await code(client.call("agent.info", {})), "connection_lost");
    await gone;
    assert.equal(await code(client.call("agent.info", {})), "connection_lost");
    client.close();
  });
});

Deno.test("a document goes in pieces and never beyond the window", async () => {
  const chunk = 10, window = 25;
  let received = 0, most = 0, acknowledged = 0;
  await withFake({
    script: ({ id, method }, socket) => {
      if (method === "document.open") reply(socket, id, { document: 0x01020304, chunk, window });
      if (method === "sign.document") reply(socket, id, { signature: "AA==" });
      if (method === "document.close") reply(socket, id, {});
    },
    onChunk: (fake, socket) => {
      received += fake.binary.at(-1)!.length - 4;
      most = Math.max(most, received - acknowledged);
      // Acknowledges late: only when the page can send no more.
      if (received - acknowledged > window - chunk) {
        acknowledged = received;
        notify(socket, "document.ack", { document: 0x01020304, received });
      }
    },
  }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const bytes = crypto.getRandomValues(new Uint8Array(104));
    const seen: number[] = [];
    await client.signDocument(new File([bytes], "order.bin"), { purpose: "Order 7" }, {
      onProgress: (progress) => progress.phase === "sending" && seen.push(progress.done),
    });
    assert.ok(most <= window, `${most} bytes were under way`);
    assert.deepEqual(fake.binary.map((each) => [...each.subarray(0, 4)]).at(0), [1, 2, 3, 4]);
    assert.deepEqual(
      new Uint8Array(fake.binary.flatMap((each) => [...each.subarray(4)])),
      bytes,
    );
    assert.equal(seen.at(-1), 104);
    assert.deepEqual((await fake.arrived("document.open")).params, {
      name: "order.bin",
      size: 104,
    });
    assert.deepEqual((await fake.arrived("sign.document")).params, {
      document: 0x01020304,
      purpose: "Order 7",
    });
    await fake.arrived("document.close");
    client.close();
  });
});

Deno.test("a document waiting for the window can be cancelled", async () => {
  await withFake({
    script: ({ id, method }, socket) =>
      reply(socket, id, method === "document.open" ? { document: 1, chunk: 10, window: 20 } : {}),
  }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const abort = new AbortController();
    const signing = client.signDocument(new Blob([new Uint8Array(100)]), {}, {
      signal: abort.signal,
      onProgress: (progress) =>
        progress.phase === "sending" && progress.done === 20 && abort.abort(),
    });
    assert.equal(await code(signing), "request_cancelled");
    await fake.arrived("document.close");
    client.close();
  });
});

Deno.test("several files go into one container, which comes back in pieces", async () => {
  const made = crypto.getRandomValues(new Uint8Array(25));
  let opened = 0;
  await withFake({
    script: ({ id, method, params }, socket) => {
      if (method === "document.open") {
        reply(socket, id, { document: ++opened, chunk: 10, window: 20 });
      } else if (method === "sign.document") {
        reply(socket, id, {
          format: "asic-e",
          appended: made.length,
          certificate: "MIIB",
          algorithm: "ES384",
        });
      } else if (method === "document.read") {
        const { document, offset, length } = params as Record<string, number>;
        const piece = made.subarray(offset, offset + length);
        socket.send(Uint8Array.of(0, 0, 0, document, ...piece));
        reply(socket, id, { length: piece.length });
      } else reply(socket, id, {});
    },
  }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    const files = ["a.txt", "b.txt"].map((name) => ({ name, content: new Blob([name]) }));
    const signed = await client.signContainer(files, { format: "xades", purpose: "Order 7" });
    assert.deepEqual(new Uint8Array(await signed.container.arrayBuffer()), made);
    assert.equal(signed.container.type, "application/vnd.etsi.asic-e+zip");
    assert.equal(signed.algorithm, "ES384");
    assert.deepEqual((await fake.arrived("document.open")).params, {
      name: "a.txt",
      size: 5,
      keep: true,
    });
    assert.deepEqual((await fake.arrived("sign.document")).params, {
      document: 1,
      more: [2],
      container: "asic-e",
      format: "xades",
      purpose: "Order 7",
    });
    await fake.arrived("document.close");
    client.close();
  });
});

Deno.test("a refused piece ends the connection with the reason", async () => {
  await withFake({
    script: ({ id, method }, socket) =>
      method === "document.open" && reply(socket, id, { document: 1, chunk: 10, window: 20 }),
    onChunk: (_, socket) => refuse(socket, null, "too_large"),
  }, async (fake) => {
    const client = await connect({ ports: [fake.port] });
    assert.equal(await code(client.signDocument(new Blob([new Uint8Array(100)]))), "too_large");
    client.close();
  });
});

/** A connection that a page takes for its promise; nobody answers. */
function notAwaited(): Client {
  const connecting = connect({ ports: [1], securePorts: [] });
  connecting.catch(() => {});
  return connecting as never;
}

/** Wrong use of `connect` and of a connection, and what its error says to write instead. */
const MISUSES: [name: string, use: (dsign: Client) => unknown, instead: RegExp][] = [
  [
    "no await",
    () => notAwaited().close(),
    /\(await connect\(\)\)\.close\(\)/,
  ],
  [
    "no await",
    () => notAwaited().signPdf(PDF),
    /\(await connect\(\)\)\.signPdf\(\)/,
  ],
  ["no options", () => connect("sign" as never), /connect\(\{ scopes: \["sign"\]/],
  ["scopes as text", () => connect({ scopes: "sign" as never }), /scopes is a list/],
  ["keys as text", () => connect({ agentKeys: "BGx" as never }), /a list/],
  ["language as text", () => connect({ messages: "bn" as never }), /messages: bn/],
  [
    "controller as signal",
    () => connect({ signal: new AbortController() as never }),
    /controller\.signal/,
  ],
  ["port as text", () => connect({ trial: "17000" as never }), /`dsign trial` printed, a number/],
  ["the real agent as trial", () => connect({ trial: 7791 }), /`dsign trial` printed/],
  [
    "event",
    (dsign) => dsign.addEventListener("tokenChanged" as never, null),
    /tokenchanged, disconnect, reconnect/,
  ],
  [
    "event of the wire",
    (dsign) => dsign.addEventListener("token.changed" as never, null),
    /tokenchanged/,
  ],
  ["Base64", (dsign) => dsign.signPdf("JVBERi0=" as never), /new Blob\(\[bytes\]\)/],
  ["bytes", (dsign) => dsign.signDocument(new Uint8Array() as never), /new Blob\(\[bytes\]\)/],
  ["nothing", (dsign) => dsign.signDocument(undefined as never), /new Blob\(\[bytes\]\)/],
  ["nothing to verify", (dsign) => dsign.verify(undefined as never), /new Blob\(\[bytes\]\)/],
  ["one file", (dsign) => dsign.signBatch(PDF as never), /list of one or more \{ name, content/],
  ["no files", (dsign) => dsign.signBatch([]), /list of one or more/],
  [
    "files without names",
    (dsign) => dsign.signBatch([new File([], "a.pdf")] as never),
    /\{ name, content/,
  ],
  ["a hole", (dsign) => dsign.signBatch([undefined] as never), /\{ name, content/],
  ["one file to pack", (dsign) => dsign.signContainer(PDF as never), /list of one or more/],
  ["no files to pack", (dsign) => dsign.signContainer([]), /list of one or more/],
  [
    "nothing to pack",
    (dsign) => dsign.signContainer([{ name: "a" } as never]),
    /content: File or Blob/,
  ],
  [
    "controller",
    (dsign) => dsign.call("token.list", {}, { signal: new AbortController() as never }),
    /controller\.signal/,
  ],
  ...[NaN, Infinity, 1n, new Map(), new Set(), Promise.resolve({}), PDF, new Uint8Array(), () => {}]
    .map(
      (value): typeof MISUSES[number] => [
        `${String(value)} as JSON`,
        (dsign) => dsign.call("sign.data", { content: { json: { net: value as never } } }),
        /^net: JSON has no .*Give plain values/s,
      ],
    ),
];

Deno.test("wrong use is answered with what to write instead", () =>
  withFake({}, async (fake) => {
    const dsign = await connect({ ports: [fake.port] });
    for (const [name, use, instead] of MISUSES) {
      await assert.rejects(async () => await use(dsign), (error: Error) => {
        assert.ok(error instanceof TypeError, `${name}: ${error}`);
        assert.match(error.message, instead, name);
        return true;
      });
    }
    assert.deepEqual(fake.text, [], "nothing is sent");
    dsign.close();
  }));

Deno.test("errors are told in the page's language, whoever finds them", async () => {
  const messages = { not_installed: "नहीं मिला", pin_locked: "लॉक" };
  await assert.rejects(connect({ ports: [1], securePorts: [], messages }), { message: "नहीं मिला" });
  await withFake({
    script: ({ id, method }, socket) => method === "token.list" && refuse(socket, id, "pin_locked"),
  }, async ({ port }) => {
    const dsign = await connect({ ports: [port], messages });
    await assert.rejects(dsign.call("token.list", {}), { message: "लॉक", code: "pin_locked" });
    dsign.close();
  });
});

Deno.test("a batch's signal ends the document under way; what is signed counts, the rest is left", () =>
  withFake({
    script: ({ id, method, params }, socket) => {
      if (method === "sign.batch") reply(socket, id, { batch: 1, certificate: "MIIB" });
      if (method === "document.open") {
        const document = params.name === "a.txt" ? 1 : 2;
        reply(socket, id, { document, chunk: 10, window: 20 });
      }
      if (method === "batch.sign" && params.item === 0) {
        reply(socket, id, { format: "cades", signature: "MIIC" });
      }
      if (method === "batch.close") reply(socket, id, {});
    },
  }, async (fake) => {
    const dsign = await connect({ ports: [fake.port] });
    const end = new AbortController();
    const files = ["a.txt", "b.txt"].map((name) => ({ name, content: new Blob([name]) }));
    const told: number[] = [];
    const asked = dsign.signBatch(files, { format: "cades" }, {
      signal: end.signal,
      onItem: ({ item }) => void told.push(item),
    });
    const pending = () =>
      fake.text.find(({ method, params }) => method === "batch.sign" && params.item === 1);
    while (!pending() || told.length === 0) await new Promise((next) => setTimeout(next, 5));
    end.abort();
    const { signed, failed, left } = await asked;
    assert.deepEqual([signed, failed, left, told], [1, 0, 1, [0]]);
    assert.deepEqual((await fake.arrived("$/cancelRequest")).params, { id: pending()!.id });
    assert.deepEqual((await fake.arrived("batch.close")).params, { batch: 1, forget: false });
    dsign.close();
  }));

Deno.test("what was opened for a call that is given up is closed", () =>
  withFake({}, async (fake) => {
    const dsign = await connect({ ports: [fake.port] });
    const files = [{ name: "a.txt", content: new Blob(["a"]) }];
    const end = new AbortController();
    const opening = dsign.signDocument(files[0]!.content, {}, { signal: end.signal });
    const starting = dsign.signBatch(files, {}, { signal: end.signal });
    const [open, start] = [await fake.arrived("document.open"), await fake.arrived("sign.batch")];
    end.abort();
    assert.equal(await code(opening), "request_cancelled");
    assert.equal(await code(starting), "request_cancelled");
    // Both were answered before the signer program knew.
    fake.answer(open.id, { document: 7, chunk: 10, window: 20 });
    fake.answer(start.id, { batch: 8, certificate: "MIIB" });
    assert.deepEqual((await fake.arrived("document.close")).params, { document: 7 });
    assert.deepEqual((await fake.arrived("batch.close")).params, { batch: 8 });
    dsign.close();
  }));
