import assert from "node:assert/strict";
import { readMaterial } from "../formats/verify/material.ts";
import { verifyBytes, type VerifyContent } from "../formats/verify/verify.ts";
import { digest } from "../formats/digest.ts";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import { connectAs } from "../tasks/page.ts";
import { PORTAL, testAgent } from "../tests/fixtures/agent.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { testKey } from "../tests/fixtures/keys.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { authorities } from "../tests/fixtures/signed_files.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Nothing in this PKI rests on another algorithm; the timestamp authority has the largest keys. */
const pki = makePki({
  officers: [{ name: "Anita (TEST)", key: "ml-dsa-65" }],
  newKey: (type) => testKey(type === "rsa-2048" ? "ml-dsa-87" : type),
});
const crls = new Map(["root", "ca", "sub-ca"].map((name, i) => [
  `/${name}.crl`,
  makeCrl(authorities(pki)[i], []) as Bytes,
]));

async function atDesk(
  use: (test: Awaited<ReturnType<typeof testAgent>>) => Promise<void>,
  postQuantum = true,
) {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) =>
      new Response(
        answerTimestampRequest(pki.timestampAuthority, await request.bytes(), {
          chain: [pki.subCa, pki.ca].map(({ certificate }) => certificate.der),
        }) as Bytes,
      ),
  );
  try {
    await using test = await testAgent({
      officers: pki.officers,
      postQuantum,
      timestampAuthority: `http://127.0.0.1:${server.addr.port}/`,
      pkiFetch: (url) => {
        const crl = crls.get(new URL(url).pathname);
        return Promise.resolve(crl ? new Response(crl) : new Response(null, { status: 404 }));
      },
    });
    await use(test);
  } finally {
    await server.shutdown();
  }
}

/** Verdict, level and algorithm of the only signature. */
async function verdict(bytes: Uint8Array, content?: Uint8Array) {
  const given: VerifyContent | null = content
    ? { digest: (hash) => digest(hash, content), bytes: () => content }
    : null;
  const { signatures: [{ indication, level, algorithm }] } = await withMlDsa(() =>
    verifyBytes(bytes, {
      now: new Date(),
      anchors: [pki.root.certificate],
      material: readMaterial({ crls: [...crls.values()] }),
      content: () => given,
    })
  );
  return [indication, level, algorithm];
}

const bytesOf = (base64: string) => Uint8Array.fromBase64(base64);
const content = { text: "Pay 1200.00 to the treasury" };
const bytes = new TextEncoder().encode(content.text);

Deno.test("an ML-DSA key signs data as CAdES at all levels, JAdES and raw", () =>
  atDesk(async (test) => {
    const client = await test.connect();
    const { certificates: [{ keyType, keySize, usable }] } = await client.call(
      "certificate.list",
      {},
    );
    assert.deepEqual([keyType, keySize, usable], ["ML-DSA", 65, true]);
    for (const level of ["B-B", "B-T", "B-LT", "B-LTA"] as const) {
      const made = await client.call("sign.data", { content, level });
      assert.equal(made.algorithm, "ML-DSA-65");
      assert.deepEqual(
        await verdict(bytesOf(made.signature)),
        ["TOTAL-PASSED", level, "ML-DSA-65 with SHA-512"],
      );
    }
    const jws = await client.call("sign.data", { content, format: "jws" });
    assert.deepEqual(await verdict(bytesOf(jws.signature)), ["TOTAL-PASSED", "B-B", "ML-DSA-65"]);
    const raw = await client.call("sign.data", { content, format: "raw" });
    assert.ok(
      await withMlDsa(() =>
        verifySignature(
          bytesOf(raw.certificate),
          { scheme: "ML-DSA-65" },
          { message: bytes },
          bytesOf(raw.signature),
        )
      ),
    );
  }));

Deno.test("an ML-DSA key signs documents that were announced with SHA-256: detached, and PDFs at all levels", () =>
  atDesk(async (test) => {
    const client = await test.connect();
    const { document } = await client.call("document.open", { name: "a.txt", size: bytes.length });
    client.sendChunk(document, bytes as Bytes);
    const made = await client.call("sign.document", { document });
    assert.ok(made.format === "cades");
    assert.deepEqual(
      await verdict(bytesOf(made.signature), bytes),
      ["TOTAL-PASSED", "B-B", "ML-DSA-65 with SHA-512"],
    );
    const page = await connectAs(PORTAL, test.agent.port);
    try {
      const pdf = new Blob([classicPdf(documentObjects()) as Bytes]);
      for (const level of ["B-B", "B-T", "B-LT", "B-LTA"] as const) {
        const signed = await page.signPdf(pdf, { level });
        assert.deepEqual(
          await verdict(await signed.pdf.bytes()),
          ["TOTAL-PASSED", level, "ML-DSA-65 with SHA-512"],
        );
      }
    } finally {
      page.close();
    }
  }));

Deno.test("an ML-DSA key signs a batch with one PIN", () =>
  atDesk(async (test) => {
    const page = await connectAs(PORTAL, test.agent.port);
    try {
      const pdf = classicPdf(documentObjects()) as Bytes;
      const files = [1, 2, 3].map((n) => ({ name: `${n}.pdf`, content: new Blob([pdf]) }));
      const verdicts: unknown[] = [];
      const { signed, failed } = await page.signBatch(files, {}, {
        async onItem(outcome) {
          assert.ok("pdf" in outcome);
          verdicts.push(await verdict(await outcome.pdf.bytes()));
        },
      });
      assert.deepEqual([signed, failed], [3, 0]);
      assert.deepEqual(verdicts, Array(3).fill(["TOTAL-PASSED", "B-B", "ML-DSA-65 with SHA-512"]));
      assert.equal(test.provider.story.filter((each) => each.startsWith("login")).length, 1);
    } finally {
      page.close();
    }
  }));

Deno.test("what ML-DSA cannot sign is refused before the PIN, and says why", () =>
  atDesk(async (test) => {
    const client = await test.connect();
    const refused = async (call: Promise<unknown>, code: string, message: RegExp) => {
      await assert.rejects(call, (error: Error & { code: string }) => {
        assert.equal(error.code, code);
        assert.match(error.message, message);
        return true;
      });
      assert.deepEqual(test.person.asked, []);
      assert.deepEqual(test.provider.story, []);
    };
    const digests = [new Uint8Array(32).toBase64()];
    await refused(
      client.call("sign.hash", { digests }),
      "mechanism_unsupported",
      /signs documents, not bare digests/,
    );
    for (const format of ["xades", "xmldsig"] as const) {
      await refused(
        client.call("sign.data", { content: { text: "<a/>" }, format }),
        "mechanism_unsupported",
        /no standard yet for XML signatures/,
      );
    }
    const nonce = new Uint8Array(33).toBase64();
    await refused(
      client.call("auth.authenticate", { nonce }),
      "mechanism_unsupported",
      /Sites cannot check a login/,
    );
    const large = { text: "a".repeat(800_000) };
    await refused(
      client.call("sign.data", { content: large, format: "jws" }),
      "too_large",
      /at most 1 MiB/,
    );
    const made = await client.call("sign.data", { content: large });
    assert.deepEqual((await verdict(bytesOf(made.signature)))[0], "TOTAL-PASSED");
  }));

Deno.test("without the setting postQuantum an ML-DSA key does not sign", () =>
  atDesk(async (test) => {
    const client = await test.connect();
    const { certificates: [{ usable, reason }] } = await client.call("certificate.list", {});
    assert.deepEqual([usable, reason], [false, "post_quantum_disabled"]);
    await assert.rejects(client.call("sign.data", { content }), { code: "post_quantum_disabled" });
    assert.deepEqual(test.provider.story, []);
  }, false));
