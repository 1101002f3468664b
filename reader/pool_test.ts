import assert from "node:assert/strict";
import { bytesSource } from "../formats/source.ts";
import type { questions } from "../tests/fakes/reader_worker.ts";
import { type PoolOptions, ReaderPool } from "./pool.ts";
import { PATIENCE } from "./process.ts";

type Questions = typeof questions;
const command = [
  Deno.execPath(),
  ...["run", "--quiet", "--no-prompt", "--cached-only", "--no-check", "--allow-read"],
  new URL("../tests/fakes/reader_main.ts", import.meta.url).pathname,
];
const nothing = undefined as never;

async function withPool(
  options: Partial<PoolOptions>,
  work: (reader: ReaderPool<Questions>) => Promise<void>,
): Promise<void> {
  const reader = new ReaderPool<Questions>({ command, inLine: true, processes: 1, ...options });
  try {
    await work(reader);
  } finally {
    await reader.close();
  }
}

/** Asks what is never answered. */
function loop(reader: ReaderPool<Questions>) {
  const stop = new AbortController();
  const state = { isOver: false };
  const over = reader.ask("loop", nothing, { signal: stop.signal })
    .catch(() => {}).then(() => void (state.isOver = true));
  return { stop: () => stop.abort(), state, over };
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("questions that stand in line get their own answers", () =>
  withPool({ processes: 2, share: 2 }, async (reader) => {
    const texts = Array.from({ length: 200 }, (_, i) => `question ${i}`);
    const answers = await Promise.all(
      texts.map((text, i) =>
        reader.ask("echo", { bytes: new Uint8Array(i), text }, { origin: `site ${i % 3}` })
      ),
    );
    assert.deepEqual(answers, texts.map((text, i) => ({ bytes: new Uint8Array(i), text })));
  }));

Deno.test("a question behind one that takes long goes to the process that is free first", () =>
  withPool({ processes: 2, share: 2 }, async (reader) => {
    await Promise.all([0, 1].map(() => reader.ask("count", null)));
    const [first, second] = [loop(reader), loop(reader)];
    const behind = reader.ask("count", null);
    await turn();
    second.stop();
    assert.equal(await behind, 1);
    assert.ok(!first.state.isOver);
    first.stop();
    await Promise.all([first.over, second.over]);
    // each of two processes gets one: what it has left is over where it left it
    const both = Promise.all([0, 1].map(() => reader.ask("count", null)));
    assert.deepEqual(await both, [2, 1]);
  }));

Deno.test("a question that stands in line for long is answered once, where no other process is free", () =>
  withPool({}, async (reader) => {
    assert.equal(await reader.ask("count", null), 1);
    const before = reader.ask("work", 200);
    const behind = reader.ask("count", null);
    await before;
    assert.equal(await behind, 2);
    assert.equal(await reader.ask("count", null), 3);
  }));

Deno.test("a pool that is closed ends processes that work on what nobody waits for", () =>
  withPool({}, async (reader) => {
    await reader.ask("count", null);
    const before = reader.ask("work", 200);
    const stop = new AbortController();
    const behind = reader.ask("loop", nothing, { signal: stop.signal });
    await turn();
    stop.abort();
    await assert.rejects(behind);
    await before;
    await reader.close();
    assert.equal(reader.processes, 0);
  }));

for (const isLate of [false, true]) {
  const when = isLate ? ", also when it looks for another one already" : "";
  Deno.test(`a process that is ended takes no question along that it had not begun${when}`, () =>
    withPool({}, async (reader) => {
      assert.equal(await reader.ask("count", null), 1);
      const first = loop(reader);
      const behind = reader.ask("count", null);
      await (isLate ? new Promise((resolve) => setTimeout(resolve, 2 * PATIENCE)) : turn());
      first.stop();
      assert.equal(await behind, 1);
      await first.over;
      assert.equal(await reader.ask("count", null), 2);
    }));
}

Deno.test("an asker that hangs up while its question stands in line disturbs no other", () =>
  withPool({}, async (reader) => {
    await reader.ask("count", null);
    const first = loop(reader);
    const stop = new AbortController();
    const behind = reader.ask("count", null, { signal: stop.signal });
    await turn();
    const reason = new Error("enough");
    stop.abort(reason);
    await assert.rejects(behind, (error) => error === reason);
    assert.ok(!first.state.isOver);
    first.stop();
    await first.over;
    assert.equal(await reader.ask("count", null), 1);
  }));

Deno.test("an asker that comes later waits for two questions at most", () =>
  withPool({}, async (reader) => {
    await reader.ask("count", null);
    const answered: string[] = [];
    const ask = (origin: string) =>
      reader.ask("ends", null, { origin }).then(() => answered.push(origin));
    const many = Array.from({ length: 10 }, () => ask("many"));
    await Promise.all([...many, ask("late")]);
    assert.ok(answered.indexOf("late") <= 2, answered.join());
  }));

Deno.test("questions that may stand in line do not overtake one that may not", () =>
  withPool({}, async (reader) => {
    await reader.ask("count", null);
    const answered: string[] = [];
    const ask = (name: string, size: number) =>
      reader.ask("ends", null, { origin: name, documents: [bytesSource(new Uint8Array(size))] })
        .then(() => answered.push(name));
    const many = Array.from({ length: 10 }, () => ask("many", 10));
    await Promise.all([...many, ask("large", 300_000)]);
    assert.ok(answered.indexOf("large") <= 2, answered.join());
  }));

Deno.test("a process that requests bytes of a document that it has is ended", () => {
  const json = JSON.stringify({ need: "bytes", document: 0, offset: 0, length: 9 });
  const script = `
    const json = new TextEncoder().encode(${JSON.stringify(json)});
    const frame = new Uint8Array(8 + json.length);
    new DataView(frame.buffer).setUint32(0, 4 + json.length, true);
    new DataView(frame.buffer).setUint32(4, json.length, true);
    frame.set(json, 8);
    Deno.stdin.readSync(new Uint8Array(1));
    Deno.stdout.writeSync(frame);
    for await (const _ of Deno.stdin.readable);
  `;
  return withPool({ command: [Deno.execPath(), "eval", "--no-lock", script] }, async (reader) => {
    const documents = [bytesSource(new Uint8Array(100))];
    await assert.rejects(
      () => reader.ask("ends", null, { documents }),
      /ended without an answer/,
    );
    assert.equal(reader.processes, 0);
  });
});

Deno.test("what a reader says that cannot start is told once, until one has answered", async () => {
  const said: string[] = [];
  const broken = [...command.slice(0, -1), "/nowhere/reader.ts"];
  await withPool({ command: broken, onLog: (text) => said.push(text) }, async (reader) => {
    for (let i = 0; i < 3; i++) await assert.rejects(reader.ask("count", null));
  });
  assert.equal(said.join("").match(/Module not found/g)?.length, 1);
});
