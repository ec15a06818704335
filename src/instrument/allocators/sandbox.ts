/**
 * A copy of a part of a module, to try its functions out: no name tells as surely what a function does as calling
 * it. The copy has a memory of its own and imports that do nothing, and every loop and call in it uses up fuel, so
 * nothing outside notices and nothing runs forever. Functions that the part doesn't reach are empty and trap.
 */

import { InitialData } from "../../wasm/initial-data.js";
import { instructionEnd, op } from "../../wasm/instructions.js";
import { encodeModule, type Module, makeSection, replaceSections } from "../../wasm/module.js";
import { countLocals } from "../../wasm/sections/code.js";
import { encodeExports } from "../../wasm/sections/exports.js";
import { encodeGlobals } from "../../wasm/sections/globals.js";
import { encodeMemories } from "../../wasm/sections/memories.js";
import { type Export, externalKind, type Limits, sectionId, valueType } from "../../wasm/types.js";
import type { CallGraph } from "../call-graph.js";
import { CodeWriter } from "../emit.js";
import { type FromLoader, loaderGlobals } from "./loader-globals.js";
import { narrowed, stubs } from "./stubs.js";

// the engine's own, whatever is put around them later
const { Module: EngineModule, Instance } = WebAssembly;

/** Calls and rounds of loops that one call may take, and one that prepares the module. */
const fuelOfCall = 60_000;
const fuelOfPreparation = 2_000_000;
/** How far below the functions to try others are copied, and how many: for a first look, and for a whole search. */
const nearest = { depth: 6, functions: 60 } as const;
const whole = { depth: 32, functions: 6000 } as const;
/** Functions of one type in tables; where there are more, calls of that type lead nowhere. */
const mostTabled = 40;
/** Copying more data for every trial than this takes too long. */
const largestData = 48 << 20;
/** Segments that are put into the memory one by one: more of them the engine does faster. */
const mostSegments = 1000;

const fuelName = "fuel";
const memoryName = "memory";

function globalName(index: number): string {
  return `global ${index}`;
}

/** The compiled part of a module. */
export interface Sandbox {
  /** A new instance, as if nothing had run yet; undefined where the engine refuses one. */
  open(): Trial | undefined;
}

export interface Trial {
  /** What the function returns, 0 for nothing; undefined when it trapped or ran too long. */
  call(index: number, args: readonly number[]): number | undefined;
  /** The memory's bytes as they are now. */
  memory(): Uint8Array;
  /** The value of a global among those that were asked for. */
  global(index: number): number;
}

export interface SandboxOptions {
  /** Functions to try. */
  roots: readonly number[];
  /** Functions that trap as soon as they are called. */
  blocked?: ReadonlySet<number>;
  /** Globals whose values are needed. */
  globals?: readonly number[];
  /** Functions without parameters that are called first, as a program would. */
  prepare?: readonly number[];
  /** Only what is called directly and nearby: a copy that is quickly made, in which calls through tables trap. */
  near?: boolean;
}

/** What trials may use up together. The same everywhere, so that results don't depend on the machine's speed. */
export class Fuel {
  #left: number;
  readonly #source: Fuel | undefined;

  /** @param source what it is taken from as it is used */
  constructor(left: number, source?: Fuel) {
    this.#left = left;
    this.#source = source;
  }

  get empty(): boolean {
    return this.#left <= 0 || (this.#source?.empty ?? false);
  }

  /** What its source has is not touched. */
  add(amount: number): void {
    this.#left += amount;
  }

  use(amount: number): void {
    this.#left -= amount;
    this.#source?.use(amount);
  }
}

/**
 * What else takes time, as so many rounds of a loop of about 2 ns: an instance, a trap, a page more of memory, a
 * byte of a copy that is made and compiled.
 */
const costs = { instance: 60_000, trap: 5000, growth: 20_000, byte: 10 } as const;

/** undefined where the engine doesn't take the part, or it has no memory, or too much data. */
export function makeSandbox(
  module: Module,
  graph: CallGraph,
  tank: Fuel,
  options: SandboxOptions,
): Sandbox | undefined {
  const data = module.section(sectionId.data)?.bytes.length ?? 0;
  if (data > largestData || memoryLimits(module) === undefined) return undefined;
  // nothing would be opened: a part of megabytes, made and compiled in vain, was a sixth of the time of such modules
  if (tank.empty) return unopened;
  try {
    const { roots, prepare = [] } = options;
    const outside = isPutOutside(module);
    const part = partOf(module, graph, { ...options, roots: [...roots, ...prepare] }, outside);
    tank.use((part.length + (outside ? data : 0)) * costs.byte);
    if (tank.empty) return unopened;
    const fromLoader = loaderGlobals(module);
    const surroundings: Surroundings = {
      compiled: new EngineModule(part),
      imports: () => stubs(module, fromLoader.globals),
      fromLoader,
      data: outside ? module.initialData : InitialData.none,
      wide: new Map(roots.map((index) => [index, widthsOf(module, index)])),
      prepare,
    };
    return { open: () => (tank.empty ? undefined : instantiate(surroundings, tank)) };
  } catch {
    return undefined;
  }
}

/** What the instances of a part have in common. */
interface Surroundings {
  compiled: WebAssembly.Module;
  imports(): WebAssembly.Imports;
  /** What is put into the memory of each. */
  data: InitialData;
  fromLoader: FromLoader;
  /** By function: which parameters are 64 bits wide. */
  wide: ReadonlyMap<number, readonly boolean[]>;
  /** Functions to call first. */
  prepare: readonly number[];
}

const unopened: Sandbox = { open: () => undefined };

/**
 * Whether data is put into each instance's memory instead of being copied into each part: of modules with megabytes of it that
 * was half of the time of a trial.
 */
function isPutOutside(module: Module): boolean {
  if (module.dataCount !== undefined) return false;
  const segments = module.data.filter(({ bytes }) => bytes.length > 0).length;
  return segments <= mostSegments && module.initialData.count === segments;
}

function memoryLimits(module: Module): Limits | undefined {
  const imported = module.imports.flatMap((item) => ("memory" in item ? [item.memory] : []));
  return [...imported, ...module.memories][0];
}

/** Which parameters are 64 bits wide. */
function widthsOf(module: Module, index: number): boolean[] {
  return module.functionType(index).params.map((type) => type === valueType.i64);
}

/** A body that traps, behind its size. */
const trap = [3, 0, op.unreachable, op.end];
const trapsAtOnce = 1024;
const trapping = Uint8Array.from({ length: trapsAtOnce * trap.length }, (_, i) => trap[i % trap.length]);

function partOf(
  module: Module,
  graph: CallGraph,
  { roots, blocked, globals: asked = [], near = false }: SandboxOptions,
  withoutData: boolean,
): Uint8Array<ArrayBuffer> {
  const kept = reachable(module, graph, roots, near);
  const fuel = module.importedGlobalCount + module.globals.length;
  const { bodies, importedFunctionCount } = module;
  const code = new CodeWriter(1 << 16);
  code.u32(bodies.count);
  let next = 0;
  // most are not kept: what traps instead is copied, many at a time
  const trapUntil = (body: number) => {
    for (; next < body; next += trapsAtOnce) {
      code.copy(trapping, 0, Math.min(trapsAtOnce, body - next) * trap.length);
    }
    next = body;
  };
  for (const index of [...kept].sort((a, b) => a - b)) {
    const body = index - importedFunctionCount;
    if (body < 0 || blocked?.has(index)) continue;
    trapUntil(body);
    next = body + 1;
    const copy = fuelled(module, body, fuel);
    code.u32(copy.length);
    code.bytes(copy);
  }
  trapUntil(bodies.count);
  const init = new CodeWriter(8).i32Const(fuelOfCall).end().finish();
  const globals = [...module.globals, { type: valueType.i32, mutable: true, init }];
  const exports: Export[] = [
    ...[...new Set(roots)].map((index) => ({ name: String(index), kind: externalKind.function, index })),
    ...asked.map((index) => ({ name: globalName(index), kind: externalKind.global, index })),
    { name: memoryName, kind: externalKind.memory, index: 0 },
    { name: fuelName, kind: externalKind.global, index: fuel },
  ];
  const dropped: readonly number[] = [
    sectionId.custom,
    sectionId.start,
    ...(near ? [sectionId.element] : []),
    ...(withoutData ? [sectionId.data] : []),
  ];
  return encodeModule(
    replaceSections(
      module.sections.filter(({ id }) => !dropped.includes(id)),
      [
        ...(module.memories.length > 0
          ? [makeSection(sectionId.memory, encodeMemories(module.memories.map(narrowed)))]
          : []),
        makeSection(sectionId.global, encodeGlobals(globals)),
        makeSection(sectionId.export, encodeExports(exports)),
        makeSection(sectionId.code, code.finish()),
      ],
    ),
  );
}

function reachable(module: Module, graph: CallGraph, roots: readonly number[], near: boolean): Set<number> {
  const kept = new Set(roots);
  const tabled = near ? new Map<number, number[]>() : tabledByType(module);
  const most = near ? nearest : whole;
  let level = [...roots];
  for (let depth = 0; depth < most.depth && level.length > 0; depth++) {
    const next: number[] = [];
    for (const index of level) {
      for (const callee of [...graph.callees(index), ...indirectCallees(graph, tabled, index)]) {
        if (callee < module.importedFunctionCount || kept.has(callee) || kept.size >= most.functions)
          continue;
        kept.add(callee);
        next.push(callee);
      }
    }
    level = next;
  }
  return kept;
}

/** Functions that a table holds, by the index of their type. */
export function tabledByType(module: Module): Map<number, number[]> {
  const byType = new Map<number, number[]>();
  for (const { functions } of module.elements) {
    for (const index of functions ?? []) {
      const type = module.functionTypeIndex(index);
      const same = byType.get(type);
      if (!same) byType.set(type, [index]);
      else if (same.length <= mostTabled && !same.includes(index)) same.push(index);
    }
  }
  return byType;
}

/** What a function may call through a table, as far as the types leave few possibilities. */
export function indirectCallees(
  graph: CallGraph,
  tabled: ReadonlyMap<number, readonly number[]>,
  index: number,
): number[] {
  return graph.indirectTypes(index).flatMap((type) => {
    const targets = tabled.get(type) ?? [];
    return targets.length <= mostTabled ? targets : [];
  });
}

/** A body that takes fuel on entry and in each round of its loops. */
function fuelled(module: Module, body: number, fuel: number): Uint8Array {
  const { bytes, bodies } = module;
  const end = bodies.end[body];
  const start = bodies.start[body];
  const code = new CodeWriter(end - start + 64);
  const burn = () => {
    code.globalGet(fuel).op(op.i32Eqz).if().op(op.unreachable).end();
    code.globalGet(fuel).i32Const(-1).op(op.i32Add).globalSet(fuel);
  };
  let pos = countLocals(bytes, start, end).end;
  code.copy(bytes, start, pos);
  burn();
  let copied = pos;
  while (pos < end) {
    const next = instructionEnd(bytes, pos);
    if (bytes[pos] === op.loop) {
      code.copy(bytes, copied, next);
      burn();
      copied = next;
    }
    pos = next;
  }
  code.copy(bytes, copied, end);
  return code.finish();
}

function instantiate(
  { compiled, imports, data, fromLoader, wide, prepare }: Surroundings,
  tank: Fuel,
): Trial | undefined {
  let exports: WebAssembly.Exports;
  try {
    exports = new Instance(compiled, imports()).exports;
    const bytes = new Uint8Array((exports[memoryName] as WebAssembly.Memory).buffer);
    for (let i = 0; i < data.count; i++) bytes.set(data.bytes(i), data.starts[i]);
    const { breakAt, heapBase } = fromLoader;
    if (breakAt !== undefined) new DataView(bytes.buffer).setUint32(breakAt, heapBase, true);
  } catch {
    return undefined;
  }
  const fuel = exports[fuelName] as WebAssembly.Global;
  const memory = exports[memoryName] as WebAssembly.Memory;
  tank.use(costs.instance);
  const run = (index: number, args: readonly unknown[], amount: number): unknown => {
    if (tank.empty) return undefined;
    fuel.value = amount;
    const { buffer } = memory;
    try {
      return (exports[String(index)] as (...args: unknown[]) => unknown)(...args) ?? 0;
    } catch {
      tank.use(costs.trap);
      return undefined;
    } finally {
      tank.use(amount - (fuel.value as number) + (memory.buffer === buffer ? 0 : costs.growth));
    }
  };
  for (const index of prepare) run(index, [], fuelOfPreparation);
  return {
    call(index, args) {
      const widths = wide.get(index) ?? [];
      const given = widths.map((isWide, i) => (isWide ? BigInt(args[i] ?? 0) : (args[i] ?? 0)));
      const result = run(index, given, fuelOfCall);
      return typeof result === "number"
        ? result >>> 0
        : typeof result === "bigint"
          ? Number(result)
          : undefined;
    },
    memory: () => new Uint8Array(memory.buffer),
    global: (index) => Number((exports[globalName(index)] as WebAssembly.Global).value) >>> 0,
  };
}
