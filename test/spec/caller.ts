// Calls exported functions from wasm instead of JavaScript: it can pass vectors, and all bits of a NaN survive.
// A small module is made for each signature: it loads the arguments from memory and stores the results there.
import { Writer } from "../../src/wasm/leb128.js";
import { encodeModule, makeSection } from "../../src/wasm/module.js";
import { externalKind, sectionId } from "../../src/wasm/types.js";
import type { Constant } from "./script.js";
import { type NumericType, readValue, slotSize, writeConstant } from "./values.js";

const opcodes: Record<NumericType, { type: number; load: number[]; store: number[] }> = {
  i32: { type: 0x7f, load: [0x28], store: [0x36] },
  i64: { type: 0x7e, load: [0x29], store: [0x37] },
  f32: { type: 0x7d, load: [0x2a], store: [0x38] },
  f64: { type: 0x7c, load: [0x2b], store: [0x39] },
  v128: { type: 0x7b, load: [0xfd, 0x00], store: [0xfd, 0x0b] },
};

/** Name of the modules made here, as V8 shows it in the URL of their frames. */
export const callerName = "spec-caller";

export interface Signature {
  params: readonly NumericType[];
  results: readonly NumericType[];
}

/** An exported function. */
export type Callable = (...args: unknown[]) => unknown;

const memory = new WebAssembly.Memory({ initial: 1 });
const modules = new Map<string, WebAssembly.Module>();

/** Calls `target` with these bits, and reads its results. Throws what it throws. */
export function callFromWasm(
  target: Callable,
  signature: Signature,
  args: readonly Constant[],
  expected: readonly Constant[] = [],
): string {
  const key = `${signature.params} ${signature.results}`;
  let module = modules.get(key);
  if (!module) modules.set(key, (module = new WebAssembly.Module(callerModule(signature))));
  const { exports } = new WebAssembly.Instance(module, { "": { target: target as never, memory } });
  const view = new DataView(memory.buffer);
  args.forEach((constant, i) => {
    writeConstant(view, i * slotSize, constant);
  });
  (exports.run as () => void)();
  return signature.results.map((type, i) => readValue(view, i * slotSize, type, expected[i])).join(", ");
}

function section(id: number, write: (writer: Writer) => void) {
  const writer = new Writer(64);
  write(writer);
  return makeSection(id, writer.finish());
}

function callerModule({ params, results }: Signature): Uint8Array<ArrayBuffer> {
  const memarg = (writer: Writer, instruction: number[]) => {
    for (const byte of instruction) writer.byte(byte);
    writer.byte(0);
    writer.byte(0);
  };
  const body = new Writer(64);
  body.u32(results.length);
  for (const type of results) {
    body.u32(1);
    body.byte(opcodes[type].type);
  }
  params.forEach((type, i) => {
    body.byte(0x41);
    body.s33(i * slotSize);
    memarg(body, opcodes[type].load);
  });
  body.byte(0x10);
  body.u32(0);
  for (let i = results.length - 1; i >= 0; i--) {
    body.byte(0x21);
    body.u32(i);
  }
  results.forEach((type, i) => {
    body.byte(0x41);
    body.s33(i * slotSize);
    body.byte(0x20);
    body.u32(i);
    memarg(body, opcodes[type].store);
  });
  body.byte(0x0b);
  const code = body.finish();

  const types = section(sectionId.type, (writer) => {
    writer.u32(2);
    for (const [from, to] of [
      [params, results],
      [[], []],
    ]) {
      writer.byte(0x60);
      for (const list of [from, to]) {
        writer.u32(list.length);
        for (const type of list) writer.byte(opcodes[type].type);
      }
    }
  });
  const imports = section(sectionId.import, (writer) => {
    writer.u32(2);
    writer.name("");
    writer.name("target");
    writer.byte(externalKind.function);
    writer.u32(0);
    writer.name("");
    writer.name("memory");
    writer.byte(externalKind.memory);
    writer.byte(0);
    writer.u32(1);
  });
  const functions = section(sectionId.function, (writer) => {
    writer.u32(1);
    writer.u32(1);
  });
  const exports = section(sectionId.export, (writer) => {
    writer.u32(1);
    writer.name("run");
    writer.byte(externalKind.function);
    writer.u32(1);
  });
  const codes = section(sectionId.code, (writer) => {
    writer.u32(1);
    writer.u32(code.length);
    writer.bytes(code);
  });
  const name = new Writer(32);
  name.byte(0);
  name.u32(callerName.length + 1);
  name.name(callerName);
  const names = makeSection(sectionId.custom, name.finish(), "name");
  return encodeModule([types, imports, functions, exports, codes, names]);
}
