import assert from "node:assert/strict";
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { inTempDir } from "../tests/fixtures/openssl.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { TrustSets } from "./trust_sets.ts";

const roots = [1, 2].map(() => makePki({ officers: [] }).root.certificate.der);

Deno.test("a trust set follows its folder, and stays as it was while the folder cannot be used", () =>
  inTempDir(async (dir) => {
    const folder = join(dir, "india");
    await Deno.mkdir(folder);
    const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
    await assert.rejects(TrustSets.load({ india: folder }), /has no certificate in it/);
    await write("a.crt", pem("CERTIFICATE", roots[0]));
    const sets = await TrustSets.load({ india: folder });
    const state = async () => {
      await sets.reload();
      return [sets.get("india")!.length, sets.problems.india];
    };
    assert.deepEqual(await state(), [1, null]);
    await write("b.crt", pem("CERTIFICATE", roots[1]));
    assert.deepEqual(await state(), [2, null]);
    await write("c.crt", "-----BEGIN CERTIFICATE-----\nhalf");
    let [count, problem] = await state();
    assert.equal(count, 2);
    assert.match(String(problem), /c\.crt/);
    await Deno.remove(join(folder, "c.crt"));
    assert.deepEqual(await state(), [2, null]);
    await Deno.rename(folder, `${folder}.old`);
    [count, problem] = await state();
    assert.equal(count, 2);
    assert.match(String(problem), /cannot be read/);
    await Deno.mkdir(folder);
    [count, problem] = await state();
    assert.match(String(problem), /has no certificate/);
    await write("a.crt", pem("CERTIFICATE", roots[0]));
    assert.deepEqual(await state(), [1, null]);
    assert.equal(sets.get("china"), undefined);
  }));
