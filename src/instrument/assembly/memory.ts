/** Where the bytes of a module and the columns of its bodies lie in the walker's memory. */
import { INPUT } from "./forms";

/** Bytes of the module here. */
export let length: usize = 0;
/** Where a position of the module lies in this memory, less the position. */
export let bytes: usize = 0;
/** Columns of the bodies: where each begins and ends. */
let starts: usize = 0;
let ends: usize = 0;
export let bodyCount: u32 = 0;
/** Columns that the walk fills: by body, its first site, whether it catches exceptions, … */
export let first: usize = 0;
export let catches: usize = 0;
/** … whether it has nearly as many locals as it may have, … */
export let crowded: usize = 0;
/** … and which of the marked constants it has, a bit for each. */
export let marked: usize = 0;
/** Others that the host fills: by function, imports first, the index of its type; for each type how many parameters it has. */
let types: usize = 0;
/** Those of the bodies. */
let bodyTypes: usize = 0;
let typeParameters: usize = 0;
let typeCount: u32 = 0;
/** Behind everything that has its place. */
export let free: usize = 0;

/** Makes the memory reach `end`; a trap when the engine has no room. */
export function reach(end: usize): void {
  const have = <usize>memory.size() << 16;
  if (end <= have) return;
  // by an eighth at least: growth is a call of the system
  const pages = <i32>((max(end - have, have >> 3) + 0xffff) >> 16);
  if (memory.grow(pages) < 0 && memory.grow(<i32>((end - have + 0xffff) >> 16)) < 0) unreachable();
}

@inline
function aligned(address: usize): usize {
  return (address + 7) & ~7;
}

/** What lies below `end` keeps its place. */
export function keep(end: usize): void {
  free = aligned(end);
}

/** Takes room for a column; returns its address. */
export function take(length: usize): usize {
  const at = free;
  free = aligned(at + length);
  reach(free);
  return at;
}

/** Takes room for a column, which is all 0. */
export function takeZeros(length: usize): usize {
  const at = take(length);
  memory.fill(at, 0, length);
  return at;
}

/**
 * Makes room for `codeLength` bytes of a module, from position `origin` on, and the columns of `count` bodies and
 * as many imported functions as there are. Returns the address for the bytes. The host fills the columns whose addresses are given below.
 */
export function prepare(codeLength: usize, origin: usize, count: u32, imported: u32, typesOfModule: u32): usize {
  length = codeLength;
  free = INPUT;
  // a number that the module cuts off ends in the zeros behind
  const at = take(length + 64);
  memory.fill(at + length, 0, 64);
  bytes = at - origin;
  bodyCount = count;
  starts = take(<usize>count << 2);
  ends = take(<usize>count << 2);
  first = take((<usize>count + 1) << 2);
  catches = takeZeros(count);
  crowded = takeZeros(count);
  marked = takeZeros(count);
  types = take(<usize>(imported + count) << 2);
  bodyTypes = types + (<usize>imported << 2);
  typeCount = typesOfModule;
  typeParameters = take(<usize>typeCount << 2);
  return at;
}

export function startsAddress(): usize {
  return starts;
}

export function endsAddress(): usize {
  return ends;
}

export function typesAddress(): usize {
  return types;
}

export function typeParametersAddress(): usize {
  return typeParameters;
}

/** The type of a function. */
@inline
export function typeOf(index: u32): u32 {
  return load<u32>(types + (<usize>index << 2));
}

/** How many parameters a body has; 0 when there is no such type, which is not for the walker to say. */
@inline
export function parametersOf(body: u32): u32 {
  const type = load<u32>(bodyTypes + (<usize>body << 2));
  return type < typeCount ? load<u32>(typeParameters + (<usize>type << 2)) : 0;
}

@inline
export function start(body: u32): u32 {
  return load<u32>(starts + (<usize>body << 2));
}

@inline
export function end(body: u32): u32 {
  return load<u32>(ends + (<usize>body << 2));
}
