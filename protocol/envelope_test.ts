import assert from "node:assert/strict";
import {
  formatError,
  formatNotification,
  formatResult,
  isWellFormed,
  LIMITS,
  parseChunk,
  parseRequest,
} from "./envelope.ts";
import { DsignError, ERRORS } from "./errors.ts";

const withCode = (code: string) => (error: unknown) =>
  error instanceof DsignError && error.code === code;

Deno.test("half of a character is found in a text, and no whole one is taken for it", () => {
  const escaped = (text: string) =>
    `"${
      [...Array(text.length).keys()].map((i) =>
        `\\u${text.charCodeAt(i).toString(16).padStart(4, "0").toUpperCase()}`
      ).join("")
    }"`;
  const whole = "\u{1f642}";
  const [high, low] = ["\ud800", "\udc00"];
  const samples = [whole, "a", "\\ud800", `\n${whole}\n`, high, low, low + high, `${high}a${low}`];
  samples.push(whole + high, high + whole, high + high + low);
  for (const sample of samples) {
    for (const frame of [JSON.stringify(sample), escaped(sample), `{${escaped(sample)}:1}`]) {
      assert.equal(isWellFormed(frame), sample.isWellFormed(), frame);
    }
  }
});

Deno.test("parseRequest reads requests and notifications", () => {
  assert.deepEqual(parseRequest('{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1}}'), {
    id: "a",
    method: "m",
    params: { x: 1 },
  });
  assert.deepEqual(parseRequest('{"jsonrpc":"2.0","method":"m"}'), {
    id: undefined,
    method: "m",
    params: {},
  });
});

Deno.test("parseRequest refuses anything that is not a request", () => {
  for (const frame of ["", "{", "\0", "nul", '{"a":']) {
    assert.throws(() => parseRequest(frame), withCode("parse_error"), frame);
  }
  for (
    const frame of [
      "null",
      "1",
      '"x"',
      "[]",
      "{}",
      '{"jsonrpc":"1.0","id":1,"method":"m"}',
      '{"jsonrpc":"2.0","id":1}',
      '{"jsonrpc":"2.0","id":1,"method":7}',
      '{"jsonrpc":"2.0","id":1.5,"method":"m"}',
      '{"jsonrpc":"2.0","id":null,"method":"m"}',
      '{"jsonrpc":"2.0","id":{},"method":"m"}',
    ]
  ) assert.throws(() => parseRequest(frame), withCode("invalid_request"), frame);
  assert.throws(() => parseRequest(" ".repeat(LIMITS.textFrame + 1)), withCode("too_large"));
});

Deno.test("parseChunk splits handle and bytes", () => {
  const chunk = parseChunk(Uint8Array.of(9, 0, 0, 1, 2, 3, 4).subarray(1));
  assert.deepEqual(chunk, { handle: 0x00000102, bytes: Uint8Array.of(3, 4) });
  assert.throws(() => parseChunk(new Uint8Array(3)), withCode("invalid_request"));
  assert.throws(() => parseChunk(new Uint8Array(4 + LIMITS.chunk + 1)), withCode("too_large"));
});

Deno.test("frames are JSON-RPC 2.0", () => {
  assert.equal(formatResult(1, {}), '{"jsonrpc":"2.0","id":1,"result":{}}');
  assert.equal(formatNotification("a", {}), '{"jsonrpc":"2.0","method":"a","params":{}}');
  const error = new DsignError("pin_incorrect", undefined, { triesLeft: "low" });
  assert.deepEqual(JSON.parse(formatError(null, error.toJSON())), {
    jsonrpc: "2.0",
    id: null,
    error: {
      code: -32000,
      message: ERRORS.pin_incorrect.message,
      data: { code: "pin_incorrect", retryable: false, triesLeft: "low" },
    },
  });
});
