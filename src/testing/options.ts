import { UsageError } from "../errors.js";

/** A number of bytes: `4096`, `"4 KiB"`, `"1.5 MiB"`. */
export type ByteSize = number | `${number} ${"B" | "KiB" | "MiB" | "GiB"}`;

/** What to measure, sync or async. */
export type Measured = () => unknown;

export interface LeakOptions {
  /**
   * Runs before anything is compared, for caches and whatever else is set up once. 3 unless given.
   */
  warmup?: number;
  /**
   * Runs that are compared. 8 unless given. What grows in nearly all of them (3 of 4) is run as often again, and
   * is a leak only if it does so then too.
   */
  runs?: number;
  /**
   * What may grow: so many bytes per run; blocks whose stack has a frame, JavaScript or wasm, with a function or
   * file that matches a regular expression; or a list of both.
   */
  allow?: ByteSize | RegExp | readonly (ByteSize | RegExp)[];
}

/** The same with everything said. */
export interface CheckedOptions {
  warmup: number;
  runs: number;
  allowBytes: number;
  allowFrames: RegExp[];
}

const units = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const names = ["warmup", "runs", "allow"];

/**
 * @param where Name of the function and the option, for the error.
 * @throws UsageError
 */
export function parseBytes(size: unknown, where: string): number {
  if (typeof size === "number" && size >= 0) return size;
  const [, number, unit] =
    /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB)$/.exec(typeof size === "string" ? size : "") ?? [];
  if (number === undefined) {
    throw new UsageError(`${where}: ${show(size)} is no size: give bytes as a number, or text like "4 MiB"`);
  }
  return Number(number) * units[unit as keyof typeof units];
}

/** @throws UsageError */
export function checkOptions(options: LeakOptions, caller: string): CheckedOptions {
  if (typeof options !== "object" || options === null) {
    throw new UsageError(
      `${caller}: options have to be an object with ${names.join(", ")}, not ${show(options)}`,
    );
  }
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`${caller}: there is no option ${unknown}: there are ${names.join(", ")}`);
  }
  const { warmup = 3, runs = 8, allow = [] } = options;
  const allowed = Array.isArray(allow) ? allow : [allow];
  const sizes = allowed.filter((entry) => !isRegExp(entry));
  return {
    warmup: wholeNumber(warmup, 0, `${caller}: warmup`),
    runs: wholeNumber(runs, 1, `${caller}: runs`),
    allowBytes: sizes.reduce<number>((sum, size) => sum + parseBytes(size, `${caller}: allow`), 0),
    allowFrames: allowed.filter(isRegExp),
  };
}

/** @throws UsageError */
export function checkMeasured(fn: unknown, caller: string): Measured {
  if (typeof fn === "function") return fn as Measured;
  throw new UsageError(`${caller}: give it a function to run, not ${show(fn)}: ${caller}(() => …)`);
}

function wholeNumber(value: unknown, least: number, where: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new UsageError(`${where} has to be a whole number from ${least} on, not ${show(value)}`);
}

/** Not `instanceof`: a test may run in a realm of its own. */
function isRegExp(value: unknown): value is RegExp {
  return Object.prototype.toString.call(value) === "[object RegExp]";
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
