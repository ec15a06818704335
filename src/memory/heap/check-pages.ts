// Checks of what a heap knows of its pages of small blocks.
import { LinmemError } from "../../errors.js";
import { hex } from "../views.js";
import type { HeapCore } from "./core.js";
import {
  BLOCK_HEADER,
  blockSize,
  FLAGS,
  FREE_SLOT,
  field,
  GRANULE,
  LARGEST_SLOT,
  LEAST_SLOT,
  NO_SLOT,
  PAGE,
  PAGE_BITS,
  PAGES_OWN,
  record,
  SLOT_BYTES,
} from "./layout.js";
import { recordAt, slotsOf } from "./pages.js";

/** Checks where the map of pages lies. */
export function checkMap(core: HeapCore): void {
  const words = core.memory.u32;
  const [map, cells] = [core.get("map"), core.get("cells")];
  if (map === 0 && cells === 0) return;
  const at = (map - BLOCK_HEADER) >>> 2;
  const inside = map % GRANULE === 0 && map > core.get("first") && map < core.get("top");
  if (!inside || words[at + 1] !== PAGES_OWN || (words[at]! & ~FLAGS) >>> 0 !== blockSize(cells * 4))
    throw damaged(map, "is no map of pages");
}

/** Checks that pages with room are in the list of their size, and that the map has no others than there are. */
export function checkPageLists(core: HeapCore): void {
  const words = core.memory.u32;
  const start = core.get("map") >>> 2;
  let pages = 0;
  let open = 0;
  for (let cell = 0; cell < core.get("cells"); cell++) {
    const at = words[start + cell]!;
    if (at === 0) continue;
    const page = words[(at >>> 2) + record.page]!;
    if ((page + BLOCK_HEADER) / PAGE !== cell) throw damaged(page, "is a page that the map has elsewhere");
    pages++;
    if (words[(at >>> 2) + record.free] !== NO_SLOT) open++;
  }
  if (pages !== core.get("pages")) throw damaged(core.header * 4, "has a map of other pages than it has");
  for (let granules = 0; granules < field.heads - field.partial; granules++) {
    let previous = 0;
    for (let at = words[core.header + field.partial + granules]!; at !== 0; ) {
      const rec = at >>> 2;
      const right =
        at % GRANULE === 0 &&
        words[rec + record.granules] === granules &&
        words[rec + record.previous] === previous &&
        words[rec + record.free] !== NO_SLOT &&
        words[start + ((words[rec + record.page]! + BLOCK_HEADER) >>> PAGE_BITS)] === at &&
        open-- > 0;
      if (!right) throw damaged(core.header * 4, `has a wrong list of pages for ${granules * GRANULE} bytes`);
      previous = at;
      at = words[rec + record.next]!;
    }
  }
  if (open !== 0) throw damaged(core.header * 4, "has pages with room that are in no list");
}

/** Checks a page's slots; returns what they hold. */
export function checkPage(core: HeapCore, { address, size }: { address: number; size: number }) {
  const { u32: words, u8: bytes } = core.memory;
  const at = recordAt(words, address - BLOCK_HEADER);
  const rec = at >>> 2;
  const granules = words[rec + record.granules]!;
  const wrong = (what: string) => damaged(address - BLOCK_HEADER, `is a page ${what}`);
  const mapped = address >>> PAGE_BITS < core.get("cells") && core.recordOf(words, address) === at;
  if (!mapped || size !== PAGE || address % PAGE !== 0) throw wrong("that the map doesn't have");
  if (granules < LEAST_SLOT / GRANULE || granules > LARGEST_SLOT / GRANULE)
    throw wrong("of an impossible size");
  const slots = slotsOf(granules);
  const sum = { used: 0, requested: 0, blocks: 0 };
  for (let slot = 0; slot < slots; slot++) {
    const state = bytes[at + SLOT_BYTES + slot]!;
    if (state >= FREE_SLOT) continue;
    if (state >= GRANULE) throw wrong(`whose slot ${slot} has an impossible state`);
    sum.used += granules * GRANULE;
    sum.requested += granules * GRANULE - BLOCK_HEADER - state;
    sum.blocks++;
  }
  if (sum.blocks !== words[rec + record.used]) throw wrong("that counts its slots wrongly");
  let free = 0;
  for (let slot = words[rec + record.free]!; slot !== NO_SLOT; free++) {
    const state = slot < slots ? bytes[at + SLOT_BYTES + slot]! : 0;
    if (state < FREE_SLOT || free >= slots) throw wrong("with a wrong list of free slots");
    slot = state & NO_SLOT;
  }
  if (free + sum.blocks !== slots) throw wrong("with free slots that are in no list");
  return sum;
}

export function damaged(address: number, what: string): LinmemError {
  return new LinmemError(
    "ERR_LINMEM_HEAP_DAMAGED",
    `the heap is damaged: the block at ${hex(address)} ${what}`.replace(" :", ":"),
  );
}
