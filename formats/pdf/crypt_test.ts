import assert from "node:assert/strict";
import { join } from "node:path";
import { classicPdf, documentObjects, streamPdf } from "../../tests/fixtures/pdf.ts";
import { run } from "../../tests/fixtures/pdf_tools.ts";
import { FormatError } from "../error.ts";
import { rc4 } from "./crypt.ts";
import { PdfDocument, type PdfObject } from "./document.ts";
import { findPage, formFields } from "./form.ts";
import { appendedSource, bytesSource } from "../source.ts";
import { PdfUpdate } from "./update.ts";
import { fromLatin1, latin1, PdfRef, PdfString, textOf, textString, toHex } from "./value.ts";

Deno.test("RC4: known answers", () => {
  const cases = [["Key", "Plaintext", "bbf316e8d940af0ad3"], ["Wiki", "pedia", "1021bf0420"]];
  for (const [key, text, expected] of cases) {
    assert.equal(toHex(rc4(latin1(key), latin1(text))), expected);
  }
});

/** Arguments of `qpdf --encrypt` behind the two passwords. */
const METHODS: [name: string, args: string[]][] = [
  ["RC4-40", ["40"]],
  ["RC4-128", ["128", "--use-aes=n"]],
  ["AES-128", ["128", "--use-aes=y"]],
  ["AES-128 with clear metadata", ["128", "--use-aes=y", "--cleartext-metadata"]],
  ["AES-256 (R5)", ["256", "--force-R5"]],
  ["AES-256 (R6)", ["256"]],
];

async function encrypt(bytes: Uint8Array, user: string, owner: string, args: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    const from = join(folder, "from.pdf"), to = join(folder, "to.pdf");
    await Deno.writeFile(from, bytes as Uint8Array<ArrayBuffer>);
    const { code, text } = await run(
      "qpdf",
      "--allow-weak-crypto",
      "--encrypt",
      user,
      owner,
      ...args,
      "--",
      from,
      to,
    );
    assert.equal(code, 0, text);
    return await Deno.readFile(to);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const objects = documentObjects({ signatureFields: ["Officer"], textFields: ["Text"] });

for (const [method, args] of METHODS) {
  for (const [style, plain] of [["table", classicPdf(objects)], ["stream", streamPdf(objects)]]) {
    Deno.test(`crypt: ${method}, ${style}: opens with either password and writes back`, async () => {
      const bytes = await encrypt(plain as Uint8Array, "user", "owner", args);
      for (const wrong of ["", "wrong"]) {
        assert.throws(
          () => PdfDocument.open(bytesSource(bytes), wrong),
          (error) => error instanceof FormatError && error.code === "pdf_encrypted",
        );
      }
      for (const password of ["user", "owner"]) {
        const document = PdfDocument.open(bytesSource(bytes), password);
        const catalog = document.catalog();
        assert.equal(textOf(document.get(catalog.value, "Lang") as PdfString), "en-IN");
        assert.deepEqual(formFields(document).map(({ name }) => name), ["Officer", "Text"]);
        const contents = findPage(document, 1).dict.get("Contents") as PdfRef;
        const content = document.object(contents) as PdfObject;
        assert.match(fromLatin1(document.streamData(content)), /\(Page 1\) Tj/);

        // A changed object keeps its strings; new strings and streams are encrypted.
        const update = new PdfUpdate(document);
        const text = update.add({ Text: textString("নতুন") });
        const stream = update.addStream({}, latin1("some data"));
        update.edit(catalog).set(catalog.value, "New", textString("new"));
        const { bytes: appended } = update.finish();
        assert.ok(!fromLatin1(appended).includes("some data"));
        const next = PdfDocument.open(appendedSource(bytesSource(bytes), appended), password);
        assert.equal(next.recovered, false);
        assert.equal(textOf(next.get(next.catalog().value, "Lang") as PdfString), "en-IN");
        assert.equal(textOf(next.get(next.catalog().value, "New") as PdfString), "new");
        const added = next.resolve(text) as ReturnType<PdfDocument["catalog"]>["value"];
        assert.equal(textOf(next.get(added, "Text") as PdfString), "নতুন");
        assert.equal(fromLatin1(next.streamData(next.object(stream)!)), "some data");
      }
    });
  }
}

Deno.test("crypt: the empty user password needs no password", async () => {
  const bytes = await encrypt(classicPdf(objects), "", "owner", ["256"]);
  assert.equal(formFields(PdfDocument.open(bytesSource(bytes))).length, 2);
});

Deno.test("crypt: other security handlers are refused", () => {
  const bytes = classicPdf(objects, "/Encrypt << /Filter /Adobe.PubSec /V 4 >>");
  assert.throws(
    () => PdfDocument.open(bytesSource(bytes)),
    (error) => error instanceof FormatError && error.code === "algorithm_unsupported",
  );
});

Deno.test("crypt: the author's permissions bind whoever opens the file with the user password", async () => {
  const none = ["256", "--modify=none"], form = ["256", "--modify=form"];
  for (
    const [args, password, fresh, existing] of [
      [none, "user", false, false],
      [form, "user", false, true],
      [["256"], "user", true, true],
      [none, "owner", true, true],
      [["128", "--use-aes=y", "--modify=none"], "owner", true, true],
      [["128", "--use-aes=y", "--modify=none"], "user", false, false],
    ] as const
  ) {
    const bytes = await encrypt(classicPdf(objects), "user", "owner", [...args]);
    const { crypt } = PdfDocument.open(bytesSource(bytes), password);
    assert.deepEqual(
      [crypt?.permitsSigning(false), crypt?.permitsSigning(true)],
      [fresh, existing],
      `${args} ${password}`,
    );
  }
});

Deno.test("crypt: where only a trailer that is of no use says so, the file is not read as one without encryption", async () => {
  const text = fromLatin1(await encrypt(classicPdf(objects), "", "owner", ["128", "--use-aes=y"]));
  const number = text.match(/\/Encrypt (\d+) 0 R/)![1];
  const offset = text.indexOf(`\n${number} 0 obj`) + 1;
  const entry = `${offset}`.padStart(10, "0") + " 00000 n";
  const at = text.lastIndexOf(entry);
  assert.ok(at > 0);
  // The scan finds the dictionary again, and a catalog, but no other trailer.
  const damaged = text.slice(0, at) + entry.replace(/^.{10}/, "0000000034") +
    text.slice(at + entry.length).replace("/Root", "/Room");
  assert.throws(
    () => PdfDocument.open(bytesSource(latin1(damaged))),
    (error) => error instanceof FormatError && error.code === "pdf_malformed",
  );
});
