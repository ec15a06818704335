import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Blocks, blocksPerRecord, decodeBlocks, encodeBlocks } from "../../src/profile/blocks.js";
import type { BlocksRecord } from "../../src/profile/records.js";

type Row = [gap: number, size: number, context: number, flags: number];

function blocksOf(rows: readonly Row[]): Blocks {
  let end = 0;
  const addresses = rows.map(([gap, size]) => {
    const address = end + gap;
    end = address + size;
    return address;
  });
  return {
    count: rows.length,
    addresses: Float64Array.from(addresses),
    sizes: Float64Array.from(rows, (row) => row[1]),
    contexts: Uint32Array.from(rows, (row) => row[2]),
    flags: Uint8Array.from(rows, (row) => row[3]),
  };
}

const written = (blocks: Blocks): BlocksRecord[] => [...encodeBlocks(blocks, 1, 5)];
const columns = ({ count, addresses, sizes, contexts, flags }: Blocks) => ({
  count,
  addresses: [...addresses.subarray(0, count)],
  sizes: [...sizes.subarray(0, count)],
  contexts: [...contexts.subarray(0, count)],
  flags: [...flags.subarray(0, count)],
});

describe("blocks in a profile", () => {
  test("come back as they were", () => {
    const row = fc.tuple(fc.nat(2 ** 31 - 1), fc.nat(2 ** 31 - 1), fc.nat(2 ** 18), fc.nat(3));
    fc.assert(
      fc.property(fc.array(row, { maxLength: 300 }), (rows) => {
        const blocks = blocksOf(rows);
        const back = decodeBlocks(written(blocks));
        assert.equal(back.lost, 0);
        assert.deepEqual(columns(back), columns(blocks));
      }),
    );
  });

  test("are what the format's documentation says, byte for byte", () => {
    const blocks = blocksOf([
      [1024, 16, 3, 2],
      [16, 300, 128, 1],
    ]);
    const [record] = written(blocks);
    // 1024 16 3 2, 16 300 128 1 as unsigned LEB128
    const bytes = [0x80, 0x08, 0x10, 0x03, 0x02, 0x10, 0xac, 0x02, 0x80, 0x01, 0x01];
    const data = Buffer.from(bytes).toString("base64");
    assert.deepEqual(record, { type: "blocks", time: 5, memory: 1, count: 2, data });
  });

  test("are split into records that begin at address 0 each", () => {
    const blocks = blocksOf(Array.from({ length: blocksPerRecord + 2 }, (): Row => [8, 8, 1, 0]));
    const records = written(blocks);
    assert.deepEqual(
      records.map(({ count }) => count),
      [blocksPerRecord, 2],
    );
    assert.deepEqual(columns(decodeBlocks(records)), columns(blocks));
    const second = columns(decodeBlocks(records.slice(1)));
    assert.equal(second.addresses[0], blocks.addresses[blocksPerRecord]);
  });

  test("that are damaged are read up to the damage", () => {
    const blocks = blocksOf(Array.from({ length: 30 }, (_, i): Row => [i, 24, 700, 2]));
    const [record] = written(blocks);
    for (const data of [
      record!.data.slice(0, 41),
      `${record!.data.slice(0, 40)}\u0000${record!.data.slice(41)}`,
    ]) {
      const back = decodeBlocks([{ count: 30, data }]);
      assert.ok(back.count > 0 && back.count < 30);
      assert.equal(back.lost, 30 - back.count);
      assert.deepEqual([...back.addresses], [...blocks.addresses.subarray(0, back.count)]);
    }
  });

  test("cannot make room for more than they hold, overlap, or leave the range of exact numbers", () => {
    assert.equal(decodeBlocks([{ count: 2 ** 50, data: "EBABAg==" }]).count, 1);
    const long = Buffer.from([...new Array(9).fill(0xff), 0x7f, 1, 1, 1]).toString("base64");
    assert.equal(decodeBlocks([{ count: 1, data: long }]).count, 0);
    const low = { count: 1, data: Buffer.from([8, 8, 1, 0]).toString("base64") };
    const back = decodeBlocks([low, low]);
    assert.deepEqual([back.count, back.lost], [1, 1]);
  });
});
