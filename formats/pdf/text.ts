/** Text of any script for content streams: ordered and shaped as Unicode wants, with embedded subsets of fonts. */
import { createHash } from "node:crypto";
import { deflateSync } from "node:zlib";
import bidiFactory from "bidi-js";
import * as hb from "harfbuzzjs";
import { FormatError } from "../error.ts";
import { advanceWidth, subsetFont, type TrueTypeFont } from "./font.ts";
import type { PdfUpdate } from "./update.ts";
import {
  latin1,
  name,
  type PdfDraft,
  PdfRef,
  PdfString,
  serialize,
  textString,
  toHex,
} from "./value.ts";

interface Face {
  font: TrueTypeFont;
  shaper: hb.Font;
  /** Characters that the font has. */
  covered: ReadonlySet<number>;
  /** Number in the subset by number in the font; `.notdef` is always there. */
  glyphs: Map<number, number>;
  /** Text of each glyph of the subset. */
  texts: Map<number, string>;
}

interface Glyph {
  /** Where its cluster begins in the line. */
  at: number;
  /** In the font. */
  id: number;
  xAdvance: number;
  xOffset: number;
  yOffset: number;
  text: string;
}

interface Run {
  face: Face;
  glyphs: Glyph[];
}

/** The Unicode Bidirectional Algorithm (UAX #9). */
const bidi = bidiFactory() as {
  getEmbeddingLevels(text: string): { levels: Uint8Array; paragraphs: { level: number }[] };
};

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** Joiners: they belong to what comes before them, and no font needs a sign for them. */
const JOINERS = /[\u200c\u200d]/;
/** Characters that draw nothing, save for the joiners. */
const INVISIBLE = /(?!\u200c|\u200d)[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;

/** Height of a line relative to its size, where the fonts want no more. */
const LEADING = 1.35;

/** Whether a line is read from right to left: its first letter decides (UAX #9 P2). */
export const isRightToLeft = (text: string): boolean =>
  RIGHT_TO_LEFT.test(text) && (bidi.getEmbeddingLevels(text).paragraphs[0].level & 1) === 1;

/** Pieces of a line from left to right, each of one direction. */
function inVisualOrder(text: string): { text: string; at: number; level: number }[] {
  if (!RIGHT_TO_LEFT.test(text)) return [{ text, at: 0, level: 0 }];
  const { levels } = bidi.getEmbeddingLevels(text);
  const runs: { text: string; at: number; level: number }[] = [];
  for (let i = 0; i < text.length; i++) {
    const last = runs.at(-1);
    if (last?.level === levels[i]) last.text += text[i];
    else runs.push({ text: text[i], at: i, level: levels[i] });
  }
  // UAX #9 L2: from the highest level down, what is at least as high is turned round.
  for (let level = Math.max(...levels); level > 0; level--) {
    for (let i = 0; i < runs.length; i++) {
      let end = i;
      while (end < runs.length && runs[end].level >= level) end++;
      if (end - i > 1) runs.splice(i, end - i, ...runs.slice(i, end).reverse());
      i = Math.max(i, end);
    }
  }
  return runs;
}

/** Sets lines of text in the first of several fonts that has their characters. */
export class TextSetter {
  readonly #faces: Face[];

  constructor(fonts: readonly TrueTypeFont[]) {
    this.#faces = fonts.map((font) => {
      const face = new hb.Face(new hb.Blob(font.sfnt));
      return {
        font,
        shaper: new hb.Font(face),
        covered: new Set(face.collectUnicodes()),
        glyphs: new Map([[0, 0]]),
        texts: new Map(),
      };
    });
  }

  /**
   * Text as it will be set.
   *
   * @throws FormatError `invalid_argument` for a character that none of the fonts has
   */
  clean(text: string): string {
    const set = text.normalize("NFC").replace(INVISIBLE, "").replace(/\s+/g, " ").trim();
    for (const character of set) {
      if (JOINERS.test(character) || this.#faceOf(character)) continue;
      const number = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      throw new FormatError(
        "invalid_argument",
        `D-Sign has no font for “${character}” (U+${number}) in “${set}”, so the signature cannot be drawn with it.`,
      );
    }
    return set;
  }

  /** Height of a line and of its part above the baseline, relative to its size. */
  heights(text: string): { line: number; above: number } {
    let [above, below] = [0, 0];
    for (const { face: { font } } of this.#split(text)) {
      above = Math.max(above, font.ascent / font.unitsPerEm);
      below = Math.max(below, -font.descent / font.unitsPerEm);
    }
    const rest = Math.max(0, LEADING - above - below);
    return { line: above + below + rest, above: above + rest / 2 };
  }

  /** Width of a line in the unit of `size`; it is {@linkcode clean}. */
  width(text: string, size: number): number {
    let width = 0;
    for (const { face, glyphs } of this.#shape(text)) {
      for (const { xAdvance } of glyphs) width += xAdvance * size / face.font.unitsPerEm;
    }
    return width;
  }

  /** Operators that show a line with its baseline beginning at a point. */
  show(text: string, size: number, x: number, y: number): string {
    let pen = x;
    const drawn = this.#shape(text).flatMap(({ face, glyphs }) => {
      const scale = size / face.font.unitsPerEm;
      const selected = `/F${this.#faces.indexOf(face)} ${decimal(size)} Tf\n`;
      return glyphs.map((glyph) => {
        const id = this.#use(face, glyph).toString(16).padStart(4, "0");
        const place = `${decimal(pen + glyph.xOffset * scale)} ${
          decimal(y + glyph.yOffset * scale)
        }`;
        pen += glyph.xAdvance * scale;
        return { ...glyph, selected, shown: `1 0 0 1 ${place} Tm <${id}> Tj\n` };
      });
    });
    const operators = (glyphs: typeof drawn) => {
      let font = "";
      return glyphs.map(({ selected, shown }) => {
        if (selected === font) return shown;
        font = selected;
        return selected + shown;
      }).join("");
    };
    // Selection and screen readers use the text itself, whichever glyphs draw it.
    const span = (text: string, glyphs: typeof drawn) =>
      `/Span ${serialize({ ActualText: textString(text) })} BDC\nBT\n${operators(glyphs)}ET\nEMC\n`;
    if (!RIGHT_TO_LEFT.test(text)) return span(text, drawn);
    // In the order in which it is read, cluster by cluster: programs differ over whether the text of several that run
    // from right to left is turned round.
    const clusters = Map.groupBy(drawn, ({ at }) => at);
    return [...clusters.keys()].sort((a, b) => a - b).map((at) => {
      const glyphs = clusters.get(at)!;
      const text = glyphs.map(({ text }) => text).join("");
      const { signs = [], marks = [] } = Object.groupBy(
        glyphs,
        ({ xAdvance }) => xAdvance === 0 ? "marks" : "signs",
      );
      // The text has the place of its signs; marks before or after them would look like a gap.
      return signs.length > 0 && marks.length > 0
        ? span("", marks) + span(text, signs)
        : span(text, glyphs);
    }).join("");
  }

  #use(face: Face, glyph: Glyph): number {
    let id = face.glyphs.get(glyph.id);
    if (id === undefined) {
      id = face.glyphs.size;
      face.glyphs.set(glyph.id, id);
    }
    if (glyph.text !== "" && !face.texts.has(id)) face.texts.set(id, glyph.text);
    return id;
  }

  /** Glyphs from left to right. */
  #shape(text: string): Run[] {
    return inVisualOrder(text).flatMap(({ text, at, level }) => {
      const isBackward = (level & 1) === 1;
      const runs = this.#shapeRun(text, at, isBackward);
      return isBackward ? runs.reverse() : runs;
    });
  }

  #shapeRun(text: string, start: number, isBackward: boolean): Run[] {
    let next = start;
    return this.#split(text).map(({ face, text }) => {
      const begin = next;
      next += text.length;
      const buffer = new hb.Buffer();
      buffer.addText(text);
      buffer.setDirection(isBackward ? hb.Direction.RTL : hb.Direction.LTR);
      buffer.guessSegmentProperties();
      hb.shape(face.shaper, buffer);
      const positions = buffer.getGlyphPositions();
      const infos = buffer.getGlyphInfos();
      const starts = [...new Set(infos.map(({ cluster }) => cluster))].sort((a, b) => a - b);
      const seen = new Set<number>();
      const glyphs = infos.map(({ codepoint, cluster }, i): Glyph => {
        const end = starts[starts.indexOf(cluster) + 1] ?? text.length;
        // Of several glyphs for one cluster the first stands for its text.
        const own = seen.has(cluster) ? "" : text.slice(cluster, end);
        seen.add(cluster);
        const { xAdvance, xOffset, yOffset } = positions[i];
        return { id: codepoint, at: begin + cluster, xAdvance, xOffset, yOffset, text: own };
      });
      return { face, glyphs };
    });
  }

  /** Cuts a line where the font has to change; marks stay with what they follow. */
  #split(text: string): { face: Face; text: string }[] {
    const out: { face: Face; text: string }[] = [];
    for (const character of text) {
      const last = out[out.length - 1];
      if (last && (/\p{M}/u.test(character) || JOINERS.test(character))) {
        last.text += character;
        continue;
      }
      const face = this.#faceOf(character, last?.face);
      if (!face) continue; // `clean` lets only a joiner through
      if (last?.face === face) last.text += character;
      else out.push({ face, text: character });
    }
    return out;
  }

  #faceOf(character: string, preferred?: Face): Face | undefined {
    const code = character.codePointAt(0)!;
    if (preferred?.covered.has(code)) return preferred;
    return this.#faces.find(({ covered }) => covered.has(code));
  }

  /** Embeds what was used, for the Font entry of the resources. */
  resources(update: Pick<PdfUpdate, "add" | "addStream">): { [key: string]: PdfRef } {
    const out: { [key: string]: PdfRef } = {};
    this.#faces.forEach((face, i) => {
      if (face.glyphs.size > 1) out[`F${i}`] = embed(update, face);
    });
    return out;
  }
}

/** A composite font whose codes are the glyphs of the subset (ISO 32000-2 §9.7). */
function embed(update: Pick<PdfUpdate, "add" | "addStream">, face: Face): PdfRef {
  const { font, glyphs } = face;
  const { bytes, glyphCount } = subsetFont(font, [...glyphs.keys()]);
  const tag = [...createHash("sha256").update(bytes).digest().subarray(0, 6)]
    .map((byte) => String.fromCharCode(65 + byte % 26)).join("");
  const baseName = name(`${tag}+${font.postScriptName}`);
  const per = (units: number) => Math.round(units * 1000 / font.unitsPerEm);
  const file = update.addStream(
    { Length1: bytes.length, Filter: name("FlateDecode") },
    deflateSync(bytes),
  );
  // All glyphs of the file, those that others are composed of too (ISO 19005-1 §6.3.5).
  const set = new Uint8Array((glyphCount + 7) >> 3);
  for (let i = 0; i < glyphCount; i++) set[i >> 3] |= 0x80 >> (i & 7);
  const descriptor = update.add({
    Type: name("FontDescriptor"),
    FontName: baseName,
    Flags: 4,
    FontBBox: font.box.map(per),
    ItalicAngle: 0,
    Ascent: per(font.ascent),
    Descent: per(font.descent),
    CapHeight: per(font.capHeight),
    StemV: 80,
    FontFile2: file,
    CIDSet: update.addStream({}, set),
  });
  const widths = [...glyphs.keys()].map((glyph) => per(advanceWidth(font, glyph)));
  const descendant = update.add({
    Type: name("Font"),
    Subtype: name("CIDFontType2"),
    BaseFont: baseName,
    CIDSystemInfo: {
      Registry: new PdfString(latin1("Adobe")),
      Ordering: new PdfString(latin1("Identity")),
      Supplement: 0,
    },
    FontDescriptor: descriptor,
    CIDToGIDMap: name("Identity"),
    W: [0, widths] satisfies PdfDraft,
  });
  return update.add({
    Type: name("Font"),
    Subtype: name("Type0"),
    BaseFont: baseName,
    Encoding: name("Identity-H"),
    DescendantFonts: [descendant],
    ToUnicode: update.addStream({ Filter: name("FlateDecode") }, deflateSync(toUnicode(face))),
  });
}

/**
 * ISO 32000-2 §9.10.3. PDF/UA-1 (7.21.7) wants a text for every glyph: those that only help to draw the text of another
 * stand for U+200B, which shows and divides nothing.
 */
function toUnicode({ glyphs, texts }: Face): Uint8Array {
  const lines = [...glyphs.values()].slice(1).map((id) => {
    const text = toHex(textUnits(texts.get(id) ?? "\u200b"));
    return `<${id.toString(16).padStart(4, "0")}> <${text}>`;
  });
  let out = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
    "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n" +
    "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
    "1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n";
  for (let i = 0; i < lines.length; i += 100) {
    const part = lines.slice(i, i + 100);
    out += `${part.length} beginbfchar\n${part.join("\n")}\nendbfchar\n`;
  }
  return latin1(`${out}endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n`);
}

function textUnits(text: string): Uint8Array {
  const out = new Uint8Array(2 * text.length);
  for (let i = 0; i < text.length; i++) {
    out[2 * i] = text.charCodeAt(i) >> 8;
    out[2 * i + 1] = text.charCodeAt(i);
  }
  return out;
}

/** A number with at most three decimals, as content streams have it. */
export function decimal(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}
