import assert from "node:assert/strict";
import { Document } from "./documents.ts";
import { Spool } from "./spool.ts";

Deno.test("what is shown goes by the bytes, whatever the page calls them", async () => {
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
        spool.keep(bytes.length),
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
