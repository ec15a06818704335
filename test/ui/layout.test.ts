// Where boxes of the flame graph and cells of the heap map go, against slow definitions of both.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { AddressMap } from "../../src/ui/address-map.js";
import { FlameLayout } from "../../src/ui/flame-layout.js";
import { functionTree, invertedTree, pathOf, siteTree, type Tree } from "../../src/ui/tree.js";
import type { Data } from "../../src/ui/unpack.js";

const whole = { left: 0, right: 1 };

function treeOf(parents: readonly number[], frames = parents.map((_, i) => i)): Tree {
  const nodes = { parent: Float64Array.from(parents), frame: Float64Array.from(frames) };
  return siteTree({ nodes } as Data);
}

/** Values of nodes, each with all below it. */
function withSums(tree: Tree, own: readonly number[]): Float64Array {
  const sums = Float64Array.from(own);
  for (let node = tree.size - 1; node > 0; node--) sums[tree.parent[node]!]! += sums[node]!;
  return sums;
}

const trees = fc
  .array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 50 })), { minLength: 1, maxLength: 40 })
  .map((nodes) => {
    const tree = treeOf(nodes.map(([pick], i) => (i === 0 ? 0 : pick % i)));
    return new FlameLayout(
      tree,
      withSums(
        tree,
        nodes.map(([, own], i) => (i === 0 ? 0 : own)),
      ),
    );
  });

describe("a flame graph", () => {
  test("has boxes as wide as their share, each within that of its parent, none over another", () => {
    fc.assert(
      fc.property(trees, (layout) => {
        const boxes = layout.boxes(whole, 1e6, 0, 100);
        const shown = new Map(boxes.map((box) => [box.node, box]));
        for (const { node, x, width, row } of boxes) {
          assert.ok(Math.abs(width - (1e6 * layout.values[node]!) / layout.total) < 1e-3);
          assert.equal(row, layout.tree.depth[node]);
          if (node === 0) continue;
          const parent = shown.get(layout.tree.parent[node]!)!;
          assert.ok(parent.x - 1e-3 <= x && x + width <= parent.x + parent.width + 1e-3);
        }
        boxes.forEach((box, i) => {
          const next = boxes[i + 1];
          if (next?.row === box.row) assert.ok(box.x + box.width <= next.x + 1e-3);
        });
        const withValue = [...layout.values].filter((value) => value > 0).length;
        assert.equal(boxes.length, layout.total > 0 ? withValue : 0);
      }),
    );
  });

  test("zoomed to a node shows it over the whole width", () => {
    fc.assert(
      fc.property(trees, fc.nat(), (layout, pick) => {
        const node = pick % layout.tree.size;
        fc.pre(layout.values[node]! > 0);
        const box = layout.boxes(layout.spanOf(node), 800, 0, 100).find((one) => one.node === node)!;
        assert.ok(Math.abs(box.x) < 1e-6 && Math.abs(box.width - 800) < 1e-6);
      }),
    );
  });

  test("gathers what is too narrow in one box", () => {
    const children = 10_000;
    const tree = treeOf([0, ...Array.from({ length: children }, () => 0)]);
    const layout = new FlameLayout(tree, withSums(tree, [0, ...Array.from({ length: children }, () => 1)]));
    const boxes = layout.boxes(whole, 1000, 0, 10);
    assert.deepEqual(
      boxes.map(({ node, x, width }) => [node, x, width]),
      [
        [0, 0, 1000],
        [-1, 0, 1000],
      ],
    );
  });

  test("bottom-up has each stack's frames from the inside out, without the allocator's", () => {
    const stacks = fc
      .tuple(fc.array(fc.tuple(fc.nat(), fc.nat(4)), { minLength: 2, maxLength: 40 }), fc.array(fc.nat()))
      .map(([nodes, picks]) => ({
        sites: treeOf(
          nodes.map(([pick], i) => (i === 0 ? 0 : pick % i)),
          nodes.map(([, frame]) => frame),
        ),
        ends: picks.map((pick) => 1 + (pick % (nodes.length - 1))),
      }));
    fc.assert(
      fc.property(stacks, ({ sites, ends }) => {
        const allocator = 0;
        const { tree, nodeOf } = invertedTree(
          sites,
          Float64Array.from(ends),
          (frame) => frame,
          (frame) => frame === allocator,
        );
        const paths = new Set<string>();
        for (const end of ends) {
          const frames = pathOf(sites, end).map((node) => sites.frame[node]!);
          // a stack of nothing but the allocator keeps its outermost frame
          const outer = frames.findIndex((frame) => frame !== allocator);
          const expected = outer < 0 ? frames.slice(-1) : frames.slice(outer);
          const found = pathOf(tree, nodeOf[end]!).map((node) => tree.frame[node]!);
          assert.deepEqual(found.reverse(), expected);
          for (let i = 1; i <= expected.length; i++) paths.add(JSON.stringify(expected.slice(0, i)));
        }
        assert.equal(tree.size, 1 + paths.size, "a path is there once");
      }),
    );
  });

  test("takes call sites of one function together", () => {
    // 0 calls f at two places (frames 1 and 2), and each of these calls g (frame 3).
    const sites = treeOf([0, 0, 0, 1, 2], [0, 1, 2, 3, 3]);
    const { tree, nodeOf } = functionTree(sites, Float64Array.from([0, 7, 7, 8]));
    assert.equal(tree.size, 3);
    assert.deepEqual([...nodeOf], [0, 1, 1, 2, 2]);
    assert.deepEqual([...tree.parent], [0, 0, 1]);
  });
});

describe("a heap map", () => {
  const maps = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 60 })), { maxLength: 60 })
    .map((blocks) => {
      const size = Math.max(
        256,
        blocks.reduce((sum, [gap, bytes]) => sum + gap + bytes, 100),
      );
      return new AddressMap(
        {
          time: 1,
          data: [8, 16],
          stack: [16, 32],
          heapBase: null,
          blocks: {
            gap: Float64Array.from(blocks, ([gap], i) => (i === 0 ? gap + 64 : gap)),
            size: Float64Array.from(blocks, ([, bytes]) => bytes),
            context: Float64Array.from(blocks, (_, i) => i),
            reachability: new Float64Array(0),
          },
        },
        size + 64,
      );
    });

  test("has cells as full as the blocks in them, at every zoom", () => {
    const ranges = fc.tuple(
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      fc.double({ min: 0.05, max: 1, noNaN: true }),
    );
    fc.assert(
      fc.property(maps, ranges, (map, [from, part]) => {
        const start = from * map.size;
        const range = { start, end: start + part * (map.size - start) };
        const { share, block, bytes } = map.cells(range, 7, 3);
        for (let cell = 0; cell < 21; cell++) {
          const [low, high] = [range.start + cell * bytes, range.start + (cell + 1) * bytes];
          let live = 0;
          for (let i = 0; i < map.count; i++) {
            const end = map.starts[i]! + map.sizes[i]!;
            live += Math.max(0, Math.min(high, end) - Math.max(low, map.starts[i]!));
          }
          assert.ok(
            Math.abs(share[cell]! - live / bytes) < 1e-4,
            `cell ${cell}: ${share[cell]}, ${live / bytes}`,
          );
          const shown = block[cell]!;
          if (live > 1e-6)
            assert.ok(
              shown >= 0 && map.starts[shown]! < high && map.starts[shown]! + map.sizes[shown]! > low,
            );
        }
      }),
    );
  });

  test("finds the block at every address", () => {
    fc.assert(
      fc.property(maps, (map) => {
        for (let address = 0; address < map.size; address++) {
          const found = map.blockAt(address);
          const slow = map.starts.findIndex(
            (start, i) => start <= address && address < start + Math.max(1, map.sizes[i]!),
          );
          // Blocks of no bytes may lie where another one begins.
          if (slow < 0 || map.sizes[slow]! > 0) assert.equal(found, slow);
        }
      }),
    );
  });

  test("says nothing of what is not known", () => {
    const blocks = {
      gap: Float64Array.of(100),
      size: Float64Array.of(50),
      context: Float64Array.of(1),
      reachability: new Float64Array(0),
    };
    const known = new AddressMap({ time: 5, data: [8, 16], stack: null, heapBase: 64, blocks }, 1000);
    assert.deepEqual(
      [0, 8, 16, 64, 120, 999].map((address) => known.regionAt(address)),
      ["unknown", "data", "unknown", "heap", "block", "heap"],
    );
    // Without a base of the heap, only what lies between blocks is the allocator's.
    const partly = new AddressMap({ time: 5, data: [], stack: [0, 64], heapBase: null, blocks }, 1000);
    assert.deepEqual(
      [0, 64, 120, 999].map((address) => partly.regionAt(address)),
      ["stack", "unknown", "block", "unknown"],
    );
    const none = {
      gap: new Float64Array(0),
      size: new Float64Array(0),
      context: new Float64Array(0),
      reachability: new Float64Array(0),
    };
    const unwritten = new AddressMap(
      { time: null, data: [8, 16], stack: null, heapBase: 64, blocks: none },
      1000,
    );
    assert.equal(unwritten.regionAt(500), "unknown");
    assert.deepEqual(
      unwritten.grounds().map(({ region }) => region),
      ["unknown", "data", "unknown"],
    );
  });
});
