import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { verifyCms } from "../formats/cms/verify.ts";
import { changesAfter } from "../formats/pades/changes.ts";
import { fromLatin1 } from "../formats/pdf/value.ts";
import { inspectSignatures } from "../formats/pades/inspect.ts";
import { verifyPdf } from "../formats/pades/verify.ts";
import { bytesSource } from "../formats/source.ts";
import { verifyTimestamp } from "../formats/cms/timestamp.ts";
import { build } from "../tasks/build.ts";
import { connectAs } from "../tasks/page.ts";
import type { PlacedBox } from "../protocol/consent.ts";
import {
  answerTo,
  type Person,
  PORTAL,
  testAgent,
  type TestAgentOptions,
} from "../tests/fixtures/agent.ts";
import { classicPdf, documentObjects } from "../tests/fixtures/pdf.ts";
import { pdfsig, qpdfCheck, run } from "../tests/fixtures/pdf_tools.ts";
import { makeCrl } from "../tests/fixtures/issue.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { answerTimestampRequest } from "../tests/fixtures/tsa.ts";

const WEB = new URL("../dist/web/", import.meta.url);

type Bytes = Uint8Array<ArrayBuffer>;
const pdfOf = (options = {}) => classicPdf(documentObjects(options)) as Bytes;
const inspect = (bytes: Uint8Array) => inspectSignatures(bytesSource(bytes));

async function atDesk(
  options: TestAgentOptions,
  use: (
    desk: Awaited<ReturnType<typeof testAgent>> & {
      sign: (pdf: Bytes, how?: Record<string, unknown>) => Promise<Bytes>;
      path: (bytes: Bytes) => Promise<string>;
    },
  ) => Promise<void>,
) {
  await using test = await testAgent(options);
  const page = await connectAs(PORTAL, test.agent.port);
  const sign = async (pdf: Bytes, how = {}) => {
    const signed = await page.signPdf(new Blob([pdf]), how);
    const bytes = await signed.pdf.bytes();
    assert.deepEqual(bytes.subarray(0, pdf.length), pdf, "the original is a prefix");
    return bytes;
  };
  const path = async (bytes: Bytes) => {
    const path = join(test.dir, "signed.pdf");
    await Deno.writeFile(path, bytes);
    return path;
  };
  try {
    await use({ ...test, sign, path });
    assert.deepEqual([...Deno.readDirSync(join(test.dir, "spool"))], []);
  } finally {
    page.close();
  }
}

Deno.test("officers sign a PDF one after another; poppler and qpdf agree", () =>
  atDesk({}, async ({ sign, path, person, provider }) => {
    const first = await sign(pdfOf(), { reason: "Checked", location: "Kolkata" });
    person.sign = async (request, unlock, _signal, show) => {
      const { binding, choices: [other, { certificate: { id }, revision: unseen }] } = request;
      const approve = (revision?: string) => {
        const pin = new TextEncoder().encode("2468");
        return unlock({ certificate: id, pin, binding, revision, finalTry: false });
      };
      // The signed revision differs with each certificate, and can be approved only after it was shown.
      assert.equal(unseen, undefined);
      for (const revision of [undefined, other.revision]) {
        const unlocked = await approve(revision);
        assert.ok(!unlocked.ok && unlocked.code === "consent_mismatch" && unlocked.again);
      }
      const shown = await show(0, id);
      revisions.push(shown.source.read(0, shown.source.size).slice());
      assert.ok((await approve(shown.revision!.digest)).ok);
    };
    const revisions: Uint8Array[] = [];
    const both = await sign(first, { subFilter: "adbe.pkcs7.detached", field: "Approval" });
    // The result equals the revision shown, apart from the signature's value.
    const [shown] = revisions;
    const hole = fromLatin1(shown).lastIndexOf("/Contents <") + "/Contents <".length;
    const end = fromLatin1(shown).indexOf(">", hole);
    assert.deepEqual(shown.subarray(0, hole), both.subarray(0, hole));
    assert.match(fromLatin1(shown.subarray(hole, end)), /^0+$/);
    assert.deepEqual(shown.subarray(end), both.subarray(end));
    const { signatures } = inspect(both);
    assert.deepEqual(
      signatures.map(({ field, subFilter, reason, location, signerName }) => ({
        field,
        subFilter,
        reason,
        location,
        signerName,
      })),
      [{
        field: "Signature1",
        subFilter: "ETSI.CAdES.detached",
        reason: "Checked",
        location: "Kolkata",
        signerName: provider.officers[0].name,
      }, {
        field: "Approval",
        subFilter: "adbe.pkcs7.detached",
        reason: undefined,
        location: undefined,
        signerName: provider.officers[1].name,
      }],
    );
    const times = signatures.map(({ cms }) =>
      verifyCms(cms, { detached: { digests: {} } }).signers[0].signingTime !== undefined
    );
    assert.deepEqual(times, [false, true], "PAdES has no signing time in the CMS");
    assert.ok(changesAfter(bytesSource(both), signatures[0]).every(({ allowed }) => allowed));
    const file = await path(both);
    const seen = await pdfsig(file);
    assert.deepEqual(seen.map(({ valid, total }) => [valid, total]), [[true, false], [true, true]]);
    assert.equal((await qpdfCheck(file)).check, 0);
  }));

Deno.test("a document larger than memory may be is spooled, and looks the same", () =>
  atDesk({}, async ({ sign, path }) => {
    const objects = documentObjects({ pages: 2 });
    const filling = "x".repeat(3_000_000);
    objects[90] = `<< /Length ${filling.length} >>\nstream\n${filling}\nendstream`;
    const file = await path(await sign(classicPdf(objects) as Bytes));
    assert.deepEqual((await pdfsig(file)).map(({ valid, total }) => [valid, total]), [[
      true,
      true,
    ]]);
  }));

Deno.test("officers sign below their titles, in Bengali and Hindi too, alone and in a batch", async () => {
  await build();
  const web = new URL("../dist/web/", import.meta.url);
  const anchors = await Deno.readFile(new URL("../tests/fixtures/anchors.pdf", import.meta.url));
  await atDesk({ web }, async ({ sign, path, person, agent }) => {
    const pages: unknown[] = [];
    person.sign = async (request, unlock) => {
      pages.push(request.items[0].pdf?.adds?.visible);
      await unlock(answerTo(request));
    };
    const shown = { role: null, picture: false, qr: null };
    const page = await connectAs(PORTAL, agent.port);
    const files = [anchors, pdfOf()].map((bytes, i) => ({
      name: `${i}.pdf`,
      content: new Blob([bytes]),
    }));
    const outcomes: string[] = [];
    const visible = { anchor: "Executive Engineer" };
    await page.signBatch(files, { visible }, {
      onItem: (outcome) =>
        void (outcomes[outcome.item] = "error" in outcome ? outcome.error.code : "signed"),
    });
    page.close();
    assert.deepEqual(outcomes, ["signed", "invalid_params"]);
    assert.deepEqual(pages.pop(), { page: null, ...visible, ...shown });

    let pdf = anchors;
    for (
      const visible of [
        { anchor: "নির্বাহী প্রকৌশলীর স্বাক্ষর", language: "bn" },
        { anchor: "कार्यपालक अभियंता के हस्ताक्षर", language: "hi" },
        { anchor: "Executive Engineer", size: [150, 50] },
      ]
    ) pdf = await sign(pdf, { visible, reason: "Sanctioned" });
    assert.deepEqual(pages, Array(3).fill({ page: 1, anchor: null, ...shown }));
    const file = await path(pdf);
    const tops = [...(await run("pdftotext", "-bbox", file, "-")).text
      .matchAll(/yMin="([\d.]+)"[^>]*>[^<]*Anita Das/g)].map(([, y]) => Number(y));
    // Below the lines at 220, 349 and 456, each within its own height.
    assert.equal(tops.length, 3);
    [220, 349, 456].forEach((y, i) => assert.ok(tops[i] > y && tops[i] < y + 60, `${tops}`));
    assert.deepEqual((await pdfsig(file)).map(({ valid }) => valid), [true, true, true]);
    await assert.rejects(sign(pdf, { visible: { anchor: "Commissioner" } }), {
      code: "invalid_params",
    });
  });
});

Deno.test("visible signatures go where the page has room, in the signer's language", async () => {
  await build();
  const web = new URL("../dist/web/", import.meta.url);
  await atDesk({ web }, async ({ sign, path }) => {
    let pdf = pdfOf();
    const picture = await Deno.readFile(new URL("../docs/images/portal.png", import.meta.url));
    for (
      const visible of [
        { role: "Checker", qr: "https://treasury.example/7" },
        { language: "bn", role: "পরীক্ষক" },
        { language: "hi", rectangle: [300, 700, 560, 780], picture: picture.toBase64() },
      ]
    ) pdf = await sign(pdf, { visible, reason: "Sanctioned", location: "Kolkata" });
    const { text } = await run("pdftotext", "-layout", await path(pdf), "-");
    for (
      const shown of ["Anita Das (TEST)", "Checker", "পরীক্ষক", "কারণ: Sanctioned", "स्थान: Kolkata"]
    ) {
      assert.ok(text.includes(shown), `${shown} in ${text}`);
    }
    assert.deepEqual((await pdfsig(await path(pdf))).map(({ valid }) => valid), [true, true, true]);
    const refused = (visible: unknown) =>
      assert.rejects(sign(pdf, { visible }), { code: "invalid_params" }, JSON.stringify(visible));
    await refused({ page: 2 });
    await refused({ rectangle: [1, 2, 3] });
    await refused({ picture: "AAAA" });
    await refused({ size: [5000, 10] });
  });
});

Deno.test("timestamps, validation data, and a timestamp over all of it", async () => {
  const pki = makePki({ officers: [{ name: "Anita (TEST)" }] });
  let tsa = { imprint: undefined as Uint8Array | undefined };
  let revoked: { serialNumber: Uint8Array; revokedAt: Date }[] = [];
  const asked: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) =>
      new Response(
        answerTimestampRequest(pki.timestampAuthority, await request.bytes(), {
          ...tsa,
          chain: [pki.subCa, pki.ca].map(({ certificate }) => certificate.der),
        }) as Bytes,
      ),
  );
  const crls: Record<string, () => Uint8Array> = {
    "/root.crl": () => makeCrl(pki.root, []),
    "/ca.crl": () => makeCrl(pki.ca, []),
    "/sub-ca.crl": () => makeCrl(pki.subCa, revoked),
  };
  const options: TestAgentOptions = {
    officers: pki.officers,
    timestampAuthority: `http://127.0.0.1:${server.addr.port}/`,
    pkiFetch: (url) => {
      const { pathname } = new URL(url);
      asked.push(pathname);
      const crl = crls[pathname]?.();
      return Promise.resolve(
        crl ? new Response(crl as Bytes) : new Response(null, { status: 404 }),
      );
    },
  };
  try {
    await atDesk(options, async ({ sign, path }) => {
      const stamped = await sign(pdfOf(), { level: "B-T" });
      const [signature] = inspect(stamped).signatures;
      const [signer] = verifyCms(signature.cms, { detached: { digests: {} } }).signers;
      assert.equal(signer.timestampTokens.length, 1);
      assert.equal(asked.length, 0);

      const lasting = await sign(pdfOf(), { level: "B-LT" });
      assert.deepEqual(asked.filter((path) => path.endsWith(".crl")).toSorted(), [
        "/ca.crl",
        "/root.crl",
        "/sub-ca.crl",
      ]);
      const [kept] = inspect(lasting).signatures;
      const [change, ...more] = changesAfter(bytesSource(lasting), kept);
      assert.deepEqual([change.kind, change.allowed, more.length], ["validation_data", true, 0]);

      const archived = await sign(pdfOf(), { level: "B-LTA" });
      const { signatures } = inspect(archived);
      assert.deepEqual(signatures.map(({ kind, coverage }) => [kind, coverage]), [
        ["signature", "revision"],
        ["timestamp", "document"],
      ]);
      const [{ cms, ranges }] = signatures.slice(-1);
      const signed = createHash("sha256");
      for (const [at, length] of ranges) signed.update(archived.subarray(at, at + length));
      const imprint = new Uint8Array(signed.digest());
      const { problems } = verifyTimestamp(cms, { digestOf: () => imprint });
      assert.deepEqual(problems, []);
      // Debian's poppler knows no document timestamps, but the signature itself.
      assert.equal((await pdfsig(await path(archived)))[0].valid, true);
      const text = new TextDecoder("latin1").decode(archived);
      assert.match(text, /\/DSS/);
      assert.match(text, /\/VRI/);

      for (const [bytes, level] of [[stamped, "B-T"], [lasting, "B-LT"], [archived, "B-LTA"]]) {
        const [verified] = verifyPdf(bytesSource(bytes as Bytes)).signatures;
        assert.deepEqual([verified.status, verified.level], ["valid", level]);
      }

      tsa = { imprint: new Uint8Array(32) };
      await assert.rejects(sign(pdfOf(), { level: "B-T" }), { code: "timestamp_unavailable" });
      tsa = { imprint: undefined };
    });
    crls["/ca.crl"] = () => new Uint8Array(9);
    await atDesk(options, async ({ sign }) => {
      const failed = sign(pdfOf(), { level: "B-LT" });
      await assert.rejects(failed, { code: "validation_data_unavailable" });
    });
    crls["/ca.crl"] = () => makeCrl(pki.ca, []);
    const { serialNumber } = pki.officers[0].certificate;
    revoked = [{ serialNumber, revokedAt: new Date(Date.now() - 3600_000) }];
    await atDesk(options, async ({ sign }) => {
      await assert.rejects(sign(pdfOf(), { level: "B-LT" }), { code: "certificate_revoked" });
    });
  } finally {
    await server.shutdown();
  }
});

Deno.test("an unsignable PDF is refused before anybody is asked", () =>
  atDesk({}, async ({ sign, path, person, dir }) => {
    const refused = async (code: string, pdf: Bytes, how = {}) => {
      await assert.rejects(sign(pdf, how), { code }, JSON.stringify(how));
    };
    const certified = await sign(pdfOf({ signatureFields: ["Here"] }), { certify: 1 });
    const locked = await sign(pdfOf({ signatureFields: ["Here"] }), { lock: { action: "All" } });
    await run(
      "qpdf",
      "--encrypt",
      "user",
      "owner",
      "256",
      "--",
      await path(pdfOf()),
      join(dir, "e"),
    );
    const encrypted = await Deno.readFile(join(dir, "e"));
    assert.equal(person.asked.splice(0).length, 2);

    await refused("document_locked", certified);
    await refused("document_locked", certified, { field: "Here" });
    await refused("document_locked", locked, { field: "Here" });
    await refused("document_encrypted", encrypted);
    await refused("document_encrypted", encrypted, { password: "wrong" });
    await refused("document_malformed", new TextEncoder().encode("no PDF"));
    await refused("document_malformed", new TextEncoder().encode("\n%PDF-1.7\n"));
    await refused("document_malformed", new Uint8Array());
    await refused("invalid_params", pdfOf({ textFields: ["Name"] }), { field: "Name" });
    await refused("invalid_params", pdfOf(), { field: "a.b" });
    await refused("invalid_params", await sign(pdfOf()), { certify: 2 });
    await refused("invalid_params", pdfOf(), { certify: 4 });
    await refused("invalid_params", pdfOf(), { pin: "1234" });
    await refused("timestamp_unavailable", pdfOf(), { level: "B-T" });
    person.asked.length = 0;
    await sign(encrypted, { password: "user" });
    assert.deepEqual(person.asked, ["sign"]);
  }));

Deno.test("a wrong signature is not released, nor one over an incomplete document or a file that is not a PDF", async () => {
  await using test = await testAgent();
  const client = await test.connect();
  const open = (mediaType: string, size = 5) =>
    client.call("document.open", { name: "a.pdf", mediaType, size });
  const sign = (document: number) => client.call("sign.document", { document, format: "pades" });
  const { document } = await open("text/plain");
  client.sendChunk(document, new Uint8Array(5));
  await assert.rejects(sign(document), { code: "document_malformed" });
  await assert.rejects(sign((await open("application/pdf")).document), {
    code: "document_incomplete",
  });
  await assert.rejects(open("application/pdf", 2 ** 31), { code: "too_large" });
  await assert.rejects(client.call("document.read", { document, offset: 0, length: 1 }), {
    code: "document_not_found",
  });
  const pdf = pdfOf();
  const good = (await open("application/pdf; charset=binary", pdf.length)).document;
  client.sendChunk(good, pdf);
  test.provider.wrongSignature = true;
  await assert.rejects(sign(good), { code: "signature_invalid" });
  test.provider.wrongSignature = false;
  const result = await sign(good);
  assert.ok(result.format === "pades");
  const at = { document: good, offset: result.appended - 3, length: 100 };
  assert.deepEqual(await client.call("document.read", at), { length: 3 });
  assert.equal(client.chunks.at(-1)!.length, 4 + 3);
});

/** A PDF whose empty signature field has this rectangle. */
function covered(rect: string, options: { pageEntries?: string } = {}): Bytes {
  const objects = documentObjects({ signatureFields: ["Cover"], ...options });
  for (const [number, body] of Object.entries(objects)) {
    if (!body.includes("(Cover)")) continue;
    objects[Number(number)] = body.replace(/\/Rect \[[^\]]*\]/, `/Rect [${rect}]`);
  }
  return classicPdf(objects) as Bytes;
}

/** The places of visible signatures as the person is told them. */
const seenBoxes = (person: Person) => {
  const boxes: PlacedBox[] = [];
  person.sign = async (request, unlock, _signal, show) => {
    const { certificate } = request.choices[0];
    const { revision } = await show(0, certificate.id);
    boxes.push(...revision!.boxes);
    await unlock({ ...answerTo(request), revision: revision!.digest });
  };
  return boxes;
};

Deno.test("an existing field over the page is told, and drawn in no further than the page goes", async () => {
  await build();
  await atDesk({ web: WEB }, async ({ sign, person }) => {
    const boxes = seenBoxes(person);
    const over = (rect: string, pageEntries = "") => covered(rect, { pageEntries });
    const visible = { page: 1 };
    const signed = await sign(over("-600 0 1190 842"), { field: "Cover", visible });
    assert.deepEqual(boxes, [{ page: 1, box: [0, 0, 595, 842], overText: true, large: true }]);
    assert.match(fromLatin1(signed), /\/BBox \[\s?0 0 1790 842\s?\]/);
    // The part of the page that is cut off, or a page that is turned, makes it no smaller.
    boxes.length = 0;
    await sign(over("0 0 900 900", "/CropBox [100 100 300 200] /Rotate 90"), {
      field: "Cover",
      visible,
    });
    assert.deepEqual(boxes.map(({ box, large }) => [box, large]), [[[0, 0, 100, 200], true]]);
  });
});

Deno.test("a batch signs exactly the revisions that were looked at, and covers no page unseen", async () => {
  await build();
  let time = new Date("2026-11-30T10:00:00Z");
  await atDesk({ web: WEB, now: () => time }, async ({ person, agent }) => {
    const pdfs = [pdfOf(), covered("0 0 595 842"), covered("0 0 595 842"), pdfOf({ pages: 2 })];
    const files = pdfs.map((pdf, i) => ({ name: `${i}.pdf`, content: new Blob([pdf]) }));
    const shown = new Map<number, Uint8Array>();
    person.sign = async (request, unlock, _signal, show) => {
      const { certificate: { id } } = request.choices[0];
      for (const item of [0, 1, 0]) {
        const { source } = await show(item, id);
        const bytes = source.read(0, source.size).slice();
        if (shown.has(item)) assert.deepEqual(bytes, shown.get(item), "prepared again, the same");
        shown.set(item, bytes);
        time = new Date(time.getTime() + 60_000);
      }
      await unlock(answerTo(request));
    };
    const page = await connectAs(PORTAL, agent.port);
    const signed: Uint8Array[] = [];
    const failed: [number, string][] = [];
    try {
      await page.signBatch(files, { field: "Cover", visible: { page: 1 } }, {
        onItem: async (outcome) => {
          if ("error" in outcome) failed.push([outcome.item, outcome.error.code]);
          else if ("pdf" in outcome) signed[outcome.item] = await outcome.pdf.bytes();
        },
      });
    } finally {
      page.close();
    }
    assert.deepEqual(failed, [[2, "consent_mismatch"]]);
    const zeros = (bytes: Uint8Array) =>
      fromLatin1(bytes).replace(/\/Contents <[0-9a-f]+>/i, (all) => all.replace(/[0-9a-f]/gi, "0"));
    for (const [item, bytes] of shown) assert.equal(zeros(signed[item]), zeros(bytes));
    assert.equal(inspect(signed[3] as Bytes).signatures.length, 1);
  });
});

Deno.test("a PDF whose contents readers draw differently, small or large, is refused before anybody is asked", async () => {
  await atDesk({}, async ({ sign, person }) => {
    const boxes = seenBoxes(person);
    const objects = documentObjects();
    const content = "Q BT /F1 12 Tf 72 720 Td (Pay 9) Tj ET";
    objects[4] = `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;
    const rest = "0".repeat(300_000);
    const large = { ...objects, 20: `<< /Length ${rest.length} >>\nstream\n${rest}\nendstream` };
    for (const each of [objects, large]) {
      await assert.rejects(sign(classicPdf(each) as Bytes, {}), {
        code: "document_malformed",
        message: /page 1 .*object 4/,
      });
    }
    assert.equal(boxes.length, 0);
  });
});

Deno.test("a new box over text is refused before anybody is asked; a free place is found", async () => {
  await build();
  await atDesk({ web: WEB }, async ({ sign, person }) => {
    const boxes = seenBoxes(person);
    await assert.rejects(sign(pdfOf(), { visible: { page: 1, rectangle: [60, 700, 260, 760] } }), {
      code: "invalid_params",
      message: /over text/,
    });
    assert.equal(boxes.length, 0);
    const large = [20, 20, 580, 300];
    await sign(pdfOf(), { visible: { page: 1, rectangle: large } });
    assert.deepEqual(boxes, [{ page: 1, box: large, overText: false, large: true }]);
    // The lower left corner, where signatures go by themselves, is taken by a list.
    boxes.length = 0;
    const objects = documentObjects();
    const list = "BT /F1 12 Tf 40 60 Td (Copy forwarded to the Treasury) Tj ET";
    objects[4] = `<< /Length ${list.length} >>\nstream\n${list}\nendstream`;
    await sign(classicPdf(objects) as Bytes, { visible: { page: 1 } });
    assert.equal(boxes[0].overText, false);
    assert.ok(boxes[0].box[1] > 72 || boxes[0].box[0] > 200, String(boxes[0].box));
  });
});

Deno.test("where a page has no room for a signature the next one has it, and where none has, it is refused with advice", async () => {
  await build();
  await atDesk({ web: WEB }, async ({ sign, person }) => {
    const boxes = seenBoxes(person);
    const scan = "<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 " +
      "/ColorSpace /DeviceGray /Length 1 >>\nstream\nx\nendstream";
    /** The first pages are scans. */
    const scanned = (scans: number, pages: number) => {
      const objects = documentObjects({ pages });
      for (let i = 0; i < scans; i++) {
        const content = "q 595 0 0 842 0 0 cm /I Do Q";
        objects[4 + 2 * i] = `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;
        objects[3 + 2 * i] = objects[3 + 2 * i].replace(
          "<< /Font",
          "<< /XObject << /I 900 0 R >> /Font",
        );
      }
      return classicPdf({ ...objects, 900: scan }) as Bytes;
    };
    await sign(scanned(2, 4), { visible: {} });
    await sign(scanned(2, 4), { visible: { page: 4 } });
    assert.deepEqual(boxes.map(({ page }) => page), [3, 4]);
    await assert.rejects(sign(scanned(2, 2), { visible: {} }), {
      code: "invalid_params",
      message:
        /Page 1 has no free space of 200 by 60 points.*Choose another page, a smaller size, or a rectangle/,
    });
    // Below the title stands text; the first free place further down is taken.
    boxes.length = 0;
    const objects = documentObjects();
    const list =
      "BT /F1 12 Tf 72 720 Td (Executive Engineer) Tj 0 -20 Td (Copy to the Treasury) Tj ET " +
      "BT /F1 12 Tf 72 740 Td (Approved) Tj ET 300 600 200 200 re f";
    objects[4] = `<< /Length ${list.length} >>\nstream\n${list}\nendstream`;
    await sign(classicPdf(objects) as Bytes, { visible: { anchor: "Executive Engineer" } });
    const [{ box, overText }] = boxes;
    assert.equal(overText, false);
    assert.ok(box[0] === 72 && box[3] < 700 && box[3] > 680, String(box));
  });
});

Deno.test("what is prepared after the approval, while the key opens, is not signed in its place", async () => {
  let time = new Date("2026-11-30T10:00:00Z");
  await atDesk({ now: () => time }, async ({ sign, person }) => {
    person.sign = async (request, unlock, _signal, show) => {
      const opening = unlock(answerTo(request));
      time = new Date(time.getTime() + 6 * 60_000);
      await show(0, request.choices[0].certificate.id);
      assert.ok((await opening).ok);
    };
    const [{ time: claimed }] = inspect(await sign(pdfOf())).signatures;
    assert.equal(claimed, "D:20261130100000Z");
  });
});

Deno.test("what was prepared longer than five minutes ago is shown again", async () => {
  let time = new Date("2026-11-30T10:00:00Z");
  await atDesk({ now: () => time }, async ({ sign, person }) => {
    const digests: string[] = [];
    person.sign = async (request, unlock, _signal, show) => {
      const { certificate: { id }, revision } = request.choices[0];
      time = new Date(time.getTime() + 5 * 60_000 + 1);
      const late = await unlock({ ...answerTo(request), revision });
      assert.ok(!late.ok && late.code === "consent_mismatch" && late.again);
      const shown = (await show(0, id)).revision!.digest;
      digests.push(revision!, shown);
      assert.ok((await unlock({ ...answerTo(request), revision: shown })).ok);
    };
    const [{ time: claimed }] = inspect(await sign(pdfOf())).signatures;
    assert.notEqual(digests[0], digests[1]);
    assert.equal(claimed, "D:20261130100500Z");
  });
});
