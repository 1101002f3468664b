import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../tests/fakes/few_descriptors.ts", import.meta.url));

Deno.test("a listener whose file descriptors were all in use goes on when they are free", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const child = new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 100; exec "$@"', "sh", Deno.execPath(), "run", "-A", PROGRAM],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const port = Number((await lines.read()).value);
  const taken: Deno.TcpConn[] = [];
  // Until it accepts no more, which ends what waits to be accepted.
  for (let refused = false; !refused;) {
    await Deno.connect({ port, hostname: "127.0.0.1" }).then(
      (connection) => taken.push(connection),
      () => refused = true,
    );
  }
  assert.ok(taken.length > 20);
  for (const connection of taken) connection.close();
  for (let answer = ""; answer !== "here";) {
    answer = await fetch(`http://127.0.0.1:${port}/`).then((response) => response.text(), () => "");
  }
  await child.stdin.close();
  await lines.cancel();
  assert.ok((await child.status).success);
});
