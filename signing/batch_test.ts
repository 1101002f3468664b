import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Audit } from "./audit.ts";
import { verifyPdf } from "../formats/pades/verify.ts";
import { bytesSource } from "../formats/source.ts";
import { type BatchOutcome, connectAs } from "../tasks/page.ts";
import { answerTo, PORTAL, testAgent } from "../tests/fixtures/agent.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import type { SignRequest } from "../protocol/consent.ts";
import type { ShowPdf } from "./consent/port.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const made = (number: number) =>
  classicPdf(documentObjects({ catalogEntries: `/Bill (${number})` })) as Bytes;
const filesOf = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => ({ name: `bill-${i}.pdf`, content: new Blob([made(i)]) }),
  );
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function isSigned(outcome: BatchOutcome, original: Uint8Array): Promise<void> {
  assert.ok("pdf" in outcome, JSON.stringify(outcome));
  const bytes = await outcome.pdf.bytes();
  assert.deepEqual(bytes.subarray(0, original.length), original);
  const { signatures } = verifyPdf(bytesSource(bytes));
  assert.deepEqual(signatures.map(({ status }) => status), ["valid"]);
}

Deno.test("many documents need one consent, bound to their list, and one login; unsignable ones are reported", async () => {
  await using test = await testAgent();
  const page = await connectAs(PORTAL, test.agent.port);
  const files = filesOf(30);
  files[7] = { name: "no.pdf", content: new Blob(["no PDF"]) };
  let seen: SignRequest | undefined;
  test.person.sign = async (request, unlock) => {
    seen = request;
    await unlock(answerTo(request));
  };
  const outcomes = new Map<number, BatchOutcome>();
  const progress: number[] = [];
  const result = await page.signBatch(files, { reason: "November", purpose: "Bills" }, {
    onItem: (outcome) => void outcomes.set(outcome.item, outcome),
    onProgress: (each) => each.phase === "signing" && progress.push(each.done!),
  });
  assert.deepEqual([result.signed, result.failed, result.left], [29, 1, 0]);
  assert.equal(progress.at(-1), 30);
  assert.deepEqual(test.provider.story.filter((each) => !each.startsWith("sign")), [
    "login 0",
    "logout 0",
  ]);
  assert.equal(test.provider.story.length, 31);
  for (const [item, outcome] of outcomes) {
    if (item === 7) assert.equal("error" in outcome && outcome.error.code, "document_malformed");
    else await isSigned(outcome, made(item));
  }
  assert.ok(seen?.batch);
  const manifest = await Promise.all(files.map(async ({ name, content }) => ({
    mediaType: "application/pdf",
    name,
    sha256: sha256(await content.bytes()),
    size: content.size,
  })));
  assert.equal(seen.binding, sha256(new TextEncoder().encode(JSON.stringify(manifest))));
  assert.deepEqual(seen.items[3].pdf?.adds?.reason, "November");
  assert.deepEqual([...Deno.readDirSync(join(test.dir, "batches"))], [], "all is delivered");
  page.close();
});

Deno.test("an interrupted batch resumes, and nothing is signed twice", async () => {
  await using test = await testAgent();
  const files = filesOf(90);
  const signatures = () => test.provider.story.filter((each) => each.startsWith("sign")).length;
  // The page goes away in the middle.
  const first = await connectAs(PORTAL, test.agent.port);
  let delivered = 0;
  const audit = new Audit(join(test.dir, "audit"));
  const onFirst = async () => {
    // Written down before the first signature is given out: killed now, the agent has told of it.
    if (delivered++ === 0) {
      const [{ outcome, manifest, documents }] = await audit.newest(1);
      assert.deepEqual([outcome, manifest?.length, documents?.length], ["begun", 64, 90]);
    }
    if (delivered === 11) first.close();
  };
  await assert.rejects(first.signBatch(files, {}, { onItem: onFirst }), {
    code: "connection_lost",
  });
  const page = await connectAs(PORTAL, test.agent.port);
  const before = signatures();
  assert.ok(before >= 11 && before < 90, String(before));
  // Then it stops by itself.
  const stop = new AbortController();
  let offered: number | undefined;
  test.person.sign = async (request, unlock) => {
    offered = request.choices[0].signed;
    await unlock(answerTo(request));
  };
  const outcomes = new Map<number, BatchOutcome>();
  const onItem = (outcome: BatchOutcome) => {
    outcomes.set(outcome.item, outcome);
    if (outcomes.size === 20) stop.abort();
  };
  const stopped = await page.signBatch(files, {}, { onItem, signal: stop.signal });
  assert.ok(offered! >= 11 && stopped.left > 0, `${offered} ${stopped.left}`);
  const ended = await page.signBatch(files, {}, {
    onItem: (outcome) => void outcomes.set(outcome.item, outcome),
  });
  assert.deepEqual([ended.signed, ended.left, outcomes.size], [90, 0, 90]);
  assert.equal(signatures(), 90);
  const ends = (await audit.newest(100)).filter(({ outcome }) => outcome === "done");
  assert.ok(ends.at(-1)!.signed! < 90, "what was not signed is not told as signed");
  for (const [item, outcome] of outcomes) await isSigned(outcome, made(item));
  // Another list, or another way of signing, is another batch.
  await page.signBatch(files.slice(1), {});
  assert.equal(signatures(), 179);
  page.close();
});

Deno.test("only listed documents are signed; the person sees each one opened", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const bytes = [made(0), made(1)];
  const items = bytes.map((each, i) => ({
    name: `${i}.pdf`,
    size: each.length,
    sha256: sha256(each),
  }));
  const open = async (content: Uint8Array, hash?: "SHA-512") => {
    const { document } = await client.call("document.open", {
      name: "x.pdf",
      mediaType: "application/pdf",
      size: content.length,
      hash,
    });
    client.sendChunk(document, content);
    return document;
  };
  const answered = Promise.withResolvers<void>();
  test.person.sign = (async (request, unlock, _, show: ShowPdf) => {
    await assert.rejects(show(2), { code: "document_not_found" });
    const [pdf, again] = await Promise.all([show(1), show(1)]);
    assert.deepEqual(new Uint8Array(pdf.source.read(0, 1e6)), bytes[1]);
    assert.equal(again.source.size, pdf.source.size);
    await show(1);
    await unlock(answerTo(request));
    answered.resolve();
  }) as typeof test.person.sign;
  const asked = client.call("sign.batch", { items });
  const { params } = await client.take(({ method }) => method === "batch.wanted") as {
    params: { id: number; item: number };
  };
  assert.equal(params.item, 1);
  const bring = async (content: Uint8Array) =>
    client.call("batch.show", { ...params, document: await open(content) });
  await assert.rejects(bring(bytes[0]), { code: "consent_mismatch" });
  await bring(bytes[1]);
  await answered.promise;
  await assert.rejects(bring(bytes[1]), { code: "invalid_params" });
  const { batch, signed } = await asked;
  assert.deepEqual(signed, []);
  const sign = async (item: number, content: Uint8Array, hash?: "SHA-512") =>
    client.call("batch.sign", { batch, item, document: await open(content, hash) });
  await assert.rejects(sign(0, bytes[1]), { code: "consent_mismatch" });
  await assert.rejects(sign(0, new Uint8Array(bytes[0].length)), { code: "consent_mismatch" });
  await assert.rejects(sign(2, bytes[1]), { code: "invalid_params" });
  await assert.rejects(sign(0, bytes[0], "SHA-512"), { code: "invalid_params" });
  const twice = await Promise.all([sign(0, bytes[0]), sign(0, bytes[0])]);
  assert.equal(test.provider.story.filter((each) => each.startsWith("sign")).length, 1);
  assert.equal(twice.length, 2);
  assert.equal((await sign(0, bytes[0])).resumed, true);
  const other = await test.connect();
  await assert.rejects(other.call("batch.close", { batch }), { code: "request_cancelled" });
  await client.call("batch.close", { batch });
  await assert.rejects(sign(1, bytes[1]), { code: "request_cancelled" });
});

Deno.test("a list of ten thousand is asked for in one frame; more, and declined ones, are refused", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const items = Array.from({ length: 10_000 }, (_, i) => ({
    name: `${"n".repeat(200)}${i}.pdf`,
    size: i,
    sha256: sha256(Uint8Array.of(i, i >> 8)),
  }));
  let seen = 0;
  test.person.sign = (request) => {
    seen = request.items.length;
    return Promise.reject(Object.assign(new Error("no"), { code: "user_cancelled" }));
  };
  await assert.rejects(client.call("sign.batch", { items }));
  assert.equal(seen, 10_000);
  await assert.rejects(client.call("sign.batch", { items: [...items, items[0]] }), {
    code: "invalid_params",
  });
  await assert.rejects(client.call("sign.batch", { items: [] }), { code: "invalid_params" });
});

Deno.test("a batch that is signed lets others have their turn; asked for again, it gives what it has", async () => {
  const origins = ["https://a.example", "https://b.example"];
  await using test = await testAgent({
    allowedOrigins: origins.map((origin) => ({ origin, scopes: ["certificates", "sign"] })),
  });
  const [a, b] = [await test.connect(origins[0]), await test.connect(origins[1])];
  const text = new TextEncoder().encode("x");
  const sha256 = createHash("sha256").update(text).digest("hex");
  const open = async () => {
    const about = { name: "x.txt", mediaType: "text/plain", size: 1 };
    const { document } = await a.call("document.open", about);
    a.sendChunk(document, text);
    return document;
  };
  const items = [{ name: "x.txt", mediaType: "text/plain", size: 1, sha256 }];
  const { batch } = await a.call("sign.batch", { items, format: "cades" });
  const sign = async () => await a.call("batch.sign", { batch, item: 0, document: await open() });
  const first = await sign();
  // The page does not close its batch.
  await b.call("sign.data", { content: { text: "from B" } });
  assert.deepEqual({ ...await sign(), resumed: false }, { ...first, resumed: false });
  await a.call("batch.close", { batch, forget: true });
  await assert.rejects(sign(), { code: "request_cancelled" });
});
