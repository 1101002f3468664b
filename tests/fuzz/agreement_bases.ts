/** Signed PDFs of every structure, and what those that change them have in common. */
import { FormatError } from "../../formats/error.ts";
import { PdfDocument } from "../../formats/pdf/document.ts";
import { fromLatin1 } from "../../formats/pdf/value.ts";
import { bytesSource } from "../../formats/source.ts";
import {
  classicPdf,
  documentObjects,
  type Encryption,
  hybridPdf,
  linearizedPdf,
  type Objects,
  streamPdf,
} from "../fixtures/pdf.ts";
import { encryptedObjects, encryption } from "../fixtures/pdf_encrypted.ts";
import { makePki } from "../fixtures/pki.ts";
import { signPdf } from "../fixtures/sign_pdf.ts";
import { generator } from "./mutate.ts";

export type Next = (below: number) => number;

/** A signed document and the changes made to it. */
export interface Base {
  bytes: Uint8Array;
  /** Objects of the signed revision by number, as they stand there before they are encrypted. */
  objects: Objects;
  encryption?: Encryption;
}

export const now = new Date();
const pki = makePki({
  officers: [{ name: "Asha", key: "p-256" }, { name: "Bimal", key: "p-256" }],
});
export const [asha, bimal] = pki.officers;
export const [stranger] = makePki({ officers: [{ name: "Stranger", key: "p-256" }] }).officers;
export const anchors = [pki.root.certificate];

export const objects = documentObjects({
  pages: 2,
  signatureFields: ["Waiting"],
  catalogEntries: "/PieceInfo << /X << /Private 70 0 R >> >>",
});
/** The content of page 1, and page 1. */
export const CONTENT = 4, PAGE = 3;
/** The empty field. */
export const WAITING = { page: 1, box: [50, 100, 200, 125] };
export const stream = (text: string) => `<< /Length ${text.length} >>\nstream\n${text}\nendstream`;
export const otherContent = stream("BT /F1 40 Tf 72 400 Td (Pay 9,000,000) Tj ET");
// Poppler and pdf.js find it there if they have to scan the file.
objects[70] = stream(`${CONTENT} 0 obj\n${otherContent}\nendobj`);

const signed = (bytes: Uint8Array, encryption?: Encryption): Base => ({
  bytes: signPdf(bytes, asha),
  objects,
  encryption,
});
/** Number of the encryption dictionary. */
const ENCRYPT = 80;
const rc4 = encryption("RC4", ENCRYPT), aes = encryption("AES", ENCRYPT);
export const bases = {
  table: signed(classicPdf(objects)),
  stream: signed(streamPdf(objects)),
  extended: signed(streamPdf(objects, { containers: 2 })),
  hybrid: signed(hybridPdf(objects, [1])),
  linearized: signed(linearizedPdf(objects, [PAGE, CONTENT])),
  rc4: signed(classicPdf(encryptedObjects(objects, rc4), rc4.trailer), rc4),
  aes: signed(classicPdf(encryptedObjects(objects, aes), aes.trailer), aes),
  packed: signed(streamPdf(objects, { encryption: aes }), aes),
};

/** A mutant, and the signed document that it comes from. */
export interface Mutant {
  kind: string;
  base: Uint8Array;
  bytes: Uint8Array;
  /** All of it was signed so: an engine may be unable to open it, but shows nothing else. */
  isWhole?: true;
  /** What was signed may show something else than the base, if all engines agree. */
  isOther?: true;
  /** Why it must not be valid, although none of the engines shows it. */
  mustFail?: string;
}

export const pick = <T>(next: Next, all: readonly T[]): T => all[next(all.length)];
/** Variants of what is signed, each made once: signing takes longer than all the rest. */
export const oneOf = <T>(variants: number, make: (next: Next) => T) => {
  const made = new Map<number, T>();
  return (next: Next) => {
    const seed = next(variants);
    return made.getOrInsertComputed(seed, () => make(generator(seed)));
  };
};
export const startOf = (bytes: Uint8Array) =>
  /startxref\s+(\d+)\s+%%EOF\s*$/.exec(fromLatin1(bytes))![1];
export const highest = (bytes: Uint8Array) => {
  const { entries, trailer } = PdfDocument.open(bytesSource(bytes)).xref;
  const size = trailer.get("Size");
  return Math.max(...entries.keys(), typeof size === "number" ? size - 1 : 0);
};
export const offsetOf = (bytes: Uint8Array, num: number) => {
  const entry = PdfDocument.open(bytesSource(bytes)).xref.entries.get(num);
  return entry && "offset" in entry ? entry.offset : 17;
};

/** Objects of a revision: the same ones again, harmless ones, or others. */
export function someObjects(next: Next, base: Base): Objects {
  return pick<Objects>(next, [
    { [CONTENT]: base.objects[CONTENT] },
    { [CONTENT]: base.objects[CONTENT] },
    { [CONTENT]: otherContent },
    { [PAGE]: base.objects[PAGE].replace(`${CONTENT} 0 R`, "90 0 R"), 90: otherContent },
    { 90: otherContent },
    {},
  ]);
}

export interface Place {
  num: number;
  offset: number;
}

export function write(base: Base, added: Objects): { text: string; places: Place[] } {
  let text = "";
  const places: Place[] = [];
  const encrypt = base.encryption?.encrypt ?? ((_num: number, body: string) => body);
  for (const [num, plain] of Object.entries(added)) {
    const body = encrypt(Number(num), plain);
    places.push({ num: Number(num), offset: base.bytes.length + text.length });
    text += `${num} 0 obj\n${body}\nendobj\n`;
  }
  return { text, places };
}

export const pad = (value: number, digits = 10) => String(Math.max(0, value)).padStart(digits, "0");

/** A document with a signature; without one where it is too broken to be signed, and counts as not valid. */
export function signedIfReadable(pdf: Uint8Array): Uint8Array {
  try {
    return signPdf(pdf, asha);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return pdf;
  }
}
