/** Mutations of bytes, the same ones for the same seed. */

/** A small generator of numbers (mulberry32); `next(n)` is in 0…n-1. */
export function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const NUMBERS = [
  "0",
  "-1",
  "1",
  "2",
  "65535",
  "65536",
  "8388607",
  "8388608",
  "2147483647",
  "4294967296",
  "99999999999999999999",
  "0.5",
  "00000000000",
];

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - remove + insert.length);
  out.set(bytes.subarray(0, at), 0);
  out.set(insert, at);
  out.set(bytes.subarray(at + remove), at + insert.length);
  return out;
}

/** Position of a run of digits, from a random place on. */
function findNumber(bytes: Uint8Array, from: number): [start: number, length: number] | undefined {
  const digit = (at: number) => bytes[at] >= 48 && bytes[at] <= 57;
  let start = from;
  while (start < bytes.length && !digit(start)) start++;
  let end = start;
  while (end < bytes.length && digit(end)) end++;
  return end > start ? [start, end - start] : undefined;
}

/**
 * One to eight mutations: bits, bytes, numbers, words of the format, and pieces removed, doubled,
 * moved or taken from another document.
 *
 * @param words what the format is made of
 */
export function mutate(
  seeds: readonly Uint8Array[],
  words: readonly string[],
  next: (below: number) => number,
): Uint8Array {
  let bytes = seeds[next(seeds.length)];
  for (let count = 1 + next(next(2) === 0 ? 1 : 8); count > 0; count--) {
    if (bytes.length === 0) return bytes;
    const at = next(bytes.length);
    const length = Math.min(bytes.length - at, 1 + next(next(4) === 0 ? 2000 : 16));
    const piece = bytes.subarray(at, at + length);
    const text = (value: string) => new TextEncoder().encode(value);
    switch (next(9)) {
      case 0: {
        bytes = bytes.slice();
        bytes[at] ^= 1 << next(8);
        break;
      }
      case 1: {
        bytes = bytes.slice();
        bytes[at] = next(256);
        break;
      }
      case 2:
      case 3: {
        const number = findNumber(bytes, at);
        if (!number) break;
        const value = next(2) === 0 ? NUMBERS[next(NUMBERS.length)] : String(next(40));
        bytes = splice(bytes, ...number, text(value));
        break;
      }
      case 4:
        bytes = splice(bytes, at, next(2) * length, text(words[next(words.length)]));
        break;
      case 5:
        bytes = splice(bytes, at, length, new Uint8Array());
        break;
      case 6:
        bytes = splice(bytes, next(bytes.length), 0, piece.slice());
        break;
      case 7: {
        const other = seeds[next(seeds.length)];
        const from = next(other.length);
        bytes = splice(bytes, at, next(2) * length, other.slice(from, from + length));
        break;
      }
      case 8:
        if (next(20) === 0) bytes = bytes.slice(0, at);
        else bytes = splice(bytes, at, 0, text(words[next(words.length)].repeat(1 + next(50))));
    }
  }
  return bytes;
}

/** The input of one case of a run. */
export function caseBytes(
  seeds: readonly Uint8Array[],
  words: readonly string[],
  seed: number,
  index: number,
): Uint8Array {
  return mutate(seeds, words, generator(Math.imul(seed, 0x9e3779b1) + index));
}
