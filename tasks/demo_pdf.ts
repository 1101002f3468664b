/** The sample portal's own PDF: a Technical Sanction on one page, in English and Bengali, with a QR code to verify it by. */
import { createHash } from "node:crypto";
import { encode } from "uqr";
import type { TrueTypeFont } from "../formats/pdf/font.ts";
import { decimal, TextSetter } from "../formats/pdf/text.ts";
import {
  fromLatin1,
  latin1,
  name,
  type PdfDraft,
  PdfRef,
  PdfString,
  serialize,
  textString,
} from "../formats/pdf/value.ts";

/** Content of a sanction. */
export interface SanctionFacts {
  /** As `TS/2026-27/0001`. */
  number: string;
  project: string;
  scheme: string;
  /** Rupees, as people write it: `12,50,000.00`. */
  amount: string;
  date: Date;
  /** Address at which anyone can verify it. */
  verifyUrl: string;
}

/** A4 in points, and the margin. */
const [WIDTH, HEIGHT, MARGIN] = [595, 842, 56];
const QR_SIDE = 84;

/** Writes the order. Nothing in it is random: the same facts give the same bytes. */
export function sanctionPdf(facts: SanctionFacts, fonts: readonly TrueTypeFont[]): Uint8Array {
  const objects = new Objects();
  const text = new TextSetter(fonts);
  let y = HEIGHT - MARGIN;
  let content = "";
  const line = (words: string, size: number, x = MARGIN) => {
    content += text.show(words, size, x, y);
  };
  const paragraph = (words: string, size: number, x = MARGIN) => {
    let row = "";
    for (const word of words.split(" ")) {
      const longer = row === "" ? word : `${row} ${word}`;
      if (row !== "" && text.width(longer, size) > WIDTH - MARGIN - x) {
        line(row, size, x);
        y -= size * 1.5;
        row = word;
      } else row = longer;
    }
    line(row, size, x);
    y -= size * 1.5;
  };
  line("Sample Works Department", 11);
  y -= 16;
  line("নমুনা পূর্ত বিভাগ", 11);
  y -= 40;
  line("Technical Sanction · কারিগরি অনুমোদন", 18);
  y -= 34;
  const rows: [string, string][] = [
    ["Number", facts.number],
    ["Date", facts.date.toISOString().slice(0, 10)],
    ["Project", facts.project],
    ["Scheme", facts.scheme],
    ["Amount", `₹ ${facts.amount}`],
  ];
  for (const [label, value] of rows) {
    line(label, 11);
    paragraph(value, 11, MARGIN + 90);
    y -= 6;
  }
  y -= 14;
  paragraph(
    "Technical sanction is accorded to the estimate of the work named above, for the amount stated, subject to the rules " +
      "of the department. The work is to be carried out within the sanctioned amount.",
    11,
  );
  y -= 8;
  paragraph("A sample made for trying D-Sign. No office, no money.", 9);

  const { data, size } = encode(facts.verifyUrl, { ecc: "M", border: 0 });
  const unit = QR_SIDE / size;
  content += "0 g\n";
  for (const [row, cells] of data.entries()) {
    for (const [column, dark] of cells.entries()) {
      if (!dark) continue;
      const [left, bottom] = [MARGIN + column * unit, MARGIN + QR_SIDE - (row + 1) * unit];
      content += `${decimal(left)} ${decimal(bottom)} ${decimal(unit)} ${decimal(unit)} re\n`;
    }
  }
  content += "f\n";
  y = MARGIN + 50;
  line("Anyone can verify this order:", 9, MARGIN + QR_SIDE + 14);
  y -= 14;
  line(facts.verifyUrl, 9, MARGIN + QR_SIDE + 14);

  const pages = objects.reserve();
  const page = objects.add({
    Type: name("Page"),
    Parent: pages,
    MediaBox: [0, 0, WIDTH, HEIGHT],
    Contents: objects.addStream({}, latin1(content)),
    Resources: { Font: text.resources(objects) },
  });
  objects.put(pages, serialize({ Type: name("Pages"), Count: 1, Kids: [page] }));
  const catalog = objects.add({ Type: name("Catalog"), Pages: pages, Lang: textString("en-IN") });
  const info = objects.add({ Title: textString(`Technical Sanction ${facts.number}`) });
  return objects.finish(catalog, info);
}

/** A new file's objects, by number. */
class Objects {
  readonly #bodies: string[] = [];

  reserve(): PdfRef {
    return new PdfRef(this.#bodies.push(""), 0);
  }

  put({ num }: PdfRef, body: string): void {
    this.#bodies[num - 1] = body;
  }

  add(draft: PdfDraft): PdfRef {
    const ref = this.reserve();
    this.put(ref, serialize(draft));
    return ref;
  }

  addStream(dict: { [key: string]: PdfDraft | undefined }, data: Uint8Array): PdfRef {
    const ref = this.reserve();
    const head = serialize({ ...dict, Length: data.length });
    this.put(ref, `${head}\nstream\n${fromLatin1(data)}\nendstream`);
    return ref;
  }

  /** ISO 32000-2 §7.5. */
  finish(root: PdfRef, info: PdfRef): Uint8Array {
    let file = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";
    let table = "0000000000 65535 f \n";
    for (const [index, body] of this.#bodies.entries()) {
      table += `${String(file.length).padStart(10, "0")} 00000 n \n`;
      file += `${index + 1} 0 obj\n${body}\nendobj\n`;
    }
    const size = this.#bodies.length + 1;
    const id = new PdfString(createHash("md5").update(latin1(file)).digest());
    const trailer = serialize({ Size: size, Root: root, Info: info, ID: [id, id] });
    const start = file.length;
    return latin1(
      `${file}xref\n0 ${size}\n${table}trailer\n${trailer}\nstartxref\n${start}\n%%EOF\n`,
    );
  }
}
