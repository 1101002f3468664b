/** Finds a text among the pieces that a PDF's page is written with. */

/** A piece of text as pdf.js gives it: where it begins, and its size, in the page's own coordinates. */
export interface TextPiece {
  str: string;
  /** Text space to the page's (ISO 32000-2 §9.4.4). */
  transform: number[];
  /** Along the line; in the page's units. */
  width: number;
}

/** Corners in the page's own coordinates of what was found: begin, and end, of the line, and above these. */
export type Corners = [x: number, y: number][];

/** A letter, and what part of which piece it is. */
interface Letter {
  char: string;
  piece: number;
  from: number;
  to: number;
}

/** Scripts whose letters a PDF may hold in the order in which they are drawn, or as glyphs without a name. */
const INDIC = /[\u0900-\u0d7f]/;
/** Fewer letters must be there exactly. */
const MIN_NEAR = 6;
/** Part of a line's height that stands below its base. */
const DESCENT = 0.25;

/** Letters alone: neither blanks nor, as they may stand in another order than they are read, vowel signs. */
function lettersOf(text: string): { char: string; at: number; length: number }[] {
  const found: { char: string; at: number; length: number }[] = [];
  let at = 0;
  for (const written of text) {
    for (const char of written.normalize("NFKD").toLowerCase()) {
      if (!/[\s\p{M}\p{C}]/u.test(char)) found.push({ char, at, length: written.length });
    }
    at += written.length;
  }
  return found;
}

/**
 * Finds the last place where a text stands. Case, blanks and vowel signs do not count. Of an Indic text of six or more
 * letters a third may differ, as many programs write PDFs from which its letters cannot be had back whole: then the
 * nearest is taken, and of equally near ones the last.
 *
 * @returns null where it is not there; and how many letters differ
 */
export function findText(
  pieces: readonly TextPiece[],
  wanted: string,
): { corners: Corners; differ: number } | null {
  const needle = lettersOf(wanted).map(({ char }) => char);
  const letters = pieces.flatMap(({ str }, piece) =>
    lettersOf(str).map(({ char, at, length }): Letter => ({
      char,
      piece,
      from: at / str.length,
      to: (at + length) / str.length,
    }))
  );
  if (needle.length === 0) return null;
  const isNear = INDIC.test(wanted) && needle.length >= MIN_NEAR;
  const match = last(letters, needle) ??
    (isNear ? nearest(letters, needle, Math.floor(needle.length / 3)) : null);
  return match && {
    corners: cornersOf(pieces, letters.slice(match.begin, match.end)),
    differ: match.differ,
  };
}

interface Match {
  begin: number;
  end: number;
  differ: number;
}

function last(letters: readonly Letter[], needle: readonly string[]): Match | null {
  for (let begin = letters.length - needle.length; begin >= 0; begin--) {
    if (needle.every((char, i) => char === letters[begin + i].char)) {
      return { begin, end: begin + needle.length, differ: 0 };
    }
  }
  return null;
}

/** Approximate search (Sellers 1980): the column of edit distances, and where each best match began. */
function nearest(
  letters: readonly Letter[],
  needle: readonly string[],
  allowed: number,
): Match | null {
  const size = needle.length;
  let cost = Array.from({ length: size + 1 }, (_, i) => i);
  let from = new Array<number>(size + 1).fill(0);
  let best: Match | null = null;
  for (let end = 1; end <= letters.length; end++) {
    const nextCost = [0];
    const nextFrom = [end];
    for (let i = 1; i <= size; i++) {
      const change = cost[i - 1] + (needle[i - 1] === letters[end - 1].char ? 0 : 1);
      const more = cost[i] + 1;
      const less = nextCost[i - 1] + 1;
      nextCost[i] = Math.min(change, more, less);
      nextFrom[i] = Math.min(
        change === nextCost[i] ? from[i - 1] : Infinity,
        more === nextCost[i] ? from[i] : Infinity,
        less === nextCost[i] ? nextFrom[i - 1] : Infinity,
      );
    }
    [cost, from] = [nextCost, nextFrom];
    if (cost[size] <= (best?.differ ?? allowed)) {
      best = { begin: from[size], end, differ: cost[size] };
    }
  }
  return best;
}

/** The corners of each piece that has letters. */
export const cornersOfAll = (pieces: readonly TextPiece[]): Corners[] =>
  pieces.flatMap((piece) =>
    piece.str.trim() === "" ? [] : [cornersOf([piece], [{ char: "", piece: 0, from: 0, to: 1 }])]
  );

/** The corners of the letters that stand on the last one's line. */
function cornersOf(pieces: readonly TextPiece[], letters: readonly Letter[]): Corners {
  const [a, b, c, d, x, y] = pieces[letters.at(-1)!.piece].transform;
  const along = unit(a, b);
  const up = unit(c, d);
  const height = Math.hypot(c, d);
  const ends: number[] = [];
  for (const { piece, from, to } of letters) {
    const { transform: [, , , , px, py], width } = pieces[piece];
    const [dx, dy] = [px - x, py - y];
    if (Math.abs(dx * up[0] + dy * up[1]) > height / 2) continue;
    const start = dx * along[0] + dy * along[1];
    ends.push(start + width * from, start + width * to);
  }
  const begin = Math.min(...ends);
  const end = Math.max(...ends);
  const at = (line: number, above: number): [number, number] => [
    x + line * along[0] + above * up[0],
    y + line * along[1] + above * up[1],
  ];
  const [below, above] = [-DESCENT * height, (1 - DESCENT) * height];
  return [at(begin, below), at(end, below), at(begin, above), at(end, above)];
}

function unit(x: number, y: number): [number, number] {
  const length = Math.hypot(x, y) || 1;
  return [x / length, y / length];
}
