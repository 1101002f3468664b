/** Revisions behind a signed PDF, written in the ways in which programs write them, and in some that are wrong. */
import { fromLatin1, latin1 } from "../../formats/pdf/value.ts";
import { ID } from "../fixtures/pdf.ts";
import {
  type Base,
  CONTENT,
  highest,
  type Next,
  offsetOf,
  otherContent,
  pad,
  PAGE,
  pick,
  type Place,
  someObjects,
  startOf,
  write,
} from "./agreement_bases.ts";

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

export function tableRevision(next: Next, base: Base, wild: "entries" | "trailer"): Uint8Array {
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

export function streamRevision(next: Next, base: Base): Uint8Array {
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

export function hybridRevision(next: Next, base: Base): Uint8Array {
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
