// The bug suite (test/fixtures/bugs): modules that export cases, each of which makes the error that its name begins with
// when it is called with 1, and none when it is called with 0.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checking } from "./checking.js";

export const bugsFolder = fileURLToPath(new URL("../fixtures/bugs/", import.meta.url));

export interface BugModule {
  file: string;
  bytes: Uint8Array;
  cases: string[];
}

export const bugModules: readonly BugModule[] = readdirSync(bugsFolder)
  .filter((name) => name.endsWith(".wasm"))
  .map((file) => {
    const bytes = readFileSync(bugsFolder + file);
    const cases = WebAssembly.Module.exports(new WebAssembly.Module(bytes))
      .map(({ name }) => name)
      .filter((name) => name.includes("__") && !name.startsWith("_"));
    return { file, bytes, cases };
  });

const asOtherObject =
  "the address belongs to another object, and nothing in the module tells which one was meant";
const asUsableSize = "it reads the header, as a program does that asks how much of its block it may use";
const withoutSize =
  "the part of Rust's release that gets the size was put into its callers: what is left to hook takes the block alone";

/** What is not found, and why it can't be. */
export const knownMissed: Record<string, Record<string, string>> = {
  "beyond.wasm": {
    global_overflow__read: asOtherObject,
    stack_buffer_overflow__write: asOtherObject,
    stack_use_after_return__read:
      "below the stack pointer small functions keep their variables without moving it: an old frame looks like theirs",
    heap_overflow__into_the_next_block: asOtherObject,
    heap_overflow__within_a_struct: asOtherObject,
  },
  "c-Os-stripped.wasm": { heap_underflow__read_int: asUsableSize },
  "em-dlmalloc-O2.wasm": { heap_underflow__read_int: asUsableSize },
  "em-emmalloc.wasm": { heap_underflow__read_int: asUsableSize },
  "rust-lto-stripped.wasm": {
    mismatched_free__dealloc: withoutSize,
    mismatched_free__realloc: withoutSize,
  },
};

/** The kind that a case is to be found as. */
export function kindOf(name: string): string {
  return name.split("__")[0]!.replaceAll("_", "-");
}

/** What the modules import: it is never called but by runtimes that begin or end. */
function nothing(bytes: Uint8Array): WebAssembly.Imports {
  const all: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  const module = new WebAssembly.Module(bytes as BufferSource);
  for (const { module: from, name } of WebAssembly.Module.imports(module)) (all[from] ??= {})[name] = () => 0;
  return all;
}

export interface CaseResult {
  kinds: string[];
  /** As `heap-overflow write 4 past 16`. */
  found: string[];
  trap: unknown;
}

/** Runs a case, or its clean twin, in an instance of its own. */
export function runCase(
  { bytes }: BugModule,
  name: string,
  { inline, bad }: { inline: boolean; bad: boolean },
): CaseResult {
  const checked = checking(bytes, { inline, imports: nothing(bytes) });
  checked.call._initialize?.();
  let trap: unknown;
  try {
    checked.call[name]!(bad ? 1 : 0);
  } catch (error) {
    trap = error;
  }
  return { kinds: checked.violations.map(({ kind }) => kind), found: checked.found(), trap };
}
