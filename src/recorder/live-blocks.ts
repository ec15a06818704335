/**
 * The recorder's live blocks, sorted by address. The table is in the order of a hash, so what is sorted are numbers of
 * 64 bits: the address above, the place in the table below. The engine sorts those at native speed (a million in 0.1
 * to 0.2 s), and blocks are read from the table at the end, in order: 8 bytes a block and the columns that come out,
 * nothing else.
 */
import type { Blocks } from "../profile/blocks.js";

/** A slot of the table, in words of 32 bits, an address of 0 first: mirror of assembly/layout.ts, as is what follows. */
const tableSlot = { words: 3, bytes: 1, owner: 2 } as const;
/** One of the front is 64 bits: of the lower word these are the block's bytes, what is above goes on in the other. */
const frontSlot = { words: 2, bytesBits: 18, ownerBits: 25, taken: 1 << 11, tagBits: 20 } as const;
/** What of an owner is the place of a record, whose size in bytes follows. */
const ownerMask = ~3;
const recordSize = 60;

/** `[start, end)` in the recorder's memory. */
type Range = readonly [start: number, end: number];

/** The slots in front of the table. */
interface Front {
  range: Range;
  /** By how many bits addresses are turned to the right to become keys. */
  keyShift: number;
}

const lowBits = (bits: number) => 2 ** bits - 1;

/** Address of the block in a slot of the front: the upper word's tag and the lowest bits of the slot's number, turned back. */
function addressInFront(upper: number, number: number, keyShift: number): number {
  const placeBits = 32 - frontSlot.tagBits;
  const key = (upper & ~lowBits(placeBits)) | (number & lowBits(placeBits));
  return ((key << keyShift) | (key >>> (32 - keyShift))) >>> 0;
}

/**
 * @param table the table of blocks
 * @param front the slots in front of it, whose blocks are newer than one of the same address in the table
 * @returns Columns of the blocks with flags of 0; undefined when there are more than `most`. Where a free was not seen
 *   and blocks overlap, the lower one is cut and counted, and one at the same address gives way to the newer one.
 */
export function sortedBlocks(
  memory: ArrayBuffer,
  table: Range,
  front: Front,
  most: number,
): { blocks: Blocks; overlaps: number } | undefined {
  const words = new Uint32Array(memory);
  const [tableStart, tableEnd, frontStart, frontEnd] = [...table, ...front.range].map((at) => at / 4) as [
    number,
    number,
    number,
    number,
  ];
  let count = 0;
  for (let at = tableStart; at < tableEnd; at += tableSlot.words) if (words[at] !== 0) count++;
  for (let at = frontStart; at < frontEnd; at += frontSlot.words) {
    if (words[at + 1]! & frontSlot.taken) count++;
  }
  if (count > most) return undefined;

  // little-endian halves: where the slot is, complemented so that of one address the front comes last; the address
  const keys = new Uint32Array(2 * count);
  let n = 0;
  const add = (at: number, address: number) => {
    keys[2 * n] = ~at;
    keys[2 * n++ + 1] = address;
  };
  for (let at = tableStart; at < tableEnd; at += tableSlot.words) {
    if (words[at] !== 0) add(at, words[at]!);
  }
  for (let at = frontStart; at < frontEnd; at += frontSlot.words) {
    const upper = words[at + 1]!;
    if (upper & frontSlot.taken) {
      add(at, addressInFront(upper, (at - frontStart) / frontSlot.words, front.keyShift));
    }
  }
  new BigUint64Array(keys.buffer).sort();

  const blocks: Blocks = {
    count: 0,
    addresses: new Float64Array(n),
    sizes: new Float64Array(n),
    contexts: new Uint32Array(n),
    flags: new Uint8Array(n),
  };
  let overlaps = 0;
  for (let i = 0; i < n; i++) {
    const at = ~keys[2 * i]! >>> 0;
    const address = keys[2 * i + 1]!;
    const next = i + 1 < n ? keys[2 * i + 3]! : Number.POSITIVE_INFINITY;
    if (next === address) continue;
    const inFront = at < frontEnd;
    const bytes = inFront ? words[at]! & lowBits(frontSlot.bytesBits) : words[at + tableSlot.bytes]!;
    const owner = inFront
      ? ((words[at]! >>> frontSlot.bytesBits) | (words[at + 1]! << (32 - frontSlot.bytesBits))) &
        lowBits(frontSlot.ownerBits)
      : words[at + tableSlot.owner]!;
    if (bytes > next - address) overlaps++;
    blocks.addresses[blocks.count] = address;
    blocks.sizes[blocks.count] = Math.min(bytes, next - address);
    blocks.contexts[blocks.count++] = (owner & ownerMask) / recordSize;
  }
  return { blocks, overlaps };
}
