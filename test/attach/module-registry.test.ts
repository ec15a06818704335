// What stays of a module that was instrumented.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ModuleRegistry } from "../../src/attach/module-registry.js";
import { type InstrumentOptions, instrument } from "../../src/instrument/index.js";
import { largeModule } from "../instrument/support.js";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

for (const [name, options] of [
  ["profiled", {}],
  ["checked", { check: { inline: false, redzone: 16 } }],
] satisfies [string, InstrumentOptions][]) {
  test(`of a large ${name} module its new bytes stay alone, without the memory in which they were made`, async () => {
    let made: WeakRef<ArrayBufferLike> | undefined;
    const registry = new ModuleRegistry({
      instrument: (bytes) => {
        const instrumentation = instrument(bytes, options);
        made = new WeakRef(instrumentation.bytes.buffer);
        return instrumentation;
      },
      hash: (bytes) => `${bytes.length}`,
    });
    const prepared = registry.prepare(largeModule(), "large");
    assert.equal(prepared.bytes?.buffer.byteLength, prepared.bytes?.length);
    for (let i = 0; i < 10 && made?.deref(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      gc();
    }
    assert.ok(made && !made.deref());
    const { facts, toOriginal } = prepared.module;
    assert.equal(toOriginal(facts.importedFunctions, 0).functionIndex, 0);
  });
}
