import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { readOtpConfig } from "./config.ts";
import { initService } from "./init.ts";

Deno.test("a client looks people up by name only if it is an administrator's, or if so configured", () =>
  inTempDir(async (dir) => {
    await initService(join(dir, "service"), {
      organization: "Works (TEST)",
      policy: "2.999.6.1",
      publicUrl: "http://127.0.0.1:7795",
      redirectUris: [],
    });
    const path = join(dir, "service", "config.json");
    const config = JSON.parse(await Deno.readTextFile(path));
    const [{ secretHash }] = config.clients;
    const client = (id: string, more: object) => ({ id, name: id, secretHash, ...more });
    config.clients = [
      client("admin", { admin: true }),
      client("portal", {}),
      client("old", { listsPersons: true }),
      client("tool", { admin: true, listsPersons: false }),
    ];
    await Deno.writeTextFile(path, JSON.stringify(config));
    const { clients } = await readOtpConfig(path);
    assert.deepEqual(clients.map(({ listsPersons }) => listsPersons), [true, false, true, false]);
  }));
