import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { bytesSource } from "../formats/source.ts";
import type { questions } from "../tests/fakes/reader_worker.ts";
import { LocalReader, type Reader } from "./client.ts";
import { ReaderPool } from "./pool.ts";

const fakes = new URL("../tests/fakes/", import.meta.url);
const command = [
  Deno.execPath(),
  ...["run", "--quiet", "--no-prompt", "--cached-only", "--no-check", "--allow-read"],
  new URL("reader_main.ts", fakes).pathname,
];
type Questions = typeof questions;
const pool = (options: { deadline?: number; idle?: number; apart?: boolean } = {}) =>
  new ReaderPool<Questions>({ command, ...options });
const local = (options: { deadline?: number } = {}) =>
  new LocalReader<Questions>(new URL("reader_worker.ts", fakes), options);

/** A program that a stranger's document has taken over: it says the same for ever. */
const taken = (says: unknown, more = "") => `
  const json = new TextEncoder().encode(${JSON.stringify(JSON.stringify(says))});
  const frame = new Uint8Array(8 + json.length);
  new DataView(frame.buffer).setUint32(0, 4 + json.length, true);
  new DataView(frame.buffer).setUint32(4, json.length, true);
  frame.set(json, 8);
  void Deno.stdin.readable.pipeTo(new WritableStream());
  ${more}
  const output = Deno.stdout.writable.getWriter();
  for (;;) await output.write(frame);
`;
const run = (script: string) => [Deno.execPath(), "eval", "--no-lock", script];

const isCostly = (words: RegExp) => (error: unknown) =>
  error instanceof FormatError && error.code === "too_costly" && words.test(error.message);

async function closing<R extends Reader<Questions>>(reader: R, work: (reader: R) => Promise<void>) {
  try {
    await work(reader);
  } finally {
    await reader.close();
  }
}

const kinds: [string, (options?: { deadline?: number }) => Reader<Questions>][] = [
  ["a process", pool],
  ["a thread", local],
];
for (const [kind, open] of kinds) {
  Deno.test(`${kind}: values and errors cross unchanged`, () =>
    closing(open(), async (reader) => {
      const value = { bytes: new Uint8Array([1, 2]), text: "ক\u0000", more: [new Uint8Array()] };
      assert.deepEqual(await reader.ask("echo", value), value);
      const buffer = { bytes: Buffer.from("x"), text: "" };
      assert.deepEqual((await reader.ask("echo", buffer)).bytes, new Uint8Array([120]));
      await assert.rejects(
        () => reader.ask("refuse", undefined as never),
        (error) => error instanceof FormatError && error.code === "pdf_encrypted",
      );
      await assert.rejects(
        () => reader.ask("nest", undefined as never),
        (error) => error instanceof FormatError && error.code === "limit_exceeded",
      );
    }));

  Deno.test(`${kind}: documents are read in ranges and digested`, () =>
    closing(open(), async (reader) => {
      for (const size of [5, 300_000, 5_000_000]) {
        const bytes = new Uint8Array(size).map((_, i) => i * i >> 3);
        const documents = [bytesSource(bytes)];
        const [{ first, last }] = await reader.ask("ends", null, { documents });
        assert.deepEqual(first, bytes.slice(0, 4));
        assert.deepEqual(last, bytes.slice(-4));
        for (const ranges of [[[0, size]], [[0, 2], [3, size - 3]], [[2, 1], [0, 1]]]) {
          const expected = digest(
            "SHA-256",
            ...ranges.map(([at, length]) => bytes.subarray(at, at + length)),
          );
          const input = { ranges: ranges as [number, number][] };
          assert.deepEqual(
            await reader.ask("digest", input, { documents }),
            new Uint8Array(expected),
          );
        }
      }
    }));

  Deno.test(`${kind}: an answer that would keep the caller busy is refused`, () =>
    closing(open(), async (reader) => {
      await assert.rejects(
        () => reader.ask("tell", undefined as never),
        (error) => error instanceof FormatError && error.code === "limit_exceeded",
      );
      assert.deepEqual(await reader.ask("ends", null), []);
    }));
}

Deno.test("an endless loop ends the process, and the next question is answered", () =>
  closing(pool({ deadline: 1000 }), async (reader) => {
    await assert.rejects(() => reader.ask("loop", undefined as never), isCostly(/too long/));
    assert.deepEqual(await reader.ask("ends", null), []);
  }));

Deno.test("a cancelled question ends at once", () =>
  closing(pool(), async (reader) => {
    const reason = new Error("enough");
    const cancel = new AbortController();
    const asked = reader.ask("loop", undefined as never, { signal: cancel.signal });
    setTimeout(() => cancel.abort(reason), 300);
    await assert.rejects(asked, (error) => error === reason);
  }));

/** What a command's thread makes of questions; in a process, since a thread that loops would go on in this one. */
async function inCommand(script: string): Promise<string> {
  const modules = ["client.ts", "../tests/fakes/reader_worker.ts"].map((path) =>
    JSON.stringify(new URL(path, import.meta.url).href)
  );
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-lock",
      "--no-check",
      `import { LocalReader } from ${modules[0]};
       const reader = new LocalReader(new URL(${modules[1]}), { deadline: 1000 });
       const told = (asked) => asked.then(JSON.stringify, ({ code, message }) => code ?? message);
       ${script}
       Deno.exit();`,
    ],
  }).output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

Deno.test("a thread in an endless loop fails its question, and every later one", async () => {
  assert.equal(
    await inCommand(
      `console.log(await told(reader.ask("loop")), await told(reader.ask("ends", null)));`,
    ),
    "too_costly too_costly\n",
  );
});

Deno.test("a command that is cancelled does not wait for its thread", async () => {
  assert.equal(
    await inCommand(`
      const signal = AbortSignal.timeout(300);
      console.log(await told(reader.ask("loop", undefined, { signal }).catch(() => "cancelled")));`),
    '"cancelled"\n',
  );
});

Deno.test("a flood of buffers ends the process", () =>
  closing(pool(), async (reader) => {
    await assert.rejects(() => reader.ask("flood", undefined as never), isCostly(/memory/));
    assert.deepEqual(await reader.ask("ends", null), []);
  }));

Deno.test("a process that requests bytes endlessly is ended", () =>
  closing(
    new ReaderPool<Questions>({
      command: run(taken({ need: "bytes", document: 0, offset: 0, length: 9 })),
      deadline: 500,
    }),
    async (reader) => {
      const documents = [bytesSource(new Uint8Array(300_000))];
      await assert.rejects(() => reader.ask("ends", null, { documents }), isCostly(/too long/));
    },
  ));

Deno.test("a process that requests bytes in long sentences is ended at once", () =>
  closing(
    new ReaderPool<Questions>({
      command: run(
        taken({ need: "bytes", document: 0, offset: 0, length: 9, more: "x".repeat(70_000) }),
      ),
    }),
    async (reader) => {
      const documents = [bytesSource(new Uint8Array(300_000))];
      await assert.rejects(
        () => reader.ask("ends", null, { documents }),
        /ended without an answer/,
      );
      assert.equal(reader.processes, 0);
    },
  ));

Deno.test("errors with unknown codes are not taken over, and long sentences are cut", async () => {
  const failing = async (failure: unknown) => {
    const reader = new ReaderPool<Questions>({ command: run(taken({ failure })) });
    const error = await reader.ask("ends", null).then(() => null, (error) => error);
    await reader.close();
    return error;
  };
  const message = "x".repeat(100_000);
  const [known, ...forged] = await Promise.all([
    failing({ name: "FormatError", code: "pdf_malformed", message }),
    failing({ name: "FormatError", code: "toString", message }),
    failing({ name: "FormatError", code: {}, message: { length: 3 } }),
    failing(null),
  ]);
  assert.ok(known instanceof FormatError);
  assert.ok(known.message.length < 3000);
  for (const error of forged) {
    assert.ok(error instanceof Error && !(error instanceof FormatError), String(error));
    assert.ok(error.message.length < 3000);
  }
});

Deno.test("a process cannot fill the log", async () => {
  let logged = 0;
  const reader = new ReaderPool<Questions>({
    command: run(taken({ ok: [] }, 'console.error("x".repeat(1 << 20));')),
    onLog: (text) => logged += text.length,
  });
  assert.deepEqual(await reader.ask("ends", null), []);
  await reader.close();
  assert.ok(logged > 0 && logged <= 8 * 1024, `${logged}`);
});

Deno.test("a process that dies fails its question, and a new process serves the next", () =>
  closing(
    new ReaderPool<Questions>({ command: [Deno.execPath(), "eval", "Deno.exit(9)"] }),
    async (reader) => {
      for (let i = 0; i < 2; i++) {
        await assert.rejects(() => reader.ask("ends", null), (error) => error instanceof Error);
        assert.equal(reader.processes, 0);
      }
    },
  ));

Deno.test("a process that was killed while it was idle is not asked", () =>
  closing(pool(), async (reader) => {
    await reader.ask("ends", null);
    const args = ["-o", "pid=,args=", "--ppid", `${Deno.pid}`];
    const { stdout } = await new Deno.Command("ps", { args }).output();
    const [, pid] = /^\s*(\d+) .*reader_main\.ts/m.exec(new TextDecoder().decode(stdout))!;
    Deno.kill(Number(pid), "SIGKILL");
    while (reader.processes > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(await reader.ask("ends", null), []);
  }));

Deno.test("the process has no permissions", () =>
  closing(pool(), async (reader) => {
    assert.deepEqual(await reader.ask("attempts", undefined as never), []);
  }));

Deno.test("a site that keeps its reader busy delays no other site, and at most two processes run", () =>
  closing(pool(), async (reader) => {
    const stop = new AbortController();
    const busy = Array.from(
      { length: 5 },
      () =>
        reader.ask("loop", undefined as never, {
          origin: "https://busy.example",
          signal: stop.signal,
        })
          .catch(() => {}),
    );
    for (const origin of ["https://a.example", "https://b.example", "https://a.example"]) {
      assert.deepEqual(await reader.ask("ends", null, { origin }), []);
      assert.equal(reader.processes, 2);
    }
    stop.abort();
    await Promise.all(busy);
  }));

Deno.test("an asker with many questions has all processes, until another one asks", () =>
  closing(new ReaderPool<Questions>({ command, share: 2 }), async (reader) => {
    const stop = [new AbortController(), new AbortController()];
    const loop = (signal: AbortSignal) =>
      reader.ask("loop", undefined as never, { origin: "busy", signal }).catch(() => "stopped");
    const busy = stop.map(({ signal }) => loop(signal));
    const later = reader.ask("ends", null, { origin: "busy" }).then(() => "busy");
    const other = reader.ask("ends", null, { origin: "other" }).then(() => "other");
    while (reader.processes < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    stop[0].abort();
    assert.equal(await Promise.race([later, other]), "other");
    stop[1].abort();
    assert.deepEqual(await Promise.all([...busy, later]), ["stopped", "stopped", "busy"]);
  }));

Deno.test("askers that wait with many questions wait behind one that came later with its first", () =>
  closing(pool(), async (reader) => {
    const answered: string[] = [];
    const ask = (origin: string) =>
      reader.ask("ends", null, { origin }).then(() => answered.push(origin));
    const many = ["a", "b"].flatMap((origin) => Array.from({ length: 10 }, () => ask(origin)));
    await Promise.all([...many, ask("late")]);
    const before = answered.slice(0, answered.indexOf("late"));
    const count = (origin: string) => before.filter((each) => each === origin).length;
    // One of the two gives up its process, and the other one's goes on while that for "late" starts.
    assert.ok(Math.min(count("a"), count("b")) < 4, answered.join());
  }));

Deno.test("a process that has read for one site reads for no other", () =>
  closing(pool({ apart: true }), async (reader) => {
    const first = await reader.ask("count", null, { origin: "https://a.example" });
    assert.equal(first, 1);
    for (
      const [site, count] of [["a", 2], ["b", 1], ["a", 3], ["c", 1], ["d", 1], ["c", 2]] as const
    ) {
      const origin = `https://${site}.example`;
      assert.equal(await reader.ask("count", null, { origin }), count, site);
      assert.ok(reader.processes <= 2);
    }
  }));

Deno.test("a secret goes to a process that has read nothing before, and that ends with the answer", () =>
  closing(pool(), async (reader) => {
    for (const count of [1, 2]) assert.equal(await reader.ask("count", null), count);
    assert.equal(await reader.ask("count", null, { alone: true }), 1);
    assert.equal(reader.processes, 1);
    assert.equal(await reader.ask("count", null), 3);
  }));

Deno.test("an idle process ends", () =>
  closing(pool({ idle: 50 }), async (reader) => {
    assert.equal(reader.processes, 0);
    await reader.ask("ends", null);
    while (reader.processes > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await reader.ask("ends", null);
    assert.equal(reader.processes, 1);
  }));

Deno.test("a closed reader accepts no more questions", async () => {
  const reader = pool();
  const asked = assert.rejects(() => reader.ask("loop", undefined as never));
  await reader.close();
  await asked;
  await assert.rejects(() => reader.ask("ends", null));
});
