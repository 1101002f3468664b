/**
 * Signed PDFs that are changed afterwards, by kinds; for those that are still called valid, other engines must show
 * what was signed. Each kind has harmless variants too, so that refusing everything does not pass.
 */
import { join } from "node:path";
import { digest } from "../../formats/digest.ts";
import { appendDss } from "../../formats/pades/dss.ts";
import {
  type Appearance,
  prepareSignature,
  prepareTimestamp,
} from "../../formats/pades/prepare.ts";
import { PdfDocument } from "../../formats/pdf/document.ts";
import { appendedSource, bytesSource } from "../../formats/source.ts";
import { fromLatin1, latin1, name, PdfDict } from "../../formats/pdf/value.ts";
import type { SignatureReport } from "../../formats/verify/report.ts";
import { verifyBytes } from "../../formats/verify/verify.ts";
import {
  classicPdf,
  documentObjects,
  type Encryption,
  hybridPdf,
  ID,
  linearizedPdf,
  type Objects,
  streamPdf,
} from "../fixtures/pdf.ts";
import { encryptedObjects, encryption } from "../fixtures/pdf_encrypted.ts";
import { difference, type Engine, type Seen } from "../fixtures/pdf_engines.ts";
import { makePki } from "../fixtures/pki.ts";
import { completeWith, signPdf } from "../fixtures/sign_pdf.ts";
import {
  everythingPdf,
  objectKinds,
  objectsRevision,
  xfaPdf,
  xfaRevision,
} from "./agreement_objects.ts";
import { generator, mutate } from "./mutate.ts";

type Next = (below: number) => number;

/** A signed document and the changes made to it. */
interface Base {
  bytes: Uint8Array;
  /** Objects of the signed revision by number, as they stand there before they are encrypted. */
  objects: Objects;
  encryption?: Encryption;
}

const now = new Date();
const pki = makePki({
  officers: [{ name: "Asha", key: "p-256" }, { name: "Bimal", key: "p-256" }],
});
const [asha, bimal] = pki.officers;
const [stranger] = makePki({ officers: [{ name: "Stranger", key: "p-256" }] }).officers;
const anchors = [pki.root.certificate];

const objects = documentObjects({
  pages: 2,
  signatureFields: ["Waiting"],
  catalogEntries: "/PieceInfo << /X << /Private 70 0 R >> >>",
});
/** The content of page 1, and page 1. */
const CONTENT = 4, PAGE = 3;
/** The empty field. */
const WAITING = { page: 1, box: [50, 100, 200, 125] };
const stream = (text: string) => `<< /Length ${text.length} >>\nstream\n${text}\nendstream`;
const otherContent = stream("BT /F1 40 Tf 72 400 Td (Pay 9,000,000) Tj ET");
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
const bases = {
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
  /** Why it must not be valid, although none of the engines shows it. */
  mustFail?: string;
}

const pick = <T>(next: Next, all: readonly T[]): T => all[next(all.length)];
/** Variants of what is signed, each made once: signing takes longer than all the rest. */
const oneOf = <T>(variants: number, make: (next: Next) => T) => {
  const made = new Map<number, T>();
  return (next: Next) => {
    const seed = next(variants);
    return made.getOrInsertComputed(seed, () => make(generator(seed)));
  };
};
const startOf = (bytes: Uint8Array) => /startxref\s+(\d+)\s+%%EOF\s*$/.exec(fromLatin1(bytes))![1];
const highest = (bytes: Uint8Array) => {
  const { entries, trailer } = PdfDocument.open(bytesSource(bytes)).xref;
  const size = trailer.get("Size");
  return Math.max(...entries.keys(), typeof size === "number" ? size - 1 : 0);
};
const offsetOf = (bytes: Uint8Array, num: number) => {
  const entry = PdfDocument.open(bytesSource(bytes)).xref.entries.get(num);
  return entry && "offset" in entry ? entry.offset : 17;
};

/** Objects of a revision: the same ones again, harmless ones, or others. */
function someObjects(next: Next, base: Base): Objects {
  return pick<Objects>(next, [
    { [CONTENT]: base.objects[CONTENT] },
    { [CONTENT]: base.objects[CONTENT] },
    { [CONTENT]: otherContent },
    { [PAGE]: base.objects[PAGE].replace(`${CONTENT} 0 R`, "90 0 R"), 90: otherContent },
    { 90: otherContent },
    {},
  ]);
}

interface Place {
  num: number;
  offset: number;
}

function write(base: Base, added: Objects): { text: string; places: Place[] } {
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

const pad = (value: number, digits = 10) => String(Math.max(0, value)).padStart(digits, "0");

/** One entry of a table, in one of the many ways in which programs write it. */
function entry(next: Next, offset: number): string {
  const exact = `${pad(offset)} 00000 n \n`;
  return pick(next, [
    ...[exact, exact, exact, exact, exact, exact],
    `${pad(offset)} 00000 n\n`,
    `${pad(offset)} 00000 n\r\n`,
    `${offset} 0 n \n`,
    `${pad(offset)}  00000 n \n`,
    `${pad(offset)} 00000 n % c\n`,
    `${pad(offset + 1)} 00000 n \n`,
    `${pad(offset)} 00001 n \n`,
    `${pad(0)} 00000 f \n`,
  ]);
}

function trailerOf(next: Next, base: Base, places: readonly Place[], wild: boolean): string {
  const size = Math.max(highest(base.bytes), ...places.map(({ num }) => num)) + 1;
  const prev = startOf(base.bytes);
  const mutated = (right: string, others: string[]) =>
    wild && next(5) === 0 ? pick(next, others) : right;
  return "<< " + [
    `/Size ${mutated(String(size), ["0", "4", String(size + 5), String(size - 1)])}`,
    mutated("/Root 1 0 R", ["/Root 91 0 R", "/Root 1 1 R", "/Root 2 0 R"]),
    base.encryption ? mutated(`${base.encryption.trailer} ${ID}`, ["", ID, "/Encrypt null"]) : "",
    mutated(`/Prev ${prev}`, [
      "",
      "/Prev 0",
      `/Prev ${offsetOf(base.bytes, PAGE)}`,
      `/Prev ${prev}.0`,
    ]),
  ].join(" ") + " >>";
}

function finish(next: Next, start: number, wild: boolean): string {
  const right = `startxref\n${start}\n%%EOF\n`;
  if (!wild) return right;
  return pick(next, [
    ...[right, right, right],
    `startxref\n${start + 1}\n%%EOF\n`,
    `startxref ${start} %%EOF`,
    `startxref\n${start}\n%%EOF\n${" \n".repeat(next(800))}`,
    `startxref\n${start}\n%%EOF\n%${"x".repeat(next(3000))}\n`,
    `startxref\n${start}\n%%EOF\n${CONTENT} 0 obj\n${otherContent}\nendobj\n`,
    `startxref\n${start}\n%%EOF\ntrailer\n<< /Root 91 0 R >>\n`,
    `startxref\n${start}\nstartxref\n0\n%%EOF\n`,
    `startxref\n${start}\n`,
  ]);
}

function tableRevision(next: Next, base: Base, wild: "entries" | "trailer"): Uint8Array {
  const { text, places } = write(base, someObjects(next, base));
  let section = pick(next, ["", "", "", "%c\n", " ", "\n"]);
  const start = base.bytes.length + text.length + (next(3) === 0 ? section.length : 0);
  section += pick(next, ["xref\n", "xref\n", "xref\n", "xref \n", "xref\r\n", "xref %c\n"]);
  section += pick(next, ["0 1\n0000000000 65535 f \n", "0 1\n0000000000 65535 f \n", "0 0\n"]);
  const isWild = wild === "entries";
  for (const { num, offset } of places) {
    const old = offsetOf(base.bytes, num);
    const rows = pick(next, [
      ...[[offset], [offset], [offset], [offset]],
      ...isWild ? [[offset, old], [old, offset], [old], [offset, offset], []] : [],
    ]);
    for (const row of rows) {
      section += `${num} 1\n${isWild ? entry(next, row) : `${pad(row)} 00000 n \n`}`;
    }
  }
  section += `trailer\n${trailerOf(next, base, places, !isWild)}\n`;
  return latin1(fromLatin1(base.bytes) + text + section + finish(next, start, !isWild));
}

function streamRevision(next: Next, base: Base): Uint8Array {
  const added = someObjects(next, base);
  const packed = Object.entries(added).filter(([, body]) => !body.includes("stream"));
  const plain = Object.fromEntries(
    Object.entries(added).filter(([, body]) => body.includes("stream")),
  );
  const container = highest(base.bytes) + 100;
  let head = "", data = "", count = 0;
  for (const [num, body] of packed) {
    const twice = pick(next, [[body], [body], [body, base.objects[PAGE]], [
      base.objects[PAGE],
      body,
    ]]);
    for (const each of twice) {
      head += `${pick(next, [num, num, num, "0"])} ${data.length} `;
      data += `${each} `;
      count++;
    }
  }
  const stored = head + data;
  const n = pick(next, [count, count, count, count + 1, Math.max(0, count - 1)]);
  const extended = pick(next, ["", "", highest(base.bytes) - 2, container, 1, 99]);
  plain[container] = `<< /Type /ObjStm /N ${n} /First ${head.length} /Length ${stored.length} ` +
    `${extended && `/Extends ${extended} 0 R`} >>\nstream\n${stored}\nendstream`;
  const { text, places } = write(base, plain);
  const start = base.bytes.length + text.length;
  const rows: [number, number, number, number][] = [
    ...places.map(({ num, offset }) => [num, 1, offset, 0] as [number, number, number, number]),
    ...packed.map(([num], i) =>
      [Number(num), 2, container, pick(next, [i, i, i, i + 1, 0])] as [
        number,
        number,
        number,
        number,
      ]
    ),
    [container + 1, 1, start, 0],
  ];
  for (const row of [...rows]) {
    if (next(8) === 0) rows.push([row[0], 1, offsetOf(base.bytes, row[0]), 0]);
    if (next(8) === 0) rows.unshift([row[0], pick(next, [0, 1]), offsetOf(base.bytes, row[0]), 0]);
  }
  const bytes = rows.map(([, type, second, third]) =>
    String.fromCharCode(
      type,
      second >> 24 & 255,
      second >> 16 & 255,
      second >> 8 & 255,
      second & 255,
      third >> 8,
      third & 255,
    )
  ).join("");
  const size = pick(next, [container + 2, container + 2, container + 2, 5, container + 9]);
  const section = `${container + 1} 0 obj\n<< /Type /XRef /Size ${size} /W [1 4 2] ` +
    `/Index [${rows.map(([num]) => `${num} 1`).join(" ")}] /Root 1 0 R ` +
    `${base.encryption ? `${base.encryption.trailer} ${ID}` : ""} ` +
    `/Prev ${
      startOf(base.bytes)
    } /Length ${bytes.length} >>\nstream\n${bytes}\nendstream\nendobj\n`;
  return latin1(fromLatin1(base.bytes) + text + section + finish(next, start, next(4) === 0));
}

function hybridRevision(next: Next, base: Base): Uint8Array {
  const { text, places } = write(base, someObjects(next, base));
  const self = highest(base.bytes) + 50;
  const at = base.bytes.length + text.length;
  let rows = "", index = "", section = "xref\n0 1\n0000000000 65535 f \n";
  for (const { num, offset } of places) {
    const old = offsetOf(base.bytes, num);
    const way = next(5);
    const [inTable, inStream] = [
      [offset, undefined],
      [offset, offset],
      [offset, old],
      [old, offset],
      [undefined, offset],
    ][way];
    section += `${num} 1\n${
      inTable === undefined ? "0000000000 00001 f \n" : `${pad(inTable)} 00000 n \n`
    }`;
    if (inStream === undefined) continue;
    index += ` ${num} 1`;
    rows += String.fromCharCode(1, 0, inStream >> 16, inStream >> 8 & 255, inStream & 255, 0, 0);
  }
  const xref = `${self} 0 obj\n<< /Type /XRef /Size ${self + 1} /W [1 4 2] /Index [${index}] ` +
    `/Root 1 0 R /Length ${rows.length} >>\nstream\n${rows}\nendstream\nendobj\n`;
  const start = at + xref.length;
  return latin1(
    fromLatin1(base.bytes) + text + xref + section +
      `trailer\n<< /Size ${self + 1} /Root 1 0 R /Prev ${startOf(base.bytes)} /XRefStm ${at} >>\n` +
      finish(next, start, false),
  );
}

/** A linearized document, signed; what it says of its length, and what is behind it. */
function linearized(next: Next): Mutant {
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
function signedWrongly(next: Next): Mutant {
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
function mutatedRevision(next: Next): Mutant {
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
function laterSignature(next: Next, base: Base): Uint8Array {
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
function bounds(next: Next, base: Base): Uint8Array {
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

const anyBase = (next: Next) => pick(next, [bases.table, bases.linearized, bases.hybrid]);
const on = (kind: string, base: Base, bytes: Uint8Array): Mutant => ({
  kind,
  base: base.bytes,
  bytes,
});

const KINDS: Record<string, (next: Next) => Mutant> = {
  table(next) {
    const base = anyBase(next);
    return on("table", base, tableRevision(next, base, "entries"));
  },
  trailer(next) {
    const base = anyBase(next);
    return on("trailer", base, tableRevision(next, base, "trailer"));
  },
  stream(next) {
    const base = pick(next, [bases.stream, bases.extended]);
    return on("stream", base, streamRevision(next, base));
  },
  encrypted(next) {
    const base = pick(next, [bases.rc4, bases.aes, bases.packed]);
    const bytes = base === bases.packed
      ? streamRevision(next, base)
      : tableRevision(next, base, pick(next, ["entries", "trailer"]));
    return on("encrypted", base, bytes);
  },
  hybrid(next) {
    const base = anyBase(next);
    return on("hybrid", base, hybridRevision(next, base));
  },
  signed: oneOf(600, signedWrongly),
  linearization: oneOf(400, linearized),
  revision: mutatedRevision,
  bounds: oneOf(400, (next) => on("bounds", bases.table, bounds(next, bases.table))),
  signature: oneOf(1000, (next) => {
    const base = pick(next, [bases.table, bases.stream, bases.hybrid, bases.linearized]);
    return on("signature", base, laterSignature(next, base));
  }),
};

const everything = {
  approved: signPdf(everythingPdf(), asha),
  certified: signPdf(everythingPdf(), asha, { certify: 3 }),
};
for (const kind of objectKinds) {
  const base = everything[kind === "comments" ? "certified" : "approved"];
  KINDS[kind] = (next) => ({ kind, base, bytes: objectsRevision(kind, next, base) });
}

const xfa = signPdf(xfaPdf(), asha);
KINDS.xfa = (next) => {
  const { bytes, isOther } = xfaRevision(next, xfa);
  return { kind: "xfa", base: xfa, bytes, mustFail: isOther ? "another XFA form" : undefined };
};

export const kinds = Object.keys(KINDS);

/** The mutant of one case; kinds take turns. */
export function mutant(seed: number, index: number): Mutant {
  const next = generator(Math.imul(seed, 0x9e3779b1) + index);
  return KINDS[kinds[index % kinds.length]](next);
}

/** Verdict on the first signature; undefined if the file cannot be read. */
export function judge(bytes: Uint8Array): SignatureReport | undefined {
  try {
    return verifyBytes(bytes, { now, anchors, revocation: "if_available" }).signatures[0];
  } catch (error) {
    if (error instanceof Error && error.name === "FormatError") return undefined;
    throw error;
  }
}

/** Of each kind, at least so many of 100 are still valid: refusing everything would be no way out. */
export const FLOOR = 5;

/** Results of the mutants of a kind. */
export interface Counts {
  mutants: number;
  /** Those that no other case had before. */
  distinct: number;
  /** The others are not clear in what they show, or forbidden, or unreadable. */
  passed: number;
}

/** A mutant that is called valid although an engine shows something else than was signed. */
export interface Disagreement {
  index: number;
  kind: string;
  engine: string;
  what: string;
  bytes: Uint8Array;
}

/** Judges mutants, and asks the engines about those that pass. */
export class Agreement {
  readonly counts = new Map<string, Counts>(
    kinds.map((kind) => [kind, { mutants: 0, distinct: 0, passed: 0 }]),
  );
  readonly disagreements: Disagreement[] = [];
  /** Whether a mutant passes, by its digest. */
  readonly #known = new Map<string, boolean>();

  /** Tries the cases of a seed, in their order. Several may run at the same time, with other engines and folders. */
  async run(seed: number, cases: Iterable<number>, desk: Desk): Promise<void> {
    for (const index of cases) {
      const { kind, base, bytes, isWhole, mustFail } = mutant(seed, index);
      const told = this.counts.get(kind)!;
      told.mutants++;
      const key = digest("SHA-256", bytes).toHex();
      let passed = this.#known.get(key);
      if (passed === undefined) {
        told.distinct++;
        const report = judge(bytes);
        passed = report?.indication === "TOTAL-PASSED";
        this.#known.set(key, passed);
        const differing = !passed
          ? []
          : mustFail
          ? [{ engine: "other readers", what: mustFail, isOpen: true }]
          : (await desk.differences(base, bytes, report!)).filter(({ isOpen }) =>
            isOpen || !isWhole
          );
        for (const { engine, what } of differing) {
          this.disagreements.push({ index, kind, bytes, engine, what });
        }
      }
      if (passed) told.passed++;
    }
  }
}

/** Engines, and a folder for the files that they read. */
export class Desk {
  readonly #path: string;
  readonly #signed = new Map<Uint8Array, (Seen | undefined)[]>();

  constructor(readonly engines: readonly Engine[], folder: string) {
    this.#path = join(folder, "mutant.pdf");
  }

  async #look(bytes: Uint8Array): Promise<(Seen | undefined)[]> {
    await Deno.writeFile(this.#path, bytes as Uint8Array<ArrayBuffer>);
    return await Promise.all(this.engines.map((engine) => engine.look(this.#path)));
  }

  /** What engines show otherwise than in the signed document, outside boxes that the report names. */
  async differences(base: Uint8Array, bytes: Uint8Array, { changes }: SignatureReport) {
    let before = this.#signed.get(base);
    if (!before) this.#signed.set(base, before = await this.#look(base));
    const after = await this.#look(bytes);
    const boxes = changes.flatMap(({ places = [] }) => places);
    return this.engines.flatMap(({ name: engine, drawsEmptyFields }, i) => {
      const was = before[i];
      const what = was && difference(was, after[i], drawsEmptyFields ? [...boxes, WAITING] : boxes);
      return what ? [{ engine, what, isOpen: after[i] !== undefined }] : [];
    });
  }
}
