import assert from "node:assert/strict";
import { makePki } from "../../tests/fixtures/pki.ts";
import { classicPdf, documentObjects } from "../../tests/fixtures/pdf.ts";
import { signPdf } from "../../tests/fixtures/sign_pdf.ts";
import { verifyPdf } from "./verify.ts";
import { refuseAmbiguous } from "./versions.ts";
import { FormatError } from "../error.ts";
import { bytesSource } from "../source.ts";

const { officers: [asha, bimal] } = makePki({
  officers: [{ name: "Asha" }, { name: "Bimal", key: "p-256" }],
});
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
    () => refuseAmbiguous(bytesSource(bytes)),
    (error) =>
      error instanceof FormatError && error.code === "pdf_ambiguous" &&
      /page 1/.test(error.message),
  );
  refuseAmbiguous(bytesSource(base));
  const [{ since }] = verify(signPdf(bytes, asha)).signatures;
  assert.deepEqual(since?.ambiguities, [{ object: 4, page: 1 }]);
});
