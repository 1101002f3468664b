import assert from "node:assert/strict";
import { findText } from "./text_search.ts";

/** Pieces of 10-point text, each letter 5 wide, at 100, 700 and then one line of 20 lower each. */
const lines = (...strs: string[]) =>
  strs.map((str, i) => ({
    str,
    transform: [10, 0, 0, 10, 100, 700 - 20 * i],
    width: 5 * str.length,
  }));

Deno.test("a text is found across pieces, whatever its blanks, case and signs", () => {
  const [one, two] = lines("Executive Eng", "ineer (Roads)");
  two.transform = [10, 0, 0, 10, 165, 700];
  const corners = [[100, 697.5], [190, 697.5], [100, 707.5], [190, 707.5]];
  for (const wanted of ["Executive Engineer", "EXECUTIVE  ENGINEER", "éxecutive\u00a0engineer"]) {
    assert.deepEqual(findText([one, two], wanted), { corners, differ: 0 }, wanted);
  }
  assert.equal(findText([one, two], "Executive Engineers"), null);
});

Deno.test("the last occurrence counts, and of one on two lines the part on the last", () => {
  const corners = [[100, 677.5], [125, 677.5], [100, 687.5], [125, 687.5]];
  assert.deepEqual(findText(lines("Clerk", "Clerk", "x"), "clerk")!.corners, corners);
  assert.deepEqual(findText(lines("Head", "Clerk"), "Head Clerk")!.corners, corners);
});

Deno.test("a third of an Indic text may differ, of no other", () => {
  const page = lines("বিভাগীয় হিসাবরক্ষক", "\u0000বাহী প্রেকৗশলীর");
  assert.deepEqual(findText(page, "নির্বাহী প্রকৌশলীর")!.corners[0][1], 677.5);
  assert.equal(findText(page, "মহকুমা শাসকের দপ্তর"), null);
  assert.equal(findText(page, "মহকুমা"), null, "too few letters to be near");
  assert.equal(findText(lines("Exxcutive Engineer"), "Executive Engineer"), null);
});

Deno.test("upright text keeps its corners, and hostile pieces end", () => {
  const turned = [{ str: "Clerk", transform: [0, 10, -10, 0, 50, 60], width: 25 }];
  assert.deepEqual(findText(turned, "Clerk")!.corners, [[52.5, 60], [52.5, 85], [42.5, 60], [
    42.5,
    85,
  ]]);
  const flat = [{ str: "Clerk", transform: [0, 0, 0, 0, NaN, 0], width: Infinity }];
  assert.ok(findText(flat, "Clerk"));
  assert.equal(findText([], "Clerk"), null);
  assert.equal(findText(flat, " "), null);
});
