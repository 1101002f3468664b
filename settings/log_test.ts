import assert from "node:assert/strict";
import { join } from "node:path";
import { getLogger, reset } from "@logtape/logtape";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { configureLog } from "./log.ts";

Deno.test("only this user can read the log file; it rotates when it is long, and a full disk costs only the log", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "agent.log");
    const log = getLogger(["dsign", "test"]);
    const write = Deno.stderr.writeSync;
    Deno.stderr.writeSync = (bytes) => bytes.length; // not in the test's own output
    const told: unknown[] = [];
    const complain = console.error;
    console.error = (text) => told.push(text);
    try {
      await configureLog("info", { file: path });
      log.debug("not this");
      log.info("first");
      assert.match(await Deno.readTextFile(path), /^(?!.*not this).*first\n$/s);
      if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
      log.info("x".repeat(1024 * 1024));
      log.info("next");
      assert.match(await Deno.readTextFile(path), /next\n$/);
      assert.ok((await Deno.stat(path)).size < 1000);
      assert.match(await Deno.readTextFile(`${path}.1`), /first/);

      await configureLog("info", { file: join(dir, "absent", "agent.log") });
      log.info("lost");
      log.info("lost too");
      assert.equal(told.length, 1, "it is said once");
    } finally {
      Deno.stderr.writeSync = write;
      console.error = complain;
      await reset();
    }
  }));
