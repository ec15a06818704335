/** Functions in the roles they may have, and how they are called in each. */
import type { AllocatorRole } from "../roles.js";
import type { Trial } from "./sandbox.js";
import type { SelfArgument } from "./self-arguments.js";

/** A function in a role, and how it is called. */
export interface Way {
  role: AllocatorRole;
  index: number;
  /** How many parameters it has. */
  parameters: number;
  /** Of methods: the address of the state. */
  self?: SelfArgument;
  /** It takes the alignment before the size, as Rust's `Layout` has them when it is taken apart. */
  alignmentFirst?: boolean;
  /** Of those that store the address of a block: what gives them a place for it. */
  scratch?: Way;
  /** Bytes at the beginning of each block that stay the allocator's: it hands out its own headers. */
  header?: number;
}

/** A block as whoever releases or resizes it tells of it. */
export interface TriedBlock {
  address: number;
  size: number;
}

/** Alignment that is asked for where it doesn't matter. */
const usualAlignment = 8;

function selfOf(trial: Trial, { self }: Way): number {
  if (!self) return 0;
  if (self.kind === "call") return trial.call(self.value, []) ?? 0;
  return self.kind === "global" ? trial.global(self.value) : self.value;
}

/** Calls a function that allocates `size` bytes, which it gives or more. undefined when it can't. */
export function allocate(
  trial: Trial,
  way: Way,
  size: number,
  alignment: number = usualAlignment,
): number | undefined {
  const { role, index, parameters } = way;
  if (way.scratch) return storedBlock(trial, way, way.scratch, size, alignment);
  const self = () => selfOf(trial, way);
  const args: Partial<Record<AllocatorRole, () => number[]>> = {
    malloc: () => [size, 0, 0, 0],
    calloc: () => (size % 4 === 0 ? [4, size / 4] : [size, 1]),
    memalign: () => [alignment, size],
    alloc_aligned: () => [size, alignment, 0],
    // Zig's take the alignment's logarithm, and where the call came from
    malloc_method: () => [self(), size, parameters === 4 ? Math.log2(alignment) : alignment, 0],
    malloc_traced_method: () => [0, self(), size, Math.log2(alignment), 0],
    memalign_method: () => [self(), alignment, size],
  };
  return trial.call(index, args[role]?.().slice(0, parameters) ?? []);
}

/** The block whose address `way` stores where it is told to. */
function storedBlock(
  trial: Trial,
  { index }: Way,
  scratch: Way,
  size: number,
  alignment: number,
): number | undefined {
  const out = allocate(trial, scratch, 16);
  if (!out || trial.call(index, [out, alignment, size]) !== 0) return undefined;
  const { buffer } = trial.memory();
  return out + 4 <= buffer.byteLength && out % 4 === 0 ? new Uint32Array(buffer, out, 1)[0] : undefined;
}

/** Calls a function that releases. Whether it returned. */
export function release(trial: Trial, way: Way, { address, size }: TriedBlock): boolean {
  const { role, index, parameters } = way;
  const fourth = parameters >= 5 ? Math.log2(usualAlignment) : usualAlignment;
  const layout = way.alignmentFirst ? [fourth, size] : [size, fourth];
  const free = [address, ...layout, 0];
  const method = [selfOf(trial, way), ...free];
  const args =
    role === "free_method" || role === "free_sized_method"
      ? method
      : role === "free_traced_method"
        ? [0, ...method]
        : free;
  return trial.call(index, args.slice(0, parameters)) !== undefined;
}

/** How a function that resizes a block where it is may take its arguments. */
const ordersInPlace: Partial<Record<number, readonly (readonly ArgumentInPlace[])[]>> = {
  3: [["address", "size", "to"]],
  4: [
    ["address", "alignment", "size", "to"],
    ["self", "address", "size", "to"],
    ["address", "size", "alignment", "to"],
  ],
  5: [
    ["self", "address", "alignment", "size", "to"],
    ["self", "address", "size", "alignment", "to"],
  ],
};
type ArgumentInPlace = "self" | "address" | "alignment" | "size" | "to";

/** A function that may resize a block where it is, as it would be called. */
export interface WayInPlace {
  index: number;
  call(trial: Trial, block: TriedBlock, to: number): number | undefined;
}

/** @param malloc what gives the blocks: a method that resizes them takes the same state */
export function waysInPlace(index: number, parameters: number, malloc: Way): WayInPlace[] {
  return (ordersInPlace[parameters] ?? []).map((order) => ({
    index,
    call(trial, { address, size }, to) {
      const values = { self: () => selfOf(trial, malloc), address, alignment: usualAlignment, size, to };
      return trial.call(
        index,
        order.map((what) => (what === "self" ? values.self() : values[what])),
      );
    },
  }));
}

/** Whether a function is asked for an alignment. */
export function alignsBlocks({ role, parameters }: Way): boolean {
  // AssemblyScript's methods of three parameters take something else there
  return /aligned|memalign|traced/.test(role) || (role === "malloc_method" && parameters >= 4);
}

/** Calls a function that resizes. Where the block is then; undefined when it trapped. */
export function resize(trial: Trial, way: Way, block: TriedBlock, to: number): number | undefined {
  return trial.call(way.index, argumentsOfResize(trial, way, block, to).slice(0, way.parameters));
}

function argumentsOfResize(trial: Trial, way: Way, { address, size }: TriedBlock, to: number): number[] {
  switch (way.role) {
    case "realloc_method":
      return [selfOf(trial, way), address, to];
    case "realloc_layout_method":
      return [selfOf(trial, way), address, usualAlignment, size, to];
    case "rust_realloc":
      return way.alignmentFirst ? [address, usualAlignment, size, to] : [address, size, usualAlignment, to];
    case "sized_realloc":
      return [address, size, to];
    case "wbindgen_realloc":
      return [address, size, to, usualAlignment];
    default:
      return [address, to];
  }
}
