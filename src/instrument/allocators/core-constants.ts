/**
 * Constants in the bodies of dlmalloc (C and Rust) and emmalloc: masks, size limits, numbers of bins. The numbers come
 * from a study of 149 modules.
 */
import { type ValueType, valueType } from "../../wasm/types.js";
import type { BodyFacts } from "./body-facts.js";
import type { MarkedConstant } from "./marked-constants.js";

export type Library = "dlmalloc" | "Rust dlmalloc" | "emmalloc";

/** Whose `malloc` has such constants. */
export function libraryOfMalloc(
  { instructions: n, constants }: BodyFacts,
  pointer: ValueType,
): Library | undefined {
  const has = (...values: number[]) => values.every((value) => constants.has(value));
  const any = (...values: number[]) => values.some((value) => constants.has(value));
  if (pointer === valueType.i64) {
    const fits = n >= 1200 && has(-129, 240, 65535, 38, 31, 255) && any(34359738352, 1431655768);
    return fits ? "dlmalloc" : undefined;
  }
  if (n >= 1200 && has(16777215, 29, 25, -8, -2, 11, 31, 255) && any(-65, -64, 1431655768)) {
    return "dlmalloc";
  }
  // as Emscripten's compiler before 2020 wrote it: without an instruction that counts zeros
  if (n >= 1200 && has(16777215, 245, 14, 15, 7, 25, 31, 11, -8) && any(-65, -64, 1431655768)) {
    return "dlmalloc";
  }
  if (n >= 1200 && has(245, 4095, 31, 256, -2, 29) && any(2097152, -65586, -65587, -65588, -65544, -65536)) {
    return "Rust dlmalloc";
  }
  if (n >= 200 && n < 1200 && has(245, -8, 11, 504) && any(-65586, -65587, -65588)) return "Rust dlmalloc";
  if (n <= 1200 && has(127, 29, 110, 4095, 71, 63, 1073741824, 48) && any(-57, 97, 98, 99, 100))
    return "emmalloc";
  return undefined;
}

/** One of these constants is in every `malloc` that `libraryOfMalloc` knows. */
export function mallocMarks(pointer: ValueType): readonly MarkedConstant[] {
  return pointer === valueType.i64 ? [240] : [16777215, 245, 1073741824];
}

/** One of these constants is in every function that `freesLike` knows. */
export function freeMarks(library: Library, pointer: ValueType): readonly MarkedConstant[] {
  if (pointer === valueType.i64) return [255];
  if (library === "emmalloc") return [71];
  return library === "dlmalloc" ? [16777215] : [256, 16777215];
}

/** Whether constants are those of the `free` of a library. */
export function freesLike(library: Library, constants: ReadonlySet<number>, pointer: ValueType): boolean {
  const has = (...values: number[]) => values.every((value) => constants.has(value));
  const any = (...values: number[]) => values.some((value) => constants.has(value));
  if (pointer === valueType.i64) return has(31, 255, -2, 3, -8);
  if (library === "emmalloc") return has(127, 29, 110, 4095, 71, 63) && !has(1073741824);
  if (library === "dlmalloc")
    return has(16777215, -8, 31, 255, -2, 3) || has(16777215, -8, 31, 14, 15, 7, 25, -2, 3);
  return (has(256, -2, 3) && any(4095, 2097152)) || has(16777215, -8, 31, 255, -2, 3);
}
