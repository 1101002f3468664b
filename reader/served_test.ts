import assert from "node:assert/strict";
import { bytesSource } from "../formats/source.ts";
import { Served } from "./served.ts";

const bytes = new Uint8Array(2_000_000);

Deno.test("a reader gets only the bytes of its documents", async () => {
  const served = new Served([bytesSource(bytes)]);
  for (
    const [document, offset, length] of [
      [1, 0, 1],
      [-1, 0, 1],
      [0, -1, 1],
      [0, 0, -1],
      [0, 0.5, 1],
      [0, 1_999_999, 2],
      [0, 0, 1_500_000],
      [0, NaN, 1],
    ]
  ) {
    const need = { need: "bytes", document, offset, length } as const;
    await assert.rejects(() => served.serve(need), RangeError, JSON.stringify(need));
  }
  await assert.rejects(
    () => served.serve({ need: "digest", document: 0, hash: "SHA-256", ranges: [[0, 2_000_001]] }),
    RangeError,
  );
  await assert.rejects(() => served.serve({ need: "file" } as never), RangeError);
  assert.equal(
    (await served.serve({ need: "bytes", document: 0, offset: 9, length: 9 })).length,
    9,
  );
});

Deno.test("endless requests for digests are refused", async () => {
  const served = new Served([bytesSource(bytes)]);
  const need = { need: "digest", document: 0, hash: "SHA-256" } as const;
  await assert.rejects(async () => {
    for (let i = 0; i < 100; i++) await served.serve({ ...need, ranges: [[1, 1_999_999]] });
  }, RangeError);
});

Deno.test("a digest of many ranges or bytes is refused, or lets others have their turn", async () => {
  const served = new Served([bytesSource(bytes)]);
  const need = { need: "digest", document: 0, hash: "SHA-256" } as const;
  let turns = 0;
  const timer = setInterval(() => turns++);
  try {
    const ranges = Array.from({ length: 5000 }, (_, i) => [1 + i, 1] as const);
    await served.serve({ ...need, ranges });
    assert.ok(turns > 0);
    turns = 0;
    await served.serve({ ...need, ranges: [], then: new Uint8Array(8 << 20) });
    assert.ok(turns > 0);
  } finally {
    clearInterval(timer);
  }
  const empty = Array.from({ length: 100_000 }, () => [1, 0] as const);
  await assert.rejects(() => served.serve({ ...need, ranges: empty }), RangeError);
});
