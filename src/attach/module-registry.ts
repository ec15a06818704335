/**
 * The modules of this thread: instruments bytes once, and recognises modules that are instrumented already,
 * also those that another thread compiled and sent here. An instrumented module carries two custom sections
 * for that: `linmem` says what it is, `linmem.name` keeps the name section that the program had. One with a shared memory
 * is not instrumented and carries the first alone: it is made to be sent to other threads.
 */
import type {
  CheckedModule,
  GlueScripts,
  InitialData,
  Instrumentation,
  MemoryLayout,
  OriginalPosition,
} from "../instrument/index.js";
import type { ModuleRecord } from "../profile/records.js";
import { recorderModuleName } from "../recorder/index.js";
import { maximumCachedBytes, maximumCachedModules, maximumInitialData } from "./limits.js";
import { appendSections, customSection } from "./marker.js";
import type { ModuleFacts } from "./module-facts.js";
import { emptyFacts, moduleFacts } from "./module-facts.js";
import { customSectionsOf, exportDescriptorsOf, importsOf, isValidModule } from "./natives.js";

type Allocator = ModuleRecord["allocator"];

/** A module with a memory, as it runs in this thread. */
export interface KnownModule {
  /** Number in this thread, from 1. */
  id: number;
  name: string;
  /** Size of the original, 0 when unknown. */
  bytes: number;
  toolchain: string;
  allocator: Allocator;
  /** Whether the original imports anything. */
  importsAnything: boolean;
  /** Whether it imports what linmem added. */
  instrumented: boolean;
  /** Whether it carries a custom section of linmem's. */
  marked: boolean;
  /** Why its blocks aren't recorded. */
  reason?: string;
  /** Hash of the contents of the original's code section, and where they begin. */
  code?: ModuleRecord["code"];
  /** What whoever reads the profile should know. */
  warnings: string[];
  /** What is wrong with its names. */
  damage?: readonly string[];
  /** What of it is not checked, and why. */
  unchecked?: readonly string[];
  /** What it says about the addresses of its first memory; undefined when its bytes were not looked into. */
  layout?: MemoryLayout;
  /** Data that it comes with; undefined when that is much, or not known. */
  data?: InitialData;
  /** How it is checked; absent when it isn't. */
  check?: CheckedModule;
  /** Facts of what the engine runs. */
  facts: ModuleFacts;
  toOriginal(functionIndex: number, offset: number): OriginalPosition;
  /** Stacks of calling contexts by their hash, so that further instances need not capture them again. */
  contextStacks: Map<bigint, number>;
  /** Whether its record is in the profile. */
  written: boolean;
}

/** What to hand to the engine instead of a program's bytes. */
export interface Prepared {
  module: KnownModule;
  /** Undefined: the program's own. */
  bytes?: Uint8Array;
}

export interface RegistryOptions {
  instrument(bytes: Uint8Array, scripts: GlueScripts): Instrumentation;
  /** The text of a script of the program; undefined where there is none to read. */
  readScript?(file: string): string | undefined;
  /** Identifies contents; equal means equal. */
  hash(bytes: Uint8Array): string;
  /** Whether modules are to be checked. */
  checks?: boolean;
  /** Takes note of a module with debug information, while its bytes are at hand. */
  keepSymbols?(code: string, bytes: Uint8Array): void;
}

/** What the custom section `linmem` says. */
interface Marker {
  name: string;
  bytes: number;
  toolchain: string;
  importsAnything: boolean;
  allocator: Allocator;
  memories: ModuleFacts["memories"];
  code?: ModuleRecord["code"];
  layout?: MemoryLayout;
  check?: CheckedModule;
  /** Why it runs as it is. */
  reason?: string;
  /** Functions of the original; those beyond were added. */
  functions: number;
  importedFunctions: number;
  /** Index of the first exposer, in what the engine runs; absent where there is none. */
  firstExposer?: number;
  recorderImports: string[];
}

/** Undefined for a section of that name that isn't ours. */
function readMarker(section: ArrayBuffer | Uint8Array | undefined): Marker | undefined {
  if (!section) return undefined;
  try {
    const marker = JSON.parse(utf8.decoder.decode(section)) as Marker | null;
    return Array.isArray(marker?.recorderImports) && Array.isArray(marker.memories) ? marker : undefined;
  } catch {
    return undefined;
  }
}

const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder() };
const noPlainMemory = "its memory has addresses of 64 bits or pages of another size";
const instrumentedBefore = "linmem instrument made it, without checks: give the original";
const noAllocator = "no allocator was found";
const unhooked = (name: string, reason: string) => `${name || "a module"} runs as it is: ${reason}`;
const identity = (functionIndex: number, offset: number) => ({ functionIndex, offset });

export class ModuleRegistry {
  readonly #options: RegistryOptions;
  readonly #modules = new WeakMap<WebAssembly.Module, KnownModule | false>();
  /** By length and hash, the one used last at the end. */
  readonly #cache = new Map<string, Prepared>();
  #cachedBytes = 0;
  /** Held weakly: a host of many plugins must not keep the maps of those that are gone. */
  readonly #known: WeakRef<KnownModule>[] = [];
  #count = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /**
   * Whether bytes are a module with a memory, and not one that imports something named `linmem` itself, unless
   * `linmem instrument` made it.
   */
  concerns(bytes: Uint8Array): boolean {
    const facts = moduleFacts(bytes, recorderModuleName);
    if (facts === undefined || facts.memories.length === 0) return false;
    return (
      facts.recorderImports.length === 0 || readMarker(customSection(bytes, recorderModuleName)) !== undefined
    );
  }

  /**
   * Instruments the bytes of a module with a memory, or finds them done already.
   * @param name What to call the module when it has no name of its own.
   * @param files Scripts that may have come with it, the likeliest first.
   */
  prepare(bytes: Uint8Array, name: string, files: readonly string[] = []): Prepared {
    const key = `${bytes.length}:${this.#options.hash(bytes)}`;
    const cached = this.#cache.get(key);
    if (cached) {
      this.#cache.delete(key);
      this.#cache.set(key, cached);
      return cached;
    }
    const prepared = this.#prepare(bytes, name, files);
    this.#cache.set(key, prepared);
    this.#cachedBytes += prepared.bytes?.length ?? 0;
    for (const [oldest, { bytes: held }] of this.#cache) {
      if (this.#cache.size <= maximumCachedModules && this.#cachedBytes <= maximumCachedBytes) break;
      this.#cache.delete(oldest);
      this.#cachedBytes -= held?.length ?? 0;
    }
    return prepared;
  }

  #prepare(bytes: Uint8Array, name: string, files: readonly string[]): Prepared {
    const facts = moduleFacts(bytes, recorderModuleName)!;
    const marked = readMarker(customSection(bytes, recorderModuleName));
    if (marked) return { module: this.#fromMarker(marked, facts) };
    const { start, end } = facts.code;
    const code = { hash: this.#options.hash(bytes.subarray(start, end)), start };
    if (facts.debug) this.#options.keepSymbols?.(code.hash, bytes);
    const base = { name: facts.name || name, bytes: bytes.length, importsAnything: facts.imports > 0, code };
    if (facts.memories.some((memory) => memory.shared)) {
      return this.#mark(bytes, base, facts);
    }
    // added functions and globals could give a wrong index a meaning: what the engine refuses stays as it is
    if (!isValidModule(bytes))
      return { module: this.#add({ ...base, facts, reason: "the engine refuses it" }) };
    let instrumentation: ReturnType<RegistryOptions["instrument"]>;
    try {
      instrumentation = this.#options.instrument(bytes, () => this.#texts(files));
    } catch (error) {
      // Malformed bytes too: if the engine accepts them, the program runs as it is.
      const reason = (error as Error).message;
      const warnings = [unhooked(base.name, reason)];
      return { module: this.#add({ ...base, facts, reason, warnings, ...this.#unchecked(reason) }) };
    }
    if (instrumentation.bytes === bytes) {
      return {
        module: this.#add({
          ...base,
          facts,
          layout: instrumentation.layout,
          damage: instrumentation.damage,
          reason: instrumentation.notes.join("; ") || noAllocator,
          ...this.#unchecked(noPlainMemory),
        }),
      };
    }
    const after = moduleFacts(instrumentation.bytes, recorderModuleName);
    if (!after) return { module: this.#add({ ...base, facts, reason: "instrumenting it gave no module" }) };
    // what stays must not hold on to the new bytes, which may be a view of much more
    const { toolchain, allocator, check, damage, toOriginal } = instrumentation;
    const marker: Marker = {
      ...base,
      toolchain,
      allocator: allocator.map(({ role, name, index, evidence }) => ({ role, name, index, evidence })),
      memories: facts.memories,
      layout: instrumentation.layout,
      ...(check && { check }),
      functions: facts.importedFunctions + Math.max(0, facts.bodies.length - 1),
      importedFunctions: after.importedFunctions,
      // JSON has no infinite numbers
      ...(Number.isFinite(instrumentation.firstExposer) && { firstExposer: instrumentation.firstExposer }),
      recorderImports: after.recorderImports,
    };
    const sections: [string, Uint8Array][] = [
      [recorderModuleName, utf8.encoder.encode(JSON.stringify(marker))],
    ];
    const names = customSection(bytes, "name");
    if (names) sections.push([`${recorderModuleName}.name`, names]);
    return {
      bytes: appendSections(instrumentation.bytes, sections),
      module: this.#add({
        ...base,
        toolchain,
        allocator: marker.allocator,
        ...(allocator.length === 0 ? { reason: instrumentation.notes.join("; ") || noAllocator } : {}),
        // to be checked it may have got another memory in place of its own: that is linmem's affair
        facts: { ...after, memories: facts.memories },
        layout: instrumentation.layout,
        damage,
        ...(check ? { check, unchecked: check.notes } : this.#unchecked(noPlainMemory)),
        // not to hold on to the bytes of the module
        data: instrumentation.data.copy(maximumInitialData),
        instrumented: true,
        toOriginal,
      }),
    };
  }

  /** A module that runs as it is, and is known in the threads that it will be sent to. */
  #mark(
    bytes: Uint8Array,
    base: Pick<KnownModule, "name" | "bytes" | "importsAnything" | "code">,
    facts: ModuleFacts,
  ): Prepared {
    const reason = "its memory is shared between threads";
    const marker: Marker = {
      ...base,
      toolchain: "",
      allocator: [],
      reason,
      memories: facts.memories,
      functions: facts.importedFunctions + Math.max(0, facts.bodies.length - 1),
      importedFunctions: facts.importedFunctions,
      recorderImports: [],
    };
    return {
      bytes: appendSections(bytes, [[recorderModuleName, utf8.encoder.encode(JSON.stringify(marker))]]),
      module: this.#add({ ...base, facts, reason, marked: true, ...this.#unchecked(reason) }),
    };
  }

  *#texts(files: readonly string[]): Generator<string> {
    for (const file of files) {
      const text = this.#options.readScript?.(file);
      if (text !== undefined) yield text;
    }
  }

  /** That nothing of a module is checked is said only where that was wanted. */
  #unchecked(reason: string): Pick<KnownModule, "unchecked"> {
    return this.#options.checks ? { unchecked: [`nothing of it is checked: ${reason}`] } : {};
  }

  #add(
    facts: Partial<KnownModule> & Pick<KnownModule, "name" | "bytes" | "importsAnything" | "facts">,
  ): KnownModule {
    const known: KnownModule = {
      id: ++this.#count,
      toolchain: "",
      allocator: [],
      instrumented: false,
      marked: facts.instrumented === true,
      warnings: [],
      toOriginal: identity,
      contextStacks: new Map(),
      written: false,
      ...facts,
    };
    this.#known.push(new WeakRef(known));
    return known;
  }

  /** Code that is no module and has blocks all the same: linmem's own allocator. */
  addLibrary(name: string, functions: readonly string[]): KnownModule {
    return this.#add({
      name,
      bytes: 0,
      importsAnything: false,
      facts: emptyFacts,
      toolchain: "linmem",
      allocator: functions.map((name) => ({
        role: "allocate",
        name,
        index: 0,
        evidence: "announces itself",
      })),
    });
  }

  /** Notes what the engine made of prepared bytes. */
  remember(module: WebAssembly.Module, known: KnownModule): void {
    this.#modules.set(module, known);
  }

  /** The engine refused the instrumented bytes of a module but takes the original ones. */
  demote(prepared: Prepared, reason: string): void {
    this.#cachedBytes -= prepared.bytes?.length ?? 0;
    prepared.bytes = undefined;
    prepared.module.instrumented = false;
    prepared.module.marked = false;
    prepared.module.allocator = [];
    prepared.module.check = undefined;
    Object.assign(prepared.module, this.#unchecked(reason));
    prepared.module.reason = reason;
    prepared.module.warnings.push(unhooked(prepared.module.name, reason));
    prepared.module.toOriginal = identity;
  }

  /** What is known of a module; undefined when it is to be left alone, or `module` is none. */
  of(module: unknown): KnownModule | undefined {
    const known = this.#modules.get(module as WebAssembly.Module);
    if (known !== undefined) return known || undefined;
    const sections = customSectionsOf(module, recorderModuleName);
    if (!sections) return undefined;
    const marker = readMarker(sections[0]);
    const found = marker ? this.#fromMarker(marker) : this.#describe(module as WebAssembly.Module);
    this.#modules.set(module as WebAssembly.Module, found ?? false);
    return found;
  }

  /**
   * A module that another thread instrumented, or `linmem instrument`. Its code map stayed there: offsets are
   * unknown here.
   */
  #fromMarker(read: Marker, seen: ModuleFacts = emptyFacts): KnownModule {
    const { functions, importedFunctions, firstExposer = Number.POSITIVE_INFINITY, ...others } = read;
    const { recorderImports, memories, ...marker } = others;
    const original = importedFunctions - recorderImports.length;
    return this.#add({
      ...marker,
      facts: { ...seen, memories, importedFunctions, recorderImports },
      instrumented: recorderImports.length > 0,
      marked: true,
      ...(marker.check === undefined && this.#unchecked(marker.reason ?? instrumentedBefore)),
      toOriginal: (index, offset) => {
        if (recorderImports.length === 0) return { functionIndex: index, offset };
        if (index < original) return { functionIndex: index, offset: 0 };
        const functionIndex = index - recorderImports.length;
        return functionIndex < functions
          ? { functionIndex, offset: 0 }
          : { functionIndex: -1, offset: 0, added: index >= firstExposer ? "exposer" : "entry" };
      },
    });
  }

  /** A module whose bytes never passed here: compiled by another thread, or before linmem came. */
  #describe(module: WebAssembly.Module): KnownModule | undefined {
    const unknown = { initialPages: 0, maximumPages: null, shared: false };
    const imports = importsOf(module);
    const memories: ModuleFacts["memories"] = imports
      .filter(({ kind }) => kind === "memory")
      .map(({ module, name }) => ({ import: { module, name }, ...unknown }));
    if (memories.length === 0) {
      if (!exportDescriptorsOf(module).some(({ kind }) => kind === "memory")) return undefined;
      memories.push(unknown);
    }
    return this.#add({
      name: "",
      bytes: 0,
      importsAnything: imports.length > 0,
      facts: { ...emptyFacts, memories },
      reason: "its bytes were not seen by this thread",
    });
  }

  /** Modules that a stack may show, the newest first. */
  *living(): Iterable<KnownModule> {
    for (let i = this.#known.length - 1; i >= 0; i--) {
      const known = this.#known[i].deref();
      if (known) yield known;
      else this.#known.splice(i, 1);
    }
  }
}
