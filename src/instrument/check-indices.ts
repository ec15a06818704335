/**
 * Functions and types that are added lie behind those of the module. An index past the module's own would come to
 * mean one of them, and an invalid module would be valid once it is instrumented; so those are refused here.
 * Indices of locals and globals are not looked at: it would take a look at every instruction.
 */
import { DecodeError } from "../errors.js";
import { op } from "../wasm/instructions.js";
import type { Module } from "../wasm/module.js";
import { externalKind, sectionId } from "../wasm/types.js";
import { forEachRefFunc } from "./constant-expressions.js";
import type { CodeWalker, Sites } from "./walker.js";

/** @throws DecodeError when a function or type is used that the module doesn't have */
export function checkIndices(module: Module, sites: Sites, walker: CodeWalker): void {
  const { functionCount } = module;
  const typeCount = module.types.length;
  const checkType = (index: number, offset: number) => {
    if (index >= typeCount) throw new DecodeError(`unknown type ${index}`, offset);
  };
  const checkFunction = (index: number, offset: number) => {
    if (index >= functionCount) throw new DecodeError(`unknown function ${index}`, offset);
  };

  const site = walker.firstUnknown(functionCount, typeCount);
  if (site < sites.count) {
    const { opcode, target, position } = sites;
    const isFunction = [op.call, op.returnCall, op.refFunc].some((named) => named === opcode[site]);
    (isFunction ? checkFunction : checkType)(target[site], position[site]);
  }

  const offsetOf = (id: number) => module.section(id)?.offset ?? 0;
  const { functions } = module;
  // there are many of these and of those in elements: no call for each
  for (let i = 0; i < functions.length; i++) {
    if (functions[i] >= typeCount) checkType(functions[i], offsetOf(sectionId.function));
  }
  for (const item of module.imports) {
    if (item.kind === externalKind.function || item.kind === externalKind.tag) {
      checkType(item.type, offsetOf(sectionId.import));
    }
  }
  for (const type of module.tags) checkType(type, offsetOf(sectionId.tag));
  for (const { kind, index } of module.exports) {
    if (kind === externalKind.function && index >= functionCount)
      checkFunction(index, offsetOf(sectionId.export));
  }
  if (module.start !== undefined) checkFunction(module.start, offsetOf(sectionId.start));
  for (const { functions, expressions } of module.elements) {
    const offset = offsetOf(sectionId.element);
    for (let i = 0; functions && i < functions.length; i++) {
      if (functions[i] >= functionCount) checkFunction(functions[i], offset);
    }
    for (const expression of expressions ?? [])
      forEachRefFunc(expression, (index) => checkFunction(index, offset));
  }
  const checkInGlobal = (index: number) => checkFunction(index, offsetOf(sectionId.global));
  for (const { init } of module.globals) forEachRefFunc(init, checkInGlobal);
  for (const { init } of module.tables) {
    if (init) forEachRefFunc(init, (index) => checkFunction(index, offsetOf(sectionId.table)));
  }
}
