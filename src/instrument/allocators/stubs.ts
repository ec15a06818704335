/** What the copies of a module are given in place of its imports. */
import type { Module } from "../../wasm/module.js";
import { externalKind, type Import, type Limits, type ValueType, valueType } from "../../wasm/types.js";

// the engine's own, whatever is put around them later
const { Memory, Table, Global } = WebAssembly;

/** Pages that the memory may grow by: a wild size then traps instead of filling gigabytes. */
const mostGrowth = 1024;

/** The limits of a memory that functions are tried out in. */
export function narrowed(limits: Limits): Limits {
  return { ...limits, max: Math.min(limits.max ?? Number.POSITIVE_INFINITY, limits.min + mostGrowth) };
}

/**
 * Functions that do nothing and return 0.
 * @param fromLoader `globals` of `loaderGlobals`
 */
export function stubs(module: Module, fromLoader: ReadonlyMap<string, number>): WebAssembly.Imports {
  const imports: Record<string, Record<string, WebAssembly.ImportValue>> = Object.create(null);
  for (const item of module.imports) {
    imports[item.module] ??= Object.create(null);
    imports[item.module][item.name] = stub(module, item, fromLoader);
  }
  return imports;
}

function stub(
  module: Module,
  item: Import,
  fromLoader: ReadonlyMap<string, number>,
): WebAssembly.ImportValue {
  if ("memory" in item) {
    const { min, max = min, shared, index64 } = narrowed(item.memory);
    const descriptor = { initial: min, maximum: max, shared };
    if (!index64) return new Memory(descriptor);
    const wide = { ...descriptor, initial: BigInt(min), maximum: BigInt(max), address: "i64" };
    return new Memory(wide as unknown as WebAssembly.MemoryDescriptor);
  }
  if ("table" in item) {
    const { min, max } = item.table.limits;
    const element = item.table.element === valueType.externref ? "externref" : "anyfunc";
    return new Table({ element, initial: min, ...(max === undefined ? {} : { maximum: max }) });
  }
  if ("global" in item) {
    const { type, mutable } = item.global;
    const name = globalNames.get(type);
    const told = type === valueType.i32 ? fromLoader.get(item.name) : undefined;
    return new Global({ value: name ?? "externref", mutable }, told ?? zeroOf(type));
  }
  if (item.kind === externalKind.tag) {
    const { params } = module.types[item.type] as { params: ValueType[] };
    const parameters = params.map((type) => globalNames.get(type) ?? "externref");
    const Tag = (WebAssembly as unknown as { Tag: new (type: object) => object }).Tag;
    return new Tag({ parameters }) as WebAssembly.ImportValue;
  }
  const type = module.types[item.type];
  const results = type?.kind === "func" ? type.results.map(zeroOf) : [];
  return results.length > 1 ? () => results : () => results[0];
}

const globalNames = new Map<ValueType, WebAssembly.ValueType>([
  [valueType.i32, "i32"],
  [valueType.i64, "i64"],
  [valueType.f32, "f32"],
  [valueType.f64, "f64"],
  [valueType.funcref, "anyfunc"],
  [valueType.externref, "externref"],
]);

function zeroOf(type: ValueType): unknown {
  if (type === valueType.i64) return 0n;
  return typeof type === "number" && type > valueType.funcref ? 0 : null;
}
