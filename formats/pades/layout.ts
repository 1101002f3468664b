/** Lines of text as large as they fit into a box, but never too small to read. */
import { FormatError } from "../error.ts";
import { isRightToLeft, type TextSetter } from "../pdf/text.ts";

/** Sizes in points. Smaller letters are not read on paper. */
const LARGEST = 12;
const SMALLEST = 6;
const STEP = 0.25;

/** The first paragraph, relative to the others. */
const FIRST_SCALE = 1.15;

/** A line, from the box's lower left corner. */
export interface Line {
  text: string;
  size: number;
  x: number;
  y: number;
}

interface Wrapped {
  text: string;
  scale: number;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * Breaks paragraphs into lines. Where the first one is read from right to left, all stand at the right.
 *
 * @throws FormatError `invalid_argument` where they do not fit at 6 points, or have characters that no font has
 */
export function layOut(
  setter: TextSetter,
  texts: readonly string[],
  [width, height]: [number, number],
): Line[] {
  const paragraphs = texts.map((text) => setter.clean(text)).filter((text) => text !== "");
  const widths = new Map<string, number>();
  const widthOf = (text: string) => {
    let known = widths.get(text);
    if (known === undefined) widths.set(text, known = setter.width(text, 1));
    return known;
  };
  const isBackward = isRightToLeft(paragraphs[0] ?? "");
  const wrapAt = (size: number): Wrapped[] =>
    paragraphs.flatMap((text, i) => {
      const scale = i === 0 ? FIRST_SCALE : 1;
      return wrap(text, width / (size * scale), widthOf).map((text) => ({
        text,
        scale,
      }));
    });
  const heightOf = (lines: Wrapped[]) =>
    lines.reduce((sum, { text, scale }) => sum + scale * setter.heights(text).line, 0);
  for (let size = LARGEST; size >= SMALLEST; size -= STEP) {
    const lines = wrapAt(size);
    const total = heightOf(lines) * size;
    if (total > height) continue;
    let y = (height + total) / 2;
    return lines.map(({ text, scale }) => {
      const { line, above } = setter.heights(text);
      const own = size * scale;
      const placed = {
        text,
        size: own,
        x: isBackward ? width - widthOf(text) * own : 0,
        y: y - above * own,
      };
      y -= line * own;
      return placed;
    });
  }
  const needed = Math.ceil(heightOf(wrapAt(SMALLEST)) * SMALLEST);
  throw new FormatError(
    "invalid_argument",
    `The signature's box is too small for its text: at ${SMALLEST} points, the smallest that can be read, it ` +
      `needs ${needed} points of height, and has ${
        Math.floor(height)
      }. Make the box larger, or leave something out.`,
  );
}

/** Lines no wider than `room`: broken at spaces, and within a word only where it is wider by itself. */
function wrap(text: string, room: number, widthOf: (text: string) => number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (widthOf(longer) <= room) {
      line = longer;
      continue;
    }
    if (line !== "") lines.push(line);
    line = "";
    for (const { segment } of graphemes.segment(word)) {
      if (line !== "" && widthOf(line + segment) > room) {
        lines.push(line);
        line = "";
      }
      line += segment;
    }
  }
  return line === "" ? lines : [...lines, line];
}
