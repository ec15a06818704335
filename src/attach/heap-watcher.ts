/**
 * Blocks of `Heap`, linmem's own allocator, in the profile. Heaps announce themselves (memory/heap/listener.ts); each
 * call of theirs is for the recorder what an entry from JavaScript is for a module: a context of its own, whose
 * JavaScript caller is captured within the budget when the block is still there at its end.
 */
import type { AnnouncedHeap, HeapAnnouncement, HeapListener } from "../memory/heap/listener.js";
import type { Frame } from "../profile/records.js";
import type { Recorder } from "../recorder/index.js";
import type { KnownModule } from "./module-registry.js";
import { isSharedMemory, memoryPages } from "./natives.js";
import type { Session } from "./session.js";
import type { TrackedMemory } from "./tracked-memory.js";

const key = Symbol.for("linmem.heaps");
const pageSize = 65_536;

/** Contexts are told apart by 64-bit hashes: two that no module's calls come to but by an unheard-of chance. */
const contexts = {
  "Heap.allocate": 0x6c6d_4865_6170_0001n,
  "Heap.reallocate": 0x6c6d_4865_6170_0002n,
  "Heap.open": 0x6c6d_4865_6170_0003n,
} as const;

interface Watched {
  tracked: TrackedMemory;
  /** Where heaps begin in it, and where they ended when last heard of. */
  heaps: Map<number, number>;
}

/** Lets heaps of a realm report to a session. */
export function watchHeaps(session: Session, realm: object = globalThis): void {
  const watched = new WeakMap<object, Watched>();
  let module: KnownModule | undefined;

  const announce: HeapAnnouncement = (heap) => {
    const { memory, start, end, blocks, token } = heap;
    // the recorder belongs to one thread, as it does with modules
    if (isShared(memory)) return undefined;
    if (module === undefined) {
      module = session.registry.addLibrary("linmem Heap", Object.keys(contexts).slice(0, 2));
      Object.entries(contexts).forEach(([name, hash], index) => {
        session.libraryStacks.set(hash, session.stackId([siteOf(name, index)]));
      });
    }
    const stack = session.stackId(session.stackOf(announce));
    let known = watched.get(memory);
    if (known === undefined) {
      known = { tracked: trackedOf(session, memory, stack), heaps: new Map() };
      watched.set(memory, known);
    }
    const { tracked, heaps } = known;
    session.announce(module);
    const recorder = session.recorderOf(tracked, module);
    session.instantiated(module, [tracked], stack, token, []);
    tracked.ownHeaps = true;
    const before = heaps.get(start);
    heaps.set(start, end);
    if (before === undefined) {
      for (const { address, requested } of blocks)
        recorder.allocated(address, requested, contexts["Heap.open"]);
    } else if (blocks.length === 0) {
      // laid out anew: what was there is lost
      forget(recorder, start, Math.max(before, end));
    }
    return listenerOf(recorder);
  };
  Object.defineProperty(realm, key, { value: announce, configurable: true });
}

function listenerOf(recorder: Recorder): HeapListener {
  return {
    allocated: (ptr, byteLength) => recorder.allocated(ptr, byteLength, contexts["Heap.allocate"]),
    freed: (ptr) => recorder.freed(ptr),
    reallocated: (from, to, byteLength) =>
      recorder.reallocated(from, to, byteLength, contexts["Heap.reallocate"]),
    moved: (from, to) => recorder.moved(from, to),
  };
}

function forget(recorder: Recorder, start: number, end: number): void {
  const blocks = recorder.blocks();
  for (let i = 0; i < (blocks?.count ?? 0); i++) {
    const address = blocks!.addresses[i]!;
    if (address >= start && address < end) recorder.freed(address);
  }
}

function isShared(memory: AnnouncedHeap["memory"]): boolean {
  // not `instanceof`: it may be of another realm
  if (memoryPages(memory) !== undefined) return isSharedMemory(memory as WebAssembly.Memory);
  return Object.prototype.toString.call(memory) === "[object SharedArrayBuffer]";
}

function trackedOf(session: Session, memory: AnnouncedHeap["memory"], stack: number): TrackedMemory {
  if (memoryPages(memory) !== undefined) return session.track(memory as WebAssembly.Memory, null, stack);
  const pages = Math.ceil((memory as ArrayBufferLike).byteLength / pageSize);
  const tracked = session.newMemory({ initialPages: pages, maximumPages: pages, shared: false }, stack);
  session.register(tracked);
  session.tie(tracked, memory);
  return tracked;
}

function siteOf(name: string, index: number) {
  const frame: Frame = { kind: "js", function: name, file: "linmem", line: 0, column: 0 };
  return { number: -1 - index, frame, module: 0, hidden: false };
}
