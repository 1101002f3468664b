/** Statements that nobody waits for one by one: they are kept together with the rest, or not at all. */
import assert from "node:assert/strict";
import { PATIENT, startPostgres } from "../tests/fixtures/postgres.ts";
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
