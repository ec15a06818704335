/** What the user says with `--allocator role=function`. */
import { UsageError } from "../../errors.js";
import type { Module } from "../../wasm/module.js";
import { externalKind } from "../../wasm/types.js";
import { fitsRole } from "../hooks.js";
import type { AllocatorOverride } from "../roles.js";
import { type AllocatorFunction, type AllocatorRole, allocatorRoles } from "../roles.js";
import { readableName } from "./conventions.js";
import { whyNoGoStack } from "./guests.js";
import { functionLabel, typeText } from "./named.js";

/** Names that a message suggests at most. */
const suggestions = 8;

/** @throws UsageError for a role or function that there isn't, or one whose type doesn't fit */
export function resolveOverride(module: Module, { role, target }: AllocatorOverride): AllocatorFunction {
  const option = `--allocator ${role}=${target}`;
  if (!Object.hasOwn(allocatorRoles, role)) {
    throw new UsageError(`${option}: no such role; roles are ${Object.keys(allocatorRoles).join(", ")}`);
  }
  const index = findFunction(module, target);
  if (index === undefined) {
    const missing = /^\d+$/.test(target)
      ? `the module has no function of that index, its last is ${module.functionCount - 1}`
      : "the module has no export or function of that name";
    throw new UsageError(`${option}: ${missing}${fitting(module, role)}`);
  }
  if (index < module.importedFunctionCount) {
    throw new UsageError(`${option}: that function is imported, only the module's own can be hooked`);
  }
  const misfit = allocatorRoles[role].returns === "unwinds" ? whyNoGoStack(module) : undefined;
  if (misfit) throw new UsageError(`${option}: a role for functions of Go, and ${misfit}; use another role`);
  const type = module.functionType(index);
  if (!fitsRole(role, type)) {
    throw new UsageError(
      `${option}: function ${index} has type ${typeText(type)}, ${role} takes ${shapeText(role)}` +
        `${fitting(module, role)}`,
    );
  }
  return { role, index, name: functionLabel(module, index), evidence: "--allocator", confidence: "told" };
}

function shapeText(role: AllocatorRole): string {
  const { params, returns } = allocatorRoles[role];
  return `(${params.join(", ")}) and returns ${returns === "nothing" ? returns : `a ${returns}`.replace("a e", "an e")}`;
}

function findFunction(module: Module, target: string): number | undefined {
  const exported = module.exports.find(({ kind, name }) => kind === externalKind.function && name === target);
  if (exported) return exported.index;
  for (const [index, name] of module.names.functions ?? []) {
    if (index < module.functionCount && (name === target || readableName(name) === target)) return index;
  }
  const index = /^\d+$/.test(target) ? Number(target) : Number.NaN;
  return index < module.functionCount ? index : undefined;
}

/** Exports that could have the role. */
function fitting(module: Module, role: AllocatorRole): string {
  const { params, returns } = allocatorRoles[role];
  const names = module.exports.flatMap(({ kind, name, index }) => {
    if (kind !== externalKind.function || index < module.importedFunctionCount) return [];
    const type = module.functionType(index);
    const exact =
      type.params.length === params.length && (returns === "nothing") === (type.results.length === 0);
    return exact && fitsRole(role, type) ? [name] : [];
  });
  if (names.length === 0) return "";
  const more = names.length > suggestions ? ` and ${names.length - suggestions} more` : "";
  return `; exports that fit: ${names.slice(0, suggestions).join(", ")}${more}`;
}
