import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../tests/fakes/few_descriptors.ts", import.meta.url));

Deno.test("a listener to which thousands connect who say nothing answers who does", {
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
