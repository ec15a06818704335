/**
 * Live blocks as records hold them: for each block four unsigned LEB128 numbers (gap from the end of the block before
 * it, size, context, flags), base64 of all. A block takes about 6 bytes of a file so, and a million of them go through
 * in a fraction of a second, where JSON would take ten times of both.
 */
import type { BlocksRecord } from "./records.js";

/** Values of a block's `flags`. */
export const reach = {
  /** Not examined: wasm was running, or the budget was spent. */
  notExamined: 0,
  /** No word of the memory that was looked at points into it. */
  unreferenced: 1,
  /** Something leads to it from a global, the memory outside of blocks, or the stack. */
  referenced: 2,
  /** Only blocks point to it that nothing leads to. */
  fromUnreferenced: 3,
  /** As `unreferenced`, but JavaScript knows an address in it: the run was checked, which tells. */
  exposed: 4,
  /** Only blocks point to it that nothing leads to, and JavaScript knows one of those. */
  fromExposed: 5,
} as const;

/** Blocks as columns, in the order of their addresses. They don't overlap. */
export interface Blocks {
  count: number;
  addresses: Float64Array;
  /** Bytes that were asked for. */
  sizes: Float64Array;
  /** Ids of contexts. */
  contexts: Uint32Array;
  flags: Uint8Array;
}

export const blocksPerRecord = 65_536;

/** Records of the live blocks of a memory: none if there are no blocks. */
export function* encodeBlocks(blocks: Blocks, memory: number, time: number): Generator<BlocksRecord> {
  for (let begin = 0; begin < blocks.count; begin += blocksPerRecord) {
    const end = Math.min(blocks.count, begin + blocksPerRecord);
    yield { type: "blocks", time, memory, count: end - begin, data: encodePart(blocks, begin, end) };
  }
}

/** A number below 2^53 takes at most 8 bytes. */
const mostBytes = 4 * 8;

function encodePart({ addresses, sizes, contexts, flags }: Blocks, begin: number, end: number): string {
  const bytes = new Uint8Array((end - begin) * mostBytes);
  let at = 0;
  const put = (value: number) => {
    let rest = value;
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
  };
  let previousEnd = 0;
  for (let i = begin; i < end; i++) {
    put(addresses[i]! - previousEnd);
    put(sizes[i]!);
    put(contexts[i]!);
    put(flags[i]!);
    previousEnd = addresses[i]! + sizes[i]!;
  }
  return toBase64(bytes.subarray(0, at));
}

/**
 * The blocks of records that follow each other. Of a record whose data is damaged, or that lies before the end of the
 * one before it, only what comes before the damage.
 */
export function decodeBlocks(records: readonly Pick<BlocksRecord, "count" | "data">[]): Blocks & {
  /** Blocks that the records announce and that could not be read. */
  lost: number;
} {
  // four numbers of at least one byte each: a count that the data can't hold must not make room for it
  const announced = records.map(({ count, data }) => Math.min(count, Math.ceil((data.length * 3) / 16)));
  const most = announced.reduce((sum, count) => sum + count, 0);
  const blocks = {
    addresses: new Float64Array(most),
    sizes: new Float64Array(most),
    contexts: new Uint32Array(most),
    flags: new Uint8Array(most),
  };
  let count = 0;
  let end = 0;
  records.forEach(({ data }, r) => {
    const bytes = fromBase64(data);
    let at = 0;
    let previousEnd = 0;
    const number = (): number => {
      const first = bytes[at];
      if (first !== undefined && first < 0x80) {
        at++;
        return first;
      }
      let value = 0;
      for (let scale = 1; at < bytes.length && scale < 2 ** 56; scale *= 0x80) {
        const byte = bytes[at++]!;
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
      }
      return Number.NaN;
    };
    for (let left = announced[r]!; left > 0; left--) {
      const address = previousEnd + number();
      const size = number();
      const context = number();
      const flags = number();
      previousEnd = address + size;
      const fits = address >= end && Number.isSafeInteger(previousEnd);
      if (!fits || !(context < 2 ** 32) || !(flags < 2 ** 8)) break;
      blocks.addresses[count] = address;
      blocks.sizes[count] = size;
      blocks.contexts[count] = context;
      blocks.flags[count] = flags;
      end = previousEnd;
      count++;
    }
  });
  return {
    count,
    addresses: blocks.addresses.subarray(0, count),
    sizes: blocks.sizes.subarray(0, count),
    contexts: blocks.contexts.subarray(0, count),
    flags: blocks.flags.subarray(0, count),
    lost: records.reduce((sum, record) => sum + record.count, 0) - count,
  };
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const codes = Uint8Array.from(alphabet, (character) => character.charCodeAt(0));
const values = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) values[codes[i]!] = i;
const padding = "=".charCodeAt(0);

// Written out: `btoa` wants a string of bytes, and programs under linmem may have put another one in its place.
const ascii = new TextDecoder();

function toBase64(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(padding);
  let out = 0;
  for (let at = 0; at < bytes.length; at += 3) {
    const three = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text[out++] = codes[three >> 18]!;
    text[out++] = codes[(three >> 12) & 63]!;
    if (at + 1 < bytes.length) text[out] = codes[(three >> 6) & 63]!;
    out++;
    if (at + 2 < bytes.length) text[out] = codes[three & 63]!;
    out++;
  }
  return ascii.decode(text);
}

/** Up to the first character that doesn't belong there. */
function fromBase64(text: string): Uint8Array {
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let out = 0;
  let whole = 0;
  for (; whole + 4 <= text.length; whole += 4) {
    const four =
      (sixBits(text.charCodeAt(whole)) << 18) |
      (sixBits(text.charCodeAt(whole + 1)) << 12) |
      (sixBits(text.charCodeAt(whole + 2)) << 6) |
      sixBits(text.charCodeAt(whole + 3));
    if (four < 0) break;
    bytes[out++] = four >> 16;
    bytes[out++] = four >> 8;
    bytes[out++] = four;
  }
  let bits = 0;
  let have = 0;
  for (let at = whole; at < text.length; at++) {
    const value = sixBits(text.charCodeAt(at));
    if (value < 0) break;
    bits = ((bits << 6) | value) & 0xffff;
    have += 6;
    if (have < 8) continue;
    have -= 8;
    bytes[out++] = (bits >> have) & 0xff;
  }
  return bytes.subarray(0, out);
}

/** Negative for a character that doesn't belong there. */
function sixBits(code: number): number {
  return code < 128 ? values[code]! : -1;
}
