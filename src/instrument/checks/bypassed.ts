/**
 * Whether blocks are released where no hook is. What Rust calls `__rust_dealloc` does no more than call the allocator that the
 * program chose; where the optimiser puts it into its callers they call that directly. Then a block's size is told to an
 * allocator that doesn't know of its redzone, and blocks are given out anew of which nobody heard that they were free.
 */
import type { AllocatorFunction } from "../roles.js";

const rustShim = /^__(?:rust|rdl|rg)_(?:dealloc|realloc)$/;

/**
 * The first of the hooked functions that is passed by, if there is one.
 * @param callees functions that a function calls, imported ones left out
 * @param own functions that only the allocator calls, its own included
 */
export function bypassed(
  hooked: readonly AllocatorFunction[],
  callees: (index: number) => readonly number[],
  own: ReadonlySet<number>,
): AllocatorFunction | undefined {
  return hooked.find(({ name, index }) => {
    if (!rustShim.test(name)) return false;
    const [inner, ...others] = new Set(callees(index));
    return inner !== undefined && others.length === 0 && !own.has(inner);
  });
}
