import assert from "node:assert/strict";
import { derOf } from "./der.ts";
import { readAsn1 } from "./read.ts";

const read = (hex: string) => readAsn1(Uint8Array.fromHex(hex), { ber: true });

Deno.test("a value in BER is written in DER", () => {
  for (
    const [ber, der] of [
      ["3080020101040100" + "0000", "3006020101040100"],
      ["308103020101", "3003020101"],
      ["30820003020101", "3003020101"],
      ["300402810101", "3003020101"],
      ["24060401aa0401bb", "0402aabb"],
      ["300824060401aa0401bb", "30040402aabb"],
      ["30060201010401aa", "30060201010401aa"],
    ]
  ) assert.equal(derOf(read(ber)).toHex(), der);
});

Deno.test("a value in DER is not copied", () => {
  const deep = (levels: number): string => {
    let bytes = "020101";
    for (let i = 0; i < levels; i++) {
      bytes = `30${(bytes.length / 2).toString(16).padStart(2, "0")}${bytes}`;
    }
    return bytes;
  };
  for (const hex of [deep(0), deep(5), deep(40), `0481c8${"ab".repeat(200)}`]) {
    const node = read(hex);
    assert.equal(derOf(node).toHex(), hex);
    if (hex !== deep(40)) assert.equal(derOf(node).buffer, node.bytes.buffer);
  }
});

Deno.test("a value that cannot be read is refused by derOf too", () => {
  for (const hex of ["3003020201", "30020201", "30020000", "30020480", "30023080"]) {
    assert.throws(() => derOf(read(hex)), { code: "asn1_malformed" });
  }
});
