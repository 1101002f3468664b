import assert from "node:assert/strict";
import { isPublicAddress, PKI_LIMITS, type PkiFetch, PkiHttp, publicFetch } from "./pki_http.ts";

const never = new AbortController().signal;
const anywhere = () => publicFetch(() => true);

async function withServer(
  answer: (request: Request) => Response | Promise<Response>,
  body: (url: string) => Promise<void>,
) {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
  try {
    await body(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("only public addresses count as public", () => {
  for (const address of ["8.8.8.8", "164.100.0.1", "172.15.0.1", "172.32.0.1", "2606:4700::1"]) {
    assert.ok(isPublicAddress(address), address);
  }
  const refused = [
    ...["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"],
    ...["192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255"],
    ...["::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fe80::1", "fc00::1", "fd12::1"],
    ...["ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "2001:0:1::", "localhost"],
  ];
  for (const address of refused) assert.equal(isPublicAddress(address), false, address);
});

Deno.test("no address of this computer or its network is reached, under any name", async () => {
  let reached = 0;
  await withServer(() => (reached++, new Response("secret")), async (url) => {
    const { port } = new URL(url);
    const hosts = [
      ...["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"],
      ...["[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost.", "127.0.0.1.", "user@127.0.0.1"],
    ];
    for (const host of hosts) {
      const http = new PkiHttp(publicFetch(), never);
      await assert.rejects(http.get(`http://${host}:${port}/`), { name: "PkiHttpError" }, host);
    }
    for (const url of ["file:///etc/passwd", "ftp://127.0.0.1/", "ldap://x/", "data:,x", "x"]) {
      await assert.rejects(new PkiHttp(anywhere(), never).get(url), { name: "PkiHttpError" }, url);
    }
  });
  assert.equal(reached, 0);
});

/** The ways in which URLs can name an IPv4 address (WHATWG URL §3.5, RFC 4291 §2.2). */
function spellings(address: string): string[] {
  const parts = address.split(".").map(Number);
  const last = (from: number) => parts.slice(from).reduce((sum, part) => sum * 256 + part, 0);
  const bases = [
    (part: number) => String(part),
    (part: number) => `0x${part.toString(16)}`,
    (part: number) => `0${part.toString(8)}`,
    (part: number) => `0000${part.toString(8)}`,
    (part: number) => `0X${part.toString(16).toUpperCase().padStart(8, "0")}`,
  ];
  const v4 = [1, 2, 3, 4].flatMap((count) =>
    bases.map((write, i) => {
      const numbers = [...parts.slice(0, count - 1), last(count - 1)];
      // Each part may have a base of its own.
      return numbers.map((part, at) => at === 0 ? write(part) : bases[(i + at) % 5](part)).join(
        ".",
      );
    })
  );
  const written = v4.flatMap((host) => [
    host,
    `${host}.`,
    host.replaceAll(/[0-9]/g, (digit) => `%3${digit}`),
    host.replaceAll(/[0-9]/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
    host.replaceAll(".", "\u3002"),
  ]);
  const [high, low] = [last(0) >>> 16, last(0) & 0xffff].map((half) => half.toString(16));
  const v6 = ["::ffff:", "::", "64:ff9b::", "::ffff:0:", "0:0:0:0:0:ffff:"].flatMap((prefix) => [
    `[${prefix}${high}:${low}]`,
    `[${prefix}${address}]`,
  ]);
  return [...new Set([...written, ...v6])];
}

Deno.test("every spelling of an address within is refused before anything is sent", async () => {
  let count = 0;
  for (const address of ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.254"]) {
    for (const host of spellings(address)) {
      count++;
      const http = new PkiHttp(publicFetch(), never);
      // Nobody listens at this port: what is not refused says "could not be reached".
      await assert.rejects(
        http.get(`http://${host}:9/`),
        /private network|not a web address/,
        host,
      );
    }
  }
  assert.ok(count > 400, String(count));
});

Deno.test("bytes arrive unchanged, and any status other than 200 is a failure", async () => {
  await withServer(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/echo") return new Response(await request.bytes());
    return pathname === "/crl" ? new Response(new Uint8Array([1, 2, 3])) : new Response("no", {
      status: 404,
    });
  }, async (url) => {
    const http = new PkiHttp(anywhere(), never);
    assert.deepEqual(await http.get(`${url}/crl`), Uint8Array.of(1, 2, 3));
    assert.deepEqual(
      await http.post(`${url}/echo`, "a/b", "c/d", Uint8Array.of(9)),
      Uint8Array.of(9),
    );
    await assert.rejects(http.get(`${url}/none`), /status 404/);
    await assert.rejects(http.get("http://127.0.0.1:1/"), /could not be reached/);
  });
});

Deno.test("every redirect is checked like the first address, and at most three are followed", async () => {
  await withServer((request) => {
    const n = Number(new URL(request.url).pathname.slice(1));
    return n === 0
      ? new Response("here")
      : new Response(null, { status: 302, headers: { location: `/${n - 1}` } });
  }, async (url) => {
    const text = async (path: string) =>
      new TextDecoder().decode(await new PkiHttp(anywhere(), never).get(url + path));
    assert.equal(await text("/3"), "here");
    await assert.rejects(text("/4"), /redirects too often/);
  });
  const toInside: PkiFetch = (url, init) =>
    url.includes("public.example")
      ? Promise.resolve(
        new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/" } }),
      )
      : publicFetch()(url, init);
  await assert.rejects(
    new PkiHttp(toInside, never).get("http://public.example/"),
    /private network/,
  );
});

Deno.test("the size, number and duration of requests are bounded", async () => {
  const { promise: silence, resolve: end } = Promise.withResolvers<Response>();
  await withServer((request) => {
    return new URL(request.url).pathname === "/slow" ? silence : new Response(new Uint8Array(1000));
  }, async (url) => {
    try {
      const http = (limits: Partial<typeof PKI_LIMITS>) =>
        new PkiHttp(anywhere(), never, { ...PKI_LIMITS, ...limits });
      await assert.rejects(http({ bytes: 999 }).get(url), /too much/);
      const long = `${url}/${"x".repeat(10_000)}`;
      await assert.rejects(http({}).get(long), ({ message }) => message.length < 200);
      const two = http({ requests: 2 });
      await two.get(url);
      await two.get(url);
      await assert.rejects(two.get(url), /Too many/);
      await assert.rejects(http({ requestTime: 20 }).get(`${url}/slow`), /in time/);
      await assert.rejects(http({ time: 20 }).get(`${url}/slow`), /in time/);
    } finally {
      end(new Response());
    }
  });
});
