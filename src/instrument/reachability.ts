/**
 * Which functions can reach an allocation, and so which call sites need a calling context. Only those sites are
 * rewritten; on a JavaScript interpreter that leaves out a third of them.
 */
import { op } from "../wasm/instructions.js";
import type { Module } from "../wasm/module.js";
import type { TypeDefinition } from "../wasm/types.js";
import { forEachRefFunc } from "./constant-expressions.js";
import { type CodeWalker, type Sites, sitesOf } from "./walker.js";
import { Program } from "./walker-program.js";

/**
 * By function index of the original module, imports included: 1 for functions from which a target is reachable.
 * Behind the functions, by type index: 1 for types of which such a function can be called through a table.
 */
export type FunctionSet = Uint8Array;

/** No index of a set. */
export const noNode = 0xffffffff;

/** Address of a set in the memory of the walker. */
export type SetAddress = number;

/** What `Callers.decide` goes by. */
export interface ContextRules {
  allocator: SetAddress;
  /** What leads to the allocator or to an import that may call back: nothing else needs a context; 0 where it is not known. */
  using: SetAddress;
  callBacks: SetAddress;
  mayAllocate: SetAddress;
  /** What a release that looks whether the allocator runs is reached from, or an allocation; 0 where no release looks. */
  heeding: SetAddress;
  /** What may have caught an exception when it returns; 0 where nothing may, or it makes no difference. */
  catching: SetAddress;
  passing: boolean;
  tableIsOpen: boolean;
  releasesToo: boolean;
}

/**
 * The calls of a module, turned round: who calls a function, directly or through a table. They and the sets that are made
 * of them lie in the memory of the walker, whose loops are compiled when these here would not be.
 */
export class Callers {
  /** Functions that can be called through a table or a reference. */
  readonly addressTaken: FunctionSet;
  readonly #module: Module;
  readonly #sites: Sites;
  readonly #program: Program;
  readonly #shapes: Uint32Array;
  /** What lies behind is given up by `end`. */
  readonly #start: number;

  /** Use `findCallers`. */
  constructor(module: Module, sites: Sites, program: Program) {
    this.#module = module;
    this.#sites = sites;
    this.#program = program;
    this.#shapes = shapesOf(module.types);
    this.addressTaken = findAddressTaken(module, sites);
    const { wasm } = program;
    wasm.prepareNodes(module.importedFunctionCount, this.#shapes.length);
    this.#start = wasm.shapes.value;
    program.put(wasm.shapes.value, this.#shapes);
    program.put(wasm.addressTaken.value, this.addressTaken);
    wasm.turn();
  }

  /** Nothing of this but `addressTaken` and `calledAt` is used any more. */
  end(): void {
    this.#program.wasm.keep(this.#start);
  }

  /**
   * Index in the sets of what is called at a site, a function or all those behind a type; `noNode` for sites that
   * are no calls.
   */
  calledAt(site: number): number {
    const target = this.#sites.target[site];
    switch (this.#sites.opcode[site]) {
      case op.call:
      case op.returnCall:
        return target;
      case op.callIndirect:
      case op.returnCallIndirect:
      case op.callRef:
      case op.returnCallRef:
        return target < this.#shapes.length ? this.#module.functionCount + this.#shapes[target] : noNode;
      default:
        return noNode;
    }
  }

  /** Defined functions that call a function directly, once for each call, in ascending order. */
  directly(index: number): Uint32Array {
    const { wasm } = this.#program;
    const [from, until] = this.#program.numbers(wasm.firstEdges.value + 4 * index, 2);
    const count = until - from - this.addressTaken[index];
    return this.#program.numbers(wasm.edges.value + 4 * from, count);
  }

  /** How often each function is called directly. */
  countDirectly(): Uint32Array {
    return this.#program.numbers(this.#program.wasm.directCalls(), this.#module.functionCount);
  }

  /** Functions that can be called through a table or a reference, by the index of their type in the sets. */
  functionsByType(): Map<number, number[]> {
    const { functionCount } = this.#module;
    const functions = new Map<number, number[]>();
    const taken = this.addressTaken;
    for (let index = taken.indexOf(1); index >= 0; index = taken.indexOf(1, index + 1)) {
      const node = functionCount + this.#shapes[this.#module.functionTypeIndex(index)];
      const members = functions.get(node);
      if (members) members.push(index);
      else functions.set(node, [index]);
    }
    return functions;
  }

  /** By imported function: 0 for those that are called directly, and each time followed by `unreachable`. */
  importsThatReturn(): Uint8Array {
    return this.#program.bytes(this.#program.wasm.importsThatReturn(), this.#module.importedFunctionCount);
  }

  /** A set of functions. */
  setOf(functions: Iterable<number>): SetAddress {
    const address = this.#program.wasm.takeSet() >>> 0;
    const set = new Uint8Array(this.#program.wasm.memory.buffer, address);
    for (const index of functions) set[index] = 1;
    return address;
  }

  /**
   * All functions from which one of `targets` can be reached, the targets themselves included. Calls out of
   * functions in `opaque` are not followed.
   */
  reaching(targets: Iterable<number>, opaque: SetAddress): SetAddress {
    const set = this.setOf(targets);
    this.#program.wasm.markCallers(set, opaque);
    return set;
  }

  /** These functions, defined ones by their bodies, and the types of which one of them can be called through a table. */
  withTypes(functions: Iterable<number>, bodies: Uint8Array): SetAddress {
    const set = this.setOf(functions);
    this.#program.put(set + this.#module.importedFunctionCount, bodies);
    this.#program.wasm.addTableNodes(set);
    return set;
  }

  /** A copy of a set. */
  read(set: SetAddress): FunctionSet {
    return this.#program.bytes(set, this.#module.functionCount + this.#shapes.length);
  }

  /** Decides about all calls: by site, see `contextKind`; by body, 1 if it has a parameter for its context. */
  decide(rules: ContextRules): { contextSites: Uint8Array; contextParameters: Uint8Array } {
    const program = this.#program;
    const { wasm } = program;
    wasm.allocator.value = rules.allocator;
    wasm.using.value = rules.using;
    wasm.callBacks.value = rules.callBacks;
    wasm.mayAllocate.value = rules.mayAllocate;
    wasm.heeding.value = rules.heeding;
    wasm.catching.value = rules.catching;
    wasm.passing.value = Number(rules.passing);
    wasm.tableIsOpen.value = Number(rules.tableIsOpen);
    wasm.releasesToo.value = Number(rules.releasesToo);
    wasm.decide();
    return {
      contextSites: program.bytes(wasm.decided.value, this.#sites.count),
      contextParameters: program.bytes(
        wasm.taking.value + this.#module.importedFunctionCount,
        this.#module.bodies.count,
      ),
    };
  }
}

/** @param walker where the sites come from, if it still holds what it found */
export function findCallers(module: Module, sites: Sites, walker?: CodeWalker): Callers {
  return new Callers(module, sites, walker?.program ?? programWith(module, sites));
}

/** Type indices of the same structure get the number of the first of them, and subtypes that of what they derive from. */
function shapesOf(types: readonly TypeDefinition[]): Uint32Array {
  const seen = new Map<string, number>();
  const shapes = new Uint32Array(types.length);
  types.forEach((type, index) => {
    const [parent] = type.sub?.supertypes ?? [];
    // where a type is called functions of its subtypes may be, whose structure need not be the same
    if (type.kind === "func" && parent !== undefined && parent < index) {
      shapes[index] = shapes[parent];
      return;
    }
    // only function types are called; the others keep their own number
    const key = type.kind === "func" ? JSON.stringify([type.params, type.results]) : `${index}`;
    shapes[index] = seen.get(key) ?? index;
    seen.set(key, shapes[index]);
  });
  return shapes;
}

function findAddressTaken(module: Module, sites: Sites): FunctionSet {
  const taken = new Uint8Array(module.functionCount);
  const take = (index: number) => {
    if (index < taken.length) taken[index] = 1;
  };
  for (const segment of module.elements) {
    const { functions } = segment;
    for (let i = 0; functions && i < functions.length; i++) take(functions[i]);
    for (const expression of segment.expressions ?? []) forEachRefFunc(expression, take);
  }
  for (const global of module.globals) forEachRefFunc(global.init, take);
  for (const table of module.tables) if (table.init) forEachRefFunc(table.init, take);
  for (const site of sitesOf(sites, op.refFunc)) take(sites.target[site]);
  return taken;
}

/** One that holds the sites of a module as if it had walked over its code. */
function programWith(module: Module, sites: Sites): Program {
  const program = Program.idle();
  const { wasm } = program;
  program.putModule(module, 0, 0);
  program.put(wasm.first.value, sites.first);
  wasm.positions.value = program.add(sites.position);
  wasm.targets.value = program.add(sites.target);
  wasm.opcodes.value = program.add(sites.opcode);
  return program;
}
