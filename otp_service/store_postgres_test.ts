/** Statements that nobody waits for one by one: they are kept together with the rest, or not at all. */
import assert from "node:assert/strict";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
import type { Query } from "./database.ts";
import { openPostgres } from "./store_postgres.ts";

Deno.test("PostgreSQL: a statement that fails undoes its transaction, whoever waits for it", async () => {
  const server = await startPostgres();
  const database = await openPostgres(await server.createDatabase(), PATIENT);
  try {
    await database.transaction(async (query) => {
      await query("CREATE TABLE things (id TEXT PRIMARY KEY, number BIGINT NOT NULL)");
      await query("INSERT INTO things VALUES ('a', 0), ('b', 0)");
    });
    const numbers = async () =>
      (await database.read((query) => query("SELECT number FROM things ORDER BY id")))
        .map(({ number }) => number);
    const ignored = (promise: Promise<unknown>) => void promise.catch(() => {});

    // nobody waits for it, or something after it, which fails only because of it
    for (const after of [0, 1]) {
      await assert.rejects(
        database.transaction(async (query) => {
          ignored(query("UPDATE things SET number = 1 WHERE id = 'a'"));
          ignored(query("INSERT INTO things VALUES ('b', 1)"));
          for (let i = 0; i < after; i++) await query("SELECT * FROM things");
        }),
        { code: "23505" },
      );
      assert.deepEqual(await numbers(), [0, 0]);
    }

    // two that wait for each other's row: the one that is undone runs again
    const met = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let runs = 0;
    const both = async (me: number, first: string, second: string) =>
      await database.transaction(async (query) => {
        runs++;
        await query("UPDATE things SET number = number + 1 WHERE id = $1", first);
        met[me].resolve();
        await met[1 - me].promise;
        ignored(query("UPDATE things SET number = number + 1 WHERE id = $1", second));
        await query("SELECT 1 AS one");
      });
    await Promise.all([both(0, "a", "b"), both(1, "b", "a")]);
    assert.deepEqual([await numbers(), runs], [[2, 2], 3]);
  } finally {
    await database.close();
    await server.close();
  }
});

/** Between the service and its server: spoils the next BEGIN, as where an administrator cancels what runs. */
function spoiler(database: string) {
  const { hostname, port } = new URL(database);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let isArmed = false;
  const forward = async (
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    change: (bytes: Uint8Array) => void,
  ) => {
    try {
      for await (const bytes of from.readable) {
        change(bytes);
        for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      }
    } catch {
      // one side has gone
    }
    try {
      to.close();
    } catch {
      // it has gone too
    }
  };
  const serve = async () => {
    for await (const client of listener) {
      const server = await Deno.connect({ hostname, port: Number(port) });
      void forward(server, client, () => {});
      void forward(client, server, (bytes) => {
        const at = isArmed ? new TextDecoder("latin1").decode(bytes).indexOf("BEGIN\0") : -1;
        if (at < 0) return;
        isArmed = false;
        bytes[at] = "X".charCodeAt(0);
      });
    }
  };
  const serving = serve();
  const url = new URL(database);
  url.port = `${listener.addr.port}`;
  return {
    url: url.href,
    arm: () => void (isArmed = true),
    async close() {
      listener.close();
      await serving;
    },
  };
}

Deno.test("PostgreSQL: where a transaction did not begin, nothing of it is kept", async () => {
  const server = await startPostgres();
  const between = spoiler(await server.createDatabase());
  const database = await openPostgres(between.url, PATIENT);
  try {
    await database.transaction((query) => query("CREATE TABLE things (id TEXT PRIMARY KEY)"));
    const add = "INSERT INTO things VALUES ('a')";
    const works: ((query: Query) => Promise<unknown>)[] = [
      (query) => query(add),
      (query) => Promise.all([query("SELECT 1 AS one"), query(add), query("SELECT 1 AS one")]),
      async (query) => {
        await query("SELECT 1 AS one");
        await query(add);
      },
    ];
    for (const work of works) {
      between.arm();
      await assert.rejects(database.transaction(work), { code: "42601" });
      assert.deepEqual(await database.read((query) => query("SELECT id FROM things")), []);
    }
    await database.transaction(works[1]);
    assert.equal((await database.read((query) => query("SELECT id FROM things"))).length, 1);
  } finally {
    await database.close();
    await between.close();
    await server.close();
  }
});
