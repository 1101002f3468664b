/** Text of any script for content streams: shaped by HarfBuzz, with embedded subsets of fonts. */
import { createHash } from "node:crypto";
import { deflateSync } from "node:zlib";
import * as hb from "harfbuzzjs";
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

  /** Width of a line in the unit of `size`. */
  width(text: string, size: number): number {
    let width = 0;
    for (const { face, glyphs } of this.#shape(text)) {
      for (const { xAdvance } of glyphs) width += xAdvance * size / face.font.unitsPerEm;
    }
    return width;
  }

  /** Operators that show a line with its baseline beginning at a point. */
  show(text: string, size: number, x: number, y: number): string {
    // Selection and screen readers use the text itself, whichever glyphs draw it.
    let out = `/Span ${serialize({ ActualText: textString(text) })} BDC\nBT\n`;
    let pen = x;
    for (const { face, glyphs } of this.#shape(text)) {
      const scale = size / face.font.unitsPerEm;
      out += `/F${this.#faces.indexOf(face)} ${decimal(size)} Tf\n`;
      for (const glyph of glyphs) {
        const id = this.#use(face, glyph);
        out += `1 0 0 1 ${decimal(pen + glyph.xOffset * scale)} ` +
          `${decimal(y + glyph.yOffset * scale)} Tm <${id.toString(16).padStart(4, "0")}> Tj\n`;
        pen += glyph.xAdvance * scale;
      }
    }
    return `${out}ET\nEMC\n`;
  }

  #use(face: Face, glyph: Glyph): number {
    let id = face.glyphs.get(glyph.id);
    if (id === undefined) {
      id = face.glyphs.size;
      face.glyphs.set(glyph.id, id);
      if (glyph.text !== "") face.texts.set(id, glyph.text);
    }
    return id;
  }

  #shape(text: string): Run[] {
    return this.#split(text).map(({ face, text }) => {
      const buffer = new hb.Buffer();
      buffer.addText(text);
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
        return { id: codepoint, xAdvance, xOffset, yOffset, text: own };
      });
      return { face, glyphs };
    });
  }

  /** Cuts a line where the font has to change; marks stay with what they follow. */
  #split(text: string): { face: Face; text: string }[] {
    const out: { face: Face; text: string }[] = [];
    for (let character of text.normalize("NFC")) {
      const code = character.codePointAt(0)!;
      const last = out[out.length - 1];
      if (last && /[\p{M}\u200c\u200d]/u.test(character)) {
        last.text += character;
        continue;
      }
      let face = last?.face.covered.has(code)
        ? last.face
        : this.#faces.find(({ covered }) => covered.has(code));
      if (!face) {
        // PDF/A has no place for .notdef (ISO 19005-2 §6.2.11.8).
        character = /\s/.test(character) ? " " : "?";
        face = this.#faces.find(({ covered }) => covered.has(character.codePointAt(0)!));
        if (!face) continue;
      }
      if (last?.face === face) last.text += character;
      else out.push({ face, text: character });
    }
    return out;
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

/** ISO 32000-2 §9.10.3. */
function toUnicode(face: Face): Uint8Array {
  const hex = (text: string) => toHex(textUnits(text));
  const lines = [...face.texts].map(([id, text]) =>
    `<${id.toString(16).padStart(4, "0")}> <${hex(text)}>`
  );
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
