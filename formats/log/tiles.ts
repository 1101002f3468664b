/**
 * The hashes of a log's tree in tiles (c2sp.org/tlog-tiles): a tile holds up to 256 neighbours of one level, and every eighth
 * level is kept; those between follow from them.
 */
import { concat } from "../asn1/der.ts";
import { nodeHash, type ReadHash, rootHash } from "./tree.ts";

const HASH = 32;
const HEIGHT = 8;
const WIDTH = 2 ** HEIGHT;

/** Reads a tile: the hashes that it holds so far, joined. */
export type ReadTile = (level: number, number: number) => Promise<Uint8Array>;

export interface Tile {
  level: number;
  number: number;
  /** 1 to 256, joined. */
  hashes: Uint8Array;
}

/** Hashes between the levels of tiles, by level and index. They stay when the tree grows. */
export type Nodes = Map<string, Uint8Array>;

/**
 * The tree's hashes out of tiles. Each tile is read once, so use it for one tree only.
 *
 * @param nodes hashes that are known, and get more
 */
export function hashesIn(readTile: ReadTile, nodes: Nodes = new Map()): ReadHash {
  const tiles = new Map<string, Promise<Uint8Array>>();
  return async (level, index) => {
    const known = nodes.get(`${level}/${index}`);
    if (known) return known;
    const tileLevel = Math.floor(level / HEIGHT);
    const number = Math.floor(index / 2 ** (HEIGHT - level % HEIGHT));
    const key = `${tileLevel}/${number}`;
    const tile = await tiles.getOrInsertComputed(key, () => readTile(tileLevel, number));
    return subtree(tile, level, index, nodes);
  };
}

function subtree(tile: Uint8Array, level: number, index: number, nodes: Nodes): Uint8Array {
  if (level % HEIGHT === 0) {
    const at = (index % WIDTH) * HASH;
    if (tile.length < at + HASH) throw new RangeError("a tile holds too few hashes");
    return tile.subarray(at, at + HASH);
  }
  return nodes.getOrInsertComputed(`${level}/${index}`, () =>
    nodeHash(
      subtree(tile, level - 1, index * 2, nodes),
      subtree(tile, level - 1, index * 2 + 1, nodes),
    ));
}

/** Level and number of the tiles at the end of a tree that are not full: they are needed to go on from there. */
export function* lastTiles(size: number): Generator<string> {
  for (let [level, count] = [0, size]; count > 0; level++) {
    const number = Math.floor(count / WIDTH);
    if (count % WIDTH > 0) yield `${level}/${number}`;
    count = number;
  }
}

/**
 * Adds leaves to a tree of `size` leaves.
 *
 * @param leaves their hashes
 * @param nodes as in {@linkcode hashesIn}
 * @returns the tiles that changed, and the root of the larger tree
 */
export async function extend(
  readTile: ReadTile,
  size: number,
  leaves: readonly Uint8Array[],
  nodes: Nodes = new Map(),
): Promise<{ tiles: Tile[]; root: Uint8Array }> {
  const changed = new Map<string, Tile>();
  const add = async (level: number, index: number, hash: Uint8Array): Promise<void> => {
    const number = Math.floor(index / WIDTH);
    const key = `${level}/${number}`;
    let tile = changed.get(key);
    if (!tile) {
      const before = index % WIDTH === 0 ? new Uint8Array() : await readTile(level, number);
      changed.set(key, tile = { level, number, hashes: before });
    }
    if (tile.hashes.length !== (index % WIDTH) * HASH) throw new RangeError("a tile was changed");
    tile.hashes = concat(tile.hashes, hash);
    if (index % WIDTH < WIDTH - 1) return;
    const below = HEIGHT * (level + 1) - 1;
    const [left, right] = [number * 2, number * 2 + 1]
      .map((each) => subtree(tile.hashes, below, each, nodes));
    await add(level + 1, number, nodeHash(left, right));
  };
  for (const [i, hash] of leaves.entries()) await add(0, size + i, hash);
  const read = hashesIn(
    async (level, number) =>
      changed.get(`${level}/${number}`)?.hashes ?? await readTile(level, number),
    nodes,
  );
  return { tiles: [...changed.values()], root: await rootHash(read, size + leaves.length) };
}

/** A tile's name below the log's address: `tile/0/x001/234`, `tile/1/000.p/7`. */
export function tilePath({ level, number, hashes }: Tile): string {
  const groups = [String(number % 1000).padStart(3, "0")];
  for (let rest = Math.floor(number / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  const width = hashes.length / HASH;
  return `tile/${level}/${groups.join("/")}${width < WIDTH ? `.p/${width}` : ""}`;
}

/**
 * Reads the name of a tile.
 *
 * @returns null where it is none; `width` is how many of its hashes are wanted
 */
export function readTilePath(
  path: string,
): { level: number; number: number; width: number } | null {
  const match = /^tile\/(\d{1,2})\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  if (!match) return null;
  const [, level, groups, part] = match;
  const number = groups.split("/").reduce((sum, each) => sum * 1000 + Number(each.slice(-3)), 0);
  const width = part === undefined ? WIDTH : Number(part);
  const tile = { level: Number(level), number, hashes: new Uint8Array(width * HASH) };
  // one name for each
  return width >= 1 && tilePath(tile) === path ? { level: tile.level, number, width } : null;
}
