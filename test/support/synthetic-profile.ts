// A made-up profile of any size, the same for the same numbers: contexts of a call tree with the shape of real ones
// (some functions call many, most few; JavaScript outside, the allocator inside), blocks all over a heap, snapshots.
import { encodeBlocks } from "../../src/profile/blocks.js";
import {
  type ContextTotals,
  type Frame,
  type HeapTotals,
  type ProfileRecord,
  profileVersion,
} from "../../src/profile/records.js";
import { StackTable, serializeRecord } from "../../src/profile/writer.js";
import { noHeap } from "./no-heap.js";

export interface SyntheticOptions {
  contexts: number;
  blocks: number;
  snapshots: number;
}

const heapBase = 1 << 20;

/** Lines of a profile with one module and one memory. */
export function* syntheticProfile({ contexts, blocks, snapshots }: SyntheticOptions): Generator<string> {
  const random = generator(20_261_122);
  const below = (limit: number) => Math.floor(random() * limit);
  yield line({
    type: "header",
    format: "linmem",
    version: profileVersion,
    linmem: "0.1.0",
    time: 1_795_347_000_000,
    pid: 1,
    engine: { name: "node", version: "v20.20.2" },
    platform: "linux x64",
    argv: ["node", "app.mjs"],
  });
  yield line({
    type: "module",
    id: 1,
    thread: 0,
    name: "app.wasm",
    bytes: 4_000_000,
    toolchain: "Rust",
    allocator: [{ role: "malloc", name: "malloc", index: 0, evidence: "export" }],
    instrumented: true,
  });
  yield line({
    type: "memory",
    id: 1,
    time: 10,
    thread: 0,
    module: 1,
    initialPages: 17,
    maximumPages: null,
    shared: false,
    stack: 0,
  });

  // A tree of calls: each stack goes on from one that was there, some levels below its innermost frame.
  const malloc = callSite(0, 0);
  let written: ProfileRecord[] = [];
  const table = new StackTable(0, (record) => written.push(record));
  const stacks: Frame[][] = [[js(1)]];
  for (let id = 1; id <= contexts; id++) {
    const from = stacks[below(stacks.length)]!;
    const kept = from.slice(below(Math.min(4, from.length)));
    const added = Array.from({ length: 1 + below(5) }, () =>
      kept.every(({ kind }) => kind === "js") && kept.length < 4
        ? js(below(300))
        : callSite(1 + below(5000), below(10)),
    );
    const stack = [...added, ...kept].slice(-60);
    stacks.push(stack);
    // The outermost frames are JavaScript: the caller.
    const outer = stack.slice(stack.findLastIndex((frame) => frame.kind === "wasm") + 1);
    const caller = table.idOf(outer);
    const inner = table.idOf([malloc, ...stack.slice(0, stack.length - outer.length)]);
    yield* written.map(line);
    written = [];
    yield line({ type: "context", id, memory: 1, stack: inner, caller });
  }

  const columns = {
    count: blocks,
    addresses: new Float64Array(blocks),
    sizes: new Float64Array(blocks),
    contexts: new Uint32Array(blocks),
    flags: new Uint8Array(blocks),
  };
  const live = new Float64Array(contexts + 1);
  const counts = new Float64Array(contexts + 1);
  let end = heapBase;
  for (let i = 0; i < blocks; i++) {
    const context = 1 + Math.floor(contexts * random() ** 3);
    const size = 8 * 2 ** below(8) + 8 * below(4);
    const address = end + 16 + (random() < 0.2 ? 16 * below(200) : 0);
    columns.addresses[i] = address;
    columns.sizes[i] = size;
    columns.contexts[i] = context;
    columns.flags[i] = 2;
    live[context]! += size;
    counts[context]!++;
    end = address + size;
  }
  const pages = Math.ceil(end / 65536) + 16;
  yield line({
    type: "layout",
    memory: 1,
    module: 1,
    pages: 17,
    data: [[1024, 300_000]],
    stack: [524_288, heapBase],
    heapBase,
    hiddenGlobals: 0,
  });
  for (let snapshot = 1; snapshot <= snapshots; snapshot++) {
    const part = snapshot / snapshots;
    const time = 1000 * snapshot;
    const now = Math.max(17, Math.ceil(pages * part));
    const before = Math.max(17, Math.ceil((pages * (snapshot - 1)) / snapshots));
    if (now > before) {
      const deltaPages = now - before;
      yield line({
        type: "grow",
        memory: 1,
        time: time - 500,
        fromPages: before,
        deltaPages,
        granted: true,
        stack: 1 + below(contexts),
      });
    }
    const totals: ContextTotals[] = [];
    for (let id = 1; id <= contexts; id++) {
      // Most contexts are quiet most of the time.
      if (snapshot < snapshots && random() < 0.9) continue;
      const allocations = Math.ceil(counts[id]! * 3 * part);
      const blocksNow = Math.floor(counts[id]! * part);
      const bytes = Math.floor(live[id]! * part);
      totals.push([id, allocations, allocations - blocksNow, 3 * bytes, bytes, bytes, allocations >> 2]);
    }
    const sum = (of: Float64Array) => Math.floor(of.reduce((total, value) => total + value, 0) * part);
    const heap: HeapTotals = {
      ...noHeap,
      liveBytes: sum(live),
      liveBlocks: sum(counts),
      peakLiveBytes: sum(live),
    };
    heap.allocations = 3 * heap.liveBlocks;
    heap.frees = 2 * heap.liveBlocks;
    heap.allocatedBytes = 3 * heap.liveBytes;
    yield line({ type: "snapshot", time, memory: 1, pages: now, heap, contexts: totals });
  }
  const time = 1000 * snapshots;
  for (const record of encodeBlocks(columns, 1, time)) yield line(record);
  yield line({ type: "end", time: time + 1, exit: 0, captureTime: 100 });
}

function js(index: number): Frame {
  const file = index % 3 === 0 ? "/srv/app/node_modules/lib/index.mjs" : `/srv/app/src/part${index % 40}.mjs`;
  return { kind: "js", function: `handle${index}`, file, line: 10 + index, column: 5 };
}

/** One of ten calls in a function: real programs have some ten thousand call sites on their stacks, not a new one in each. */
function callSite(index: number, call: number): Frame {
  return {
    kind: "wasm",
    function: index === 0 ? "malloc" : `app::module${index % 97}::function${index}`,
    file: "app.wasm",
    line: index,
    column: 0x2000 + 200 * index + 16 * call,
  };
}

function line(record: ProfileRecord): string {
  return serializeRecord(record);
}

/** Numbers from 0 to 1 (mulberry32, by Tommy Ettinger, public domain). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
