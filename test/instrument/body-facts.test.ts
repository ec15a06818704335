/** What the walker says of bodies for the finder, against the plain way: one instruction after the other. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bodyFacts, lowestAddress } from "../../src/instrument/allocators/body-facts.js";
import { markedConstants } from "../../src/instrument/allocators/marked-constants.js";
import { findSites } from "../../src/instrument/walker.js";
import { instructionEnd, op } from "../../src/wasm/instructions.js";
import { Reader, u32At, Writer } from "../../src/wasm/leb128.js";
import { decodeModule, type Module } from "../../src/wasm/module.js";
import { decodeLocals } from "../../src/wasm/sections/code.js";
import { withBody } from "../support/one-body.js";
import { corpusDirectory } from "../support/shared.js";

const [i32Load, i32Store, memorySize, i32Mul, i64Mul] = [0x28, 0x36, 0x3f, 0x6c, 0x7e];

function plainly({ bytes, bodies, importedGlobalCount }: Module, body: number) {
  const facts = {
    instructions: 0,
    constants: new Set<number>(),
    addresses: new Set<number>(),
    callees: new Set<number>(),
    globals: new Set<number>(),
    written: new Set<number>(),
    multiplies: false,
    readsMemory: false,
    callsIndirectly: false,
  };
  const end = bodies.end[body];
  let pos = decodeLocals(bytes, bodies.start[body], end).end;
  for (; pos < end; pos = instructionEnd(bytes, pos)) {
    const opcode = bytes[pos];
    facts.instructions++;
    if (opcode === op.i32Const || opcode === op.i64Const) {
      const value = Number(new Reader(bytes, pos + 1).s64());
      facts.constants.add(value);
      if (value >= lowestAddress) facts.addresses.add(value);
    } else if (opcode >= i32Load && opcode < memorySize) {
      const offset = u32At(bytes, pos + (bytes[pos + 1] & 0x40 ? 3 : 2));
      if (offset >= lowestAddress) facts.addresses.add(offset);
      if (opcode < i32Store) facts.readsMemory = true;
    } else if (opcode === op.call || opcode === op.returnCall) {
      facts.callees.add(u32At(bytes, pos + 1));
    } else if (opcode === op.globalGet || opcode === op.globalSet) {
      const global = u32At(bytes, pos + 1);
      if (global >= importedGlobalCount) facts.globals.add(global);
      if (opcode === op.globalSet) facts.written.add(global);
    } else if (opcode === i32Mul || opcode === i64Mul) {
      facts.multiplies = true;
    } else if (opcode >= op.prefixMisc && opcode <= op.prefixAtomic) {
      facts.readsMemory = true;
    } else if (opcode === op.callIndirect || opcode === op.returnCallIndirect) {
      facts.callsIndirectly = true;
    }
  }
  for (const address of facts.addresses) {
    if (Math.abs(address - 2 ** Math.round(Math.log2(address))) <= 4) facts.addresses.delete(address);
  }
  return facts;
}

const sorted = (numbers: ReadonlySet<number>) => [...numbers].sort((a, b) => a - b);

/** Numbers in order: which comes first says nothing. */
function inOrder(facts: ReturnType<typeof bodyFacts>) {
  const { constants, addresses, callees, globals, written, ...rest } = facts;
  return {
    ...rest,
    constants: sorted(constants),
    addresses: sorted(addresses),
    callees: sorted(callees),
    globals: sorted(globals),
    written: sorted(written),
  };
}

/** Compares every `step`-th body; returns how many constants those have, and how many marks there are. */
function compare(path: string, step: number): { constants: number; marks: number } {
  const module = decodeModule(new Uint8Array(readFileSync(path)));
  const { marked } = findSites(module);
  let [constants, marks] = [0, 0];
  for (let body = 0; body < module.bodies.count; body += step) {
    const expected = plainly(module, body);
    const found = bodyFacts(module, module.importedFunctionCount + body);
    assert.deepEqual(inOrder(found), inOrder(expected), `body ${body} of ${path}`);
    constants += found.constants.size;
    markedConstants.forEach((value, i) => {
      if (!expected.constants.has(value)) return;
      marks++;
      assert.ok(marked[body] & (1 << i), `${value} in body ${body} of ${path}`);
    });
  }
  return { constants, marks };
}

describe("facts of bodies", () => {
  test("of fixtures", () => {
    const folder = fileURLToPath(new URL("../fixtures", import.meta.url));
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".wasm"))
      .map((name) => `${folder}/${name}`);
    const found = files.map((file) => compare(file, 1));
    assert.ok(found.some(({ constants }) => constants > 100) && found.some(({ marks }) => marks > 0));
  });

  const corpus = corpusDirectory();
  test("of real packages", { skip: corpus ? false : "no corpus: set LINMEM_CORPUS" }, () => {
    const files = [
      "@resvg/resvg-wasm/index_bg.wasm",
      "sql.js/dist/sql-wasm.wasm",
      "web-tree-sitter/web-tree-sitter.wasm",
    ]
      .map((file) => `${corpus}/node_modules/${file}`)
      .filter((file) => existsSync(file));
    assert.ok(files.length > 0, "none of the packages is installed");
    for (const file of files) assert.ok(compare(file, 5).marks > 0, file);
  });

  test("numbers of every length, and instructions of every kind", () => {
    const number = (value: bigint) => {
      const writer = new Writer(16);
      writer.s64(value);
      return [...writer.finish()];
    };
    const values = [0n, -1n, 63n, 64n, -64n, -65n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 52n, -(2n ** 63n)];
    const module = withBody([
      0,
      ...values.flatMap((value) => [op.i64Const, ...number(value)]),
      // padded: 255, which is marked, and an address
      ...[op.i32Const, 0xff, 0x81, 0x80, 0x80, 0x00],
      ...[op.i32Const, 0x90, 0xa1, 0x86, 0x80, 0x00],
      ...[0x28, 2, 0x90, 0x9c, 0x01, 0x37, 3, 0x08],
      ...[0x28, 0x42, 0, 0xa0, 0x9c, 0x01],
      ...[op.call, 0x85, 0x00, op.callIndirect, 0, 0, op.globalGet, 1, op.globalSet, 2],
      ...[0xfc, 0x0a, 0, 0, i64Mul, op.end],
    ]);
    const { marked } = findSites(module);
    const facts = inOrder(bodyFacts(module, 0));
    assert.deepEqual(facts, inOrder(plainly(module, 0)));
    assert.deepEqual(
      facts.constants,
      [...values, 255n, 102544n].map(Number).sort((a, b) => a - b),
    );
    assert.deepEqual(facts.addresses, [19984, 20000, 102544]);
    assert.deepEqual([facts.callees, facts.globals, facts.written], [[5], [1, 2], [2]]);
    assert.equal(marked[0], 1 << markedConstants.indexOf(255));
  });
});
