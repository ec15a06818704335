/** Which proposals beyond the first version of WebAssembly a module uses, by looking and not by what it declares. */
import { instructionEnd, op } from "../wasm/instructions.js";
import { u32At } from "../wasm/leb128.js";
import type { Module } from "../wasm/module.js";
import { decodeLocals } from "../wasm/sections/code.js";
import { externalKind, type Limits, type TypeDefinition, type ValueType, valueType } from "../wasm/types.js";

/** Features that opcodes of one byte give away. */
const opcodeFeatures: readonly (readonly [feature: string, ...opcodes: readonly number[]])[] = [
  ["sign-extension", 0xc0, 0xc1, 0xc2, 0xc3, 0xc4],
  ["exception-handling (legacy)", 0x06, 0x07, 0x09, 0x18, 0x19],
  ["exception-handling", 0x0a, 0x1f],
  ["tail-call", 0x12, 0x13, 0x15],
  ["function-references", 0x14, 0x15, 0xd4, 0xd5, 0xd6],
  ["reference-types", 0x1c, 0x25, 0x26, 0xd0, 0xd1, 0xd2],
  ["gc", 0xd3, 0xfb],
  ["threads", 0xfe],
];
const featureOfOpcode = new Array<string | undefined>(256);
for (const [feature, ...opcodes] of opcodeFeatures) {
  for (const opcode of opcodes) featureOfOpcode[opcode] ??= feature;
}

const firstRelaxedOpcode = 0x100;

/**
 * Names as in the proposals, sorted.
 * @throws DecodeError when a body has an opcode that isn't known
 */
export function usedFeatures(module: Module): string[] {
  const found = new Set<string>();
  fromTypes(module, found);
  fromMemories(module, found);
  fromTables(module, found);
  if (module.globals.some(({ init }) => init.length > 0 && isExtended(init))) found.add("extended-const");
  if (usesMutableGlobals(module)) found.add("mutable-globals");
  fromBodies(module, found);
  return [...found].sort();
}

function fromBodies(module: Module, found: Set<string>): void {
  const { bytes, bodies } = module;
  for (let body = 0; body < bodies.count; body++) {
    const end = bodies.end[body];
    const locals = decodeLocals(bytes, bodies.start[body], end);
    for (const { type } of locals.groups) fromValueType(type, found);
    for (let pos = locals.end; pos < end; pos = instructionEnd(bytes, pos)) {
      const opcode = bytes[pos];
      const feature = featureOfOpcode[opcode];
      if (feature !== undefined) found.add(feature);
      else if (opcode === op.prefixMisc) found.add(miscFeature(u32At(bytes, pos + 1)));
      else if (opcode === op.prefixVector) {
        found.add(u32At(bytes, pos + 1) < firstRelaxedOpcode ? "simd" : "relaxed-simd");
      }
    }
  }
}

function miscFeature(sub: number): string {
  if (sub < 8) return "nontrapping-float-to-int";
  if (sub < 12) return "bulk-memory";
  return sub < 0x13 ? "reference-types" : "wide-arithmetic";
}

function fromTypes(module: Module, found: Set<string>): void {
  for (const type of module.types) fromType(type, found);
}

function fromType(type: TypeDefinition, found: Set<string>): void {
  if (type.kind !== "func") {
    found.add("gc");
    return;
  }
  if (type.results.length > 1) found.add("multi-value");
  for (const value of [...type.params, ...type.results]) fromValueType(value, found);
}

function fromValueType(type: ValueType, found: Set<string>): void {
  if (typeof type === "object") found.add("function-references");
  else if (type === valueType.v128) found.add("simd");
  else if (type === valueType.externref || type === valueType.funcref) found.add("reference-types");
  else if (type < valueType.v128) found.add("gc");
}

function fromMemories(module: Module, found: Set<string>): void {
  const memories = allLimits(module, externalKind.memory);
  if (memories.length > 1) found.add("multi-memory");
  for (const { shared, index64, pageSizeLog2 } of memories) {
    if (shared) found.add("threads");
    if (index64) found.add("memory64");
    if (pageSizeLog2 !== undefined) found.add("custom-page-sizes");
  }
}

function fromTables(module: Module, found: Set<string>): void {
  const imported = module.imports.flatMap((item) => (item.kind === externalKind.table ? [item.table] : []));
  const tables = [...imported, ...module.tables];
  if (tables.length > 1) found.add("reference-types");
  for (const { element, limits } of tables) {
    if (element !== valueType.funcref) fromValueType(element, found);
    if (limits.index64) found.add("memory64");
  }
}

function allLimits(module: Module, kind: typeof externalKind.memory): Limits[] {
  const imported = module.imports.flatMap((item) => (item.kind === kind ? [item.memory] : []));
  return [...imported, ...module.memories];
}

function usesMutableGlobals(module: Module): boolean {
  const imported = module.imports.flatMap((item) => (item.kind === externalKind.global ? [item.global] : []));
  if (imported.some(({ mutable }) => mutable)) return true;
  return module.exports.some(
    ({ kind, index }) =>
      kind === externalKind.global && Boolean(module.globals[index - imported.length]?.mutable),
  );
}

/** Whether a constant expression calculates. */
function isExtended(expression: Uint8Array): boolean {
  for (let pos = 0; pos < expression.length; pos = instructionEnd(expression, pos)) {
    const opcode = expression[pos];
    if ((opcode >= 0x6a && opcode <= 0x6c) || (opcode >= 0x7c && opcode <= 0x7e)) return true;
  }
  return false;
}
