/**
 * Reads content streams (ISO 32000-2 §7.8.2) as strictly as the standard describes them. Readers mend what is written
 * otherwise, each in its own way: of too many operands some take the first and others the last, of `400-300` some take
 * 400 and others 100.
 */
import { isRegular, isSpace } from "./lexer.ts";
import { fromLatin1 } from "./value.ts";

/** Kinds of operands. An operator's are the digits of one number, from its first operand on. */
const NUMBER = 1, NAME = 2, STRING = 3, ARRAY = 4, DICT = 5, OTHER = 6;
const KINDS = 8;
const KIND_OF: Record<string, number> = { n: NUMBER, m: NAME, s: STRING, a: ARRAY, d: DICT };
/** More operands than any operator has whose operands are looked up. */
const MANY = KINDS ** 8;

/** The operators (Annex A) with their operands' kinds; `?` where {@linkcode ContentReader} looks closer. */
const OPERATORS = "b b* B B* BDC:? BI BMC:m BT BX c:nnnnnn cm:nnnnnn CS:m cs:m d:an d0:nn " +
  "d1:nnnnnn Do:m DP:? EMC ET EX f F f* G:n g:n gs:m h i:n J:? j:? K:nnnn k:nnnn l:nn M:n m:nn " +
  "MP:m n q Q re:nnnn RG:nnn rg:nnn ri:m s S SC:? sc:? SCN:? scn:? sh:m T* Tc:n TD:nn Td:nn Tf:mn " +
  "TJ:a Tj:s TL:n Tm:nnnnnn Tr:? Ts:n Tw:n Tz:n v:nnnn w:n W W* y:nnnn ':s \":nns";

const ENTRIES = OPERATORS.split(" ").map((entry) => entry.split(":"));
const WORDS = ENTRIES.map(([word]) => word);

/** An operator's number: its place among all, the first being 1. */
export const operator = (word: string): number => WORDS.indexOf(word) + 1;

/** A set of operators, by their numbers. */
export function operators(words: string): Uint8Array {
  const set = new Uint8Array(WORDS.length + 1);
  for (const word of words.split(" ")) set[operator(word)] = 1;
  return set;
}

/** Operators of one letter by that, and others by their letters, the first being the lowest byte. */
const BY_LETTER = new Uint8Array(256);
const BY_LETTERS = new Map<number, number>();
for (const word of WORDS) {
  const code = [...word].reduce((sum, c, i) => sum | c.charCodeAt(0) << (8 * i), 0);
  if (word.length === 1) BY_LETTER[code] = operator(word);
  else BY_LETTERS.set(code, operator(word));
}

const kindsOf = (letters: string) => [...letters].reduce((sum, c) => sum * KINDS + KIND_OF[c], 0);
/** Operands' kinds by operator; -1 where they are looked at closer. */
const OPERANDS = Int32Array.from([
  0,
  ...ENTRIES.map(([, kinds = ""]) => kinds === "?" ? -1 : kindsOf(kinds)),
]);
const MARKED = operators("BDC DP"), COLOURS = operators("SC sc SCN scn");
const [NAME_DICT, NAME_NAME, ONE_NUMBER] = ["md", "mm", "n"].map(kindsOf);
/** The highest of the whole numbers that these may have. */
const CHOICES = new Map([["Tr", 7], ["J", 2], ["j", 2]].map(([word, max]) => [
  operator(word as string),
  max as number,
]));
const [BX, EX] = ["BX", "EX"].map(operator);

/** What a token begins with. All that is regular (§7.2.3) is a digit or a letter. */
const SPACE = 0, DIGIT = 1, LETTER = 2, DELIMITER = 4, REGULAR = DIGIT | LETTER;
const BEGINS = new Uint8Array(256);
for (let c = 0; c < 256; c++) {
  const digit = "0123456789+-.".includes(String.fromCharCode(c));
  BEGINS[c] = isSpace(c) ? SPACE : !isRegular(c) ? DELIMITER : digit ? DIGIT : LETTER;
}
/** Whole numbers of so many digits are below {@linkcode MAX_NUMBER}. */
const FEW_DIGITS = 9;
const SOLIDUS = 0x2f, OPEN = 0x28, CLOSE = 0x29, LESS = 0x3c, GREATER = 0x3e, BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b, CLOSE_ARRAY = 0x5d, PERCENT = 0x25, HASH = 0x23, POINT = 0x2e;

/** Longer ones are cut by some readers (ISO 32000-1 Annex C.2), larger ones counted differently. */
const MAX_STRING = 32_767,
  MAX_NAME = 127,
  MAX_NUMBER = 2_147_483_647,
  MAX_DEPTH = 32,
  MAX_UNKNOWN = 10;
/** PDFium takes these for white space. */
const PADDED = /[\x80\xff]/;

const ODD = Symbol("content that readers read differently");

/** Ends {@linkcode isStrict}: something is written in a way of which readers make different things. */
export function odd(): never {
  throw ODD;
}

/** Whether nothing is {@linkcode odd}. */
export function isStrict(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error === ODD) return false;
    throw error;
  }
}

/** The streams of a page are one content, with white space between them (§7.8.2). */
export function joinContents(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0];
  const out = new Uint8Array(pieces.reduce((sum, { length }) => sum + length + 1, 0)).fill(10);
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length + 1;
  }
  return out;
}

export class ContentReader {
  /** Where the next token is looked for. */
  pos = 0;
  /** Of the last operator's operands, how many are numbers. */
  numbers = 0;
  /** The last operator's last operand is a name. */
  endsInName = false;
  /** Of the last number. */
  #value = 0;
  #isWhole = true;
  #nameStart = 0;
  #nameEnd = 0;
  /** Sections in which unknown operators may stand that are open (§8.2). */
  #compatible = 0;
  #unknownWords = 0;

  constructor(readonly data: Uint8Array) {}

  /** The last number that was read. */
  get number(): number {
    return this.#value;
  }

  /** The last name that was read. */
  get name(): string {
    const raw = fromLatin1(this.data.subarray(this.#nameStart, this.#nameEnd));
    return raw.replace(/#([0-9a-fA-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  }

  /** The number of the next operator, its operands checked; 0 at the end. */
  next(): number {
    const { data } = this;
    const { length } = data;
    let kinds = 0, count = 0, numbers = 0, kind = 0;
    for (let pos = this.pos;;) {
      while (pos < length && BEGINS[data[pos]] === SPACE) pos++;
      this.pos = pos;
      if (pos >= length) return 0;
      const c = data[pos];
      const begin = BEGINS[c];
      if (begin === DIGIT) {
        // The usual case, a few digits, without a call.
        let value = 0;
        const start = pos;
        for (let digit; pos < length && (digit = data[pos] - 48) >= 0 && digit <= 9; pos++) {
          value = value * 10 + digit;
        }
        const isUsual = pos > start && pos - start <= FEW_DIGITS &&
          (pos >= length || (BEGINS[data[pos]] & REGULAR) === 0);
        if (isUsual) {
          this.#value = value;
          this.#isWhole = true;
        } else {
          this.#number();
          pos = this.pos;
        }
        kind = NUMBER;
        numbers++;
      } else if (begin === LETTER) {
        const isOne = pos + 1 >= length || (BEGINS[data[pos + 1]] & REGULAR) === 0;
        const code = isOne ? BY_LETTER[c] : this.#letters();
        if (code !== 0) {
          if (isOne) this.pos = pos + 1;
          this.numbers = numbers;
          this.endsInName = kind === NAME;
          const wanted = OPERANDS[code];
          if (wanted !== kinds) this.#check(code, wanted, kinds, count);
          if (code === BX) this.#compatible++;
          else if (code === EX) this.#compatible--;
          return code;
        }
        kind = this.#unknown(pos);
        pos = this.pos;
        if (kind === 0) {
          kinds = count = numbers = 0;
          continue;
        }
      } else if (c === PERCENT) {
        this.skipSpace();
        pos = this.pos;
        continue;
      } else {
        kind = this.#delimited(0);
        pos = this.pos;
      }
      kinds = kinds < MANY ? kinds * KINDS + kind : MANY;
      count++;
    }
  }

  /** Skips white space and comments. */
  skipSpace(): void {
    const { data } = this;
    for (;;) {
      while (this.pos < data.length && BEGINS[data[this.pos]] === SPACE) this.pos++;
      if (data[this.pos] !== PERCENT) return;
      while (this.pos < data.length && data[this.pos] !== 10 && data[this.pos] !== 13) this.pos++;
    }
  }

  /** Reads a key, or the word that ends a dictionary's entries without `>>`, as inline images have it. */
  key(): string | undefined {
    this.skipSpace();
    if (this.data[this.pos] !== SOLIDUS) return undefined;
    this.#name();
    return this.name;
  }

  /** Reads one value; a number, a name, or null for anything else. */
  value(): number | string | null {
    const kind = this.#operand(1);
    return kind === NUMBER ? this.#value : kind === NAME ? this.name : null;
  }

  #check(code: number, wanted: number, kinds: number, count: number): void {
    if (wanted >= 0) odd();
    if (MARKED[code] === 1) {
      if (kinds !== NAME_DICT && kinds !== NAME_NAME) odd();
    } else if (COLOURS[code] === 1) {
      if (count === 0 || this.numbers !== (this.endsInName ? count - 1 : count)) odd();
    } else if (
      kinds !== ONE_NUMBER || !this.#isWhole ||
      !(this.#value >= 0 && this.#value <= CHOICES.get(code)!)
    ) {
      odd();
    }
  }

  /** The number of an operator of several letters, behind which it goes on; 0 for other words. */
  #letters(): number {
    const { data } = this;
    let code = 0, shift = 0, pos = this.pos;
    const end = Math.min(pos + 4, data.length);
    for (; pos < end && (BEGINS[data[pos]] & REGULAR) !== 0; shift += 8) {
      code |= data[pos++] << shift;
    }
    this.pos = pos;
    return BY_LETTERS.get(code) ?? 0;
  }

  /** A word that is no operator: a kind of operand, or 0 where all readers skip it. */
  #unknown(start: number): number {
    const { data } = this;
    while (this.pos < data.length && isRegular(data[this.pos])) this.pos++;
    const word = fromLatin1(data.subarray(start, Math.min(this.pos, start + MAX_NAME)));
    if (word === "true" || word === "false" || word === "null") return OTHER;
    // Some readers find a known operator in the beginning of an unknown one; MuPDF ends at `endstream`, and at the
    // hundredth error.
    const isOdd = ENTRIES.some(([known]) => word.startsWith(known)) || word === "endstream" ||
      PADDED.test(word) || (this.#compatible === 0 && ++this.#unknownWords > MAX_UNKNOWN);
    return isOdd ? odd() : 0;
  }

  #operand(depth: number): number {
    this.skipSpace();
    const { data, pos } = this;
    if (pos >= data.length) odd();
    const begin = BEGINS[data[pos]];
    if (begin === DELIMITER) return this.#delimited(depth);
    if (begin === LETTER) return this.#unknown(pos) || odd();
    this.#number();
    return NUMBER;
  }

  #number(): void {
    const { data } = this;
    let { pos } = this;
    let c = data[pos];
    const isSigned = c === 0x2b || c === 0x2d;
    const isNegative = c === 0x2d;
    if (isSigned) c = data[++pos];
    let value = 0, digits = 0;
    for (; c >= 48 && c <= 57; c = data[++pos]) {
      value = value * 10 + c - 48;
      digits++;
    }
    this.#isWhole = c !== POINT;
    if (c === POINT) {
      for (c = data[++pos]; c >= 48 && c <= 57; c = data[++pos]) digits++;
    }
    if (digits === 0 || value > MAX_NUMBER || (pos < data.length && isRegular(c))) odd();
    this.#value = isNegative ? -value : value;
    this.pos = pos;
  }

  #delimited(depth: number): number {
    const { data, pos } = this;
    switch (data[pos]) {
      case SOLIDUS:
        this.#name();
        return NAME;
      case OPEN:
        this.#string();
        return STRING;
      case OPEN_ARRAY:
        this.#array(depth);
        return ARRAY;
      case LESS:
        if (data[pos + 1] !== LESS) {
          this.#hexString();
          return STRING;
        }
        this.#dict(depth);
        return DICT;
    }
    return odd();
  }

  #name(): void {
    const { data } = this;
    let pos = this.pos + 1;
    this.#nameStart = pos;
    for (; pos < data.length && isRegular(data[pos]); pos++) {
      const c = data[pos];
      const isBad = c === HASH && !(isHex(data[pos + 1]) && isHex(data[pos + 2]));
      if (isBad || c === 0x80 || c === 0xff) odd();
    }
    if (pos - this.#nameStart > MAX_NAME) odd();
    this.#nameEnd = this.pos = pos;
  }

  #string(): void {
    const { data } = this;
    const start = this.pos;
    let pos = start + 1;
    for (let depth = 1; depth > 0; pos++) {
      if (pos >= data.length) odd();
      const c = data[pos];
      if (c === OPEN) depth++;
      else if (c === CLOSE) depth--;
      else if (c === BACKSLASH) {
        pos++;
        // Higher ones are more than a byte.
        if (
          data[pos] >= 0x34 && data[pos] <= 0x37 && isOctal(data[pos + 1]) && isOctal(data[pos + 2])
        ) odd();
      }
    }
    if (pos - start - 2 > MAX_STRING) odd();
    this.pos = pos;
  }

  /** Another character is skipped by some readers, and counts as a digit for others. */
  #hexString(): void {
    const { data } = this;
    let pos = this.pos + 1, digits = 0;
    for (; data[pos] !== GREATER; pos++) {
      if (isHex(data[pos])) digits++;
      else if (pos >= data.length || BEGINS[data[pos]] !== SPACE) odd();
    }
    if (digits > 2 * MAX_STRING) odd();
    this.pos = pos + 1;
  }

  /** Of numbers and strings; those for text and dashes have no others. */
  #array(depth: number): void {
    if (depth > MAX_DEPTH) odd();
    const { data } = this;
    for (this.pos++;;) {
      this.skipSpace();
      if (data[this.pos] === CLOSE_ARRAY) break;
      const kind = this.#operand(depth + 1);
      if (depth === 0 && kind !== NUMBER && kind !== STRING) odd();
    }
    this.pos++;
  }

  #dict(depth: number): void {
    if (depth > MAX_DEPTH) odd();
    const { data } = this;
    for (this.pos += 2; this.key() !== undefined;) this.#operand(depth + 1);
    if (data[this.pos] !== GREATER || data[this.pos + 1] !== GREATER) odd();
    this.pos += 2;
  }
}

const isOctal = (c: number) => c >= 0x30 && c <= 0x37;
const isHex = (c: number) =>
  (c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66);
