// Ways to instrument the suite's modules. They have no allocator, so some of their functions are taken for one:
// what hooks, contexts and entries add must not be seen, whatever functions they are added to.
import { LinmemError } from "../../src/errors.js";
import { fitsRole } from "../../src/instrument/hooks.js";
import { type AllocatorOverride, type Instrumentation, instrument } from "../../src/instrument/index.js";
import { type AllocatorRole, allocatorRoles } from "../../src/instrument/roles.js";
import { findSites } from "../../src/instrument/walker.js";
import { op } from "../../src/wasm/instructions.js";
import { decodeModule, type Module } from "../../src/wasm/module.js";
import { externalKind } from "../../src/wasm/types.js";
import { withAllocations } from "./allocating.js";

export interface Treated {
  bytes: Uint8Array<ArrayBuffer>;
  instrumentation?: Instrumentation;
  changed: boolean;
  /** Why the module runs as it is. */
  refused?: LinmemError;
}

export interface Treatment {
  name: string;
  apply(bytes: Uint8Array<ArrayBuffer>): Treated;
}

/** The module as it is. */
export const raw: Treatment = { name: "raw", apply: (bytes) => ({ bytes, changed: false }) };

/** With an allocation in every function, and not instrumented. */
const rawAllocating: Treatment = {
  name: "raw, allocating",
  apply: (bytes) => ({ bytes: attempt(() => withAllocations(bytes))?.bytes ?? bytes, changed: false }),
};

/** What is done to modules, each with what it is compared to. */
export const treatments: { base: Treatment; instrumented: Treatment }[] = [
  { base: raw, instrumented: treatment("as found", () => undefined) },
  { base: raw, instrumented: treatment("exported functions as allocator", exportedAllocator) },
  { base: raw, instrumented: treatment("every third function as allocator", everyThirdFunction) },
  { base: raw, instrumented: treatment("every function as allocator", everyFunction) },
  { base: rawAllocating, instrumented: { name: "an allocation in every function", apply: allocating } },
];

function treatment(name: string, choose: (module: Module) => AllocatorOverride[] | undefined): Treatment {
  return { name, apply: (bytes) => instrumented(bytes, choose) };
}

function allocating(bytes: Uint8Array<ArrayBuffer>): Treated {
  const made = attempt(() => withAllocations(bytes));
  if (!made) return instrumented(bytes, () => undefined);
  return instrumented(made.bytes, () => [
    { role: "malloc", target: String(made.malloc) },
    { role: "free", target: String(made.free) },
  ]);
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof LinmemError) return undefined;
    throw error;
  }
}

function instrumented(
  bytes: Uint8Array<ArrayBuffer>,
  choose: (module: Module) => AllocatorOverride[] | undefined,
): Treated {
  try {
    const allocator = choose(decodeModule(bytes));
    const instrumentation = instrument(bytes, allocator?.length ? { allocator } : {});
    const changed = instrumentation.bytes !== bytes;
    return { bytes: changed ? new Uint8Array(instrumentation.bytes) : bytes, instrumentation, changed };
  } catch (error) {
    if (!(error instanceof LinmemError)) throw error;
    return { bytes, refused: error, changed: false };
  }
}

/** Exported functions that look like `malloc`, `realloc` and the like, and one that looks like `free`. */
function exportedAllocator(module: Module): AllocatorOverride[] {
  const exported = module.exports.flatMap(({ kind, index }) =>
    kind === externalKind.function && index >= module.importedFunctionCount ? [index] : [],
  );
  return withRoles(module, [...new Set(exported)].slice(0, 4));
}

/** All functions whose type fits a role. */
function everyFunction(module: Module): AllocatorOverride[] {
  return withRoles(module, definedFunctions(module));
}

/** Every third function, so that others call it and need contexts. */
function everyThirdFunction(module: Module): AllocatorOverride[] {
  return withRoles(
    module,
    definedFunctions(module).filter((index) => index % 3 === 0),
  );
}

function definedFunctions(module: Module): number[] {
  return Array.from(module.functions, (_, i) => module.importedFunctionCount + i);
}

/** Not `posix_memalign`: it reads memory at an address that it is given. Nor those of Go, which only its modules have. */
const roles = (Object.keys(allocatorRoles) as AllocatorRole[]).filter(
  (role) => role !== "posix_memalign" && allocatorRoles[role].returns !== "unwinds",
);

/**
 * Nothing is hooked unless something allocates and something releases: the second function releases. Functions
 * with tail calls are left out: hooked, their tail calls are ordinary ones, and scripts recurse a million deep.
 */
function withRoles(module: Module, functions: readonly number[]): AllocatorOverride[] {
  const overrides: AllocatorOverride[] = [];
  const sites = findSites(module);
  const tailCalls = new Set<number>([op.returnCall, op.returnCallIndirect, op.returnCallRef]);
  for (const index of functions) {
    const body = index - module.importedFunctionCount;
    const opcodes = sites.opcode.subarray(sites.first[body], sites.first[body + 1]);
    if (opcodes.some((opcode) => tailCalls.has(opcode))) continue;
    const fitting = roles.filter((role) => fitsRole(role, module.functionType(index)));
    if (fitting.length === 0) continue;
    const releases = overrides.length % 4 === 1;
    const wanted = fitting.filter((role) => role.startsWith("free") === releases);
    const choices = wanted.length > 0 ? wanted : fitting;
    overrides.push({ role: choices[index % choices.length], target: String(index) });
  }
  return overrides;
}
