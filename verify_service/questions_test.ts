/** The question that a reader answers for the verification service. */
import assert from "node:assert/strict";
import { bytesSource } from "../formats/source.ts";
import { digest } from "../formats/digest.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { authorities, signCms } from "../tests/fixtures/signed_files.ts";
import { type AtHand, type Judged, questions } from "./questions.ts";

Deno.test("a list is kept if an authority of the trust set has signed it, not another one of its name", async () => {
  const baseUrl = "http://ca.example";
  const pki = makePki({ officers: [{ name: "Asha" }], baseUrl });
  const forger = makePki({ officers: [], baseUrl });
  const [officer] = pki.officers;
  const content = { digest: digest("SHA-256", new Uint8Array()) };
  // The file brings the forger's certificates too.
  const more = authorities(forger).map(({ certificate }) => certificate.der);
  const file = signCms({ ...officer, chain: [...officer.chain, ...more] }, content);
  const document = {
    ...bytesSource(file),
    digest: () => new Uint8Array(),
  };
  const judge = async (makers: ReturnType<typeof authorities>): Promise<Judged> => {
    const lists = new Map(
      ["root", "ca", "sub-ca"].map((name, i) => [`${baseUrl}/${name}.crl`, makeCrl(makers[i], [])]),
    );
    const done: AtHand = [];
    for (;;) {
      const answer = await questions.judge({
        ...{ now: new Date().toISOString(), anchors: [pki.root.certificate.der], done },
        ...{ online: true, revocation: "require", fresh: done.map(([key]) => key) },
      }, [document]);
      if ("result" in answer) return answer.result;
      const list = "get" in answer.step ? lists.get(answer.step.get) : undefined;
      done.push([answer.key, list ?? { problem: "There is none." }]);
    }
  };
  assert.equal((await judge(authorities(pki))).kept.length, 3);
  const forged = await judge(authorities(forger));
  assert.deepEqual(forged.kept, []);
  assert.equal(forged.report.indication, "INDETERMINATE");
});
