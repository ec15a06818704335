/** Which calls are made in a context of their own, and how it gets to what is called: see ../context-sites.ts. */
import { callees, functionCount, imported, isCalledDirectly, NO_NODE, takeSet, u32At } from "./callers";
import { CHAINED, KEPT, PASSED, ROOT, SET, SET_AFTER } from "./forms";
import { bodyCount, catches, crowded, first, parametersOf, takeZeros } from "./memory";

/** Parameters that a function may have, with one more. */
const MOST_PARAMETERS: u32 = 999;

// Sets of nodes that the host takes and fills.

/** Functions of the allocator. */
export let allocator: usize = 0;
/** What leads to the allocator or to an import that may call back; 0 where it is not known. */
export let using: usize = 0;
/** Imports that may call back. */
export let callBacks: usize = 0;
/** What leads to an allocation. */
export let mayAllocate: usize = 0;
/** What leads to an allocation, or to a release that looks whether the allocator runs; */
export let heeding: usize = 0;
/** and what may have caught an exception when it returns: 0 where nothing may. */
export let catching: usize = 0;

/** Whether functions get parameters for their contexts. */
export let passing: bool = false;
/** Whether functions of other modules may be in tables. */
export let tableIsOpen: bool = false;
/** Whether it is to be known where blocks are freed. */
export let releasesToo: bool = false;

/** The set of functions that take their context from a parameter. */
export let taking: usize = 0;
/** By site: what is decided. */
export let decided: usize = 0;

@inline
function isIn(set: usize, node: u32): bool {
  return node != NO_NODE && load<u8>(set + node) != 0;
}

/** Decides about all calls. */
export function decide(): void {
  taking = takeSet();
  decided = takeZeros(u32At(first, bodyCount));
  if (passing) {
    for (let body: u32 = 0; body < bodyCount; body++) {
      const index = imported + body;
      if (!load<u8>(mayAllocate + index) || load<u8>(crowded + body)) continue;
      // what only tables and JavaScript lead to would need an entry that puts the global's into the parameter
      if (isCalledDirectly(index) && parametersOf(body) <= MOST_PARAMETERS) store<u8>(taking + index, 1);
    }
  }
  for (let body: u32 = 0; body < bodyCount; body++) {
    const from = u32At(first, body);
    const until = u32At(first, body + 1);
    if (from == until) continue;
    if (using && !load<u8>(using + imported + body)) continue;
    if (load<u8>(allocator + imported + body)) decideInAllocator(from, until);
    else decideIn(body, from, until);
  }
}

/**
 * The allocator's own calls keep the context that its hook sets, unless what it called before may have called an
 * import.
 */
function decideInAllocator(from: u32, until: u32): void {
  for (let site = from; site < until; site++) {
    const callee = u32At(callees, site);
    if (isIn(taking, callee)) store<u8>(decided + site, PASSED);
    else if (catching && isIn(heeding, callee)) store<u8>(decided + site, SET);
  }
}

function decideIn(body: u32, from: u32, until: u32): void {
  // Emscripten's `invoke_*`, under whatever name the minifier gave them, call back and catch what that throws
  let all = load<u8>(catches + body) != 0;
  for (let site = from; site < until && !all; site++) all = isIn(callBacks, u32At(callees, site));
  // after a caught exception the context may still be the allocator's: the next call has to say otherwise
  const chained = load<u8>(mayAllocate + imported + body) != 0;
  if (!chained && !all) return;
  const kind = chained ? CHAINED : ROOT;
  for (let site = from; site < until; site++) {
    const callee = u32At(callees, site);
    if (callee == NO_NODE) continue;
    let how: u8 = 0;
    if (load<u8>(taking + callee)) how = kind | PASSED | (all ? SET : 0);
    else if (all || load<u8>(mayAllocate + callee) || (tableIsOpen && callee >= functionCount)) how = kind | SET;
    if (catching && load<u8>(catching + callee)) how |= kind | SET_AFTER;
    // a recursion into itself makes no new context
    if (releasesToo && chained && callee == imported + body) how |= KEPT;
    store<u8>(decided + site, how);
  }
}
