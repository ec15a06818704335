// The bug suite: each case makes one error and is found by its kind; its clean twin makes none and nothing is found.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { checking, waysToCheck } from "../support/checking.js";

const folder = fileURLToPath(new URL("../fixtures/bugs/", import.meta.url));

/** What the modules import: it is never called but by runtimes that begin or end. */
const imports = (module: WebAssembly.Module): WebAssembly.Imports => {
  const all: Record<string, Record<string, WebAssembly.ImportValue>> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) (all[from] ??= {})[name] = () => 0;
  return all;
};

/**
 * What is not found, and known not to be. Without names `calloc` is not known; as it reads the header of its block, it may
 * be a function that asks how much of it can be used.
 * There Rust tells sizes to functions that are not known, too.
 */
const missed: Record<string, readonly string[]> = {
  "c-Os-stripped.wasm": ["heap_underflow__read_int", "heap_overflow__calloc"],
  // its optimiser puts `calloc` into other functions, which read headers then
  "em-dlmalloc-O2.wasm": ["heap_underflow__read_int", "heap_overflow__calloc"],
  "em-emmalloc.wasm": ["heap_underflow__read_int"],
  "rust-lto-stripped.wasm": ["mismatched_free__dealloc", "mismatched_free__realloc"],
};

for (const file of readdirSync(folder).filter((name) => name.endsWith(".wasm"))) {
  const bytes = readFileSync(folder + file);
  const module = new WebAssembly.Module(bytes);
  const cases = WebAssembly.Module.exports(module)
    .map(({ name }) => name)
    .filter((name) => name.includes("__") && !name.startsWith("_"));

  for (const { name: way, inline } of waysToCheck) {
    const run = (name: string, bad: number) => {
      const checked = checking(bytes, { inline, imports: imports(module) });
      checked.call._initialize?.();
      let trap: unknown;
      try {
        checked.call[name]!(bad);
      } catch (error) {
        trap = error;
      }
      return { kinds: checked.violations.map(({ kind }) => kind), found: checked.found(), trap };
    };

    describe(`${file}, checked by ${way}`, () => {
      assert.ok(cases.length > 5, "the module has its cases");
      for (const name of cases) {
        test(name, () => {
          const clean = run(name, 0);
          assert.deepEqual([clean.found, clean.trap], [[], undefined], "its clean twin");
          const { kinds, found, trap } = run(name, 1);
          if (missed[file]?.includes(name)) {
            assert.deepEqual(found, []);
            return;
          }
          const kind = name.split("__")[0]!.replaceAll("_", "-");
          assert.equal(kinds[0], kind, found.join("; "));
          const traps = kind === "out-of-bounds" || kind === "stack-overflow";
          assert.ok(trap === undefined || (traps && trap instanceof WebAssembly.RuntimeError), String(trap));
        });
      }
    });
  }
}
