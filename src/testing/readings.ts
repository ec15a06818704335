/** What is live in the memories of a session at one moment. */
import type { Level } from "../analyze/growth.js";
import type { Session } from "../attach/session.js";
import type { TrackedMemory } from "../attach/tracked-memory.js";

const pageBytes = 65536;

/** A pair of wasm context and JavaScript caller, the same for all instances of a module. */
export interface Context {
  memory: TrackedMemory;
  /** Stack ids. */
  stack: number;
  caller: number;
}

export interface Reading {
  /** Live blocks, by module and by context. */
  blocks: Map<string, Map<string, Level>>;
  /** Whole memories, by where they were made: bytes and their number. */
  memories: Map<string, Level>;
  /** What the keys stand for. */
  contexts: Map<string, Context>;
  /** Allocations so far, in all memories whose blocks are recorded. */
  allocations: number;
  allocatedBytes: number;
  liveBytes: number;
  liveBlocks: number;
  pages: number;
}

/** Reads a session. Memories that it looks at stay alive until the running job ends. */
export function read(session: Session): Reading {
  const reading: Reading = {
    blocks: new Map(),
    memories: new Map(),
    contexts: new Map(),
    allocations: 0,
    allocatedBytes: 0,
    liveBytes: 0,
    liveBlocks: 0,
    pages: 0,
  };
  for (const memory of session.memories()) {
    const pages = memory.currentPages();
    reading.pages += pages;
    const place = `memory ${memory.module?.id} ${memory.stack}`;
    add(reading.memories, place, pages * pageBytes, 1);
    reading.contexts.set(place, { memory, stack: 0, caller: memory.stack });
    if (!memory.recorder) continue;
    const module = String(memory.module?.id);
    let blocks = reading.blocks.get(module);
    if (!blocks) reading.blocks.set(module, (blocks = new Map()));
    for (const live of memory.recorder.liveContexts()) {
      reading.allocations += live.allocations;
      reading.allocatedBytes += live.allocatedBytes;
      reading.liveBytes += live.liveBytes;
      reading.liveBlocks += live.liveBlocks;
      const stack = memory.stackOfContext(live.context);
      const caller = memory.callers[live.caller] ?? 0;
      const key = `${module} ${stack} ${caller}`;
      add(blocks, key, live.liveBytes, live.liveBlocks);
      reading.contexts.set(key, { memory, stack, caller });
    }
  }
  return reading;
}

function add(levels: Map<string, Level>, key: string, bytes: number, blocks: number): void {
  const level = levels.get(key);
  if (level) {
    level.bytes += bytes;
    level.blocks += blocks;
  } else {
    levels.set(key, { bytes, blocks });
  }
}
