// How a WebAssembly.Memory is made, or found in an instance, with errors that say the numbers.
import { LinmemRangeError, LinmemTypeError } from "../errors.js";
import type { AddressType } from "./engine.js";
import { bufferOf } from "./intrinsics.js";
import { checkPages, MAX_PAGES, MAX_PAGES_64, show } from "./pages.js";

/** What `createMemory` needs of the options of a LinearMemory. */
export interface CreateOptions {
  initial: number;
  maximum?: number | undefined;
  shared?: boolean | undefined;
  address?: AddressType | undefined;
}

/** Checks the options, which are pages, and makes the memory. */
export function createMemory(options: CreateOptions): WebAssembly.Memory {
  if (typeof options !== "object" || options === null) {
    throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `a memory needs { initial, … }, not ${show(options)}`);
  }
  const { initial, maximum, shared = false, address = "i32" } = options;
  checkPages(initial, "initial");
  if (maximum !== undefined) checkPages(maximum, "maximum");
  if (typeof shared !== "boolean") {
    throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `shared must be true or false, not ${show(shared)}`);
  }
  if (address !== "i32" && address !== "i64") {
    throw new LinmemTypeError("ERR_LINMEM_OPTIONS", `address must be "i32" or "i64", not ${show(address)}`);
  }
  if (shared && maximum === undefined) {
    throw new LinmemTypeError("ERR_LINMEM_OPTIONS", "a shared memory needs a maximum");
  }
  if (maximum !== undefined && initial > maximum) {
    throw new LinmemRangeError("ERR_LINMEM_MAXIMUM", `initial ${initial} is above maximum ${maximum} pages`, {
      initial,
      maximum,
    });
  }
  const limit = address === "i64" ? MAX_PAGES_64 : MAX_PAGES;
  const most = Math.max(initial, maximum ?? 0);
  if (most > limit) {
    throw new LinmemRangeError(
      "ERR_LINMEM_LIMIT",
      `${most} pages are beyond the ${limit} that ${address} addresses reach`,
      { pages: most, limit },
    );
  }
  return address === "i64" ? makeWide(initial, maximum, shared) : make({ initial, maximum, shared });
}

interface Descriptor {
  initial: number | bigint;
  maximum: number | bigint | undefined;
  shared: boolean;
  address?: "i64";
}

function make(descriptor: Descriptor): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory(withoutUndefined(descriptor) as unknown as WebAssembly.MemoryDescriptor);
  } catch (cause) {
    // After the checks above only a lack of room, or a limit of the engine's own, is left.
    if (!(cause instanceof RangeError)) throw cause;
    const { initial, maximum } = descriptor;
    const size = maximum === undefined ? `${initial} pages` : `${initial} of at most ${maximum} pages`;
    throw new LinmemRangeError(
      "ERR_LINMEM_REFUSED",
      `the engine refuses a memory of ${size}: ${cause.message}`,
      { initial: Number(initial), ...(maximum === undefined ? {} : { maximum: Number(maximum) }) },
      { cause },
    );
  }
}

/** `maximum: undefined` means no maximum to the specification, but not to every engine. */
function withoutUndefined(descriptor: Descriptor): Partial<Descriptor> {
  return Object.fromEntries(Object.entries(descriptor).filter(([, value]) => value !== undefined));
}

function makeWide(initial: number, maximum: number | undefined, shared: boolean): WebAssembly.Memory {
  try {
    return make({
      address: "i64",
      initial: BigInt(initial),
      maximum: maximum === undefined ? undefined : BigInt(maximum),
      shared,
    });
  } catch (cause) {
    // An engine without 64-bit addresses ignores `address`, and then refuses the BigInt.
    if (!(cause instanceof TypeError)) throw cause;
    throw new LinmemTypeError("ERR_LINMEM_UNSUPPORTED", "this engine has no memories with 64-bit addresses", {
      cause,
    });
  }
}

/** True for a WebAssembly.Memory, of whatever realm: only those have the buffer that the engine's getter reads. */
function isMemory(value: unknown): value is WebAssembly.Memory {
  try {
    bufferOf(value as WebAssembly.Memory);
    return true;
  } catch {
    return false;
  }
}

/** The memory itself, or the one that an instance exports: by name, or its only one. */
export function memoryOf(
  source: WebAssembly.Memory | WebAssembly.Instance,
  exportName: string | undefined,
): WebAssembly.Memory {
  if (isMemory(source)) return source;
  const exports = (source as Partial<WebAssembly.Instance> | null | undefined)?.exports;
  if (typeof exports !== "object" || exports === null) {
    throw notAMemory(`${show(source)} is neither a WebAssembly.Memory nor an instance`);
  }
  if (exportName !== undefined) {
    const value: unknown = exports[exportName];
    if (isMemory(value)) return value;
    throw notAMemory(`the instance exports no memory ${show(exportName)}`);
  }
  const memories = Object.entries(exports).filter(([, value]) => isMemory(value));
  const [first] = memories;
  if (first === undefined) throw notAMemory("the instance exports no memory");
  if (memories.length > 1) {
    const names = memories.map(([name]) => show(name)).join(", ");
    throw notAMemory(`the instance exports several memories, name one: ${names}`);
  }
  return first[1] as WebAssembly.Memory;
}

function notAMemory(message: string): LinmemTypeError {
  return new LinmemTypeError("ERR_LINMEM_NOT_A_MEMORY", message);
}
