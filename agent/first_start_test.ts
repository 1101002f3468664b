import assert from "node:assert/strict";
import { join } from "node:path";
import { testAgent } from "../tests/fixtures/agent.ts";
import type { FirstStart } from "./first_start.ts";

const NEXT = { seen: "No token is seen.", meaning: "m", action: "a" };

async function started(change: Partial<FirstStart> = {}) {
  const dir = await Deno.makeTempDir();
  const asked: string[] = [];
  let enabled = false;
  const test = await testAgent({
    firstStart: {
      nextStep: (language) => (asked.push(language), Promise.resolve(NEXT)),
      startsAtLogin: () => Promise.resolve(enabled),
      startAtLogin: (wanted) => (enabled = wanted, Promise.resolve()),
      phrase: join(dir, "phrase.txt"),
      ...change,
    },
  });
  const { origin } = test.agent;
  return {
    asked,
    get: (path: string, headers: Record<string, string> = {}, signal?: AbortSignal) =>
      fetch(origin + path, { headers, signal }),
    post: (path: string, body: unknown, headers: Record<string, string> = { origin }) =>
      fetch(origin + path, { method: "POST", body: JSON.stringify(body), headers }),
    async [Symbol.asyncDispose]() {
      await test[Symbol.asyncDispose]();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

Deno.test("the console shows the next step, and sets start at login and the phrase", async () => {
  await using test = await started();
  const view = async () => await (await test.get("/console/start?language=bn")).json();
  assert.deepEqual(await view(), { next: NEXT, autostart: false, phrase: null });
  assert.deepEqual(test.asked, ["bn"]);
  const kept = await test.post("/console/phrase", { phrase: "সবুজ আম" });
  assert.equal(kept.status, 200);
  await kept.body?.cancel();
  await (await test.post("/console/autostart", { enabled: true })).body?.cancel();
  assert.deepEqual(await view(), { next: NEXT, autostart: true, phrase: "সবুজ আম" });
});

Deno.test("pages of others get nothing, and change nothing", async () => {
  await using test = await started();
  const answers = await Promise.all([
    test.get("/console/start", { "sec-fetch-site": "cross-site" }),
    test.get("/console/start", { origin: "https://evil.example" }),
    test.post("/console/phrase", { phrase: "x" }, {}),
    test.post("/console/phrase", { phrase: "x" }, { origin: "https://evil.example" }),
    test.post("/console/autostart", { enabled: true }, { origin: "null" }),
  ]);
  for (const answer of answers) {
    assert.equal(answer.status, 403);
    assert.equal(answer.headers.get("access-control-allow-origin"), null);
    await answer.body?.cancel();
  }
  const { autostart, phrase } = await (await test.get("/console/start")).json();
  assert.deepEqual([autostart, phrase], [false, null]);
});

Deno.test("bad requests are refused with a sentence, and examinations are shared", async () => {
  const { promise, resolve } = Promise.withResolvers<null>();
  let count = 0;
  await using test = await started({ nextStep: () => (count++, promise) });
  const wrong: [string, unknown][] = [
    ["/console/phrase", { phrase: 7 }],
    ["/console/phrase", { phrase: "x".repeat(81) }],
    ["/console/autostart", { enabled: "yes" }],
    ["/console/autostart", null],
  ];
  for (const [path, body] of wrong) {
    const answer = await test.post(path, body);
    assert.equal(answer.status, 400);
    assert.equal((await answer.json()).data.code, "invalid_params");
  }
  const large = await test.post("/console/phrase", { phrase: "x".repeat(5000) });
  assert.equal((await large.json()).data.code, "too_large");
  assert.equal((await test.get("/console/nothing")).status, 404);
  const both = [test.get("/console/start"), test.get("/console/start")];
  while (count === 0) await new Promise((go) => setTimeout(go, 5));
  await new Promise((go) => setTimeout(go, 50));
  resolve(null);
  for (const answer of await Promise.all(both)) assert.equal((await answer.json()).next, null);
  assert.equal(count, 1);
});

Deno.test("an agent ends after an examination that nobody waits for any more", async () => {
  const begun = Promise.withResolvers<void>();
  let isOver = false;
  const leave = new AbortController();
  {
    await using test = await started({
      async nextStep() {
        begun.resolve();
        await new Promise((resolve) => setTimeout(resolve, 300));
        isOver = true;
        return null;
      },
    });
    const asked = test.get("/console/start", {}, leave.signal).catch(() => {});
    await begun.promise;
    leave.abort();
    await asked;
  }
  assert.ok(isOver);
});
