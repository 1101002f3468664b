import assert from "node:assert/strict";
import { findPeer, openSocketTables, ownerOf } from "./peer.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, remote: string, uid: number, inode: number) =>
  `   0: ${local} ${remote} 01 00000000:00000000 00:00000000 00000000 ${uid}        0 ${inode} 1 0 20 4 30 10 -1\n`;

Deno.test("ownerOf finds the peer's row, not ours", () => {
  const table = HEAD + row("0100007F:1E6F", "0100007F:D431", 0, 5) +
    row("0100007F:D431", "0100007F:1E6F", 1000, 6);
  assert.equal(ownerOf(table, 0xd431, 0x1e6f), 1000);
  assert.equal(ownerOf(table, 0x1e6f, 0xd431), 0);
  assert.equal(ownerOf(table.replaceAll(" 01 ", " 06 "), 0xd431, 0x1e6f), null, "time wait");
  assert.equal(ownerOf(table, 0xd432, 0x1e6f), null);
});

Deno.test("ownerOf knows IPv4 addresses in IPv6 sockets, and refuses non-loopback addresses", () => {
  const mapped = "0000000000000000FFFF00000100007F";
  assert.equal(ownerOf(HEAD + row(`${mapped}:D431`, `${mapped}:1E6F`, 7, 6), 0xd431, 0x1e6f), 7);
  assert.equal(
    ownerOf(HEAD + row("0200000A:D431", "0100007F:1E6F", 7, 6), 0xd431, 0x1e6f),
    null,
  );
});

Deno.test("ownerOf does not take a socket that no program holds for root's", () => {
  const table = HEAD + row("0100007F:D431", "0100007F:1E6F", 0, 0);
  assert.equal(ownerOf(table, 0xd431, 0x1e6f), null);
});

Deno.test("our own connection is ours", async () => {
  openSocketTables();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  using client = await Deno.connect({ hostname: "127.0.0.1", port });
  using served = await listener.accept();
  assert.equal(await findPeer((served.remoteAddr as Deno.NetAddr).port, port), "ours");
  assert.ok(client);
  listener.close();
});

Deno.test({
  name: "a connection that nobody holds is not ours",
  ignore: Deno.build.os !== "linux",
  async fn() {
    openSocketTables();
    assert.equal(await findPeer(1, 2), "unknown");
  },
});
