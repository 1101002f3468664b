import assert from "node:assert/strict";
import { appendDss } from "./dss.ts";
import { inspectSignatures } from "./inspect.ts";
import { PdfDocument } from "../pdf/document.ts";
import { fromLatin1, latin1, PdfRef } from "../pdf/value.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { asha, signed } from "../../tests/fixtures/pdf_changes.ts";

Deno.test("validation data: data already present is not added again", () => {
  const bytes = signed();
  const source = bytesSource(bytes);
  const data = { certificates: [asha.certificate.der, asha.certificate.der], crls: [latin1("c")] };
  const once = appendedSource(source, appendDss(source, data));
  assert.equal(appendDss(once, data).length, 0);
  const document = PdfDocument.open(once);
  const dss = document.dict(document.catalog().value, "DSS")!;
  assert.equal(document.array(dss, "Certs")?.items.length, 1);
  const more = appendedSource(once, appendDss(once, { ...data, crls: [latin1("d")] }));
  const after = PdfDocument.open(more);
  const list = after.array(after.dict(after.catalog().value, "DSS")!, "CRLs")!;
  assert.deepEqual(
    list.items.map((item) => fromLatin1(after.streamData(after.object(item as PdfRef)!))),
    ["c", "d"],
  );
});

Deno.test("validation data: an entry for a signature is found by its digest", async () => {
  const bytes = signed();
  const source = bytesSource(bytes);
  const { contents } = inspectSignatures(source).signatures[0];
  const time = new Date("2026-01-02T03:04:05Z");
  const update = appendDss(source, {
    signatures: [{ contents, crls: [latin1("crl")], ocsps: [latin1("ocsp")], time }],
  });
  const document = PdfDocument.open(appendedSource(source, update));
  const vri = document.dict(document.dict(document.catalog().value, "DSS")!, "VRI")!;
  const sha1 = new Uint8Array(await crypto.subtle.digest("SHA-1", contents.slice()));
  const entry = document.dict(vri, sha1.toHex().toUpperCase())!;
  assert.deepEqual([...entry.entries.keys()], ["CRL", "OCSP", "TU"]);
});
