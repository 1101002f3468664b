import assert from "node:assert/strict";
import { join } from "node:path";
import { verifyBytes } from "../formats/verify/verify.ts";
import type { ConsentItem, SignRequest } from "../protocol/consent.ts";
import type { Params } from "../protocol/methods.ts";
import { startPkiServices } from "../tests/fakes/pki_services.ts";
import { answerTo, READER_COMMAND, testAgent } from "../tests/fixtures/agent.ts";
import { pem } from "../formats/asn1/pem.ts";
import { rereadCms } from "../tests/fixtures/second_reader.ts";
import { signCms, signXml } from "../tests/fixtures/signed_files.ts";
import { readSignedData } from "../formats/cms/read.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { digest } from "../formats/digest.ts";
import { prepareJws } from "../formats/json/jws_write.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import { prepareStatement } from "../formats/json/route.ts";
import { signBytes } from "../tests/fixtures/keys.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { signPdf } from "../tests/fixtures/sign_pdf.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { publicFetch } from "../online/pki_http.ts";
import { Content } from "./content.ts";
import { checkData } from "./data.ts";
import { type DocumentReader, openReaders } from "./reading.ts";

const bill = { content: { json: { bill: 7, amount: "1200.00" } } } as const;
const order = { content: { text: "<order><amount>7</amount></order>" } } as const;
const bytesOf = (base64: string) => Uint8Array.fromBase64(base64);

/** Three officers on three tokens; a timestamp authority and revocation services of their own. */
async function office() {
  const services = await startPkiServices({
    officers: [{ name: "Maya" }, { name: "Chetan" }, { name: "Asha" }],
  });
  const { officers, root } = services.pki;
  const trust = await Deno.makeTempDir({ prefix: "dsign_trust_" });
  await Deno.writeTextFile(join(trust, "root.crt"), pem("CERTIFICATE", root.certificate.der));
  const agent = await testAgent({
    officers,
    timestampAuthority: `${services.url}/tsa`,
    pkiFetch: publicFetch(() => true),
    trust: [trust],
  });
  const client = await agent.connect();
  const shown: ConsentItem[] = [];
  const networks: SignRequest["network"][] = [];
  agent.person.sign = async (request, unlock) => {
    shown.push(...request.items);
    networks.push(request.network);
    await unlock(answerTo(request));
  };
  const ids = officers.map(({ certificate }) => certificate.fingerprint);
  return {
    agent,
    client,
    shown,
    networks,
    services,
    officers,
    ids,
    sign: async (by: number, params: Params<"sign.data">) =>
      (await client.call("sign.data", { ...params, certificate: ids[by] })).signature,
    /** By the agent, with the services' help. */
    verify: async (bytes: Uint8Array, content?: Uint8Array) => {
      const open = async (what: Uint8Array, name: string) => {
        const size = what.length;
        const { document } = await client.call("document.open", { name, size, keep: true });
        client.sendChunk(document, what);
        return document;
      };
      return await client.call("signature.verify", {
        document: await open(bytes, "signed"),
        content: content && await open(content, "content"),
        online: true,
      });
    },
    async [Symbol.asyncDispose]() {
      await agent[Symbol.asyncDispose]();
      await services[Symbol.asyncDispose]();
      await Deno.remove(trust, { recursive: true });
    },
  };
}

Deno.test("three officers sign the same data in each form, and verify says so", async () => {
  await using desk = await office();
  const { sign, verify, shown } = desk;
  const names = async (signature: string, content?: Uint8Array) => {
    const report = await verify(bytesOf(signature), content);
    assert.equal(report.indication, "TOTAL-PASSED", JSON.stringify(report.findings));
    return report.signatures.map(({ signer, level }) => `${signer?.commonName} ${level}`);
  };
  const canonical = new TextEncoder().encode('{"amount":"1200.00","bill":7}');

  let cms = await sign(0, { ...bill, level: "B-T" });
  cms = await sign(1, { ...bill, cosign: cms, level: "B-T" });
  cms = await sign(2, { ...bill, countersign: { signature: cms, signer: [1] } });
  assert.deepEqual(await names(cms), ["Maya B-T", "Chetan B-T"]);
  assert.deepEqual(shown.map(({ signedBy }) => signedBy?.map(({ name }) => name)), [
    ...[undefined, ["Maya"], ["Maya", "Chetan"]],
  ]);
  const [, second] = (await verify(bytesOf(cms))).signatures;
  assert.equal(second.countersignatures[0].signer?.commonName, "Asha");

  const detached = { ...bill, packaging: "detached" } as const;
  const lasting = await sign(0, { ...bill, level: "B-LT" });
  assert.deepEqual(await names(lasting), ["Maya B-LT"]);
  const archived = await sign(1, { ...bill, cosign: lasting, level: "B-LT" });
  assert.deepEqual(await names(archived), ["Maya B-LT", "Chetan B-LT"]);
  const ever = await sign(0, { ...detached, level: "B-LTA" });
  assert.deepEqual(await names(ever, canonical), ["Maya B-LTA"]);
  const xmlForLong = await sign(0, { ...order, format: "xades", level: "B-LT" });
  assert.deepEqual(await names(xmlForLong), ["Maya B-LT"]);
  let beside = await sign(0, detached);
  beside = await sign(2, { ...detached, cosign: beside, hash: "SHA-512" });
  assert.deepEqual(await names(beside, canonical), ["Maya B-B", "Asha B-B"]);
  for (const attached of [cms, lasting, archived]) rereadCms(bytesOf(attached));
  for (const apart of [ever, beside]) rereadCms(bytesOf(apart), { content: canonical });

  let jws = await sign(0, { ...bill, format: "jws" });
  for (const by of [1, 2]) jws = await sign(by, { ...bill, format: "jws", cosign: jws });
  assert.deepEqual(await names(jws), ["Maya B-B", "Chetan B-B", "Asha B-B"]);
  let bare = await sign(0, { ...detached, format: "jws" });
  bare = await sign(1, { ...detached, format: "jws", cosign: bare });
  assert.deepEqual(await names(bare, canonical), ["Maya B-B", "Chetan B-B"]);

  let xml: string = order.content.text;
  const forms = [
    { format: "xades" },
    { format: "xades", level: "B-T" },
    { format: "xmldsig" },
  ] as const;
  for (const [by, how] of forms.entries()) {
    const signed = await sign(by, { content: { text: xml }, ...how });
    xml = new TextDecoder().decode(bytesOf(signed));
  }
  assert.deepEqual(await names(btoa(xml)), ["Maya B-B", "Chetan B-T", "Asha null"]);
  // Nothing in it is about another content: a page must not take the verdict for one on that.
  await assert.rejects(verify(bytesOf(btoa(xml)), canonical), { code: "invalid_params" });
  assert.deepEqual(shown.at(-1)?.signedBy?.map(({ name }) => name), ["Maya", "Chetan"]);
  const around = await sign(0, { ...order, format: "xades", packaging: "enveloping" });
  assert.deepEqual(await names(around), ["Maya B-B"]);
  const named = await sign(0, {
    ...bill,
    format: "xades",
    packaging: "detached",
    name: "bill.json",
  });
  assert.deepEqual(await names(named, canonical), ["Maya B-B"]);
});

Deno.test("no reader is started for a new signature, in which nothing has to be parsed", async () => {
  const { officers, root } = makePki({ officers: [{ name: "Maya" }] });
  const reader = openReaders(["/no/reader"], console.error);
  await using test = await testAgent({ officers, reader });
  const client = await test.connect();
  const text = "Approve file 7";
  const content = new TextEncoder().encode(text);
  const forms = [
    {},
    { packaging: "detached" },
    { format: "jws" },
    { format: "jws", packaging: "detached" },
  ] as const;
  for (const form of forms) {
    const { signature } = await client.call("sign.data", { content: { text }, ...form });
    const { indication, findings } = verifyBytes(bytesOf(signature), {
      now: new Date(),
      anchors: [root.certificate],
      revocation: "if_available",
      content: () => ({ digest: (hash) => digest(hash, content), bytes: () => content }),
    });
    assert.equal(indication, "TOTAL-PASSED", JSON.stringify([form, findings]));
  }
  const xades = client.call("sign.data", { ...order, format: "xades" });
  await assert.rejects(xades, { code: "internal_error" });
});

Deno.test("a reader that was taken over cannot have other content signed than was shown", async () => {
  const honest = openReaders(READER_COMMAND, console.error);
  const other = new TextEncoder().encode("Pay 900 to B");
  // Of the questions that end in a signature, each is answered for other content.
  const reader: DocumentReader = {
    ask(question, input, asking) {
      const swapped: Record<string, unknown> = { ...input };
      if (/^sign/.test(question) && input) {
        if ("content" in input) swapped.content = { ...input.content, bytes: other };
        if ("input" in input && "files" in input.input) {
          swapped.input = { files: input.input.files.map((each) => ({ ...each, bytes: other })) };
        }
      }
      return honest.ask(question, swapped as typeof input, asking);
    },
    close: () => honest.close(),
  };
  await using test = await testAgent({ reader });
  const client = await test.connect();
  const content = { text: "Pay 7 to A" };
  const name = "order.txt";
  const forms: Params<"sign.data">[] = [
    { content, name, format: "xades", packaging: "detached" },
    { content, name, container: "asic-s" },
    { content, name, container: "asic-e" },
    { content, name, container: "asic-e", format: "xades" },
  ];
  for (const form of forms) {
    await assert.rejects(client.call("sign.data", form), { code: "signature_invalid" });
  }
  const signers = [{ name: "Asha", certificate: "0".repeat(64) }];
  const route = client.call("route.create", {
    name,
    content,
    steps: [{ role: "Maker", quorum: 1, signers }],
  });
  await assert.rejects(route, { code: "signature_invalid" });
});

Deno.test("a signing input of something else, sent as content, is not signed as that", async () => {
  const { officers } = makePki({ officers: [{ name: "Maya" }] });
  const [{ certificate, key, chain }] = officers;
  await using test = await testAgent({ officers });
  const client = await test.connect();
  const signer = { certificate: certificate.der, chain, algorithm: key.algorithm };
  const order = new TextEncoder().encode('{"pay":"Mallory"}');
  const signingTime = new Date();
  const inputs = [
    prepareSignedData({ content: order }, signer, { signingTime }).toBeSigned,
    prepareJws({ ...signer, payload: order, signingTime, contentType: "json" }).toBeSigned,
  ];
  for (const input of inputs) {
    for (const packaging of ["attached", "detached"] as const) {
      const content = { base64: input.toBase64() };
      const jws = await client.call("sign.data", { content, packaging, format: "jws" });
      const [{ signature }] = JSON.parse(atob(jws.signature)).signatures;
      const cms = await client.call("sign.data", { content, packaging });
      const values = [
        Uint8Array.fromBase64(signature, { alphabet: "base64url" }),
        readSignedData(bytesOf(cms.signature)).signers[0].signature,
      ];
      for (const value of values) {
        assert.equal(value.length, 256);
        const message = { message: input };
        assert.equal(verifySignature(certificate.publicKey, key.algorithm, message, value), false);
      }
    }
  }
});

Deno.test("every format is signed at every level, and stays so when others sign after", async () => {
  await using desk = await office();
  const { sign, verify } = desk;
  const canonical = new TextEncoder().encode('{"amount":"1200.00","bill":7}');
  const xml = new TextEncoder().encode(order.content.text);
  const apart = { packaging: "detached" } as const;
  for (const level of ["B-T", "B-LT", "B-LTA"] as const) {
    const forms: [name: string, params: Params<"sign.data">, content?: Uint8Array][] = [
      ["cades", { ...bill, level }],
      ["cades detached", { ...bill, ...apart, level }, canonical],
      ["jws", { ...bill, format: "jws", level }],
      ["jws detached", { ...bill, ...apart, format: "jws", level }, canonical],
      ["xades", { ...order, format: "xades", level }],
      ["xades enveloping", { ...order, format: "xades", packaging: "enveloping", level }],
      ["xades detached", { ...order, ...apart, format: "xades", name: "order.xml", level }, xml],
    ];
    for (const [name, params, content] of forms) {
      const signed = bytesOf(await sign(0, params));
      const { indication, signatures: [{ level: found, findings }] } = await verify(
        signed,
        content,
      );
      assert.deepEqual([name, indication, found], [name, "TOTAL-PASSED", level], findings.join());
    }
  }
  const { host } = new URL(desk.services.url);
  assert.deepEqual(desk.networks.at(-1), { level: "B-LTA", timestampAuthority: host });
  let jws = await sign(0, { ...bill, format: "jws", level: "B-LTA" });
  jws = await sign(1, { ...bill, format: "jws", level: "B-LTA", cosign: jws });
  let order2 = await sign(0, { ...order, format: "xades", level: "B-LTA" });
  const content = { text: new TextDecoder().decode(bytesOf(order2)) };
  order2 = await sign(1, { content, format: "xades", level: "B-LTA" });
  for (const both of [jws, order2]) {
    const { indication, signatures } = await verify(bytesOf(both));
    assert.deepEqual([indication, ...signatures.map(({ level }) => level)], [
      ...["TOTAL-PASSED", "B-LTA", "B-LTA"],
    ]);
  }
});

Deno.test("a page has signatures extended, without a question to the person", async () => {
  await using desk = await office();
  const { sign, verify, client, shown } = desk;
  const signed = bytesOf(await sign(0, { ...order, format: "xades" }));
  const asked = shown.length;
  const size = signed.length;
  const { document } = await client.call("document.open", { name: "a.xml", size, keep: true });
  client.sendChunk(document, signed);
  const { part, length } = await client.call("signature.extend", { document, level: "B-LTA" });
  assert.equal(part, "whole");
  await client.call("document.read", { document, offset: 0, length });
  const extended = client.chunks.at(-1)!.slice(4);
  const { indication, signatures: [{ level }] } = await verify(extended);
  assert.deepEqual([indication, level, shown.length], ["TOTAL-PASSED", "B-LTA", asked]);
});

Deno.test("no signature is added to an invalid one, or to one over other content", async () => {
  await using desk = await office();
  const { sign, officers, agent } = desk;
  const refused = async (code: string, params: Params<"sign.data">) =>
    await assert.rejects(sign(0, params), { code }, JSON.stringify(params).slice(0, 200));
  const other = signCms(officers[0], { content: new TextEncoder().encode("{}") }).toBase64();
  const cms = await sign(0, bill);
  const jws = await sign(0, { ...bill, format: "jws" });
  const before = agent.person.asked.length;
  await refused("signature_mismatch", { ...bill, cosign: other });
  await refused("signature_mismatch", { ...bill, countersign: { signature: other } });
  const changed = bytesOf(cms);
  changed[changed.length - 1] ^= 1; // the signature's last byte
  await refused("signature_mismatch", { ...bill, cosign: changed.toBase64() });
  await refused("signature_mismatch", { content: { json: {} }, format: "jws", cosign: jws });
  await refused("document_malformed", { ...bill, cosign: jws });
  await refused("document_malformed", { ...bill, format: "jws", cosign: cms });
  // The types of the SDK say the same.
  // @ts-expect-error a bare signature stands alone
  await refused("invalid_params", { ...bill, format: "raw", cosign: cms });
  await refused("invalid_params", { ...bill, cosign: cms, countersign: { signature: cms } });
  // @ts-expect-error a countersignature has no level of its own
  await refused("invalid_params", { ...bill, countersign: { signature: cms }, level: "B-T" });
  // @ts-expect-error only XML can be within a signature
  await refused("invalid_params", { ...bill, packaging: "enveloping" });
  await refused("document_malformed", { ...bill, format: "xades" });
  await refused("document_malformed", {
    content: { text: "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>" },
    format: "xades",
  });
  const xml = new TextDecoder().decode(bytesOf(await sign(0, { ...order, format: "xades" })));
  const content = { text: xml.replace("<amount>7", "<amount>9000") };
  await refused("signature_mismatch", { content, format: "xades" });
  assert.equal(agent.person.asked.length, before, "nobody was asked");
});

Deno.test("a bill follows its route: signing out of turn is refused, and each signer sees the earlier ones", async () => {
  await using desk = await office();
  const { client, ids, officers, shown, verify } = desk;
  const steps = ["Maker", "Checker", "Approver"].map((role, i) => ({
    role,
    signers: [{ name: officers[i].name, certificate: ids[i] }],
    quorum: 1,
  }));
  const setUp = { ...bill, name: "bill.json", steps, certificate: ids[0] };
  let { route } = await client.call("route.create", setUp);
  assert.match(shown[0].preview!.text, /"role":"Checker"/);
  const onRoute = (by: number, content: Params<"route.sign">["content"] = bill.content) =>
    client.call("route.sign", { route, content, certificate: ids[by] });

  await assert.rejects(onRoute(1), {
    message: "It is not this certificate's turn. Next to sign, as Maker: Maya.",
    code: "out_of_turn",
  });
  await assert.rejects(onRoute(0, { json: { bill: 8 } }), { code: "signature_mismatch" });
  for (const by of [0, 1, 2]) {
    const { next } = await client.call("route.status", { route });
    assert.equal(next, by);
    const signed = await onRoute(by);
    assert.deepEqual([signed.role, signed.status.isComplete], [steps[by].role, by === 2]);
    assert.deepEqual(shown.at(-1)?.route?.next, by);
    route = signed.route;
  }
  await assert.rejects(onRoute(0), { message: /complete/, code: "out_of_turn" });
  // Without a certificate named, the one whose turn it is is offered.
  const report = await verify(
    new TextEncoder().encode(route),
    new TextEncoder().encode('{"amount":"1200.00","bill":7}'),
  );
  assert.equal(report.indication, "TOTAL-PASSED", JSON.stringify(report.findings));
  assert.deepEqual(report.signatures.map(({ role }) => role), [
    null,
    "Maker",
    "Checker",
    "Approver",
  ]);
  await assert.rejects(client.call("route.status", { route: route.replace("e", "f") }), {
    code: "document_malformed",
  });
});

Deno.test("only certificates of people whose turn it is are offered", async () => {
  await using desk = await office();
  const { client, ids, officers, agent } = desk;
  const offered: string[][] = [];
  agent.person.sign = async (request, unlock) => {
    offered.push(request.choices.map(({ certificate }) => certificate.commonName));
    await unlock(answerTo(request));
  };
  const signers = [1, 2].map((i) => ({ name: officers[i].name, certificate: ids[i] }));
  const { route } = await client.call("route.create", {
    ...bill,
    name: "bill.json",
    steps: [{ role: "Two of the board", signers, quorum: 2 }],
  });
  const once = await client.call("route.sign", { route, ...bill });
  const twice = await client.call("route.sign", { route: once.route, ...bill });
  assert.deepEqual(offered.slice(1).map((each) => each.length), [2, 1]);
  assert.ok(twice.status.isComplete);
  const options = { now: new Date(), anchors: [] };
  assert.equal(verifyBytes(new TextEncoder().encode(twice.route), options).format, "route");
});

Deno.test("a step counts only by a certificate that leads to a trusted root; after an unproven one the person must say so", async () => {
  await using desk = await office();
  const { client, ids, officers, agent, shown, verify } = desk;
  const person = officers[0].certificate.subject.text("serialNumber")!;
  // Anybody can read a person's serialNumber and put it into a certificate.
  const [forger] = makePki({ officers: [{ name: "Maya", key: "p-256", pan: officers[0].pan }] })
    .officers;
  const content = new TextEncoder().encode('{"amount":"1200.00","bill":7}');
  const { route: set } = await client.call("route.create", {
    ...bill,
    name: "bill.json",
    steps: [
      { role: "Maker", signers: [{ name: "Maya", person }], quorum: 1 },
      { role: "Approver", signers: [{ name: "Chetan", certificate: ids[1] }], quorum: 1 },
    ],
    certificate: ids[0],
  });
  const prepared = prepareStatement(set, digest("SHA-256", content).toHex(), {
    certificate: forger.certificate.der,
    chain: [],
    algorithm: forger.key.algorithm,
    signingTime: new Date(),
  });
  const forged = prepared.complete(signBytes(forger.key, prepared.toBeSigned));
  const { steps: [maker], next } = await client.call("route.status", { route: forged });
  assert.deepEqual([maker.signed, maker.unproven, next], [["Maya"], ["Maya"], 1]);

  const sign = { route: forged, content: bill.content, certificate: ids[1] };
  await assert.rejects(client.call("route.sign", sign), { code: "route_unproven" });
  assert.deepEqual(shown.at(-1)?.route?.steps[0].unproven, ["Maya"], "the person was told");
  agent.person.sign = async (request, unlock) => {
    assert.equal(request.unproven, true);
    await unlock({ ...answerTo(request), acceptsUnproven: true });
  };
  const { route, status } = await client.call("route.sign", sign);
  assert.deepEqual([status.isComplete, status.next], [false, null]);
  const report = await verify(new TextEncoder().encode(route), content);
  assert.equal(report.indication, "INDETERMINATE");
  assert.equal(report.route?.isComplete, false);
  assert.ok(report.findings.some(({ code }) => code === "route_unproven"));
});

Deno.test("a cosigner's name is vouched for only where the certificate leads to a trusted root", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { officers, root } = makePki({ officers: [{ name: "Asha" }, { name: "Bikram" }] });
    const [stranger] = makePki({ officers: [{ name: "Chief Secretary" }] }).officers;
    await Deno.writeTextFile(join(folder, "root.crt"), pem("CERTIFICATE", root.certificate.der));
    await using test = await testAgent({ officers, trust: [folder] });
    const client = await test.connect();
    const seen: unknown[] = [];
    test.person.sign = async (request, unlock, _signal, show) => {
      const [{ signedBy, pdf }] = request.items;
      seen.push(signedBy);
      if (pdf) {
        const { signatures } = await (await show(0)).facts();
        seen.push(signatures.map(({ signer, proven, status }) => [signer, proven, status]));
      }
      await unlock(answerTo(request));
    };
    const content = new TextEncoder().encode("Approve file 7");
    for (const [officer, proven] of [[officers[1], true], [stranger, false]] as const) {
      const cosign = signCms(officer, { content }).toBase64();
      await client.call("sign.data", { content: { text: "Approve file 7" }, cosign });
      assert.deepEqual(seen.splice(0), [[{ name: officer.name, proven }]]);
      const pdf = signPdf(classicPdf(documentObjects()), officer);
      const about = { name: "a.pdf", mediaType: "application/pdf", size: pdf.length };
      const { document } = await client.call("document.open", about);
      client.sendChunk(document, pdf);
      await client.call("sign.document", { document });
      assert.deepEqual(seen.splice(0), [undefined, [[officer.name, proven, "valid"]]]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("where no hash is asked for, it is as strong as the key", async () => {
  const { officers } = makePki({
    officers: [{ name: "Maya", key: "p-384" }, { name: "Asha", key: "p-256" }, { name: "Rina" }],
  });
  await using test = await testAgent({ officers });
  test.person.sign = async (request, unlock) => void await unlock(answerTo(request));
  const client = await test.connect();
  const text = new TextEncoder().encode("Bill 7");
  const pdf = classicPdf(documentObjects());
  const open = async (bytes: Uint8Array) => {
    const { document } = await client.call("document.open", { name: "x", size: bytes.length });
    client.sendChunk(document, bytes);
    return document;
  };
  const made: string[] = [];
  for (const { certificate: { fingerprint: certificate } } of officers) {
    for (
      const params of [bill, { ...bill, format: "jws" }, { ...order, format: "xades" }] as const
    ) {
      made.push((await client.call("sign.data", { ...params, certificate })).algorithm);
    }
    for (const bytes of [text, pdf]) {
      const document = await open(bytes);
      const format = bytes === pdf ? "pades" : "cades";
      const signed = await client.call("sign.document", { document, format, certificate });
      made.push(signed.algorithm);
      if (signed.format !== "cades") continue;
      const hash = made[0] === "ES384" && made.length < 6 ? "SHA-384" : "SHA-256";
      assert.equal(signed.digest, digest(hash, text).toBase64());
    }
    const items = [text, pdf].map((bytes) => ({
      name: "x",
      size: bytes.length,
      sha256: digest("SHA-256", bytes).toHex(),
    }));
    const started = await client.call("sign.batch", { items, format: "cades", certificate });
    made.push(started.algorithm);
    for (const [item, bytes] of [text, pdf].entries()) {
      const document = await open(bytes);
      await client.call("batch.sign", { batch: started.batch, item, document });
    }
    await client.call("batch.close", { batch: started.batch });
  }
  const each = (name: string) => Array(6).fill(name);
  assert.deepEqual(made, [...each("ES384"), ...each("ES256"), ...each("RS256")]);
  const [maya] = officers;
  const asked = { ...bill, hash: "SHA-512", certificate: maya.certificate.fingerprint } as const;
  assert.match((await client.call("sign.data", asked)).algorithm, /512/);
});

Deno.test("who has signed a part of an XML document is not shown as its signer", () => {
  const { officers: [asha], root } = makePki({ officers: [{ name: "Asha" }] });
  const trust = { anchors: [root.certificate.der], now: new Date().toISOString() };
  const utf8 = new TextEncoder();
  const before = (xml: string | Uint8Array) => {
    const content = new Content(typeof xml === "string" ? utf8.encode(xml) : xml, "text/xml");
    return checkData({ format: "xades", packaging: "attached", level: "B-B" }, content, trust)
      .map(({ name }) => name);
  };
  const document = utf8.encode("<order><amount>7</amount></order>");
  assert.deepEqual(before(signXml(asha, { kind: "enveloped", document })), ["Asha"]);
  const note = { kind: "enveloping", content: utf8.encode("7"), mediaType: "text/plain" } as const;
  const signature = new TextDecoder().decode(signXml(asha, note)).replace(/^<\?.*?\?>\s*/, "");
  assert.deepEqual(before(`<order><amount>9000</amount>${signature}</order>`), []);
});
