import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import * as hb from "harfbuzzjs";
import { notoSans } from "../../tests/fixtures/fonts.ts";
import { FormatError } from "../error.ts";
import { advanceWidth, readFont, subsetFont, type TrueTypeFont } from "./font.ts";

const [latin, bengali] = await notoSans();

const outline = (sfnt: Uint8Array, glyph: number) =>
  new hb.Font(new hb.Face(new hb.Blob(sfnt))).glyphToPath(glyph);
const glyphOf = (font: TrueTypeFont, character: string) =>
  new hb.Font(new hb.Face(new hb.Blob(font.sfnt))).nominalGlyph(character.codePointAt(0)!)!;

Deno.test("font: WOFF and the sfnt made from it read the same", () => {
  assert.equal(latin.unitsPerEm, 1000);
  assert.match(latin.postScriptName, /NotoSans/);
  const again = readFont(latin.sfnt);
  assert.deepEqual([...again.tables.keys()].sort(), [...latin.tables.keys()].sort());
  assert.equal(again.glyphCount, latin.glyphCount);
  assert.ok(latin.ascent > 0 && latin.descent < 0 && latin.capHeight > 0);
});

Deno.test("font: a subset has the outlines and widths of its original", () => {
  for (const [font, characters] of [[latin, "Aé1"], [bengali, "কআঋ"]] as const) {
    const glyphs = [0, ...[...characters].map((character) => glyphOf(font, character))];
    const { bytes, glyphCount } = subsetFont(font, glyphs);
    assert.ok(glyphCount >= glyphs.length && bytes.length < font.sfnt.length / 4);
    const subset = readFont(bytes);
    glyphs.forEach((glyph, i) => {
      assert.equal(outline(bytes, i), outline(font.sfnt, glyph), characters[i - 1]);
      assert.equal(advanceWidth(subset, i), advanceWidth(font, glyph));
    });
  }
});

Deno.test("font: other formats are refused", () => {
  const refused = (bytes: Uint8Array, message: RegExp) =>
    assert.throws(
      () => readFont(bytes),
      (e) => e instanceof FormatError && e.code === "invalid_argument" && message.test(e.message),
    );
  refused(new Uint8Array(), /size/);
  refused(new TextEncoder().encode("OTTO".repeat(20)), /neither/);
  refused(latin.sfnt.subarray(0, 400), /truncated|damaged/);
  const { sfnt } = latin;
  const view = new DataView(sfnt.buffer, sfnt.byteOffset);
  for (let at = 12; at < 12 + 16 * view.getUint16(4); at += 16) {
    if (String.fromCharCode(...sfnt.subarray(at, at + 4)) !== "OS/2") continue;
    const restricted = sfnt.slice();
    restricted[view.getUint32(at + 8) + 9] = 2;
    refused(restricted, /licence/);
  }
});

Deno.test("font: a table of WOFF that expands too far is refused", () => {
  const bytes = new Uint8Array(200);
  const view = new DataView(bytes.buffer);
  const bomb = deflateSync(new Uint8Array(10_000));
  view.setUint32(0, 0x774f4646);
  view.setUint16(12, 1);
  bytes.set(new TextEncoder().encode("head"), 44);
  view.setUint32(48, 100);
  view.setUint32(52, bomb.length);
  view.setUint32(56, 1000);
  bytes.set(bomb, 100);
  assert.throws(() => readFont(bytes), FormatError);
});
