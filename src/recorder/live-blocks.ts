/**
 * The recorder's live blocks, sorted by address. The table is in the order of a hash, so what is sorted are numbers of
 * 64 bits: the address above, the place in the table below. The engine sorts those at native speed (a million in 0.1
 * to 0.2 s), and blocks are read from the table at the end, in order: 8 bytes a block and the columns that come out,
 * nothing else.
 */
import type { Blocks } from "../profile/blocks.js";

/** A slot of the table of blocks; mirror of assembly/layout.ts, as is what follows. */
const slot = { size: 12, address: 0, bytes: 4, record: 8 } as const;
const entry = { size: 16, address: 0, bytes: 4, record: 8, state: 14 } as const;
/** Entries of the nursery in this state or above are dead. */
const deadState = 2;

/** `[start, end)` in the recorder's memory. */
type Range = readonly [start: number, end: number];

/**
 * @param table the table of blocks
 * @param nursery entries of the running entry's blocks
 * @returns Columns of the blocks with flags of 0; undefined when there are more than `most`. Where a free was not seen
 *   and blocks overlap, the lower one is cut, and one at the same address gives way to that of the running entry.
 */
export function sortedBlocks(
  memory: ArrayBuffer,
  table: Range,
  nursery: Range,
  most: number,
): Blocks | undefined {
  const words = new Uint32Array(memory);
  const view = new DataView(memory);
  let count = 0;
  for (let at = table[0] / 4; at < table[1] / 4; at += slot.size / 4) if (words[at] !== 0) count++;
  count += (nursery[1] - nursery[0]) / entry.size;
  if (count > most) return undefined;

  // little-endian halves: the number in the table, then the address
  const keys = new Uint32Array(2 * count);
  const slots = (table[1] - table[0]) / slot.size;
  let n = 0;
  for (let i = 0; i < slots; i++) {
    const address = words[table[0] / 4 + i * (slot.size / 4)]!;
    if (address === 0) continue;
    keys[2 * n] = i;
    keys[2 * n++ + 1] = address;
  }
  for (let at = nursery[0]; at < nursery[1]; at += entry.size) {
    if (view.getUint16(at + entry.state, true) >= deadState) continue;
    keys[2 * n] = slots + (at - nursery[0]) / entry.size;
    keys[2 * n++ + 1] = view.getUint32(at + entry.address, true);
  }
  new BigUint64Array(keys.buffer, 0, n).sort();

  const blocks: Blocks = {
    count: 0,
    addresses: new Float64Array(n),
    sizes: new Float64Array(n),
    contexts: new Uint32Array(n),
    flags: new Uint8Array(n),
  };
  for (let i = 0; i < n; i++) {
    const place = keys[2 * i]!;
    const address = keys[2 * i + 1]!;
    const next = i + 1 < n ? keys[2 * i + 3]! : Number.POSITIVE_INFINITY;
    if (next === address) continue;
    const [at, fields] =
      place < slots
        ? ([table[0] + place * slot.size, slot] as const)
        : ([nursery[0] + (place - slots) * entry.size, entry] as const);
    blocks.addresses[blocks.count] = address;
    blocks.sizes[blocks.count] = Math.min(view.getUint32(at + fields.bytes, true), next - address);
    blocks.contexts[blocks.count++] = view.getUint32(at + fields.record, true);
  }
  return blocks;
}
