/**
 * Child of `deno task bench sign`: what the token gives at most. It signs in a loop through `pkcs11_ffi/module.ts`, in
 * a process of the same kind as the driver's, without pipe, agent or WebSocket.
 *
 * Standard input: one line of JSON ({@linkcode RawStart}), then one line with a count for each loop. Standard output:
 * one line for each, the milliseconds it took.
 */
import { Module } from "../pkcs11_ffi/module.ts";
import { Session } from "../pkcs11_ffi/session.ts";

export interface RawStart {
  modulePath: string;
  /** RFC 7512 URI. */
  token: string;
  pin: string;
  /** DER, Base64: which key. */
  certificate: string;
}

function* lines(): Generator<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(64 * 1024);
  let text = "";
  for (let read; (read = Deno.stdin.readSync(buffer)) !== null;) {
    const parts = (text + decoder.decode(buffer.subarray(0, read), { stream: true })).split("\n");
    text = parts.pop()!;
    yield* parts;
  }
}

if (import.meta.main) {
  const input = lines();
  const start: RawStart = JSON.parse(input.next().value!);
  const module = Module.load(start.modulePath);
  const session = new Session(module, module.tokenAt(start.token));
  session.login(new TextEncoder().encode(start.pin));
  const key = session.key({ certificate: Uint8Array.fromBase64(start.certificate) });
  const data = crypto.getRandomValues(new Uint8Array(32));
  const sign = () =>
    session.sign(key, { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256", input: "digest", data });
  for (const line of input) {
    const begin = performance.now();
    for (let left = Number(line); left > 0; left--) sign();
    console.log(performance.now() - begin);
  }
  session.close();
}
