// Modules whose exports have minified names, as the scripts around them call them. Runs dist/, so build first.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, describe, test } from "node:test";
import { minifiedModule } from "../support/minified.js";
import { ofType, Sandbox } from "./run-program.js";

const sandbox = new Sandbox();
after(() => sandbox.remove());
afterEach(() => sandbox.clear());

/** What was hooked in the only module, with the evidence. */
async function hooked(program: string): Promise<string[]> {
  const { code, stderr } = await sandbox.linmem(["run", "-q", program]);
  assert.equal(code, 0, stderr);
  const [module] = ofType(sandbox.records(), "module");
  return module.allocator.map(({ role, evidence }) => `${role}: ${evidence}`);
}

describe("the script around a module", () => {
  writeFileSync(join(sandbox.folder, "heap.wasm"), minifiedModule());
  sandbox.write(
    "heap.mjs",
    `import { readFileSync } from "node:fs";
export function load(Module, instantiate) {
  const receive = ({ instance }) => {
    const w = instance.exports;
    Module._malloc=w.b;Module._free=w.d;Module._realloc=w.c;
    return Module;
  };
  return instantiate(readFileSync(new URL("heap.wasm", import.meta.url))).then(receive);
}`,
  );
  const expected = [
    'malloc: export "b", which the script calls "_malloc"',
    'free: export "d", which the script calls "_free"',
    'realloc: export "c", which the script calls "_realloc"',
  ];
  const use = "if (!heap._malloc(100)) throw new Error();";

  test("tells which exports allocate when it compiles the module", async () => {
    sandbox.write(
      "glue.mjs",
      `import { load } from "./heap.mjs";
const heap = await load({}, (bytes) => WebAssembly.instantiate(bytes, {}));
${use}`,
    );
    const found = await hooked("glue.mjs");
    for (const line of expected) assert.ok(found.includes(line), found.join("\n"));
  });

  test("does so when a loader of the program's compiles it", async () => {
    sandbox.write(
      "loader.mjs",
      `const { instantiate } = WebAssembly;
export const instantiateWasm = (bytes) => instantiate(bytes, {});`,
    );
    sandbox.write(
      "program.mjs",
      `import { load } from "./heap.mjs";
import { instantiateWasm } from "./loader.mjs";
const heap = await load({}, instantiateWasm);
${use}`,
    );
    const found = await hooked("program.mjs");
    for (const line of expected) assert.ok(found.includes(line), found.join("\n"));
  });
});
