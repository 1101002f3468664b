import assert from "node:assert/strict";
import { makePki } from "../../tests/fixtures/pki.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { signBytes } from "../../tests/fixtures/keys.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { timestamp } from "../../tests/fixtures/signed_files.ts";
import { prepareSignedData } from "../cms/write.ts";
import { concat, explicit, sequence } from "../asn1/der.ts";
import { constructedTag, readAsn1 } from "../asn1/read.ts";
import { verifyBytes } from "../verify/verify.ts";
import { appendDss } from "./dss.ts";
import { prepareSignature, prepareTimestamp, signedBytes } from "./prepare.ts";
import { verifyPdf } from "./verify.ts";
import { refuseAmbiguous, refuseOddContents } from "./versions.ts";
import { PdfDocument } from "../pdf/document.ts";
import { FormatError } from "../error.ts";
import { bytesSource } from "../source.ts";

const pki = makePki({ officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }] });
const { officers: [asha, bimal] } = pki;
const verify = (bytes: Uint8Array) => verifyPdf(bytesSource(bytes));
const made = () => classicPdf(documentObjects({ signatureFields: ["Waits"] }));

Deno.test("each signature is reported with signer, validity, coverage and later changes", () => {
  const bytes = signPdf(signPdf(made(), asha, { certify: 2 }), bimal, {
    field: "Second",
    subFilter: "adbe.pkcs7.detached",
    lock: { action: "All" },
  });
  const { signatures, emptyFields, recovered } = verify(bytes);
  assert.deepEqual([emptyFields, recovered], [["Waits"], false]);
  assert.deepEqual(
    signatures.map(({ signature, status, certificate, level, since, findings }) => ({
      field: signature.field,
      coverage: signature.coverage,
      status,
      who: certificate?.subject.commonName,
      level,
      changes: since?.changes.map(({ name, allowed }) => `${name} ${allowed}`),
      findings,
    })),
    [{
      field: "Signature1",
      coverage: "revision",
      status: "valid",
      who: "Asha",
      level: "B-B",
      changes: ["Second true"],
      findings: [],
    }, {
      field: "Second",
      coverage: "document",
      status: "valid",
      who: "Bimal",
      level: null,
      changes: [],
      findings: [],
    }],
  );
  assert.deepEqual(signatures[0].signature.docMdp, 2);
  assert.deepEqual(signatures[1].signature.fieldLocks, [{ action: "All" }, { action: "All" }]);
});

Deno.test("a changed byte invalidates the signatures covering it, and no others", () => {
  const first = signPdf(made(), asha);
  const both = signPdf(first, bimal);
  const change = (at: number) => {
    const bytes = both.slice();
    bytes[at] ^= 1;
    return verify(bytes).signatures.map(({ status }) => status);
  };
  const text = String.fromCharCode(...both);
  assert.deepEqual(change(text.indexOf("(Page 1)") + 2), ["invalid", "invalid"]);
  assert.deepEqual(change(text.lastIndexOf("%%EOF") + 3), ["valid", "invalid"]);
});

Deno.test("unsupported signature formats are named; documents without signatures have none", () => {
  assert.deepEqual(verify(made()).signatures, []);
  const signed = signPdf(made(), asha);
  const other = String.fromCharCode(...signed).replace(
    "ETSI.CAdES.detached",
    "adbe.x509.rsa_sha1.",
  );
  const [{ status, findings }] = verify(Uint8Array.from(other, (c) => c.charCodeAt(0))).signatures;
  assert.deepEqual([status, findings[0].code], ["indeterminate", "form_unsupported"]);
});

Deno.test("a signature that contains its content is malformed in a PDF, and the report says so", () => {
  const source = bytesSource(made());
  const prepared = prepareSignature(source, { contentsSize: 20_000 });
  const { certificate, chain, key } = asha;
  const content = concat(...[...signedBytes(source, prepared)].map((piece) => piece.slice()));
  const cms = prepareSignedData({ content }, {
    certificate: certificate.der,
    chain,
    algorithm: key.algorithm,
  });
  const appended = prepared.complete(cms.complete(signBytes(key, cms.toBeSigned)));
  const [{ status, findings }] = verify(concat(made(), appended)).signatures;
  assert.deepEqual([status, findings[0].code], ["invalid", "cms_malformed"]);
  assert.match(findings[0].message, /contains content/);
});

Deno.test("a PDF that readers show differently is not signed, and signatures in it are ambiguous", () => {
  const base = made();
  const text = new TextDecoder("latin1").decode(base);
  const forged = `4 0 obj\n<< /Length 2 >>\nstream\nBT\nendstream\nendobj\n`;
  // Readers that find no cross-reference at its place look for objects, and take the last.
  const bytes = new Uint8Array([
    ...base,
    ...new TextEncoder().encode(forged + text.slice(text.lastIndexOf("startxref"))),
  ]);
  assert.throws(
    () => refuseAmbiguous(PdfDocument.open(bytesSource(bytes))),
    (error) =>
      error instanceof FormatError && error.code === "pdf_ambiguous" &&
      /page 1/.test(error.message),
  );
  refuseAmbiguous(PdfDocument.open(bytesSource(base)));
  const [{ since }] = verify(signPdf(bytes, asha)).signatures;
  assert.deepEqual(since?.ambiguities, [{ object: 4, page: 1 }]);
});

Deno.test("a PDF whose contents readers draw differently is not signed, and signatures in it are ambiguous", () => {
  const objects = documentObjects({ pages: 2 });
  const content = "Q BT /F1 12 Tf 72 720 Td (Pay 9) Tj ET";
  objects[6] = `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;
  const bytes = classicPdf(objects);
  assert.throws(() => refuseOddContents(PdfDocument.open(bytesSource(bytes))), {
    code: "pdf_ambiguous",
    message: /page 2 .*object 6/,
  });
  refuseOddContents(PdfDocument.open(bytesSource(made())));
  const [{ since }] = verify(signPdf(bytes, asha)).signatures;
  assert.deepEqual(since?.ambiguities, [{ object: 6, page: 2 }]);
  // Both signatures are in the document that is shown now.
  const twice = verify(signPdf(signPdf(bytes, asha), asha)).signatures;
  for (const { since } of twice) assert.deepEqual(since?.ambiguities, [{ object: 6, page: 2 }]);
});

Deno.test("a document timestamp's certificate may stand in the DSS alone; a missing one is not a failure", () => {
  const signed = signPdf(made(), asha);
  const authority = [pki.timestampAuthority, pki.subCa, pki.ca];
  const certificates = authority.map(({ certificate }) => certificate.der);
  const dss = appendDss(bytesSource(signed), { certificates });
  for (const bytes of [signed, concat(signed, dss)]) {
    const stamped = stampWithoutCertificate(bytes);
    const [, { status, findings, certificate }] = verify(stamped).signatures;
    const anchors = [pki.root.certificate];
    const report = verifyBytes(stamped, { now: new Date(), anchors, revocation: "if_available" });
    const [, { indication, subIndication }] = report.signatures;
    if (bytes === signed) {
      assert.deepEqual([status, findings[0].code], ["indeterminate", "certificate_missing"]);
      assert.deepEqual([indication, subIndication], [
        "INDETERMINATE",
        "NO_SIGNING_CERTIFICATE_FOUND",
      ]);
    } else {
      assert.deepEqual([status, findings, indication], ["valid", [], "TOTAL-PASSED"]);
      assert.equal(certificate?.fingerprint, pki.timestampAuthority.certificate.fingerprint);
    }
  }
});

/** A document timestamp as services give it that were asked for no certificate (RFC 3161 §2.4.1). */
function stampWithoutCertificate(bytes: Uint8Array): Uint8Array {
  const source = bytesSource(bytes);
  const prepared = prepareTimestamp(source);
  const covered = concat(...signedBytes(source, prepared));
  const token = timestamp(pki, covered, new Date());
  const [type, outer] = readAsn1(token).children;
  const [signedData] = outer.children;
  const rest = signedData.children.filter(({ tag }) => tag !== constructedTag(0));
  const bare = sequence(type.bytes, explicit(0, sequence(...rest.map(({ bytes }) => bytes))));
  return concat(bytes, prepared.complete(bare));
}
