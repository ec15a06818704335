// Names, DWARF, source maps and Go's table that are damaged or lie about their sizes: what can be read of them, and never
// an error, a hang, or memory for what isn't there. Each run has a seed, which fast-check names when it fails.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import fc from "fast-check";
import { SourceMap } from "../../src/analyze/source-map.js";
import { findAllocator } from "../../src/instrument/find-allocator.js";
import { instrument } from "../../src/instrument/index.js";
import { bodiesAt, findFunctionNames, openDebugFile } from "../../src/wasm/dwarf/debug-file.js";
import { findPositions, memorySource, Section } from "../../src/wasm/dwarf/index.js";
import { GoTable } from "../../src/wasm/go-table.js";
import { InitialData } from "../../src/wasm/initial-data.js";
import { MemoryImage } from "../../src/wasm/memory-image.js";
import { decodeModule, encodeModule, makeSection } from "../../src/wasm/module.js";
import { sectionId } from "../../src/wasm/types.js";
import { answers, debugSections, fixture } from "./dwarf/support.js";

const fixtures = new URL("../fixtures/", import.meta.url);
const seed = 20_261_129;

/** Numbers as tables have them, of which each is far more than there is. */
const lies = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
  [0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0],
  [0, 0, 0, 0],
];

/** What is done to bytes: a lie, random bytes, a copy from elsewhere, or a cut, at a part of their length. */
const damage = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  bytes: fc.oneof(fc.constantFrom(...lies), fc.array(fc.nat(255), { minLength: 1, maxLength: 6 })),
  from: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  cut: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function damaged(original: Uint8Array, changes: readonly Damage[]): Uint8Array<ArrayBuffer> {
  let bytes = new Uint8Array(original);
  for (const { at, bytes: lie, from, cut } of changes) {
    const place = Math.floor(at * bytes.length);
    if (cut) bytes = bytes.slice(0, place);
    else if (from !== null)
      bytes.copyWithin(place, Math.floor(from * bytes.length), Math.floor(from * bytes.length) + 64);
    else bytes.set(lie.slice(0, bytes.length - place), place);
  }
  return bytes;
}

const someDamage = fc.array(damage, { minLength: 1, maxLength: 5 });

/** Runs a property many times, with room for some ten times the input and no more. */
function bounded(bytes: number, check: () => void): void {
  const before = process.memoryUsage();
  check();
  const after = process.memoryUsage();
  const more = after.arrayBuffers - before.arrayBuffers;
  assert.ok(more < 64 * bytes + (64 << 20), `${more} bytes of buffers for ${bytes} bytes`);
}

describe("a damaged name section", () => {
  const module = decodeModule(new Uint8Array(readFileSync(new URL("allocators/c-named.wasm", fixtures))));
  const section = module.custom("name")!;
  const payload = section.bytes.subarray(section.payloadStart);
  const withNames = (names: Uint8Array) =>
    encodeModule(
      module.sections.map((one) => (one === section ? makeSection(sectionId.custom, names, "name") : one)),
    );

  test("costs the names that can't be read, and a note says so", () => {
    let noted = 0;
    bounded(payload.length * 200, () =>
      fc.assert(
        fc.property(someDamage, (changes) => {
          const bytes = withNames(damaged(payload, changes));
          const { damage: notes, allocator } = instrument(bytes);
          if (notes.length > 0) noted++;
          const names = decodeModule(bytes).names.functions ?? new Map();
          const functions = new Set(names.keys());
          const found = findFunctionNames(openDebugFile(memorySource(bytes)), functions);
          for (const [index, name] of found) assert.equal(name, names.get(index));
          // whatever names say, only a function of a fitting type is hooked
          for (const { index } of allocator) assert.ok(index < module.functionCount);
        }),
        { seed, numRuns: 200 },
      ),
    );
    assert.ok(noted > 20, `${noted} of 200 damages were noted`);
  });

  test("that is whole has no note", () => {
    assert.deepEqual(instrument(withNames(payload)).damage, []);
  });

  test("that names another function malloc is not believed where the type doesn't fit", () => {
    const wrong = Uint8Array.of(1, 16, 2, 0, 6, ...text("malloc"), 1, 4, ...text("free"));
    const { functions } = findAllocator(decodeModule(withNames(wrong)));
    for (const { index, evidence } of functions) {
      const type = module.functionType(index);
      assert.ok(type.params.length > 0, `${index} (${evidence})`);
    }
  });
});

describe("DWARF that lies about sizes", () => {
  for (const name of ["c-5-O2.wasm", "cpp-4-O0.wasm", "rust-5-O2.wasm"]) {
    test(name, () => {
      const original = debugSections(fixture(name));
      const names = [...original.keys()];
      const addresses = answers[name].map(([address]) => address);
      let largest = 0;
      const sections = fc.array(fc.tuple(fc.constantFrom(...names), someDamage), {
        minLength: 1,
        maxLength: 3,
      });
      fc.assert(
        fc.property(sections, (changes) => {
          const changed = new Map(original);
          for (const [which, one] of changes) {
            const from = original.get(which)!;
            const bytes = damaged(from.read(0, from.size), one);
            const source = {
              size: bytes.length,
              read(start: number, end: number) {
                largest = Math.max(largest, end - start);
                return bytes.subarray(start, end);
              },
            };
            changed.set(which, new Section(source, 0, bytes.length));
          }
          const { positions, notes } = findPositions(changed, addresses);
          assert.ok(notes.every((note) => note.length < 500));
          for (const frames of positions.values())
            for (const { line, column } of frames) assert.ok(line >= 0 && column >= 0);
        }),
        { seed, numRuns: 120 },
      );
      const most = Math.max(...[...original.values()].map(({ size }) => size));
      assert.ok(largest <= most, `${largest} bytes read at once of sections of ${most}`);
    });
  }

  test("a line program that steps beyond every address, line and file", () => {
    const line = Uint8Array.of(
      ...u32(200),
      ...[4, 0],
      ...u32(20),
      1,
      1,
      1,
      0xfb,
      14,
      13,
      ...[0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1],
      0,
      0,
      // advance_pc, advance_line and set_file by more than there is; fixed_advance_pc; special opcodes to the end
      ...[2, 0xff, 0xff, 0xff, 0xff, 0x0f],
      ...[3, 0x80, 0x80, 0x80, 0x80, 0x78],
      ...[4, 0xff, 0xff, 0xff, 0xff, 0x0f],
      ...[9, 0xff, 0xff],
      ...Array.from({ length: 150 }, () => 0xff),
    );
    const sections = debugSections(fixture("c-4-O2.wasm"));
    sections.set("line", new Section(memorySource(line), 0, line.length));
    const { positions } = findPositions(sections, [5, 100, 2 ** 32 - 1]);
    for (const frames of positions.values())
      for (const { line } of frames) assert.ok(Number.isSafeInteger(line) && line >= 0);
  });

  test("abbreviations that refer to forms within forms", () => {
    // one entry whose only attribute is indirect, and indirect, and so on to the end of its unit
    const abbreviations = Uint8Array.of(1, 0x11, 0, 0x03, 0x16, 0, 0, 0);
    const info = Uint8Array.of(
      ...u32(7 + 1 + 4000),
      4,
      0,
      ...u32(0),
      4,
      1,
      ...Array.from({ length: 4000 }, () => 0x16),
    );
    const sections = new Map([
      ["abbrev", new Section(memorySource(abbreviations), 0, abbreviations.length)],
      ["info", new Section(memorySource(info), 0, info.length)],
    ]);
    const { positions, notes } = findPositions(sections, [5]);
    assert.deepEqual([...positions], []);
    assert.ok(notes.length <= 3);
  });
});

describe("source maps that are damaged or point nowhere", () => {
  const map = JSON.parse(readFileSync(new URL("symbols/notes.wasm.map", fixtures), "utf8"));
  const tryMap = (text: string) => {
    let opened: SourceMap;
    try {
      opened = new SourceMap(text);
    } catch {
      return "refused";
    }
    for (const column of [0, 1, 5000, 6000, 2 ** 31, 2 ** 53]) {
      for (const found of [opened.find(0, column), opened.findNear(column, { start: 0, end: column })]) {
        if (!found) continue;
        assert.equal(typeof found.source, "string");
        assert.ok(found.line >= 1 && found.column >= 1);
      }
    }
    return "read";
  };

  test("mappings with any text", () => {
    const letters = fc.string({ unit: fc.constantFrom(..."ABCgz0189+/,;=! é"), maxLength: 400 });
    fc.assert(
      fc.property(letters, fc.nat(map.mappings.length), (text, at) => {
        tryMap(
          JSON.stringify({ ...map, mappings: map.mappings.slice(0, at) + text + map.mappings.slice(at) }),
        );
      }),
      { seed, numRuns: 300 },
    );
  });

  test("any value in place of a part", () => {
    const values = fc.oneof(
      fc.constant(null),
      fc.integer(),
      fc.string(),
      fc.array(fc.anything(), { maxLength: 3 }),
      fc.object({ maxDepth: 2 }),
    );
    const keys = fc.constantFrom(
      "version",
      "sources",
      "mappings",
      "names",
      "sourceRoot",
      "sections",
      "sourcesContent",
    );
    fc.assert(
      fc.property(fc.dictionary(keys, values, { minKeys: 1 }), (parts) => {
        tryMap(JSON.stringify({ ...map, ...parts }));
      }),
      { seed, numRuns: 300 },
    );
  });

  test("sections within sections", () => {
    let text = JSON.stringify({ version: 3, sources: ["a.ts"], mappings: "AAAA" });
    for (let depth = 0; depth < 20_000; depth++)
      text = `{"version":3,"sections":[{"offset":{"line":0,"column":0},"map":${text}}]}`;
    assert.equal(tryMap(text), "refused");
  });
});

describe("a damaged table of Go", () => {
  const bytes = new Uint8Array(brotliDecompressSync(readFileSync(new URL("guests/guest.wasm.br", fixtures))));
  const module = decodeModule(bytes);
  const data = module.initialData;
  const segments = Array.from({ length: data.count }, (_, i) => i);
  const whole = new Uint8Array(Math.max(...segments.map((i) => data.end(i))));
  for (const i of segments) whole.set(data.bytes(i), data.starts[i]);
  const magic = new MemoryImage(InitialData.of(0, whole)).findWord(0xfffffff1);
  const at = magic.next().value!;

  test("gives what can be read, and ends", () => {
    let read = 0;
    fc.assert(
      fc.property(someDamage, fc.nat(71), (changes, field) => {
        const image = whole.slice();
        // the header more often than chance would have it
        const lie = changes[0].bytes.slice(0, 8);
        image.set(lie, at + 8 + Math.min(field, 63 - lie.length));
        image.set(
          damaged(
            image.subarray(at + 72),
            changes.map((one) => ({ ...one, cut: false })),
          ),
          at + 72,
        );
        const table = GoTable.find(new MemoryImage(InitialData.of(0, image)), module.functions.length);
        let left = 40;
        for (const known of table?.functions() ?? []) {
          assert.ok(known.name.length <= 4096);
          if (left-- <= 0) continue;
          try {
            for (const { line } of table!.frames(known, left * 7)) assert.ok(line >= 0);
            read++;
          } catch (error) {
            assert.equal((error as Error).name, "DecodeError");
          }
        }
      }),
      { seed, numRuns: 60 },
    );
    assert.ok(read > 100, `${read} functions were read`);
  });

  test("in a module leaves the module to run", () => {
    const holder = segments.find((i) => data.starts[i] <= at && at < data.end(i))!;
    const broken = bytes.slice();
    const count = data.positions[holder] + (at - data.starts[holder]) + 8;
    broken.fill(0xff, count, count + 2);
    const { allocator, notes, bytes: instrumented } = instrument(broken);
    assert.deepEqual(allocator, []);
    assert.match(notes.join(), /runtime.mallocgc was not found/);
    assert.ok(WebAssembly.validate(new Uint8Array(instrumented)));
  });
});

describe("bodies of a code section", () => {
  test("are those of the module's decoder", () => {
    const bytes = fixture("rust-5-O2.wasm");
    const { bodies } = decodeModule(bytes);
    const offsets = Array.from(bodies.start, (start, i) => [
      start,
      bodies.end[i] - 1,
      bodies.sizeStart[i],
    ]).flat();
    const found = bodiesAt(openDebugFile(memorySource(bytes)), offsets);
    for (let i = 0; i < bodies.count; i++) {
      const range = { start: bodies.start[i], end: bodies.end[i] };
      assert.deepEqual(found.get(bodies.start[i]), range);
      assert.deepEqual(found.get(bodies.end[i] - 1), range);
      assert.equal(found.get(bodies.sizeStart[i]), undefined);
    }
  });

  test("that lie about their sizes are left out", () => {
    const original = fixture("c-5-O0.wasm");
    const { code } = openDebugFile(memorySource(original));
    fc.assert(
      fc.property(someDamage, (changes) => {
        const bytes = original.slice();
        const part = damaged(bytes.subarray(code!.start, code!.end), changes);
        bytes.set(part, code!.start);
        const offsets = Array.from({ length: 50 }, (_, i) => code!.start + i * 13);
        for (const [offset, { start, end }] of bodiesAt(openDebugFile(memorySource(bytes)), offsets))
          assert.ok(start <= offset && offset < end && end <= code!.end);
      }),
      { seed, numRuns: 200 },
    );
  });
});

function text(name: string): number[] {
  return [...new TextEncoder().encode(name)];
}

function u32(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
}
