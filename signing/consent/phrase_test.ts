import assert from "node:assert/strict";
import { join } from "node:path";
import { inTempDir } from "../../tests/fixtures/openssl.ts";
import { readPhrase, writePhrase } from "./phrase.ts";

Deno.test("a phrase is stored for this user only, replaced and removed", () =>
  inTempDir(async (dir) => {
    const path = join(dir, "phrase.txt");
    assert.equal(await readPhrase(path), null);
    for (const phrase of ["green  mango", "আমার ক্ষেতের আম", "मेरा आँगन", "क्\u200dष"]) {
      await writePhrase(path, ` ${phrase} `);
      assert.equal(await readPhrase(path), phrase);
    }
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    for (const wrong of ["x".repeat(81), "a\u0007b", "a\nb", "a\u202eb", "a\u200bb"]) {
      await assert.rejects(writePhrase(path, wrong), { code: "invalid_params" });
    }
    assert.equal(await readPhrase(path), "क्\u200dष");
    await writePhrase(path, "");
    assert.equal(await readPhrase(path), null);
  }));
