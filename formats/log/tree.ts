/**
 * The Merkle tree of a log (RFC 6962 §2.1, RFC 9162 §2.1): each leaf's hash leads to one root, a short proof shows that a leaf
 * is in it, and another that a later tree only added to an earlier one.
 */
import { digest } from "../digest.ts";

/** Reads the hash of a complete subtree: of the `2 ** level` leaves from `index * 2 ** level` on. */
export type ReadHash = (level: number, index: number) => Promise<Uint8Array>;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The root of the tree without leaves. */
export const EMPTY_ROOT = digest("SHA-256", new Uint8Array());

export const leafHash = (data: Uint8Array): Uint8Array => digest("SHA-256", LEAF, data);

export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  digest("SHA-256", NODE, left, right);

/** The largest power of two below `count`, and its exponent; `count` is 2 at least. */
function split(count: number): { half: number; level: number } {
  let [half, level] = [1, 0];
  while (half * 2 < count) [half, level] = [half * 2, level + 1];
  return { half, level };
}

/** The root over the leaves from `from` to before `to`; `from` is where a subtree of that many leaves may begin. */
async function rangeHash(read: ReadHash, from: number, to: number): Promise<Uint8Array> {
  const count = to - from;
  if (count === 1) return await read(0, from);
  const { half, level } = split(count);
  if (half * 2 === count) return await read(level + 1, from / count);
  return nodeHash(await read(level, from / half), await rangeHash(read, from + half, to));
}

/** The root of the tree of the first `size` leaves. */
export async function rootHash(read: ReadHash, size: number): Promise<Uint8Array> {
  return size === 0 ? EMPTY_ROOT : await rangeHash(read, 0, size);
}

/**
 * Shows that the leaf `index` is in the tree of `size` leaves (RFC 9162 §2.1.3.1).
 *
 * @throws {RangeError} unless `index < size`
 */
export async function inclusionProof(
  read: ReadHash,
  index: number,
  size: number,
): Promise<Uint8Array[]> {
  if (!(index >= 0 && index < size)) throw new RangeError(`no leaf ${index} of ${size}`);
  const proof: Uint8Array[] = [];
  for (let [from, to] = [0, size]; to - from > 1;) {
    const { half } = split(to - from);
    const middle = from + half;
    const isLeft = index < middle;
    proof.push(await (isLeft ? rangeHash(read, middle, to) : rangeHash(read, from, middle)));
    [from, to] = isLeft ? [from, middle] : [middle, to];
  }
  return proof.reverse();
}

/**
 * Shows that the tree of `size` leaves begins with that of `old` leaves (RFC 9162 §2.1.4.1).
 *
 * @throws {RangeError} unless `0 < old <= size`
 */
export async function consistencyProof(
  read: ReadHash,
  old: number,
  size: number,
): Promise<Uint8Array[]> {
  if (!(old > 0 && old <= size)) throw new RangeError(`no tree of ${old} in ${size}`);
  const proof: Uint8Array[] = [];
  let [from, to] = [0, size];
  /** Whether what is left of the old tree is a subtree that the verifier knows. */
  let known = true;
  while (old !== to) {
    const { half } = split(to - from);
    const middle = from + half;
    if (old <= middle) {
      proof.push(await rangeHash(read, middle, to));
      to = middle;
    } else {
      proof.push(await rangeHash(read, from, middle));
      from = middle;
      known = false;
    }
  }
  if (!known) proof.push(await rangeHash(read, from, to));
  return proof.reverse();
}

const same = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
const isOdd = (value: number) => value % 2 === 1;
const halfOf = (value: number) => Math.floor(value / 2);

/** Whether a proof of {@linkcode inclusionProof} leads from a leaf's hash to the root (RFC 9162 §2.1.3.2). */
export function verifyInclusion(
  { index, size, hash, proof, root }: {
    index: number;
    size: number;
    hash: Uint8Array;
    proof: readonly Uint8Array[];
    root: Uint8Array;
  },
): boolean {
  if (!(index >= 0 && index < size)) return false;
  let [fn, sn, result] = [index, size - 1, hash];
  for (const each of proof) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      result = nodeHash(each, result);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [halfOf(fn), halfOf(sn)];
    } else result = nodeHash(result, each);
    [fn, sn] = [halfOf(fn), halfOf(sn)];
  }
  return sn === 0 && same(result, root);
}

/** Whether a proof of {@linkcode consistencyProof} leads from the old root to the new one (RFC 9162 §2.1.4.2). */
export function verifyConsistency(
  { old, size, oldRoot, root, proof }: {
    old: number;
    size: number;
    oldRoot: Uint8Array;
    root: Uint8Array;
    proof: readonly Uint8Array[];
  },
): boolean {
  if (old > size) return false;
  if (old === size) return proof.length === 0 && same(oldRoot, root);
  // every tree begins with the one that has no leaves
  if (old === 0) return proof.length === 0 && same(oldRoot, EMPTY_ROOT);
  const isSubtree = Number.isInteger(Math.log2(old));
  const [first, ...rest] = isSubtree ? [oldRoot, ...proof] : proof;
  if (first === undefined) return false;
  let [fn, sn] = [old - 1, size - 1];
  while (isOdd(fn)) [fn, sn] = [halfOf(fn), halfOf(sn)];
  let [fr, sr] = [first, first];
  for (const each of rest) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      [fr, sr] = [nodeHash(each, fr), nodeHash(each, sr)];
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [halfOf(fn), halfOf(sn)];
    } else sr = nodeHash(sr, each);
    [fn, sn] = [halfOf(fn), halfOf(sn)];
  }
  return sn === 0 && same(fr, oldRoot) && same(sr, root);
}
