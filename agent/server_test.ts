import assert from "node:assert/strict";
import { connect } from "node:net";
import { LIMITS } from "../protocol/envelope.ts";
import { PORTAL, testAgent, TestClient } from "../tests/fixtures/agent.ts";
import type { PageConsent } from "../signing/consent/port.ts";

/** Sends bytes as no browser or client library would, and returns the whole answer. */
async function raw(port: number, lines: string[], hostname = "127.0.0.1"): Promise<string> {
  const connection = await Deno.connect({ port, hostname });
  const request = [...lines, "Connection: close", "", ""].join("\r\n");
  await connection.write(new TextEncoder().encode(request));
  return await new Response(connection.readable).text();
}

const statusOf = (answer: string) => Number(answer.split(" ")[1]);

const upgradeLines = (host: string, origin: string | null, path = "/") => [
  `GET ${path} HTTP/1.1`,
  `Host: ${host}`,
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ...(origin === null ? [] : [`Origin: ${origin}`]),
];

Deno.test("only its own host names are answered (DNS rebinding)", async () => {
  await using test = await testAgent();
  const { port } = test.agent;
  const answer = async (host: string) =>
    statusOf(await raw(port, ["GET /status HTTP/1.1", `Host: ${host}`]));
  assert.equal(await answer(`127.0.0.1:${port}`), 200);
  assert.equal(await answer(`localhost:${port}`), 200);
  for (
    const host of [
      "",
      "127.0.0.1",
      "localhost",
      "evil.example",
      `evil.example:${port}`,
      `127.0.0.1.evil.example:${port}`,
      `localhost.evil.example:${port}`,
      `127.1:${port}`,
      `[::1]:${port}`,
      `LOCALHOST:${port}`,
      `127.0.0.1:${port + 1}`,
      `127.0.0.1:${port}.`,
      `127.0.0.1:99999`,
    ]
  ) {
    assert.equal(await answer(host), 421, host);
    assert.equal(statusOf(await raw(port, upgradeLines(host, PORTAL))), 421, host);
  }
  // Without Host, and with an absolute form that contradicts it.
  assert.ok([400, 421].includes(statusOf(await raw(port, ["GET /status HTTP/1.1"]))));
  const absolute = await raw(port, [
    "GET http://evil.example/status HTTP/1.1",
    "Host: evil.example",
  ]);
  assert.equal(statusOf(absolute), 400);
});

Deno.test("only web origins may open a WebSocket, exactly as browsers write them", async () => {
  await using test = await testAgent({
    allowedOrigins: [{ origin: "chrome-extension://abcdefgh", scopes: ["sign"] }],
  });
  const { port } = test.agent;
  const host = `127.0.0.1:${port}`;
  for (
    const origin of [
      null,
      "",
      "null",
      "https://",
      "https:portal.example",
      "portal.example",
      "https://portal.example/",
      "https://portal.example/path",
      "https://portal.example:443",
      "https://Portal.example",
      "HTTPS://portal.example",
      "https://user@portal.example",
      "https://port\u0430l.example", // not Latin; browsers write it as xn--
      "https://portal\u3002example",
      "https://portal.example?x",
      "https://portal.example#x",
      "https://a.example, https://b.example",
      "http://portal.example",
      "http://127.0.0.1.evil.example",
      "http://localhost.evil.example",
      "http://evillocalhost",
      "http://127.1",
      "file://",
      "chrome-extension://abcdefg",
      "moz-extension://abcdefgh",
      "javascript:alert(1)",
      "data:text/html,x",
    ]
  ) {
    assert.equal(statusOf(await raw(port, upgradeLines(host, origin))), 403, String(origin));
  }
  for (
    const origin of [
      PORTAL,
      "https://portal.example:8443",
      "http://localhost:8080",
      "http://127.0.0.1:8080",
      "http://portal.localhost",
      "chrome-extension://abcdefgh",
    ]
  ) {
    const client = await test.connect(origin);
    assert.equal((await client.call("origin.status", {})).origin, origin);
  }
  assert.equal(statusOf(await raw(port, upgradeLines(host, PORTAL, "/elsewhere"))), 403);
  const twoOrigins = [...upgradeLines(host, PORTAL), "Origin: https://evil.example"];
  assert.equal(statusOf(await raw(port, twoOrigins)), 403);
});

Deno.test("only an own page may speak for another origin, and only for a web origin", async () => {
  await using test = await testAgent();
  const { port, origin } = test.agent;
  const host = `127.0.0.1:${port}`;
  const upgrade = async (by: string, path: string) =>
    statusOf(await raw(port, upgradeLines(host, by, path)));
  const behalf = (site: string) => `/bridge?origin=${encodeURIComponent(site)}`;
  const localhost = `http://localhost:${port}`;
  for (const stranger of [PORTAL, "https://evil.example", localhost, "null"]) {
    assert.equal(await upgrade(stranger, behalf(PORTAL)), 403, stranger);
  }
  for (
    const site of ["null", "", "http://portal.example", "https://portal.example/", origin]
  ) {
    assert.equal(await upgrade(origin, behalf(site)), 403, site);
  }
  assert.equal(await upgrade(origin, "/bridge"), 403);
  const bridged = await test.connect(origin, behalf(PORTAL));
  const status = await bridged.call("origin.status", {});
  assert.deepEqual(
    [status.origin, status.scopes],
    [PORTAL, ["certificates", "sign", "sign_hash"]],
  );
});

Deno.test({
  name: "another user of the computer is refused (optional: needs root and setpriv on Linux)",
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  async fn() {
    await using test = await testAgent();
    const { port } = test.agent;
    const request =
      `GET /status HTTP/1.1\\r\\nHost: 127.0.0.1:${port}\\r\\nConnection: close\\r\\n\\r\\n`;
    const answerFor = async (user: number) => {
      const { stdout } = await new Deno.Command("setpriv", {
        args: [
          `--reuid=${user}`,
          "--clear-groups",
          "bash",
          "-c",
          `exec 3<>/dev/tcp/127.0.0.1/${port}; printf '${request}' >&3; cat <&3`,
        ],
        stdin: "null",
      }).output();
      return new TextDecoder().decode(stdout);
    };
    assert.equal(statusOf(await answerFor(0)), 200);
    assert.equal(await answerFor(65534), "");
  },
});

Deno.test({
  name:
    "a port that one of our own connections has, at another loopback address, is nobody we know",
  ignore: Deno.build.os !== "linux", // others have 127.0.0.1 alone
  async fn() {
    await using test = await testAgent();
    const { port } = test.agent;
    using ours = await Deno.connect({ port, hostname: "127.0.0.1" });
    const { port: localPort } = ours.localAddr as Deno.NetAddr;
    const socket = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2", localPort });
    socket.on("error", () => {});
    socket.write(`GET /status HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes;
      socket.destroy();
    });
    await new Promise((resolve) => socket.on("close", resolve));
    assert.equal(answer, "");
  },
});

Deno.test("GET /status is for every page, and says nothing secret", async () => {
  await using test = await testAgent();
  const { port } = test.agent;
  const answer = await fetch(`http://127.0.0.1:${port}/status`, {
    headers: { origin: "https://anywhere.example" },
  });
  assert.deepEqual(await answer.json(), {
    name: "dsign",
    version: "1.2.3",
    protocol: 2,
    port: test.agent.port,
    securePort: null,
  });
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  const preflight = await fetch(`http://127.0.0.1:${port}/status`, {
    method: "OPTIONS",
    headers: { "access-control-request-private-network": "true" },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-private-network"), "true");
  const posted = await fetch(`http://127.0.0.1:${port}/status`, { method: "POST", body: "x" });
  assert.equal(posted.status, 405);
  await posted.body?.cancel();
});

Deno.test("pages are served with strict headers, and nothing outside their folder is", async () => {
  await using test = await testAgent();
  const base = `http://127.0.0.1:${test.agent.port}`;
  await Deno.writeTextFile(`${test.dir}/index.html`, "<p>console");
  await Deno.writeTextFile(`${test.dir}/consent.html`, "<p>consent");
  await Deno.writeTextFile(`${test.dir}/console.js`, "1");
  await Deno.writeTextFile(`${test.dir}/.secret.js`, "1");
  for (
    const [path, type] of [["/", "text/html"], ["/web/console.js", "text/javascript"]]
  ) {
    const page = await fetch(base + path);
    assert.equal(page.status, 200, path);
    await page.text();
    assert.ok(page.headers.get("content-type")?.startsWith(type));
    assert.equal(page.headers.get("cache-control"), "no-store");
    assert.equal(page.headers.get("x-content-type-options"), "nosniff");
    const policy = page.headers.get("content-security-policy")!;
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(page.headers.get("access-control-allow-origin"), null);
  }
  for (
    const path of [
      "/consent", // it stands at the windows' own port alone
      "/consent/view",
      "/web/",
      "/web/.secret.js",
      "/web/..%2forigins.json",
      "/web/%2e%2e/origins.json",
      "/web/../../etc/hostname",
      "/web//etc/hostname",
      "/web/absent.js",
      "/origins.json",
      "/web/console.js%00.html",
      "/constructor",
      "/__proto__",
    ]
  ) {
    const answer = await raw(test.agent.port, [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${test.agent.port}`,
    ]);
    assert.equal(statusOf(answer), 404, path);
  }
});

Deno.test("only 127.0.0.1 is the agent's own name: localhost leads there, and is a site like any other", async () => {
  await using test = await testAgent();
  const { port } = test.agent;
  const host = `localhost:${port}`;
  for (const path of ["/", "/bridge", "/web/console.js", "//evil.example/"]) {
    const answer = await raw(port, [`GET ${path} HTTP/1.1`, `Host: ${host}`]);
    assert.equal(statusOf(answer), 307, path);
    assert.ok(answer.includes(`\r\nlocation: http://127.0.0.1:${port}${path}\r\n`), answer);
  }
  for (const path of ["/console/sites", "/console/revoke", "/console/roots"]) {
    const request = [
      `POST ${path} HTTP/1.1`,
      `Host: ${host}`,
      `Origin: http://${host}`,
      "Sec-Fetch-Site: same-origin",
      "Content-Length: 0",
    ];
    assert.equal(statusOf(await raw(port, request)), 421, path);
  }
  const stranger = await test.connect(`http://${host}`);
  assert.deepEqual((await stranger.call("origin.status", {})).scopes, []);
  await assert.rejects(stranger.call("certificate.list", {}), { code: "origin_not_allowed" });
});

Deno.test("the consent page's requests are refused from anywhere else", async () => {
  const reached: string[] = [];
  const consent = {
    respond(_: Request, path: string) {
      reached.push(path);
      return Promise.resolve(new Response("ok"));
    },
  } as unknown as PageConsent;
  let origin = "";
  await using test = await testAgent({ consent: (windows) => (origin = windows, consent) });
  const port = Number(new URL(origin).port);
  assert.notEqual(port, test.agent.port);
  const ask = async (method: string, ...headers: string[]) =>
    statusOf(
      await raw(port, [
        `${method} /consent/view HTTP/1.1`,
        `Host: 127.0.0.1:${port}`,
        "Content-Length: 0",
        ...headers,
      ]),
    );
  assert.equal(await ask("GET", "Sec-Fetch-Site: cross-site"), 403);
  assert.equal(await ask("GET", "Sec-Fetch-Site: same-site"), 403);
  assert.equal(await ask("GET", "Sec-Fetch-Site: none"), 403);
  assert.equal(await ask("GET", "Origin: https://evil.example"), 403);
  assert.equal(
    await ask("GET", `Origin: http://localhost:${port}`),
    403,
    "the same place by another name",
  );
  assert.equal(await ask("POST"), 403, "browsers always send Origin with POST");
  assert.equal(await ask("POST", "Origin: null"), 403);
  assert.equal(await ask("POST", "Sec-Fetch-Site: cross-site", `Origin: ${origin}`), 403);
  assert.deepEqual(reached, []);
  assert.equal(await ask("GET", "Sec-Fetch-Site: same-origin"), 200);
  assert.equal(await ask("POST", `Origin: ${origin}`), 200);
  assert.equal(reached.length, 2);
});

Deno.test("connections are counted: by origin, those of strangers, and all", async () => {
  await using test = await testAgent();
  const stranger = (i: number) =>
    `https://site${Math.floor(i / LIMITS.connectionsPerOrigin)}.example`;
  const fill = async (count: number, origin: (i: number) => string) => {
    const clients: TestClient[] = [];
    for (let i = 0; i < count; i++) clients.push(await test.connect(origin(i)));
    await assert.rejects(test.connect(origin(0)));
    return clients;
  };
  const strangers = await fill(LIMITS.connectionsOfStrangers, stranger);
  // Sites with a grant and the agent's own pages still get in.
  await fill(LIMITS.connectionsPerOrigin, () => PORTAL);
  const { port } = test.agent;
  await fill(LIMITS.connectionsPerOrigin, () => `http://127.0.0.1:${port}`);
  await assert.rejects(test.connect(`http://localhost:${port}`), "all are taken");
  strangers[0].socket.close();
  await strangers[0].closed;
  const late = await test.connect("https://late.example");
  assert.equal((await late.call("agent.info", {})).name, "dsign");
});

Deno.test("of sites without a grant, the one with most connections gives way, under however many names", async () => {
  await using test = await testAgent();
  const evil: TestClient[] = [];
  for (let i = 0; i < LIMITS.connectionsOfStrangers; i++) {
    evil.push(await test.connect(`https://a${i}.evil.example`));
  }
  await assert.rejects(test.connect("https://another.evil.example"));
  const portal = await test.connect("https://new.portal.example");
  assert.equal((await evil.at(-1)!.closed).code, 1008);
  assert.equal((await portal.call("agent.info", {})).name, "dsign");
  assert.equal((await evil[0].call("agent.info", {})).name, "dsign");
});

Deno.test("cookies of other pages of this computer do not keep the agent's own pages from being shown", async () => {
  await using test = await testAgent();
  const { port } = test.agent;
  // RFC 6265 §8.5: cookies have no port. Chromium and Firefox keep 180 of a host, of 4096 bytes each.
  const cookie = `Cookie: ${"x".repeat(180 * 4096)}`;
  const answer = await raw(port, ["GET /status HTTP/1.1", `Host: 127.0.0.1:${port}`, cookie]);
  assert.equal(statusOf(answer), 200);
});

Deno.test("a second agent takes the next port; none free is said so", async () => {
  await using first = await testAgent();
  await assert.rejects(testAgent({ ports: [first.agent.port] }), { code: "busy" });
  await using second = await testAgent({ ports: [first.agent.port, 0] });
  assert.notEqual(second.agent.port, first.agent.port);
});

Deno.test("the agent listens only on the loopback address", async () => {
  await using test = await testAgent();
  const address = Deno.networkInterfaces().find(({ family, address }) =>
    family === "IPv4" && !address.startsWith("127.")
  )?.address;
  if (!address) return; // a computer without a network has nothing else to listen on
  await assert.rejects(Deno.connect({ hostname: address, port: test.agent.port }));
});
