import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeFrame, encodeFrame, FrameReader, MAX_FRAME } from "./messages.ts";

const MARKER = Uint8Array.from({ length: 16 }, (_, i) => i + 1);

/** Pushes `bytes` in pieces; gives ids of the frames, and the garbage. */
function read(bytes: Uint8Array, piece: number, marker?: Uint8Array) {
  const frames: { id: number; header: unknown; blob: number[] }[] = [];
  const garbage: number[] = [];
  const reader = new FrameReader(marker, (more) => garbage.push(...more));
  for (let at = 0; at < bytes.length; at += piece) {
    reader.push(bytes.subarray(at, at + piece), (body) => {
      const { id, header, blob } = decodeFrame(body);
      frames.push({ id, header, blob: [...blob] });
    });
  }
  return { frames, garbage };
}

Deno.test("frames come out whole, however they are cut", () => {
  const frame = { id: 7, header: { op: "sign" }, blob: [1, 2, 3] };
  const bytes = Uint8Array.from([
    ...encodeFrame(7, frame.header, Uint8Array.from(frame.blob)),
    ...encodeFrame(8, null),
  ]);
  for (const piece of [1, 3, 1000]) {
    const { frames } = read(bytes, piece);
    assert.deepEqual(frames, [frame, { id: 8, header: null, blob: [] }]);
  }
});

Deno.test("with a marker, any output between frames is garbage and nothing else", () => {
  const printable = fc.uint8Array({ maxLength: 100 });
  fc.assert(
    fc.property(printable, printable, printable, fc.integer({ min: 1, max: 64 }), (a, b, c, n) => {
      const frame = (id: number) => encodeFrame(id, { ok: 1 }, b, MARKER, MARKER);
      // Half a marker just before the real one is the hardest case.
      const half = MARKER.subarray(0, 8);
      const bytes = Uint8Array.from([...a, ...half, ...frame(1), ...b, ...frame(2), ...c, 0xff]);
      const { frames, garbage } = read(bytes, n, MARKER);
      assert.deepEqual(frames.map(({ id }) => id), [1, 2]);
      assert.deepEqual(frames[0].blob, [...b]);
      assert.deepEqual(garbage, [...a, ...half, ...b, ...c, 0xff]);
    }),
    { numRuns: 200 },
  );
});

Deno.test("a frame that grows past the first buffer comes out whole", () => {
  const blob = new Uint8Array(300_000).fill(9);
  const bytes = encodeFrame(1, {}, blob, MARKER, MARKER);
  const { frames } = read(bytes, 10_000, MARKER);
  assert.equal(frames[0].blob.length, blob.length);
});

Deno.test("absurd lengths and broken-up frames end the stream", () => {
  const long = new Uint8Array(20);
  new DataView(long.buffer).setUint32(0, MAX_FRAME + 1, true);
  assert.throws(() => read(long, 20), RangeError);
  assert.throws(() => read(new Uint8Array(20), 20), RangeError);
  const broken = encodeFrame(1, { ok: 1 }, undefined, MARKER, MARKER);
  broken[broken.length - 1] ^= 1;
  assert.throws(() => read(broken, 100, MARKER), RangeError);
  assert.throws(() => decodeFrame(Uint8Array.from([0, 0, 0, 0, 9, 0, 0, 0])), RangeError);
});

Deno.test("bytes of a frame are wiped after use", () => {
  const reader = new FrameReader();
  let body: Uint8Array | undefined;
  reader.push(encodeFrame(1, {}, Uint8Array.from([0x31, 0x32])), (bytes) => body = bytes);
  assert.ok(body!.every((byte) => byte === 0));
});
