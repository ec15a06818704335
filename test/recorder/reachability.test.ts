import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Blocks, reach } from "../../src/profile/blocks.js";
import { examineBlocks, type Roots } from "../../src/recorder/reachability.js";
import { forSeeds, type Random } from "./random.js";

const never = () => false;

function blocksAt(...rows: readonly (readonly [address: number, size: number])[]): Blocks {
  return {
    count: rows.length,
    addresses: Float64Array.from(rows, ([address]) => address),
    sizes: Float64Array.from(rows, ([, size]) => size),
    contexts: new Uint32Array(rows.length),
    flags: new Uint8Array(rows.length),
  };
}

function examine(blocks: Blocks, pointers: Record<number, number>, roots: Roots): number[] {
  const memory = new ArrayBuffer(65536);
  for (const [at, value] of Object.entries(pointers)) new DataView(memory).setUint32(Number(at), value, true);
  assert.equal(examineBlocks(memory, blocks, roots, never), true);
  return [...blocks.flags];
}

const { unreferenced, referenced, fromUnreferenced, exposed, fromExposed } = reach;
const data: Roots = { ranges: [[0, 1024]], values: [] };

describe("reachability", () => {
  test("follows pointers from the roots, to the middle of blocks too", () => {
    const blocks = blocksAt([2000, 100], [3000, 100], [4000, 100]);
    assert.deepEqual(examine(blocks, { 8: 2000, 2096: 3095 }, data), [referenced, referenced, unreferenced]);
  });

  test("takes values of globals for roots", () => {
    const blocks = blocksAt([2000, 100], [3000, 100]);
    assert.deepEqual(examine(blocks, {}, { ranges: [], values: [3000] }), [unreferenced, referenced]);
  });

  test("an address behind a block, an unaligned word, a pointer outside of all ranges are none", () => {
    const blocks = blocksAt([2000, 100], [3000, 100]);
    assert.deepEqual(examine(blocks, { 8: 2100, 13: 2000, 1024: 3000, 2900: 3000 }, data), [
      unreferenced,
      unreferenced,
    ]);
  });

  test("the head of dlmalloc's next chunk, in the last bytes of a block, is no reference to the block", () => {
    const blocks = blocksAt([2000, 100], [3000, 100]);
    assert.deepEqual(examine(blocks, { 8: 2096, 12: 3098 }, data), [unreferenced, referenced]);
  });

  test("but one is where the next chunk is in use, or the address lies in a block: SQLite's short strings", () => {
    const fresh = () => blocksAt([2000, 100], [3000, 100]);
    assert.deepEqual(examine(fresh(), { 8: 2096, 2100: 32 | 2 }, data), [referenced, unreferenced]);
    assert.deepEqual(examine(fresh(), { 8: 2000, 2000: 3096 }, data), [referenced, referenced]);
  });

  test("a block that was made larger where it is, unseen, is as large as its chunk says", () => {
    const grown = { 8: 2000, 1996: 160 | 3, 2156: 32 | 1, 2120: 3000 };
    const flagsOf = (pointers: Record<number, number>, resizedUnseen: boolean) =>
      examine(blocksAt([2000, 100], [3000, 100]), pointers, { ...data, resizedUnseen });
    assert.deepEqual(flagsOf(grown, true), [referenced, referenced]);
    assert.deepEqual(flagsOf(grown, false), [referenced, unreferenced]);
    // to its middle, too
    assert.deepEqual(flagsOf({ ...grown, 8: 2130 }, true), [referenced, referenced]);
    const otherwise = {
      "a chunk that isn't in use": { 1996: 160 },
      "one that the next doesn't know of": { 2156: 32 },
      "one that reaches into the next block": { 1996: 1160 | 3, 3156: 32 | 1 },
      "one as large as the allocator makes it": { 1996: 112 | 3, 2108: 32 | 1 },
    };
    for (const [what, words] of Object.entries(otherwise))
      assert.deepEqual(flagsOf({ ...grown, ...words }, true), [referenced, unreferenced], what);
  });

  test("tells where a forgotten structure begins", () => {
    const chain = blocksAt([2000, 8], [3000, 8], [4000, 8]);
    assert.deepEqual(examine(chain, { 4000: 3000, 3000: 2000 }, data), [
      fromUnreferenced,
      fromUnreferenced,
      unreferenced,
    ]);
    const ring = blocksAt([2000, 8], [3000, 8], [4000, 8]);
    assert.deepEqual(examine(ring, { 2000: 3000, 3000: 2000, 3004: 4000 }, data), [
      unreferenced,
      fromUnreferenced,
      fromUnreferenced,
    ]);
    const itself = blocksAt([2000, 8]);
    assert.deepEqual(examine(itself, { 2000: 2000 }, data), [unreferenced]);
  });

  test("what JavaScript knows is told apart, with what it leads to", () => {
    const blocks = blocksAt([2000, 8], [3000, 8], [4000, 8], [5000, 8], [6000, 8]);
    const asked: number[][] = [];
    const isExposed = (address: number, size: number) => {
      asked.push([address, size]);
      return address <= 3000;
    };
    // data leads to the first, JavaScript knows the second, which leads to the third; a lost one leads there, too
    const pointers = { 8: 2000, 3000: 4000, 5000: 4000, 5004: 6000 };
    const flags = [referenced, exposed, fromExposed, unreferenced, fromUnreferenced];
    assert.deepEqual(examine(blocks, pointers, { ...data, isExposed }), flags);
    assert.ok(asked.every(([address, size]) => address !== 2000 && size === 8));
  });

  test("a block of no bytes is where its address points", () => {
    assert.deepEqual(examine(blocksAt([2000, 0], [2016, 0]), { 0: 2016 }, data), [unreferenced, referenced]);
  });

  test("is what its definition says, on random memories", () => {
    forSeeds(100, (random) => {
      const { memory, blocks, roots } = randomHeap(random);
      examineBlocks(memory, blocks, roots, never);
      const edges = allEdges(memory, blocks);
      const fromRoots = closure(edges, rootsIn(memory, blocks, roots));
      const rest = [...blocks.flags.keys()].filter((block) => !fromRoots.has(block));
      const heads = rest.filter((block) => blocks.flags[block] === unreferenced);
      for (const block of fromRoots) assert.equal(blocks.flags[block], referenced);
      for (const block of rest) assert.notEqual(blocks.flags[block], referenced);
      // what nothing points to is a head, and from the heads all the rest is reached
      for (const block of rest) {
        if (!rest.some((other) => other !== block && edges[other]!.has(block))) {
          assert.equal(blocks.flags[block], unreferenced);
        }
      }
      const reached = closure(edges, heads);
      assert.deepEqual(
        rest.filter((block) => !reached.has(block)),
        [],
      );
      // and none is reached from one that was found before it, or it would not be where something begins
      const isPointedTo = (block: number) =>
        rest.some((other) => other !== block && edges[other]!.has(block));
      for (const head of heads.filter(isPointedTo)) {
        const before = heads.filter((other) => !isPointedTo(other) || other < head);
        assert.equal(closure(edges, before).has(head), false, `block ${head} of ${heads}`);
      }
    });
  });

  test("counts each word that it looks at, and those that lie in a block as more", () => {
    const memory = new ArrayBuffer(65536);
    const blocks = blocksAt([2000, 100], [3000, 40]);
    const workWith = (pointer: number) => {
      new Uint32Array(memory)[2] = pointer;
      blocks.flags.fill(0);
      let sum = 0;
      examineBlocks(memory, blocks, data, (work) => {
        sum += work;
        return false;
      });
      return sum;
    };
    // the roots once; blocks once when they are reached, else twice: to see which of the rest point to each other
    assert.equal(workWith(0), 256 + 2 * (25 + 10));
    assert.equal(workWith(3000), 256 + 16 + 10 + 2 * 25);
  });

  test("gives up when it has done what it may, and says so", () => {
    const memory = new ArrayBuffer(64 << 20);
    const blocks = blocksAt([1 << 20, 32 << 20], [50 << 20, 100]);
    new Uint32Array(memory)[0] = 1 << 20;
    let looks = 0;
    assert.equal(
      examineBlocks(memory, blocks, { ranges: [[0, 1024]], values: [] }, () => ++looks > 3),
      false,
    );
    assert.deepEqual([...blocks.flags], [0, 0]);
    assert.equal(looks, 4);
  });
});

interface Heap {
  memory: ArrayBuffer;
  blocks: Blocks;
  roots: Roots;
}

function randomHeap(random: Random): Heap {
  const memory = new ArrayBuffer(65536);
  const rows: [number, number][] = [];
  const count = 1 + random.below(30);
  for (let at = 1024 + random.below(64); rows.length < count; ) {
    const size = random.below(random.chance(0.05) ? 400 : 40);
    if (at + size > 60_000) break;
    rows.push([at, size]);
    at += Math.max(1, size) + random.below(24);
  }
  const words = new Uint32Array(memory);
  for (const [address, size] of rows) {
    for (let at = Math.ceil(address / 4); at < Math.floor((address + size) / 4); at++) {
      if (random.chance(0.12)) words[at] = random.pick(rows)[0] + random.below(44);
    }
  }
  for (let i = random.below(4); i > 0; i--)
    words[random.below(256)] = random.pick(rows)[0] + random.below(44);
  return {
    memory,
    blocks: blocksAt(...rows),
    roots: { ranges: [[0, 1024]], values: random.chance(0.5) ? [random.pick(rows)[0]] : [] },
  };
}

function blockOf({ addresses, sizes }: Blocks, value: number): number {
  return addresses.findIndex((address, i) => value >= address && value < address + Math.max(1, sizes[i]!));
}

function mayBeFreeChunk(memory: ArrayBuffer, blocks: Blocks, value: number): boolean {
  const { addresses, sizes } = blocks;
  const block = blockOf(blocks, value);
  if (block < 0 || value % 8 !== 0 || value === addresses[block]) return false;
  const inUse = (new DataView(memory).getUint32(value + 4, true) & 2) !== 0;
  return addresses[block]! + sizes[block]! - value <= 4 && !inUse;
}

function wordsIn(memory: ArrayBuffer, start: number, end: number): number[] {
  const words = new Uint32Array(memory);
  return [...words.slice(Math.ceil(start / 4), Math.max(Math.ceil(start / 4), Math.floor(end / 4)))];
}

function allEdges(memory: ArrayBuffer, blocks: Blocks): Set<number>[] {
  return [...blocks.addresses].map((address, i) => {
    const targets = wordsIn(memory, address, address + blocks.sizes[i]!).map((word) => blockOf(blocks, word));
    return new Set(targets.filter((block) => block >= 0));
  });
}

function rootsIn(memory: ArrayBuffer, blocks: Blocks, { ranges, values }: Roots): number[] {
  const words = ranges.flatMap(([start, end]) => wordsIn(memory, start, end));
  return [...words, ...values]
    .filter((word) => !mayBeFreeChunk(memory, blocks, word))
    .map((word) => blockOf(blocks, word))
    .filter((block) => block >= 0);
}

function closure(edges: readonly ReadonlySet<number>[], from: readonly number[]): Set<number> {
  const reached = new Set(from);
  for (const block of reached) for (const target of edges[block]!) reached.add(target);
  return reached;
}
