// Makes every function of a module allocate and release a block on entry. The suite's modules have no allocator;
// with one, all of their functions and calls take part in calling contexts.
import { Writer } from "../../src/wasm/leb128.js";
import { decodeModule, encodeModule, makeSection, replaceSections } from "../../src/wasm/module.js";
import { decodeLocals } from "../../src/wasm/sections/code.js";
import { encodeFunctions } from "../../src/wasm/sections/functions.js";
import { encodeTypes } from "../../src/wasm/sections/types.js";
import { sectionId, valueType } from "../../src/wasm/types.js";

export interface Allocating {
  bytes: Uint8Array<ArrayBuffer>;
  /** Function indices of an allocator without memory: its blocks are numbers. */
  malloc: number;
  free: number;
}

const opcode = { call: 0x10, drop: 0x1a, i32Const: 0x41, i32Add: 0x6a, end: 0x0b, localGet: 0x20 };

/** The module with `malloc` and `free` behind its functions; undefined when it defines none. */
export function withAllocations(bytes: Uint8Array): Allocating | undefined {
  const module = decodeModule(bytes);
  const { bodies, types, functions } = module;
  if (bodies.count === 0) return undefined;
  const malloc = module.functionCount;
  const free = malloc + 1;
  const { i32 } = valueType;
  const added = [
    { kind: "func" as const, params: [i32], results: [i32] },
    { kind: "func" as const, params: [i32], results: [] },
  ];

  const code = new Writer(bytes.length * 2 + 64);
  code.u32(bodies.count + 2);
  for (let body = 0; body < bodies.count; body++) {
    const { end: behindLocals } = decodeLocals(bytes, bodies.start[body], bodies.end[body]);
    const written = new Writer(bodies.end[body] - bodies.start[body] + 16);
    written.copy(bytes, bodies.start[body], behindLocals);
    written.byte(opcode.i32Const);
    written.s33(8 + (body % 32));
    written.byte(opcode.call);
    written.u32(malloc);
    written.byte(opcode.call);
    written.u32(free);
    written.copy(bytes, behindLocals, bodies.end[body]);
    appendBody(code, written.finish());
  }
  // a block's address: its size and a bit more
  appendBody(code, Uint8Array.of(0, opcode.localGet, 0, opcode.i32Const, 8, opcode.i32Add, opcode.end));
  appendBody(code, Uint8Array.of(0, opcode.end));

  const sections = replaceSections(module.sections, [
    makeSection(sectionId.type, encodeTypes([...types, ...added])),
    makeSection(sectionId.function, encodeFunctions([...functions, types.length, types.length + 1])),
    makeSection(sectionId.code, code.finish()),
  ]);
  return { bytes: encodeModule(sections), malloc, free };
}

function appendBody(writer: Writer, body: Uint8Array): void {
  writer.u32(body.length);
  writer.bytes(body);
}
