import assert from "node:assert/strict";
import { concat } from "../formats/asn1/der.ts";
import { decodeMessage, encodeMessage, readFrames } from "./messages.ts";

Deno.test("messages come out of a pipe as they were written, and nothing of them stays in its buffer", async () => {
  const values = [{ a: new Uint8Array(300).fill(7) }, { b: [null, "ü"] }, { a: new Uint8Array() }];
  const bytes = concat(...values.map(encodeMessage));
  let at = 0;
  const pipe = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const { view } = controller.byobRequest!;
      const room = new Uint8Array(view!.buffer, view!.byteOffset, view!.byteLength);
      assert.ok(room.every((byte) => byte === 0));
      const piece = bytes.subarray(at, at += 101);
      room.set(piece);
      if (piece.length === 0) controller.close();
      controller.byobRequest!.respond(piece.length);
    },
  });
  const read: unknown[] = [];
  for await (const frame of readFrames(pipe)) read.push(decodeMessage(frame));
  assert.deepEqual(read, values);
});
