/** The walker against the plain way: one instruction after the other, with the table that everything else uses. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { DecodeError } from "../../src/errors.js";
import { findSites, type Sites } from "../../src/instrument/walker.js";
import { instructionEnd, op } from "../../src/wasm/instructions.js";
import { u32At } from "../../src/wasm/leb128.js";
import { decodeModule, type Module } from "../../src/wasm/module.js";
import { decodeLocals } from "../../src/wasm/sections/code.js";
import { withBody } from "../support/one-body.js";
import { corpusDirectory } from "../support/shared.js";

const siteOpcodes: readonly number[] = [
  op.call,
  op.callIndirect,
  op.returnCall,
  op.returnCallIndirect,
  op.callRef,
  op.returnCallRef,
  op.refFunc,
  op.memoryGrow,
];

/** [body, position, opcode, target] of every site, and which bodies catch. */
function plainly({ bytes, bodies }: Module) {
  const sites: number[][] = [];
  const catches: number[] = [];
  for (let body = 0; body < bodies.count; body++) {
    const end = bodies.end[body];
    let caught = 0;
    let pos = decodeLocals(bytes, bodies.start[body], end).end;
    while (pos < end) {
      const opcode = bytes[pos];
      if (siteOpcodes.includes(opcode)) sites.push([body, pos, opcode, u32At(bytes, pos + 1)]);
      if (opcode === op.try || opcode === op.tryTable) caught = 1;
      pos = instructionEnd(bytes, pos);
    }
    catches.push(caught);
  }
  return { sites, catches };
}

function listed({ count, first, position, opcode, target, catches }: Sites) {
  assert.equal(first.at(-1), count);
  const sites: number[][] = [];
  for (let body = 0; body + 1 < first.length; body++) {
    for (let site = first[body]; site < first[body + 1]; site++) {
      sites.push([body, position[site], opcode[site], target[site]]);
    }
  }
  return { sites, catches: [...catches] };
}

function wasmFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".wasm"))
    .map((name) => `${folder}/${name}`);
}

function compare(path: string): number {
  let module: Module;
  try {
    module = decodeModule(new Uint8Array(readFileSync(path)));
  } catch {
    return 0;
  }
  const expected = plainly(module);
  assert.deepEqual(listed(findSites(module)), expected, path);
  return expected.sites.length;
}

describe("sites", () => {
  test("of all fixtures", () => {
    const folder = fileURLToPath(new URL("../fixtures", import.meta.url));
    const found = wasmFiles(folder).map(compare);
    assert.ok(found.length > 10 && found.some((count) => count > 100), `${found}`);
  });

  const corpus = corpusDirectory();
  test("of real packages", { skip: corpus ? false : "no corpus: set LINMEM_CORPUS" }, () => {
    const packages = ["@resvg/resvg-wasm", "@silvia-odwyer/photon-node", "sql.js", "quickjs-emscripten"];
    const files = packages.flatMap((name) => {
      try {
        return wasmFiles(`${corpus}/node_modules/${name}`).slice(0, 2);
      } catch {
        return [];
      }
    });
    assert.ok(files.length > 0, "none of the packages is installed");
    for (const file of files) assert.ok(compare(file) > 100, file);
  });

  test("behind locals and instructions of every form", () => {
    const { sites, catches } = listed(
      findSites(
        withBody([
          // groups of locals whose count takes two bytes, and of a typed reference
          ...[2, 0x80, 0x02, 0x7f, 1, 0x63, 0x70],
          ...[0x41, 0xff, 0xff, 0xff, 0xff, 0x0f],
          ...[0x0e, 2, 0, 1, 0],
          ...[0xfd, 0x0c, ...Array.from({ length: 16 }, () => op.call)],
          ...[0xfc, 0x0a, 0, 0],
          ...[0xfe, 0x10, 0x42, 1, 0],
          ...[0x44, ...Array.from({ length: 8 }, () => op.call)],
          ...[0x1c, 1, 0x64, 0x70],
          ...[0x1f, 0x40, 1, 0, 0, 0, op.end],
          ...[op.call, 0x80, 0x80, 0],
          op.end,
        ]),
      ),
    );
    assert.deepEqual(
      sites.map(([, , opcode, target]) => [opcode, target]),
      [[op.call, 0]],
    );
    assert.deepEqual(catches, [1]);
  });
});

describe("damaged code", () => {
  const refused: [string, number[], RegExp][] = [
    ["an instruction that is cut off", [0, 0x41], /does not end where its size says/],
    ["no end", [0, 0x01], /does not end where its size says/],
    ["a number without end", [0, 0x41, 0x80, 0x80, 0x80], /does not end where its size says/],
    ["an unknown opcode", [0, 0xff, 0x0b], /unknown opcode 0xff/],
    ["an unknown opcode behind a prefix", [0, 0xfd, 0xff, 0x7f, 0x0b], /unknown opcode 0xfd/],
    ["more labels than bytes", [0, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x0b], /does not fit/],
    ["a call of too large a number", [0, 0x10, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x0b], /too large/],
    ["too many locals", [1, 0xff, 0xff, 0xff, 0x7f, 0x7f, 0x0b], /too many locals/],
  ];
  for (const [what, code, message] of refused) {
    test(what, () => {
      assert.throws(
        () => findSites(withBody(code)),
        (error) => error instanceof DecodeError && message.test(error.message),
      );
    });
  }

  test("leaves the next module as it is", () => {
    assert.throws(() => findSites(withBody([0, 0xff, 0x0b])), DecodeError);
    assert.equal(findSites(withBody([0, op.call, 0, op.end])).count, 1);
  });
});
