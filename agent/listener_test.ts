import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Listener } from "./listener.ts";

const PROGRAM = fileURLToPath(new URL("../tests/fakes/few_descriptors.ts", import.meta.url));

Deno.test("a listener with thousands of silent connections still answers requests", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const child = new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 1024; exec "$@"', "sh", Deno.execPath(), "run", "-A", PROGRAM],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await lines.read()).value);
  const silent: Deno.TcpConn[] = [];
  for (let i = 0; i < 2000; i++) silent.push(await Deno.connect({ port, hostname: "127.0.0.1" }));
  const answer = async () => await (await fetch(`http://127.0.0.1:${port}/`)).text();
  assert.equal(await answer(), "here");
  for (const connection of silent) connection.close();
  assert.equal(await answer(), "here");
  await child.stdin.close();
  await lines.cancel();
  assert.ok((await child.status).success);
});

Deno.test("an answer is dropped if its reader has left", async () => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Response>();
  const listener = await Listener.open({
    ports: [0],
    admits: () => Promise.resolve(true),
    handle: () => (asked.resolve(), answer.promise),
    onError: () => new Response(null, { status: 500 }),
  });
  const connection = await Deno.connect({ port: listener.port, hostname: "127.0.0.1" });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  await asked.promise;
  connection.close();
  await listener.shutdown(); // it is gone
  const cancelled = Promise.withResolvers<void>();
  answer.resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })));
  await cancelled.promise;
});

Deno.test("nothing is read of a connection before it is admitted, or where it is not", async () => {
  const looked = Promise.withResolvers<void>();
  const decision = Promise.withResolvers<boolean>();
  let admits = () => (looked.resolve(), decision.promise);
  let asked = 0;
  const listener = await Listener.open({
    ports: [0],
    admits: () => admits(),
    handle: () => new Response(`request ${++asked}`),
    onError: () => new Response(null, { status: 500 }),
  });
  const answer = async () => {
    const connection = await Deno.connect({ port: listener.port, hostname: "127.0.0.1" });
    const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    await connection.write(new TextEncoder().encode(request));
    return await new Response(connection.readable).text().catch(() => "reset");
  };
  const first = answer();
  await looked.promise;
  admits = () => Promise.resolve(false);
  assert.match(await answer(), /^(reset)?$/);
  admits = () => Promise.reject(new Error("no table"));
  assert.match(await answer(), /^(reset)?$/);
  assert.equal(asked, 0);
  decision.resolve(true);
  assert.match(await first, /request 1/);
  await listener.shutdown();
});
