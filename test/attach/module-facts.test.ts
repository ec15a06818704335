import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { appendSections, customSection } from "../../src/attach/marker.js";
import { bodyHolds, moduleFacts } from "../../src/attach/module-facts.js";
import { modules } from "./modules.js";

const facts = (bytes: number[]) => moduleFacts(Uint8Array.from(bytes), "linmem");

describe("moduleFacts", () => {
  test("finds memories, defined and imported, with their limits", () => {
    assert.deepEqual(facts(modules.memory)?.memories, [
      { initialPages: 1, maximumPages: null, shared: false },
    ]);
    assert.deepEqual(facts(modules.sharedMemory)?.memories, [
      { import: { module: "e", name: "m" }, initialPages: 1, maximumPages: 2, shared: true },
    ]);
    assert.deepEqual(facts(modules.noMemory)?.memories, []);
  });

  test("tells function bodies apart by their offsets", () => {
    const known = facts(modules.memory)!;
    const body = modules.memory.length - 6;
    assert.equal(bodyHolds(known, 0, body), true);
    assert.equal(bodyHolds(known, 0, body - 1), false);
    assert.equal(bodyHolds(known, 1, body), false);
    assert.equal(facts(modules.importsFunction)?.importedFunctions, 1);
  });

  test("notices a module that imports from linmem itself", () => {
    const bytes = [...modules.noMemory, 2, 12, 1, 6, ...Buffer.from("linmem"), 1, 0x66, 0, 0];
    assert.deepEqual(facts(bytes)?.recorderImports, ["f"]);
  });

  test("knows nothing of bytes that are no module, and never throws", () => {
    for (const bytes of [
      [],
      [1, 2, 3],
      modules.truncated,
      // A vector count, a section size and a name length beyond everything; a LEB128 of eleven bytes.
      [...modules.noMemory, 5, 5, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [...modules.noMemory, 5, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [...modules.noMemory, 2, 6, 1, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [...modules.noMemory, 10, 5, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [...modules.noMemory, 5, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
    ]) {
      assert.equal(facts(bytes), undefined, bytes.join());
    }
  });
});

test("custom sections are appended and found again", () => {
  const data = Uint8Array.from({ length: 300 }, (_, i) => i);
  const bytes = appendSections(Uint8Array.from(modules.memory), [
    ["one", Uint8Array.of()],
    ["two", data],
  ]);
  const module = new WebAssembly.Module(bytes as BufferSource);
  assert.deepEqual(new Uint8Array(WebAssembly.Module.customSections(module, "two")[0]), data);
  assert.deepEqual(customSection(bytes, "two"), data);
  assert.deepEqual(customSection(bytes, "one"), Uint8Array.of());
  assert.equal(customSection(bytes, "three"), undefined);
});
