import assert from "node:assert/strict";
import { digest } from "../formats/digest.ts";
import type { Reader } from "../reader/client.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";
import { questions } from "./questions.ts";
import { requestTimestamp } from "./timestamp.ts";

type Asked = Parameters<typeof questions.timestampToken>[0];
const reader = {
  ask: (_: string, asked: Asked) => Promise.resolve().then(() => questions.timestampToken(asked)),
} as unknown as Reader<Pick<typeof questions, "timestampToken">>;

Deno.test("a time-stamping service that is slow, lies, or is gone ends with one typed error", async () => {
  const { timestampAuthority } = makePki({ officers: [] });
  const token = (request: Uint8Array, choices = {}) =>
    new Response(new Uint8Array(answerTimestampRequest(timestampAuthority, request, choices)));
  const waiting: ReadableStreamDefaultController<Uint8Array>[] = [];
  const begun = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        start(controller) {
          waiting.push(controller);
          controller.enqueue(Uint8Array.of(0x30, 0x82));
        },
      }),
    );
  const endless = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)),
      }),
    );
  const answers: Record<string, (request: Uint8Array) => Response> = {
    "/good": (request) => token(request),
    "/slow": begun,
    "/endless": endless,
    "/status": () => new Response("busy", { status: 503 }),
    "/page": () => new Response("<html>Welcome to the hotel's network</html>"),
    "/redirect": () => new Response(null, { status: 302, headers: { location: "/good" } }),
    "/other": (request) => token(request, { imprint: digest("SHA-256", Uint8Array.of(1)) }),
    "/replayed": (request) => token(request, { nonce: Uint8Array.of(7) }),
  };
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => answers[new URL(request.url).pathname](await request.bytes()),
  );
  const at = `http://127.0.0.1:${server.addr.port}`;
  const ask = (path: string, timeout?: number) =>
    requestTimestamp(reader, `${at}${path}`, "SHA-256", digest("SHA-256", Uint8Array.of(7)), {
      timeout,
    });
  try {
    assert.ok((await ask("/good")).length > 500);
    for (const path of Object.keys(answers).filter((each) => each !== "/good")) {
      const refused = ask(path, path === "/slow" ? 300 : undefined);
      await assert.rejects(refused, { code: "timestamp_unavailable" }, path);
    }
  } finally {
    for (const each of waiting) each.error(new Error("over"));
    await server.shutdown();
  }
  await assert.rejects(ask("/good"), { code: "timestamp_unavailable" });
});
