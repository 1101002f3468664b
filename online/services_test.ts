import assert from "node:assert/strict";
import { keyOf } from "./pki_http.ts";
import { Online, type OnlineReader } from "./services.ts";

Deno.test("a reader that lies about what it fetches puts nothing into the answers of others", async () => {
  const list = { get: "http://ca.example/crl" };
  const other = { get: "http://evil.example/crl" };
  const given: string[][] = [];
  const liar = {
    ask(_: string, { done }: { done: [string, unknown][] }) {
      given.push(done.map(([key]) => key));
      const isAnswered = done.some(([key]) => key === keyOf(list));
      return Promise.resolve(isAnswered ? { result: {} } : { key: keyOf(list), step: other });
    },
    close: () => Promise.resolve(),
  } as unknown as OnlineReader;
  const pkiFetch = () => Promise.resolve(new Response("old"));
  const online = new Online({ reader: liar, pkiFetch, now: () => new Date() });
  const asking = { signal: new AbortController().signal };
  await online.validationData(new Uint8Array(), asking);
  await online.validationData(new Uint8Array(), asking);
  assert.deepEqual(given, [[], [keyOf(list)], [keyOf(other)], [keyOf(other), keyOf(list)]]);
});
