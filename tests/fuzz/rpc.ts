/** Mutated requests to a running agent whose person agrees to everything: each gets one answer of the contract. */
import assert from "node:assert/strict";
import { isErrorCode } from "../../protocol/errors.ts";
import { testAgent, type TestClient } from "../fixtures/agent.ts";

/** Requests of one connection, which holds its documents. */
const A_CONNECTION = 40;

let agent: Awaited<ReturnType<typeof testAgent>> | undefined;
let client: TestClient | undefined;
let requests = 0;

const DIGEST = btoa("\0".repeat(32));
const CALLS: [method: string, params: unknown][] = [
  ["agent.info", {}],
  ["rpc.discover", {}],
  ["origin.status", {}],
  ["origin.request", { scopes: ["certificates", "sign"], reason: "to sign orders" }],
  ["token.list", {}],
  ["certificate.list", { all: true }],
  ["certificate.choose", { purpose: "to log in" }],
  ["document.open", { name: "order.txt", size: 5, mediaType: "text/plain" }],
  ["document.read", { document: 1 }],
  ["document.close", { document: 1 }],
  ["sign.data", { content: { text: "Pay 1200.00" }, format: "cades", purpose: "Order 7" }],
  ["sign.data", { content: { json: { bill: 7, items: [1, null, "a"] } }, format: "jws" }],
  ["sign.hash", { digests: [DIGEST, DIGEST], hash: "SHA-256", names: ["a", "b"] }],
  ["sign.document", { document: 1, format: "pades", level: "B-B", visible: { page: 1 } }],
  ["sign.batch", { items: [{ name: "a.txt", sha256: DIGEST, size: 5 }], purpose: "Orders" }],
  ["signature.verify", { document: 1, content: 2, pan: "ABCDE1234F" }],
  ["auth.authenticate", { nonce: btoa("\x01".repeat(32)), anyPurpose: true }],
];

export const words = [
  ...["{", "}", "[", "]", ",", ":", '"', "\\", "\\u0000", "\\ud800", "null", "true", "1e999", "-0"],
  ...['"document":', '"content":{"text":"a"}', '"hash":"SHA-384"', '"level":"B-T"', '"id":', '""'],
  ...['"method":"', '"params":', '"__proto__":{}', '"certificate":', '"cosign":1', '"names":["a"]'],
  ...[...new Set(CALLS.map(([method]) => method))].map((method) => JSON.stringify(method)),
];

export async function seeds(): Promise<Uint8Array[]> {
  agent ??= await testAgent();
  return CALLS.map(([method, params], i) =>
    new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", id: i + 1, method, params }))
  );
}

/** Ends the agent. */
export async function close(): Promise<void> {
  await agent?.[Symbol.asyncDispose]();
  agent = client = undefined;
}

/** The id that the answer must have; null where it cannot be read, undefined where none is due. */
function idOf(text: string): unknown {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const isRequest = typeof value === "object" && value?.jsonrpc === "2.0" &&
    typeof value.method === "string" && !Array.isArray(value);
  if (!isRequest) return null;
  const { id } = value;
  return id === undefined || typeof id === "string" || Number.isSafeInteger(id) ? id : null;
}

/** @throws whatever no answer may be */
export async function exercise(bytes: Uint8Array): Promise<void> {
  if (!client || requests++ % A_CONNECTION === 0) {
    client?.socket.close();
    client = await agent!.connect();
    client.notify("nothing", {});
  }
  const text = new TextDecoder().decode(bytes);
  const id = idOf(text);
  client.socket.send(text);
  if (id === undefined) return;
  // A batch waits for its documents.
  if (/batch/.test(text)) client.notify("$/cancelRequest", { id });
  const { result, error } = await client.take((frame) => frame.id === id);
  const code = (error as { data: { code: string } } | undefined)?.data.code;
  if (error === undefined) assert.ok(result !== undefined);
  else assert.ok(isErrorCode(code) && code !== "internal_error", code);
}
