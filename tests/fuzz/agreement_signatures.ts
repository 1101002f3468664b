/** PDFs that are signed wrongly or once more, and revisions that are honest at first. */
import { appendDss } from "../../formats/pades/dss.ts";
import {
  type Appearance,
  prepareSignature,
  prepareTimestamp,
} from "../../formats/pades/prepare.ts";
import { PdfDocument } from "../../formats/pdf/document.ts";
import { fromLatin1, latin1, name, PdfDict } from "../../formats/pdf/value.ts";
import { appendedSource, bytesSource } from "../../formats/source.ts";
import { classicPdf, linearizedPdf, type Objects, streamPdf } from "../fixtures/pdf.ts";
import { completeWith, signPdf } from "../fixtures/sign_pdf.ts";
import {
  asha,
  type Base,
  bases,
  bimal,
  CONTENT,
  highest,
  type Mutant,
  type Next,
  objects,
  oneOf,
  otherContent,
  pad,
  PAGE,
  pick,
  startOf,
  stranger,
  write,
} from "./agreement_bases.ts";
import { mutate } from "./mutate.ts";

/** A linearized document, signed; what it says of its length, and what is behind it. */
export function linearized(next: Next): Mutant {
  const kind = "linearization";
  // A second first page that is in no page tree.
  const all = {
    ...objects,
    90: objects[PAGE].replace(`${CONTENT} 0 R`, "91 0 R"),
    91: otherContent,
  };
  const shadow = pick<Objects>(next, [{}, {}, { [CONTENT]: otherContent }]);
  const last = pick(next, ["first", "main"] as const);
  const page = pick(next, [undefined, PAGE, 90]);
  const make = (length?: number) =>
    linearizedPdf(all, [PAGE, CONTENT], { length, shadow, page, end: last });
  const once = signPdf(make(), asha);
  const later = next(3) === 0 ? signPdf(once, bimal) : once;
  const length = pick(next, [undefined, undefined, once.length, later.length, later.length + 40]);
  const base = signPdf(make(length), asha);
  let bytes = later === once ? base : signPdf(base, bimal);
  if (length !== undefined && length > bytes.length && next(2) === 0) {
    bytes = latin1(fromLatin1(bytes) + "\n".repeat(length - bytes.length));
  }
  return { kind, base: once, bytes };
}

/** A document that was signed with a mistake in its cross-reference, or nearly one. */
export function signedWrongly(next: Next): Mutant {
  const source = bytesSource(pick(next, [classicPdf(objects), streamPdf(objects)]));
  const right = prepareSignature(source, {});
  const text = fromLatin1(right.appended);
  const section = Math.max(text.lastIndexOf("\nxref\n"), text.lastIndexOf("<< /Type /XRef"));
  const places = [...text.matchAll(/\d+|[a-z]{3,}|%%EOF|\n/g)].filter(({ index }) =>
    index > section
  );
  const { 0: word, index } = pick(next, places);
  const wrong = /^\d+$/.test(word)
    ? String(Number(word) + next(5) - 2).padStart(word.length, "0").slice(-word.length)
    : pick(next, [word, " ".repeat(word.length), [...word].toReversed().join("")]);
  right.appended.set(latin1(wrong), index);
  const base = signPdf(source.read(0, source.size), asha);
  const signed = fromLatin1(completeWith(source, right, asha));
  return {
    kind: "signed",
    isWhole: true,
    base,
    bytes: latin1(fromLatin1(source.read(0, source.size)) + signed),
  };
}

/** A later signature or validation data, with nothing wrong. */
const honest = oneOf(60, (next) => {
  const base = pick(next, Object.values(bases));
  const source = bytesSource(base.bytes);
  const later = pick(next, [
    () => signPdf(base.bytes, bimal),
    () => signPdf(base.bytes, bimal, { field: "Waiting" }),
    () => {
      const all = appendedSource(source, appendDss(source, { crls: [latin1("crl")] }));
      return all.read(0, all.size).slice();
    },
  ])();
  return { base, later };
});

/** Revisions that are honest, then mutated behind the signature. */
export function mutatedRevision(next: Next): Mutant {
  const { base, later } = honest(next);
  const kind = "revision";
  if (next(8) === 0) return { kind, base: base.bytes, bytes: later };
  const words = [
    "xref\n",
    "trailer\n",
    "/Size 3",
    "/Prev 0",
    " 0 obj\n",
    "endobj\n",
    "%\n",
    "/Root 2 0 R",
    "/XRefStm 17",
    "/Encrypt null",
    "/Extends 5 0 R",
  ];
  const changed = mutate([later.slice(base.bytes.length)], words, next);
  const bytes = latin1(fromLatin1(base.bytes) + fromLatin1(changed));
  return { kind, base: base.bytes, bytes };
}

/** A later signature or timestamp, of a trusted person or a stranger, with something to see or without. */
export function laterSignature(next: Next, base: Base): Uint8Array {
  const who = pick(next, [bimal, bimal, stranger]);
  const side = pick(next, [20, 60, 150, 500]), left = pick(next, [30, 60, 80]);
  const shown: Appearance = {
    place: { page: 1 + next(2), rectangle: [left, 30, left + side, 30 + side] },
    draw: (update) =>
      update.addStream(
        { Type: name("XObject"), Subtype: name("Form"), BBox: [0, 0, side, side] },
        latin1(`0 0 ${side} ${side} re f`),
      ),
  };
  const appearance = pick(next, [undefined, shown]);
  const field = pick(next, [undefined, "Waiting"]);
  let bytes: Uint8Array;
  if (next(4) === 0) {
    const source = bytesSource(base.bytes);
    const stamp = completeWith(source, prepareTimestamp(source, { field }), who);
    bytes = latin1(fromLatin1(base.bytes) + fromLatin1(stamp));
  } else bytes = signPdf(base.bytes, who, { field, appearance });
  if (next(3) > 0) return bytes;
  // Afterwards something is drawn in the field that waits, or over the page.
  const document = PdfDocument.open(bytesSource(bytes));
  const at = Number(Object.keys(objects).find((num) => objects[Number(num)].includes("(Waiting)")));
  const object = document.object(document.refOf(at))!;
  if (!(object.value instanceof PdfDict)) throw new Error("the field is not there");
  const old = fromLatin1(object.bytes.subarray(object.value.start, object.value.end));
  const drawn = "<< /Subtype /Form /BBox [0 0 9 9] /Length 12 >>\nstream\n0 0 9 9 re f\nendstream";
  const changed = { [at]: `${old.slice(0, -2)} /AP << /N 95 0 R >> >>`, 95: drawn };
  const { text, places } = write({ bytes, objects }, changed);
  const start = bytes.length + text.length;
  return latin1(
    fromLatin1(bytes) + text + "xref\n0 1\n0000000000 65535 f \n" +
      places.map(({ num, offset }) => `${num} 1\n${pad(offset)} 00000 n \n`).join("") +
      `trailer\n<< /Size ${highest(bytes) + 100} /Root 1 0 R /Prev ${startOf(bytes)} >>\n` +
      `startxref\n${start}\n%%EOF\n`,
  );
}

/** A later signature whose appearance has bounds of every make: nothing may reach over its place. */
export function bounds(next: Next, base: Base): Uint8Array {
  const pieces = ["0 0 20 20", "0 0 0 0", "0 0 500 500", "20 20 0 0", "-500 -500 20 20", "0 0 20"];
  const box = pick(next, pieces).split(" ").map(Number);
  const matrix = pick(next, [
    ...[undefined, undefined, [1, 0, 0, 1, 0, 0], [25, 0, 0, 25, 0, 0], [0, 1, -1, 0, 0, 0]],
    ...[[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 0, 0, 1, 300, 300], [1, 0]],
  ]);
  const content = pick(next, [
    "0 0 500 500 re f",
    "q 30 0 0 30 -100 -100 cm 0 0 20 20 re f Q",
    "50 w 0 0 m 500 500 l S",
  ]);
  const appearance: Appearance = {
    place: { page: 1, rectangle: [30, 30, 50, 50] },
    draw: (update) =>
      update.addStream(
        {
          ...{ Type: name("XObject"), Subtype: name("Form"), Matrix: matrix },
          BBox: next(8) === 0 ? undefined : box,
        },
        latin1(content),
      ),
  };
  return signPdf(base.bytes, bimal, { appearance });
}
