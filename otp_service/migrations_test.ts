/** Each schema that was ever released becomes the present one, and a newer one is refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { asAdministrator, startPostgres } from "../tests/fixtures/postgres.ts";
import { MIGRATIONS } from "./database.ts";
import { openPostgres } from "./store_postgres.ts";
import { openSqlite } from "./store_sqlite.ts";

const PRESENT = MIGRATIONS.length;
const VERSIONS = MIGRATIONS.map((_, version) => version); // 0: an empty database
const PERSON = "INSERT INTO persons (id, data, guard) VALUES ('asen', '{}', '{}')";

Deno.test("SQLite: every earlier schema is brought up to date with its rows, and a newer one is refused", () =>
  inTempDir(async (dir) => {
    const path = (version: number) => join(dir, `${version}.db`);
    const within = <T>(version: number, work: (file: DatabaseSync) => T): T => {
      const file = new DatabaseSync(path(version));
      try {
        return work(file);
      } finally {
        file.close();
      }
    };
    const schema = (version: number) =>
      within(version, (file) => {
        const columns = file.prepare(
          `SELECT m.name AS tbl, c.name, c.type, c."notnull" FROM sqlite_master m, pragma_table_info(m.name) c
           WHERE m.type = 'table' ORDER BY 1, 2`,
        ).all();
        const rest = file.prepare(
          "SELECT name FROM sqlite_master WHERE type <> 'table' ORDER BY 1",
        );
        const { user_version } = file.prepare("PRAGMA user_version").get()!;
        return JSON.stringify([columns, rest.all(), user_version]);
      });
    for (const version of VERSIONS) {
      within(version, (file) => {
        for (const statement of MIGRATIONS.slice(0, version).flat()) file.exec(statement);
        if (version > 0) file.exec(PERSON);
        file.exec(`PRAGMA user_version = ${version}`);
      });
      await openSqlite(path(version)).close();
      assert.equal(schema(version), schema(0), `from ${version}`);
      const people = within(version, (file) => file.prepare("SELECT id FROM persons").all().length);
      assert.equal(people, version > 0 ? 1 : 0);
    }
    within(0, (file) => file.exec(`PRAGMA user_version = ${PRESENT + 1}`));
    const before = schema(0);
    assert.throws(() => openSqlite(path(0)), { name: "SetupError", message: /later version/ });
    assert.equal(schema(0), before, "and not touched");
  }));

Deno.test("PostgreSQL: every earlier schema is brought up to date with its rows, and a newer one is refused", async () => {
  const server = await startPostgres();
  try {
    const schema = (database: string) =>
      asAdministrator(database, async (client) => {
        const { rows: columns } = await client.query(
          `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
           WHERE table_schema = 'public' ORDER BY 1, 2`,
        );
        const { rows: indexes } = await client.query(
          "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        );
        const { rows: version } = await client.query("SELECT * FROM schema_version");
        return JSON.stringify([columns, indexes, version]);
      });
    let fresh = "";
    let database = "";
    for (const version of VERSIONS) {
      database = await server.createDatabase();
      await asAdministrator(database, async (client) => {
        if (version === 0) return;
        for (const statement of MIGRATIONS.slice(0, version).flat()) {
          await client.query(statement.replaceAll(" BLOB", " BYTEA"));
        }
        await client.query(PERSON);
        await client.query("CREATE TABLE schema_version (version BIGINT NOT NULL)");
        await client.query("INSERT INTO schema_version VALUES ($1)", [version]);
      });
      await (await openPostgres(database)).close();
      fresh ||= await schema(database);
      assert.equal(await schema(database), fresh, `from ${version}`);
    }
    await asAdministrator(
      database,
      (client) => client.query(`UPDATE schema_version SET version = ${PRESENT + 1}`),
    );
    const before = await schema(database);
    await assert.rejects(openPostgres(database), { name: "SetupError", message: /later version/ });
    assert.equal(await schema(database), before, "and not touched");
  } finally {
    await server.close();
  }
});
