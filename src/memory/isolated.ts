// A module that shares nothing with others, for hosts of plugins.
import { LinmemTypeError, ReleasedError } from "../errors.js";
import { externalKind, type Import, type Limits, valueType } from "../wasm/types.js";
import { isShared } from "./engine.js";
import { type LimitedModule, limitMemory } from "./limit-memory.js";
import { LinearMemory } from "./linear-memory.js";
import { Owned } from "./owned.js";
import { checkPages, MAX_PAGES, show } from "./pages.js";

/** Growth that the engine refused to a plugin. */
export interface RefusedGrowth {
  /** Pages that the plugin asked for, the last time. */
  asked: number;
  /** Pages of its memories now. */
  pages: number;
  /** The most that they can have, together. */
  maxMemory: number;
  /** How often it was refused since the host heard last. */
  times: number;
}

/** Anything that WebAssembly can import. */
export type ImportValue = WebAssembly.ImportValue | bigint | null | undefined | object;

/** What `instantiateIsolated` takes. */
export interface IsolationOptions {
  /** The most pages (64 KiB each) that all memories of the module can have together. */
  maxMemory: number;
  /** Functions and numbers that the module imports. Memories and tables it gets of its own. */
  imports?: Readonly<Record<string, Readonly<Record<string, ImportValue>>>>;
  /**
   * Called when the plugin was refused memory: its `memory.grow` returned -1, because it is at its limit or the engine
   * had no room. It is called when the plugin next returns, throws or calls an import, which is before anything else in
   * JavaScript runs.
   */
  onRefusedGrowth?: (event: RefusedGrowth) => void;
}

/** What a plugin exports, when nothing more is known about it. */
// biome-ignore lint/suspicious/noExplicitAny: exports take and return what they like
export type PluginExports = Readonly<Record<string, any>>;

/** What is dropped when the plugin is disposed of. Everything that outlives it holds this, and nothing behind it. */
interface Inside {
  exports: WebAssembly.Exports | undefined;
  ended: boolean;
  /** All its memories. */
  memories: readonly LinearMemory[];
  /** Looks for refused growth. */
  check: () => void;
}

/**
 * Compiles and instantiates a module with memories, tables and mutable globals of its own, bounded to
 * `maxMemory` pages: the maximum in its bytes is lowered to it, so the engine itself refuses more, as it does accesses
 * out of bounds. Nothing is shared with other instances but what `imports` hands out.
 *
 * @throws DecodeError and WebAssembly.CompileError for bytes that are no module, WebAssembly.LinkError
 * @throws LinmemRangeError (`ERR_LINMEM_MAX_MEMORY`) when the module begins with more memory than it may have
 * @throws LinmemTypeError for an import that is missing or of the wrong kind (`ERR_LINMEM_IMPORT`), and for one that
 *   would be shared: a memory, a table, a mutable global (`ERR_LINMEM_SHARED_IMPORT`)
 */
export async function instantiateIsolated<Exports extends object = PluginExports>(
  bytes: BufferSource,
  options: IsolationOptions,
): Promise<IsolatedInstance<Exports>> {
  const { maxMemory, imports = {}, onRefusedGrowth } = options ?? {};
  checkPages(maxMemory, "maxMemory");
  const limited = limitMemory(copyOf(bytes), Math.min(maxMemory, MAX_PAGES));
  const inside: Inside = { exports: undefined, ended: false, memories: [], check: () => {} };
  const given = resolveImports(limited, imports, inside);
  const { instance } = await WebAssembly.instantiate(limited.bytes, given);
  const { exports } = instance;
  inside.exports = exports;
  inside.memories = limited.memories.map(({ name }) =>
    LinearMemory.wrap(exports[name] as WebAssembly.Memory),
  );
  inside.check = refusalCheck(limited, inside, maxMemory, onRefusedGrowth);
  const isolated = new IsolatedInstance<Exports>(inside, limited, maxMemory);
  // the start function has run
  inside.check();
  return isolated;
}

/** Bytes that nobody changes between the look at them and the compilation. */
function copyOf(bytes: BufferSource): Uint8Array {
  if (ArrayBuffer.isView(bytes))
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice();
  if (bytes instanceof ArrayBuffer || isShared(bytes)) return new Uint8Array(bytes).slice();
  throw new LinmemTypeError("ERR_LINMEM_VALUE", `the bytes of a module are expected, not ${show(bytes)}`);
}

/** An instance that shares nothing, until `dispose()`. */
export class IsolatedInstance<Exports extends object = PluginExports> extends Owned {
  /**
   * What the module exports. Functions end with the instance: called afterwards they throw ReleasedError. Memories,
   * tables and globals are looked up each time; whoever keeps one, or a view of it, keeps what it belongs to.
   */
  readonly exports: Exports;
  /** The most pages that its memories can have, together. */
  readonly maxMemory: number;
  readonly #inside: Inside;

  /** Use `instantiateIsolated`. @internal */
  constructor(inside: Inside, { original }: LimitedModule, maxMemory: number) {
    super();
    this.#inside = inside;
    this.maxMemory = maxMemory;
    const exports: Record<string, unknown> = Object.create(null);
    const live = () => {
      this.use();
      return inside.exports as PluginExports;
    };
    for (const { name, kind } of original.exports) {
      const property: PropertyDescriptor =
        kind === externalKind.function
          ? { value: exportedFunction(name, live, inside) }
          : { get: () => live()[name] };
      Object.defineProperty(exports, name, { ...property, enumerable: true });
    }
    this.exports = Object.freeze(exports) as Exports;
    this.begin();
  }

  get name(): string {
    return `isolated instance of at most ${this.maxMemory} pages`;
  }

  /** Its memory, also if it doesn't export it; of several the first. */
  get memory(): LinearMemory {
    this.use();
    const [memory] = this.#inside.memories;
    if (memory) return memory;
    throw new LinmemTypeError("ERR_LINMEM_NOT_A_MEMORY", "the module has no memory");
  }

  /** Ends it: nothing that the host holds of it leads to its memory or its code any more. Like `release()`. */
  dispose(): void {
    this.release();
  }

  protected free(): void {
    this.#inside.exports = undefined;
    this.#inside.ended = true;
    this.#inside.memories = [];
    this.#inside.check = () => {};
  }
}

function exportedFunction(name: string, live: () => PluginExports, inside: Inside): unknown {
  return (...parameters: unknown[]) => {
    const exports = live();
    try {
      return exports[name](...parameters);
    } finally {
      inside.check();
    }
  };
}

function refusalCheck(
  { refusals }: LimitedModule,
  inside: Inside,
  maxMemory: number,
  listener: ((event: RefusedGrowth) => void) | undefined,
): () => void {
  const known = (name: string) => (inside.exports as PluginExports | undefined)?.[name] as WebAssembly.Global;
  const count = refusals && known(refusals.count);
  const last = refusals && known(refusals.asked);
  let heard = 0;
  return () => {
    // Listeners for growth hear of it here too.
    for (const memory of inside.memories) memory.refresh();
    if (count === undefined || count.value === heard) return;
    const times = (count.value - heard) >>> 0;
    heard = count.value;
    if (listener === undefined) return;
    const pages = inside.memories.reduce((sum, memory) => sum + memory.pages, 0);
    const event = { asked: last!.value >>> 0, pages, maxMemory, times };
    try {
      listener(event);
    } catch (error) {
      // As of any event listener: the plugin's caller is not to blame.
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

function resolveImports(
  { original, memories }: LimitedModule,
  imports: NonNullable<IsolationOptions["imports"]>,
  inside: Inside,
): WebAssembly.Imports {
  const given: Record<string, Record<string, unknown>> = Object.create(null);
  let memory = 0;
  for (const item of original.imports) {
    const { module, name } = item;
    // Only what is imported is looked at, and once: import objects may have side effects.
    const value = imports[module]?.[name];
    const group = (given[module] ??= Object.create(null));
    // A name that is imported twice is one thing, as in any instantiation.
    if (name in group && item.kind !== externalKind.memory) continue;
    switch (item.kind) {
      case externalKind.memory: {
        refuseShared(item, value, "memory");
        if (name in group) throw importError(item, "is imported as a memory twice");
        group[name] = ownMemory(memories[memory++].limits);
        break;
      }
      case externalKind.table:
        refuseShared(item, value, "table");
        group[name] = ownTable(item);
        break;
      case externalKind.global:
        group[name] = item.global.mutable ? ownGlobal(item, value) : value;
        break;
      case externalKind.function:
        group[name] = importedFunction(item, value, inside);
        break;
      default:
        group[name] = value;
    }
  }
  return given as WebAssembly.Imports;
}

function ownMemory({ min, max, shared, index64 }: Limits): WebAssembly.Memory {
  return new LinearMemory({ initial: min, maximum: max!, shared, address: index64 ? "i64" : "i32" }).wasm;
}

const tableElements = new Map<unknown, WebAssembly.TableKind>([
  [valueType.funcref, "anyfunc"],
  [valueType.externref, "externref"],
]);

function ownTable(item: Import & { kind: typeof externalKind.table }): WebAssembly.Table {
  const { element, limits } = item.table;
  const kind = tableElements.get(element);
  if (kind === undefined || limits.index64)
    throw importError(item, "is a table of a kind that JavaScript can't make");
  const { min: initial, max } = limits;
  return new WebAssembly.Table({ element: kind, initial, ...(max !== undefined && { maximum: max }) });
}

const globalTypes = new Map<unknown, WebAssembly.ValueType>([
  [valueType.i32, "i32"],
  [valueType.i64, "i64"],
  [valueType.f32, "f32"],
  [valueType.f64, "f64"],
  [valueType.externref, "externref"],
]);

function ownGlobal(item: Import & { kind: typeof externalKind.global }, value: unknown): WebAssembly.Global {
  if (value instanceof WebAssembly.Global) throw sharedError(item, "mutable global", "its first value");
  const type = globalTypes.get(item.global.type);
  if (type === undefined) throw importError(item, "is a mutable global of a kind that JavaScript can't make");
  const isNumber = type === "i64" ? typeof value === "bigint" : typeof value === "number";
  if (type !== "externref" && !isNumber) {
    throw importError(item, `must be a ${type === "i64" ? "BigInt" : "number"}, not ${show(value)}`);
  }
  return new WebAssembly.Global({ value: type, mutable: true }, value as never);
}

function importedFunction(
  item: Import,
  value: unknown,
  inside: Inside,
): (...parameters: unknown[]) => unknown {
  if (typeof value !== "function") throw importError(item, `must be a function, not ${show(value)}`);
  return (...parameters) => {
    // It can still be on the stack when it is disposed of.
    if (inside.ended) throw new ReleasedError("isolated instance", "released");
    inside.check();
    return value(...parameters);
  };
}

function refuseShared(item: Import, value: unknown, what: string): void {
  if (value !== undefined) throw sharedError(item, what, "nothing");
}

function sharedError(item: Import, what: string, instead: string): LinmemTypeError {
  return new LinmemTypeError(
    "ERR_LINMEM_SHARED_IMPORT",
    `import ${show(item.module)}.${show(item.name)}: the module gets a ${what} of its own, pass ${instead}`,
  );
}

function importError(item: Import, problem: string): LinmemTypeError {
  return new LinmemTypeError(
    "ERR_LINMEM_IMPORT",
    `import ${show(item.module)}.${show(item.name)} ${problem}`,
  );
}
