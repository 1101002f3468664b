import assert from "node:assert/strict";
import fc from "fast-check";
import { extend, hashesIn, lastTiles, readTilePath, type Tile, tilePath } from "./tiles.ts";
import {
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  type ReadHash,
  rootHash,
  verifyConsistency,
  verifyInclusion,
} from "./tree.ts";

const bytes = (text: string) => Uint8Array.fromHex(text);

/** The leaves and roots of certificate-transparency-go's and RFC 6962's reference implementation. */
const LEAVES = [
  ...["", "00", "10", "2021", "3031", "40414243"],
  ...["5051525354555657", "606162636465666768696a6b6c6d6e6f"],
].map(bytes);
const ROOTS = [
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/** RFC 6962 §2.1, word for word. */
function treeHash(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return EMPTY_ROOT;
  if (hashes.length === 1) return hashes[0];
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  return nodeHash(treeHash(hashes.slice(0, half)), treeHash(hashes.slice(half)));
}
const overAll = (hashes: readonly Uint8Array[]): ReadHash => (level, index) =>
  Promise.resolve(treeHash(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level)));

const leavesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => leafHash(new TextEncoder().encode(`leaf ${i}`)));

Deno.test("roots are those of the reference implementation of RFC 6962", async () => {
  const read = overAll(LEAVES.map(leafHash));
  for (const [i, root] of ROOTS.entries()) {
    assert.equal((await rootHash(read, i + 1)).toHex(), root);
  }
  assert.equal(
    (await rootHash(read, 0)).toHex(),
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  );
});

Deno.test("proofs are those of the reference implementation of RFC 6962", async () => {
  const read = overAll(LEAVES.map(leafHash));
  const hex = (proof: Uint8Array[]) => proof.map((each) => each.toHex());
  assert.deepEqual(hex(await inclusionProof(read, 0, 8)), [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
  ]);
  assert.deepEqual(hex(await inclusionProof(read, 2, 3)), [ROOTS[1]]);
  assert.deepEqual(hex(await consistencyProof(read, 6, 8)), [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    ROOTS[3],
  ]);
});

Deno.test("every leaf of every small tree has a proof, and it holds for nothing else", async () => {
  const hashes = leavesOf(40);
  const read = overAll(hashes);
  for (let size = 1; size <= hashes.length; size++) {
    const root = treeHash(hashes.slice(0, size));
    for (let index = 0; index < size; index++) {
      const proof = await inclusionProof(read, index, size);
      const claim = { index, size, hash: hashes[index], proof, root };
      assert.ok(verifyInclusion(claim), `${index} of ${size}`);
      assert.ok(!verifyInclusion({ ...claim, hash: root }) || size === 1);
      assert.ok(!verifyInclusion({ ...claim, index: index + 1 }));
      assert.ok(!verifyInclusion({ ...claim, proof: [...proof, root] }));
      assert.ok(!verifyInclusion({ ...claim, root: hashes[(index + 1) % hashes.length] }));
      if (proof.length > 0) assert.ok(!verifyInclusion({ ...claim, proof: proof.slice(1) }));
    }
  }
});

Deno.test("every small tree is consistent with every larger one, and with no other", async () => {
  const hashes = leavesOf(40);
  const read = overAll(hashes);
  for (let size = 1; size <= hashes.length; size++) {
    const root = treeHash(hashes.slice(0, size));
    for (let old = 1; old <= size; old++) {
      const oldRoot = treeHash(hashes.slice(0, old));
      const proof = await consistencyProof(read, old, size);
      assert.ok(verifyConsistency({ old, size, oldRoot, root, proof }), `${old}, ${size}`);
      const other = treeHash([...hashes.slice(0, old - 1), leafHash(root)]);
      assert.ok(!verifyConsistency({ old, size, oldRoot: other, root, proof }));
      assert.ok(!verifyConsistency({ old, size, oldRoot, root: other, proof }));
      assert.ok(!verifyConsistency({ old, size, oldRoot, root, proof: [...proof, root] }));
      assert.ok(!verifyConsistency({ old: old + 1, size, oldRoot, root, proof }));
    }
  }
});

Deno.test("tiles give the same tree, however many leaves come at a time (property)", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(255, 256, 257)), {
        maxLength: 8,
      }),
      fc.nat(),
      async (batches, seed) => {
        const total = batches.reduce((sum, count) => sum + count, 0);
        const hashes = leavesOf(total);
        const stored = new Map<string, Tile>();
        const read = (level: number, number: number) =>
          Promise.resolve(stored.get(`${level}/${number}`)!.hashes);
        const nodes = new Map();
        let size = 0;
        for (const count of batches) {
          const added = hashes.slice(size, size + count);
          const { tiles, root } = await extend(read, size, added, nodes);
          for (const tile of tiles) {
            const before = stored.get(`${tile.level}/${tile.number}`);
            if (before) {
              const begin = tile.hashes.subarray(0, before.hashes.length);
              assert.equal(begin.toHex(), before.hashes.toHex(), "only added to");
            }
            stored.set(`${tile.level}/${tile.number}`, tile);
          }
          size += count;
          assert.equal(root.toHex(), treeHash(hashes.slice(0, size)).toHex());
          const last = stored.keys().filter((each) => stored.get(each)!.hashes.length < 256 * 32);
          assert.deepEqual([...lastTiles(size)].toSorted(), [...last].toSorted());
        }
        if (size === 0) return;
        const inTiles = hashesIn(read);
        const index = seed % size;
        const root = treeHash(hashes);
        const proof = await inclusionProof(inTiles, index, size);
        assert.ok(verifyInclusion({ index, size, hash: hashes[index], proof, root }));
        const oldRoot = treeHash(hashes.slice(0, index + 1));
        const consistency = await consistencyProof(inTiles, index + 1, size);
        assert.ok(
          verifyConsistency({ old: index + 1, size, oldRoot, root, proof: consistency }),
        );
      },
    ),
    { numRuns: 30 },
  ));

Deno.test("tiles have the names that C2SP gives them, and no others", () => {
  const name = (level: number, number: number, width: number) =>
    tilePath({ level, number, hashes: new Uint8Array(width * 32) });
  assert.equal(name(0, 1234067, 256), "tile/0/x001/x234/067");
  assert.equal(name(0, 1234067, 8), "tile/0/x001/x234/067.p/8");
  assert.equal(name(2, 5, 1), "tile/2/005.p/1");
  for (const [level, number, width] of [[0, 0, 256], [1, 999, 1], [3, 1000, 255]]) {
    assert.deepEqual(readTilePath(name(level, number, width)), { level, number, width });
  }
  for (
    const wrong of [
      ...["tile/0/5", "tile/0/x000/005", "tile/00/005", "tile/0/005.p/0", "tile/0/005.p/256"],
      ...["tile/0/005.p/07", "tile/0/x5/005", "tile/0/005/006", "tile/-1/005", "/tile/0/005"],
    ]
  ) assert.equal(readTilePath(wrong), null, wrong);
});
