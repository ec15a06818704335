// Which memories are alive. They are held weakly, so that this list keeps none of them.
import { PAGE_SIZE } from "./pages.js";

/** What the registry must know of a memory. */
interface Registered {
  readonly wasm: WebAssembly.Memory;
  readonly byteLength: number;
  readonly pages: number;
  readonly maximum: number | undefined;
  readonly shared: boolean;
}

/** One memory of `liveMemories()`. */
export interface LiveMemory {
  /** Pages now, 64 KiB each. */
  pages: number;
  /** Bytes now. */
  byteLength: number;
  /** Bytes of address space up to the maximum; undefined for a memory without one. */
  reservedBytes: number | undefined;
  /** Bytes in physical memory, where the system tells (Linux, Node); undefined elsewhere. */
  residentBytes: number | undefined;
  /** Whether threads can share it. */
  shared: boolean;
  /** The stack of the call that made or wrapped the memory, innermost call first, as the engine writes it. */
  madeAt: string;
  /** The memory, as long as it is alive. */
  memory: WeakRef<WebAssembly.Memory>;
}

/** Tells the bytes in physical memory of each buffer, or undefined where it can't. */
export type ResidentReader = (buffers: readonly ArrayBufferLike[]) => readonly (number | undefined)[];

interface Entry {
  memory: WeakRef<Registered>;
  madeAt: string;
}

const entries = new Set<Entry>();
const collected = new FinalizationRegistry<Entry>((entry) => entries.delete(entry));
let readResident: ResidentReader = (buffers) => buffers.map(() => undefined);

/** Where resident bytes come from; `linmem` sets it by itself in Node. */
export function setResidentReader(reader: ResidentReader): void {
  readResident = reader;
}

/** Enters a memory; `below` is the function whose callers made it. */
export function register(memory: Registered, below: object): void {
  const entry = { memory: new WeakRef(memory), madeAt: callers(below) };
  entries.add(entry);
  collected.register(memory, entry);
}

/** The stack as text. Text at once, because an unread stack keeps the functions and receivers that are on it alive. */
function callers(below: object): string {
  const holder: { stack?: string } = new Error("");
  Error.captureStackTrace?.(holder, below as () => void);
  return (holder.stack ?? "").replace(/^Error\s*\n/, "");
}

/**
 * The memories that this library made or wrapped and that are still alive: because the garbage collector has not run
 * yet, or because something holds an instance, a memory, a view, or a listener of it.
 *
 * The result holds no memory; but those listed stay alive until the current job ends.
 */
export function liveMemories(): LiveMemory[] {
  const alive: { memory: Registered; madeAt: string }[] = [];
  for (const entry of entries) {
    const memory = entry.memory.deref();
    if (memory !== undefined) alive.push({ memory, madeAt: entry.madeAt });
  }
  const resident = readResident(alive.map(({ memory }) => memory.wasm.buffer));
  return alive.map(({ memory, madeAt }, index) => ({
    pages: memory.pages,
    byteLength: memory.byteLength,
    reservedBytes: memory.maximum === undefined ? undefined : memory.maximum * PAGE_SIZE,
    residentBytes: resident[index],
    shared: memory.shared,
    madeAt,
    memory: new WeakRef(memory.wasm),
  }));
}
