// Debug information that is damaged or lies: an answer or none, with a note, and always soon.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findPositions, memorySource, Section } from "../../../src/wasm/dwarf/index.js";
import { answers, debugSections, fixture, framesOf } from "./support.js";

/** A small generator with a seed (mulberry32). */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const section = (...bytes: number[]) => new Section(memorySource(new Uint8Array(bytes)), 0, bytes.length);
const copyOf = (from: Section) => from.read(0, from.size).slice();

describe("mutated sections neither throw nor hang", () => {
  for (const name of ["c-4-O2.wasm", "c-5-O0.wasm", "cpp-5-O2.wasm", "rust-4-O2.wasm"]) {
    test(name, () => {
      const original = debugSections(fixture(name));
      const addresses = answers[name].map(([address]) => address);
      const names = [...original.keys()];
      const next = random(4);
      let noted = 0;
      for (let round = 0; round < 150; round++) {
        const sections = new Map(original);
        for (let changes = 1 + next(4); changes > 0; changes--) {
          const which = names[next(names.length)];
          const bytes = copyOf(sections.get(which)!);
          if (bytes.length === 0) continue;
          const kind = next(5);
          const at = next(bytes.length);
          if (kind === 0) bytes[at] = next(256);
          else if (kind === 1) bytes.fill(0xff, at, Math.min(bytes.length, at + 1 + next(8)));
          else if (kind === 2) bytes.copyWithin(at, next(bytes.length), next(bytes.length));
          else if (kind === 3) bytes[at] ^= 1 << next(8);
          const cut = kind === 4 ? at : bytes.length;
          sections.set(which, new Section(memorySource(bytes), 0, cut));
        }
        const { positions, notes } = findPositions(sections, addresses);
        if (notes.length > 0) noted++;
        for (const frames of positions.values()) {
          for (const { line, column } of frames) {
            assert.ok(Number.isInteger(line) && line >= 0 && Number.isInteger(column) && column >= 0);
          }
        }
      }
      assert.ok(noted > 10, "mutations are noticed");
    });
  }
});

test("unknown versions are passed over and named", () => {
  for (const version of [1, 6]) {
    const sections = debugSections(fixture("c-4-O0.wasm"));
    const info = copyOf(sections.get("info")!);
    info[4] = version;
    sections.set("info", new Section(memorySource(info), 0, info.length));
    const { positions, notes } = findPositions(sections, [100]);
    assert.equal(positions.size, 0);
    assert.deepEqual(notes, [`DWARF version ${version} is not known`]);
  }
});

test("version 3 is read: in what these units use it is version 4", () => {
  const sections = debugSections(fixture("c-4-O0.wasm"));
  const info = copyOf(sections.get("info")!);
  info[4] = 3;
  sections.set("info", new Section(memorySource(info), 0, info.length));
  const [address, frames] = answers["c-4-O0.wasm"].find(([, frames]) => frames.length > 0)!;
  assert.deepEqual(framesOf(findPositions(sections, [address]).positions.get(address)), frames);
});

/** One unit of version 4 with these abbreviations and entries; its first entry has the range 1 to 100. */
function unit(abbreviations: number[], entries: number[]) {
  const root = [1, 0x11, 1, 0x11, 0x01, 0x12, 0x06, 0, 0];
  const contents = [4, 0, 0, 0, 0, 0, 4, 1, 1, 0, 0, 0, 100, 0, 0, 0, ...entries];
  return new Map([
    ["abbrev", section(...root, ...abbreviations, 0)],
    ["info", section(contents.length, 0, 0, 0, ...contents)],
  ]);
}

test("a function that is its own abstract origin has no name", () => {
  // subprogram: low_pc, high_pc, abstract_origin as ref4 to itself
  const sections = unit(
    [2, 0x2e, 0, 0x11, 0x01, 0x12, 0x06, 0x31, 0x13, 0, 0],
    [2, 10, 0, 0, 0, 20, 0, 0, 0, 20, 0, 0, 0, 0],
  );
  const { positions } = findPositions(sections, [15]);
  assert.deepEqual(framesOf(positions.get(15)), [["", "", 0, 0]]);
});

test("names are read from the entries above", () => {
  const sections = unit(
    [2, 0x2e, 0, 0x11, 0x01, 0x12, 0x06, 0x03, 0x08, 0, 0],
    [2, 10, 0, 0, 0, 20, 0, 0, 0, 0x66, 0, 0],
  );
  const { positions, notes } = findPositions(sections, [9, 10, 29, 30]);
  assert.deepEqual(notes, []);
  assert.deepEqual([...positions.keys()], [10, 29]);
  assert.deepEqual(framesOf(positions.get(10)), [["f", "", 0, 0]]);
});

test("forms that lead nowhere, and values longer than the section, are noted", () => {
  const indirect = unit([2, 0x2e, 0, 0x03, 0x16, 0, 0], [2, 0x16, 0x16, 0]);
  assert.match(findPositions(indirect, [15]).notes.join(), /indirect/);
  const huge = unit([2, 0x34, 0, 0x02, 0x0a, 0, 0], [2, 0xff, 0]);
  assert.match(findPositions(huge, [15]).notes.join(), /ends early/);
  const unknown = unit([2, 0x34, 0, 0x02, 0x7f, 0, 0], [2, 0]);
  assert.match(findPositions(unknown, [15]).notes.join(), /unknown form 0x7f/);
});

test("inlined calls into one another without end are cut", () => {
  const depth = 5000;
  const entries = [2, 1, 0, 0, 0, 90, 0, 0, 0];
  for (let i = 0; i < depth; i++) entries.push(3, 1, 0, 0, 0, 90, 0, 0, 0);
  const shape = (code: number, tag: number) => [code, tag, 1, 0x11, 0x01, 0x12, 0x06, 0, 0];
  const root = [1, 0x11, 1, 0x11, 0x01, 0x12, 0x06, 0, 0];
  const contents = [4, 0, 0, 0, 0, 0, 4, 1, 1, 0, 0, 0, 100, 0, 0, 0, ...entries];
  const length = contents.length;
  const sections = new Map([
    ["abbrev", section(...root, ...shape(2, 0x2e), ...shape(3, 0x1d), 0)],
    ["info", section(length & 0xff, (length >> 8) & 0xff, length >> 16, 0, ...contents)],
  ]);
  const frames = findPositions(sections, [15]).positions.get(15)!;
  assert.ok(frames.length > 100 && frames.length < 300);
});

test("many units that share one long table come to an end", () => {
  // every unit refers to abbreviations at another offset of the same long table
  const units = 3000;
  const table = new Uint8Array(400_000).fill(1);
  const info: number[] = [];
  for (let i = 0; i < units; i++) info.push(8, 0, 0, 0, 4, 0, i & 0xff, i >> 8, 0, 0, 4, 2);
  const sections = new Map([
    ["abbrev", new Section(memorySource(table), 0, table.length)],
    ["info", section(...info)],
  ]);
  const { positions, notes } = findPositions(sections, [15]);
  assert.equal(positions.size, 0);
  assert.ok(notes.length > 0);
});
