// What a module puts into its memory, by ascending addresses: linkers write it in a few runs that ascend, others in any order.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { InitialData } from "../../src/wasm/initial-data.js";
import { Reader, Writer } from "../../src/wasm/leb128.js";
import { encodeData } from "../../src/wasm/sections/data.js";

/** Segments at these addresses, each of its own length. */
function dataAt(starts: readonly number[]): InitialData {
  const segments = starts.map((start, i) => {
    const offset = new Writer(8);
    offset.byte(0x41);
    offset.s33(start | 0);
    offset.byte(0x0b);
    return { flags: 0, memory: 0, offset: offset.finish(), bytes: new Uint8Array(1 + i) };
  });
  return InitialData.read(new Reader(encodeData(segments)));
}

function rows({ starts, lengths, positions, count }: InitialData) {
  return Array.from({ length: count }, (_, i) => [starts[i], lengths[i], positions[i]]);
}

/** In the order of the module where addresses are the same. */
function sorted(data: InitialData) {
  return rows(data).sort(([one], [other]) => one - other);
}

const address = fc.integer({ min: 0, max: 40 });
const ascending = fc.array(address, { maxLength: 12 }).map((list) => list.sort((a, b) => a - b));

describe("initial data by ascending addresses", () => {
  test("where it ascends nothing is copied", () => {
    const data = dataAt([16, 16, 2 ** 31, 2 ** 32 - 8]);
    assert.equal(data.ascending(), data);
    assert.equal(InitialData.none.ascending(), InitialData.none);
  });

  test("runs that ascend, as Go's linker writes them", () => {
    fc.assert(
      fc.property(fc.array(ascending, { maxLength: 5 }), (runs) => {
        const data = dataAt(runs.flat());
        assert.deepEqual(rows(data.ascending()), sorted(data));
      }),
      { seed: 20_261_130, numRuns: 400 },
    );
  });

  test("any order", () => {
    fc.assert(
      fc.property(fc.array(address, { maxLength: 80 }), (starts) => {
        const data = dataAt(starts);
        assert.deepEqual(rows(data.ascending()), sorted(data));
      }),
      { seed: 20_261_130, numRuns: 200 },
    );
  });
});
