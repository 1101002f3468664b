import assert from "node:assert/strict";
import { bytesSource } from "../../formats/source.ts";
import { documentResponse } from "./document_response.ts";

const bytes = new Uint8Array(600_000).map((_, i) => i * 31);
const ask = (range: string | null, size = bytes.length) =>
  documentResponse({ source: bytesSource(bytes.subarray(0, size)) }, range, () => true);

Deno.test("the document in whole and in ranges", async () => {
  for (
    const [range, start, end] of [
      [null, 0, 600_000],
      ["bytes=0-", 0, 600_000],
      ["bytes=0-0", 0, 1],
      ["bytes=262143-524289", 262_143, 524_290],
      ["bytes=599999-9999999999999999999999", 599_999, 600_000],
      ["bytes=-5", 599_995, 600_000],
      ["bytes=-999999999", 0, 600_000],
      ["bytes=-", 0, 600_000],
      ["bytes=1-2,5-6", 0, 600_000],
      ["pages=1-2", 0, 600_000],
    ] as const
  ) {
    const response = ask(range);
    assert.deepEqual(await response.bytes(), bytes.slice(start, end), String(range));
    assert.equal(response.headers.get("content-length"), String(end - start));
    const part = response.headers.get("content-range");
    assert.deepEqual(
      [response.status, part],
      part ? [206, `bytes ${start}-${end - 1}/600000`] : [200, null],
    );
  }
  for (const range of ["bytes=600000-", "bytes=5-4", "bytes=-0"]) {
    assert.equal(ask(range).status, 416, range);
  }
  assert.equal((await ask(null, 0).bytes()).length, 0);
  assert.equal(ask("bytes=0-5", 0).status, 416);
});

Deno.test("it breaks off when the question is over", async () => {
  let current = true;
  const source = bytesSource(bytes);
  const response = documentResponse({ source }, null, () => current);
  const reader = response.body!.getReader();
  await reader.read();
  current = false;
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  });
});
