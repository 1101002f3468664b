import assert from "node:assert/strict";
import { classicPdf, documentObjects } from "../fixtures/pdf.ts";
import { difference, type Engine, openEngines } from "../fixtures/pdf_engines.ts";
import { Agreement, Desk, FLOOR } from "./agreement.ts";

Deno.test("fuzz: every engine distinguishes a forged page from the signed one", async () => {
  const { engines } = await openEngines();
  const path = await Deno.makeTempFile({ suffix: ".pdf" });
  try {
    const objects = documentObjects();
    const forged = { ...objects, 4: objects[4].replace("(Page 1)", "(Page 7)") };
    for (const engine of engines) {
      const [before, after] = [
        await look(engine, path, classicPdf(objects)),
        await look(engine, path, classicPdf(forged)),
      ];
      assert.equal(difference(before!, before, []), undefined, engine.name);
      assert.match(difference(before!, after, []) ?? "the same", /Page 7/, engine.name);
    }
  } finally {
    for (const engine of engines) engine[Symbol.dispose]();
    await Deno.remove(path);
  }
});

async function look(engine: Engine, path: string, bytes: Uint8Array) {
  await Deno.writeFile(path, bytes as Uint8Array<ArrayBuffer>);
  return await engine.look(path);
}

Deno.test("fuzz: every engine shows a document called valid as it was signed", async (t) => {
  const { engines, missing } = await openEngines();
  const folder = await Deno.makeTempDir();
  try {
    for (const name of missing) await t.step({ name: `optional: ${name}`, ignore: true, fn() {} });
    const agreement = new Agreement();
    await agreement.run(1, Array(500).keys(), new Desk(engines, folder));
    const { counts, disagreements } = agreement;
    assert.deepEqual(disagreements.map(({ bytes: _, ...rest }) => rest), []);
    for (const [kind, { mutants, passed }] of counts) {
      assert.ok(passed * 100 >= FLOOR * mutants, `${kind}: ${passed} of ${mutants} pass`);
    }
  } finally {
    for (const engine of engines) engine[Symbol.dispose]();
    await Deno.remove(folder, { recursive: true });
  }
});
