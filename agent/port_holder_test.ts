import assert from "node:assert/strict";
import { freePort } from "../tests/fixtures/free_port.ts";
import { fromLsof, fromNetstat, fromSs, fromTasklist, holderOf } from "./port_holder.ts";

Deno.test("what the systems' programs say is read", () => {
  assert.deepEqual(
    fromSs(
      'LISTEN 0 5 127.0.0.1:7791 0.0.0.0:* users:(("python3",pid=7,fd=3)) uid:1001 ino:9 sk:1',
    ),
    { uid: "1001", program: "python3" },
  );
  assert.deepEqual(fromSs("LISTEN 0 5 127.0.0.1:7791 0.0.0.0:* ino:9 sk:1 cgroup:/ <->\n"), {
    uid: "0",
    program: null,
  });
  assert.equal(fromSs(""), null);
  assert.deepEqual(fromLsof("p412\ncnc\nLasha\nu501\nf3\n"), { program: "nc", user: "asha" });
  const netstat = "  Proto  Local Address  Foreign Address  State  PID\r\n" +
    "  TCP    127.0.0.1:17791   0.0.0.0:0   ABHÖREN   12\r\n" +
    "  TCP    127.0.0.1:7791    0.0.0.0:0   LISTENING  4242\r\n" +
    "  TCP    127.0.0.1:50000   127.0.0.1:7791  ESTABLISHED  9\r\n";
  assert.equal(fromNetstat(netstat, 7791), "4242");
  assert.equal(fromNetstat(netstat, 50000), null);
  assert.deepEqual(
    fromTasklist(
      '"nc.exe","4242","Console","1","9,000 K","Running","PC\\asha","0:00:01","N/A"\r\n',
    ),
    { program: "nc.exe", user: "PC\\asha" },
  );
  assert.equal(fromTasklist("INFO: No tasks are running which match the criteria.\r\n"), null);
});

Deno.test({
  name: "a program that listens is named, with its user (Linux)",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr as Deno.NetAddr;
    const { user, program } = await holderOf(port);
    const me = await new Deno.Command("id", { args: ["-un"] }).output();
    assert.equal(user, new TextDecoder().decode(me.stdout).trim());
    assert.match(program!, /deno/i);
    const free = freePort();
    assert.deepEqual(await holderOf(free), { port: free, user: null, program: null });
  },
});
