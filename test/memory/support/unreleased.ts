// Run by development.test.ts with a forced collector: drops handles in one way or another, and prints what is reported.
import { readFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { disableDevelopmentMode, enableDevelopmentMode } from "../../../src/memory/development.js";
import { ModuleHeap } from "../../../src/memory/module-heap.js";
import { Scope } from "../../../src/memory/scope.js";

const collect = (globalThis as unknown as { gc(): void }).gc;
const reports: { handle: string; stack: string }[] = [];
const module = new WebAssembly.Module(readFileSync(new URL("../../fixtures/heaps/c.wasm", import.meta.url)));
const heap = new ModuleHeap(new WebAssembly.Instance(module));
const held: unknown[] = [];

const ways: Record<string, () => void> = {
  forgotten() {
    forgetText();
  },
  released() {
    heap.string("released").release();
    {
      using _ = heap.array("f32", 3);
    }
    const scope = new Scope();
    scope.add(heap.block(8));
    scope.release();
    heap.block(8).give();
  },
  held() {
    held.push(heap.string("held"));
  },
  "lost with its scope"() {
    new Scope().add(heap.array("f32", 3));
  },
  "off again"() {
    const block = heap.block(8);
    disableDevelopmentMode();
    held.length = block.byteLength - 8;
  },
  "made before"() {
    disableDevelopmentMode();
    heap.block(8);
    enableDevelopmentMode({ onUnreleased: (report) => reports.push(report) });
  },
};

function forgetText(): void {
  heap.string("forgotten");
}

enableDevelopmentMode({ onUnreleased: (report) => reports.push(report) });
if (process.argv[3] === "warn") enableDevelopmentMode();
ways[process.argv[2]]();
for (let round = 0; round < 10; round++) {
  collect();
  await turn();
}
console.log(JSON.stringify({ reports, live: heap.live, held: held.length }));
