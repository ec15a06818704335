// The codec against every module of the specification's tests and of real npm packages.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DecodeError } from "../../src/errors.js";
import { decodeModule, encodeModule, type Module } from "../../src/wasm/module.js";
import { corpusDirectory, specDirectory } from "../support/shared.js";
import { everything, reencode } from "./support.js";

interface Command {
  type: string;
  filename?: string;
  text?: string;
  module_type?: string;
  line: number;
}

function filesBelow(directory: string, extension: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(extension))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Modules that the suite calls malformed, with the reason that it gives. */
function malformedModules(directory: string): Map<string, string> {
  const modules = new Map<string, string>();
  for (const file of filesBelow(directory, ".json")) {
    const { commands = [] } = JSON.parse(readFileSync(file, "utf8")) as { commands?: Command[] };
    for (const { type, module_type, filename, text } of commands) {
      if (type !== "assert_malformed" || module_type !== "binary" || !filename) continue;
      modules.set(join(file, "..", filename), text ?? "");
    }
  }
  return modules;
}

/** Same bytes when nothing changed; what is encoded again means the same, to us and to the engine. */
function checkRoundTrip(file: string, bytes: Uint8Array<ArrayBuffer>, module: Module): void {
  assert.equal(Buffer.compare(encodeModule(module.sections), bytes), 0, `${file}: not the same bytes`);
  const again = reencode(module);
  assert.ok(again.length <= bytes.length, `${file}: grew`);
  const twice = reencode(decodeModule(again));
  assert.equal(Buffer.compare(twice, again), 0, `${file}: not the same when encoded twice`);
  if (WebAssembly.validate(bytes)) assert.ok(WebAssembly.validate(again), `${file}: no longer valid`);
}

const spec = specDirectory();
test("the specification's modules", { skip: !spec && "LINMEM_SPEC is not set" }, (t) => {
  const malformed = malformedModules(spec as string);
  let decoded = 0;
  for (const file of filesBelow(spec as string, ".wasm")) {
    if (malformed.has(file)) continue;
    const bytes = new Uint8Array(readFileSync(file));
    const module = decodeModule(bytes);
    everything(module);
    checkRoundTrip(file, bytes, module);
    decoded++;
  }
  t.diagnostic(`${decoded} modules decoded and encoded`);
  assert.ok(decoded > 0);
});

test("the specification's malformed modules", { skip: !spec && "LINMEM_SPEC is not set" }, (t) => {
  let refused = 0;
  const passed = new Map<string, number>();
  for (const [file, reason] of malformedModules(spec as string)) {
    const bytes = new Uint8Array(readFileSync(file));
    try {
      const module = decodeModule(bytes);
      everything(module);
      // Instructions, and what they need of other sections, are left to the engine.
      assert.ok(module.bodies.count > 0 || module.globals.length > 0, `${file}: not refused, ${reason}`);
      assert.ok(!WebAssembly.validate(bytes), `${file}: accepted by the engine, ${reason}`);
      passed.set(reason, (passed.get(reason) ?? 0) + 1);
    } catch (error) {
      assert.ok(error instanceof DecodeError, `${file}: ${error}`);
      assert.ok(error.offset >= 0 && error.offset <= bytes.length, `${file}: offset ${error.offset}`);
      refused++;
    }
  }
  t.diagnostic(`${refused} refused; left to the engine: ${JSON.stringify(Object.fromEntries(passed))}`);
});

const corpus = corpusDirectory();
test("real modules", { skip: !corpus && "LINMEM_CORPUS is not set" }, (t) => {
  let count = 0;
  for (const file of filesBelow(corpus as string, ".wasm")) {
    const bytes = new Uint8Array(readFileSync(file));
    if (!WebAssembly.validate(bytes)) continue;
    const module = decodeModule(bytes);
    everything(module);
    checkRoundTrip(file, bytes, module);
    count++;
  }
  t.diagnostic(`${count} modules decoded and encoded`);
  assert.ok(count > 0);
});
