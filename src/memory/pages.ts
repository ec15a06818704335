// Pages and their limits, and what may be given as a number of pages.
import { LinmemTypeError } from "../errors.js";

/** Bytes of a page of linear memory: 64 KiB. */
export const PAGE_SIZE = 65_536;

/** The most pages of a memory with 32-bit addresses: 4 GiB. */
export const MAX_PAGES = 65_536;

/**
 * The most pages that are asked for with 64-bit addresses. Engines stop far earlier (V8 at 262,144 pages, 16 GiB);
 * beyond 2 ** 37 pages an address no longer fits a JavaScript number.
 */
export const MAX_PAGES_64 = 2 ** 37;

/** `value` in words for a message: strings quoted, objects by their class only, so that nothing of theirs runs. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "object":
      return value === null ? "null" : "an object";
    case "function":
      return "a function";
    default:
      return String(value);
  }
}

/** Throws a TypeError unless `value` is a whole number from 0 up. `-0` is 0. */
export function checkPages(value: unknown, name: string): asserts value is number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
    throw new LinmemTypeError(
      "ERR_LINMEM_PAGES",
      `${name} must be a whole number of pages, not ${show(value)}`,
    );
  }
}
