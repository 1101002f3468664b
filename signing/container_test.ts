/** Containers (ASiC) for pages; verdicts on what is in them are in formats/verify/asic_test.ts. */
import assert from "node:assert/strict";
import { readContainer, withFiles } from "../formats/asic/container.ts";
import { bytesSource } from "../formats/source.ts";
import { verifyBytes } from "../formats/verify/verify.ts";
import type { Params } from "../protocol/methods.ts";
import { answerTo, testAgent } from "../tests/fixtures/agent.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { containerInput } from "./container_input.ts";

const utf8 = new TextEncoder();
const ORDER = utf8.encode("Pay 7\n");
const PLAN = utf8.encode("<plan/>");

Deno.test("a page has files signed into a container, and a container signed once more", async () => {
  const { officers, root } = makePki({
    officers: [{ name: "Asha" }, { name: "Maya", key: "p-384" }],
  });
  await using test = await testAgent({ officers });
  const [asha, maya] = officers.map(({ certificate }) => certificate.fingerprint);
  const names: string[][] = [];
  let before: string[][] = [];
  test.person.sign = async (request, unlock) => {
    names.push(request.items.map(({ name }) => name));
    before = request.items.map(({ signedBy }) => signedBy?.map(({ name }) => name) ?? []);
    await unlock(answerTo(request));
  };
  const client = await test.connect();
  const open = async (name: string, bytes: Uint8Array, keep = true) => {
    const about = { name, size: bytes.length, keep };
    const { document } = await client.call("document.open", about);
    client.sendChunk(document, bytes);
    return document;
  };
  const sign = async (params: Params<"sign.document">) => {
    const signed = await client.call("sign.document", params);
    assert.ok(signed.format === "asic-e" || signed.format === "asic-s");
    const { document } = params;
    const part = { document, offset: 0, length: 1 << 20 };
    const { length } = await client.call("document.read", part);
    assert.equal(length, signed.appended);
    return client.chunks.at(-1)!.subarray(4);
  };
  const told = (bytes: Uint8Array) =>
    verifyBytes(bytes, {
      now: new Date(),
      anchors: [root.certificate],
      revocation: "if_available",
    }).signatures.map(({ indication, signer }) => `${indication} ${signer?.commonName}`);

  const document = await open("order.txt", ORDER);
  const more = [await open("plan.xml", PLAN)];
  const once = await sign({
    document,
    more,
    container: "asic-e",
    format: "xades",
    certificate: asha,
  });
  assert.deepEqual(told(once), ["TOTAL-PASSED Asha"]);
  assert.deepEqual([...readContainer(once).data.keys()], ["order.txt", "plan.xml"]);
  const again = await open("orders.asice", once);
  const twice = await sign({ document: again, container: "asic-e", certificate: maya });
  assert.deepEqual(told(twice).toSorted(), ["TOTAL-PASSED Asha", "TOTAL-PASSED Maya"]);
  assert.deepEqual(names, [["order.txt", "plan.xml"], ["order.txt", "plan.xml"]]);
  assert.deepEqual(before, [["Asha"], ["Asha"]]);

  // Nobody is shown as the signer of a file that was put in later.
  const late = { name: "late.txt", bytes: ORDER };
  const added = await open("orders.asice", withFiles(readContainer(once), [late]));
  await sign({ document: added, container: "asic-e", certificate: maya });
  assert.deepEqual(names.pop(), ["order.txt", "plan.xml", "late.txt"]);
  assert.deepEqual(before, [["Asha"], ["Asha"], []]);

  const content = { text: "Pay 7\n" };
  const data = { content, name: "order.txt", container: "asic-s", certificate: asha } as const;
  const { signature } = await client.call("sign.data", data);
  const small = Uint8Array.fromBase64(signature);
  assert.deepEqual(told(small), ["TOTAL-PASSED Asha"]);
  assert.deepEqual(readContainer(small).data.get("order.txt"), ORDER);

  const passing = await open("b.txt", ORDER, false);
  const plan = await open("plan.xml", PLAN);
  const typed = { name: "a.txt", size: 0, keep: true, mediaType: "text/\u0001" };
  const { document: unfit } = await client.call("document.open", typed);
  const unwritten = await open("x\ufffe.txt", PLAN);
  const refused: Params<"sign.document">[] = [
    { document: unfit, container: "asic-e" },
    { document: unwritten, container: "asic-e", format: "xades" },
    { document: passing, container: "asic-e" }, // its bytes are gone
    { document: plan, container: "asic-e", format: "pades" },
    { document: plan, format: "xades" },
    { document: plan, more: [document] },
    { document: plan, more: [await open("PLAN.xml", PLAN)], container: "asic-e" },
  ];
  for (const params of refused) {
    await assert.rejects(client.call("sign.document", params), { code: "invalid_params" });
  }
  assert.equal(names.length, 3, "before anybody is asked");
  await assert.rejects(client.call("sign.data", { content, container: "asic-s" }), {
    code: "invalid_params",
  });
  await assert.rejects(
    client.call("sign.document", { document, more: [plan], container: "asic-s" }),
    { code: "invalid_params" },
  );
});

Deno.test("files of more than 64 MiB do not go into a container", () => {
  const large = { ...bytesSource(ORDER), size: 40 << 20 };
  const file = (source: typeof large) => ({ name: "x", mediaType: "text/plain", source });
  assert.throws(() => containerInput([file(large), file(large)]), { code: "limit_exceeded" });
});

Deno.test("documents that the page closes while they are signed stay until they are", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  for (const how of [{ container: "asic-e" }, { format: "cades" }] as const) {
    const { document } = await client.call("document.open", {
      name: "order.txt",
      size: ORDER.length,
      keep: true,
    });
    client.sendChunk(document, ORDER);
    const signing = client.call("sign.document", { document, ...how });
    const closing = client.call("document.close", { document });
    await closing;
    assert.ok(await signing);
  }
});
