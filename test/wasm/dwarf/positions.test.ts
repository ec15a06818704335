// What the reader says of hundreds of addresses, against what llvm-symbolizer says of them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { findPositions, Section } from "../../../src/wasm/dwarf/index.js";
import { answers, debugSections, fixture, framesOf } from "./support.js";

describe("positions from DWARF are those of llvm-symbolizer", () => {
  for (const [name, expected] of Object.entries(answers)) {
    test(name, () => {
      const addresses = expected.map(([address]) => address);
      const { positions, notes } = findPositions(debugSections(fixture(name)), addresses);
      assert.deepEqual(notes, []);
      assert.deepEqual(
        addresses.map((address) => [address, framesOf(positions.get(address))]),
        expected,
      );
    });
  }
});

test("inlined calls are among them", () => {
  for (const name of Object.keys(answers).filter((name) => !/^(cpp|rust).*O0/.test(name))) {
    assert.ok(answers[name].filter(([, frames]) => frames.length > 1).length > 5, name);
  }
});

test("of split DWARF the lines are there without the .dwo files, and a note says what is not", () => {
  // the code is that of c-5-O2.wasm
  const expected = answers["c-5-O2.wasm"].filter(([, [frame]]) => frame && frame[2] > 0);
  const addresses = expected.map(([address]) => address);
  const { positions, notes } = findPositions(debugSections(fixture("split-5-O2.wasm")), addresses);
  assert.deepEqual(
    addresses.map((address) => framesOf(positions.get(address)).map(([, ...place]) => place)),
    expected.map(([, [[, ...place]]]) => [place]),
  );
  assert.match(notes.join(), /\.dwo files/);
});

test("each address gets the same answer alone as among others", () => {
  const sections = debugSections(fixture("rust-5-O2.wasm"));
  const all = answers["rust-5-O2.wasm"];
  for (const [address, frames] of all.filter((_, i) => i % 7 === 0)) {
    assert.deepEqual(framesOf(findPositions(sections, [address]).positions.get(address)), frames);
  }
});

test("without .debug_line functions are still named; without .debug_info there is nothing", () => {
  const sections = debugSections(fixture("cpp-5-O2.wasm"));
  const [address, frames] = answers["cpp-5-O2.wasm"].findLast(([, frames]) => frames.length > 2)!;
  sections.delete("line");
  const { positions, notes } = findPositions(sections, [address]);
  assert.deepEqual(
    framesOf(positions.get(address)),
    frames.map(([name]) => [name, "", 0, 0]),
  );
  assert.match(notes.join(), /no section \.debug_line/);
  sections.delete("info");
  assert.equal(findPositions(sections, [address]).positions.size, 0);
});

test("only a small part of the sections is read for one address", () => {
  const bytes = fixture("rust-4-O0.wasm");
  // the same module's units many times over: all but one are of no interest
  const sections = debugSections(bytes);
  const info = sections.get("info")!;
  const copies = 200;
  const one = info.read(0, info.size).slice();
  const many = new Uint8Array(one.length * copies);
  for (let i = 0; i < copies; i++) many.set(one, i * one.length);
  let read = 0;
  const source = {
    size: many.length,
    read(start: number, end: number) {
      read += end - start;
      return many.subarray(start, end);
    },
  };
  sections.set("info", new Section(source, 0, many.length));
  const [address, frames] = answers["rust-4-O0.wasm"].find(([, frames]) => frames.length > 0)!;
  assert.deepEqual(framesOf(findPositions(sections, [address]).positions.get(address)), frames);
  assert.ok(read < 10 * one.length + copies * 5000, `${read} bytes of ${many.length}`);
});
