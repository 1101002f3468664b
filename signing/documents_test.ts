import assert from "node:assert/strict";
import { digest } from "../formats/digest.ts";
import { DsignError } from "../protocol/errors.ts";
import { makePki } from "../tests/fixtures/pki.ts";
import { Document } from "./documents.ts";
import { Spool } from "./spool.ts";

Deno.test("the bytes decide how a document is shown, not the page's name for them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const spool = Spool.open(folder);
    const shown = (text: string, mediaType: string) => {
      const bytes = new TextEncoder().encode(text);
      const document = new Document(
        "x",
        mediaType,
        bytes.length,
        "SHA-256",
        spool.keep(bytes.length, "a"),
      );
      document.append(bytes);
      const { preview, pdf } = document.item();
      document.close();
      return { preview, pdf };
    };
    const text = "You owe 1,00,000.00";
    const open = { preview: { text, truncated: false }, pdf: undefined };
    assert.deepEqual(shown(text, "application/pdf"), open);
    assert.deepEqual(shown(text, "text/plain"), open);
    const pages = { preview: null, pdf: { adds: null } };
    assert.deepEqual(shown("%PDF-1.7\n", "application/pdf"), pages);
    assert.deepEqual(shown("%PDF-1.7\n", "text/plain"), pages);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a PDF is known by its bytes as they arrive, and kept, whatever the page calls it", async () => {
  const bytes = new TextEncoder().encode(
    "%PDF-1.7\n%  Casual leave application\n" + "x".repeat(6000),
  );
  const folder = await Deno.makeTempDir();
  try {
    const spool = Spool.open(folder);
    for (const [text, isKept] of [[bytes, true], [bytes.subarray(5), false]] as const) {
      for (const piece of [1, 7, 4095, 4096, 4097, text.length]) {
        const { length } = text;
        const document = new Document(
          "leave.txt",
          "text/plain",
          length,
          "SHA-256",
          () => spool.keep(length, "a"),
        );
        for (let at = 0; at < length; at += piece) document.append(text.subarray(at, at + piece));
        assert.equal(document.kept !== undefined, isKept);
        assert.deepEqual(document.kept?.read(0, length), isKept ? text : undefined);
        assert.equal(document.item().mediaType, isKept ? "application/pdf" : "text/plain");
        document.close();
      }
    }
    const sha384 = digest("SHA-384", bytes);
    const spooled = new Document(
      "leave.pdf",
      "application/pdf",
      bytes.length,
      undefined,
      () => spool.keep(bytes.length, "a"),
      ["SHA-384"],
    );
    for (let at = 0; at < bytes.length; at += 1000) spooled.append(bytes.subarray(at, at + 1000));
    assert.equal(spooled.item().hash.algorithm, "SHA-256");
    assert.equal(spooled.digest("SHA-384").toHex(), sha384.toHex(), "read again");
    spooled.close();
    const full = new Document("leave.txt", "text/plain", bytes.length, "SHA-256", () => {
      throw new DsignError("busy");
    });
    full.append(bytes);
    assert.throws(() => full.item(), { code: "busy" });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("where the token came after a document that is not kept, the digest is one that the document has", () => {
  const { officers: [asha, maya] } = makePki({
    officers: [{ name: "Asha" }, { name: "Maya", key: "p-384" }],
  });
  const hashes = (asked?: "SHA-512", also?: "SHA-384"[]) => {
    const document = new Document("a.txt", "text/plain", 1, asked, undefined, also);
    document.append(Uint8Array.of(55));
    return [asha, maya].map(({ certificate }) => {
      const hash = document.hashFor(certificate.der);
      assert.ok(document.digest(hash));
      return hash;
    });
  };
  assert.deepEqual(hashes(undefined, ["SHA-384"]), ["SHA-256", "SHA-384"]);
  assert.deepEqual(hashes(), ["SHA-256", "SHA-256"]);
  assert.deepEqual(hashes("SHA-512"), ["SHA-512", "SHA-512"]);
  const passed = new Document("a.txt", "text/plain", 0, undefined);
  assert.throws(() => passed.digest("SHA-384"), { code: "invalid_params" });
});
