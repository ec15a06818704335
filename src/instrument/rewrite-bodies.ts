/**
 * Function bodies from bytes to bytes: the spans between sites are copied, and only sites are written anew.
 */
import { instructionEnd, op } from "../wasm/instructions.js";
import { skipLeb } from "../wasm/leb128.js";
import { limits } from "../wasm/limits.js";
import type { Module } from "../wasm/module.js";
import { countLocals, type LocalCounts } from "../wasm/sections/code.js";
import { type ValueType, valueType } from "../wasm/types.js";
import { contextFactor, siteValue } from "./context.js";
import { type CodeWriter, noResult } from "./emit.js";
import { type Exit, findExits } from "./exits.js";
import type { Hook } from "./hooks.js";
import type { Sites } from "./scan.js";

/** How the calling context is set before a call. */
export const contextKind = {
  /** Not at all. */
  none: 0,
  /** From the context in which the function was called. */
  chained: 1,
  /** To that of the call alone: nobody sets one for the function, because no allocation is reached through it. */
  root: 2,
} as const;

/** What a rewriting changes; all indices on the right are of the instrumented module. */
export interface BodyChanges {
  /** Index of a function where it is called. */
  called(index: number): number;
  /** Index of a function where a reference to it is taken. */
  referenced(index: number): number;
  /** Function to call instead of `memory.grow`, or undefined to leave it. */
  grow(memory: number): number | undefined;
  /** What to put around the i-th defined function's body. */
  hook(body: number): Hook | undefined;
  /** One of `contextKind` for each site. */
  contextSites: Uint8Array;
  /** Global that holds the calling context. */
  context: number;
}

/**
 * Told wherever the distance between the two may change: offset in the output, and in the original module, of the
 * same instruction.
 */
export type SiteListener = (written: number, original: number) => void;

/** Stands for the index of a local that a function has no room for. */
const noLocal = -1;

export class BodyRewriter {
  readonly #module: Module;
  readonly #sites: Sites;
  readonly #changes: BodyChanges;

  constructor(module: Module, sites: Sites, changes: BodyChanges) {
    this.#module = module;
    this.#sites = sites;
    this.#changes = changes;
  }

  /** Appends the i-th defined function's body, without its size. */
  write(writer: CodeWriter, body: number, listener?: SiteListener): void {
    const hook = this.#changes.hook(body);
    if (hook) this.#writeHooked(writer, body, hook, listener);
    else this.#writePlain(writer, body, listener);
  }

  #writePlain(writer: CodeWriter, body: number, listener?: SiteListener): void {
    const { bytes, bodies } = this.#module;
    const { position, first } = this.#sites;
    const { contextSites, context } = this.#changes;
    let copied = bodies.start[body];
    let base = noLocal;
    const locals = this.#isChained(body) ? countLocals(bytes, copied, bodies.end[body]) : undefined;
    if (locals && this.#hasRoom(body, locals, 1)) {
      base = this.#writeLocals(writer, body, locals, [valueType.i64]);
      writer.globalGet(context).i64Const(contextFactor).op(op.i64Mul).localSet(base);
      copied = locals.end;
      listener?.(writer.length, copied);
    }
    for (let site = first[body]; site < first[body + 1]; site++) {
      const pos = position[site];
      writer.copy(bytes, copied, pos);
      if (contextSites[site] !== contextKind.none) this.#writeContext(writer, base, site);
      listener?.(writer.length, pos);
      copied = this.#writeSite(writer, site, pos);
      listener?.(writer.length, copied);
    }
    writer.copy(bytes, copied, bodies.end[body]);
  }

  /** Whether one of its calls needs the context in which it was called. */
  #isChained(body: number): boolean {
    const { first } = this.#sites;
    const { contextSites } = this.#changes;
    for (let site = first[body]; site < first[body + 1]; site++) {
      if (contextSites[site] === contextKind.chained) return true;
    }
    return false;
  }

  /** The body as a block between what the hook does first and last; exits lead to the end of the block. */
  #writeHooked(writer: CodeWriter, body: number, hook: Hook, listener?: SiteListener): void {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    const { position, first } = this.#sites;
    const end = bodies.end[body];
    const locals = countLocals(bytes, bodies.start[body], end);
    const firstLocal = this.#writeLocals(writer, body, locals, hook.locals);
    const { results } = this.#module.functionType(importedFunctionCount + body);
    hook.before(writer, firstLocal);
    writer.op(op.block, results.length === 0 ? noResult : (results[0] as number));
    listener?.(writer.length, locals.end);

    let copied = locals.end;
    let site = first[body];
    const writeSitesUpTo = (limit: number) => {
      for (; site < first[body + 1] && position[site] < limit; site++) {
        writer.copy(bytes, copied, position[site]);
        listener?.(writer.length, position[site]);
        copied = this.#writeSite(writer, site, position[site]);
        listener?.(writer.length, copied);
      }
    };
    for (const exit of findExits(bytes, locals.end, end)) {
      writeSitesUpTo(exit.position);
      writer.copy(bytes, copied, exit.position);
      copied = instructionEnd(bytes, exit.position);
      if (exit.opcode !== op.return) {
        listener?.(writer.length, exit.position);
        this.#writeTailCall(writer, exit, site++, copied);
      }
      writer.op(op.br);
      writer.u32(exit.depth);
      listener?.(writer.length, copied);
    }
    writeSitesUpTo(end);
    // the function's own end becomes that of the block
    writer.copy(bytes, copied, end);
    hook.after(writer, firstLocal);
    writer.end();
  }

  /** A tail call as an ordinary one: something is left to do after it. */
  #writeTailCall(writer: CodeWriter, { position, opcode }: Exit, site: number, end: number): void {
    if (opcode === op.returnCall) {
      writer.call(this.#changes.called(this.#sites.target[site]));
    } else {
      writer.op(opcode === op.returnCallRef ? op.callRef : op.callIndirect);
      writer.copy(this.#module.bytes, position + 1, end);
    }
  }

  /** Engines allow so many locals: a function that has them all begins a context at each of its calls. */
  #hasRoom(body: number, locals: LocalCounts, more: number): boolean {
    const { importedFunctionCount } = this.#module;
    const { params } = this.#module.functionType(importedFunctionCount + body);
    return params.length + locals.count + more <= limits.locals;
  }

  /** Declares more locals behind those that are there; returns the index of the first. */
  #writeLocals(writer: CodeWriter, body: number, locals: LocalCounts, more: readonly ValueType[]): number {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    writer.u32(locals.groups + more.length);
    writer.copy(bytes, skipLeb(bytes, bodies.start[body]), locals.end);
    for (const type of more) writer.op(1, type as number);
    return this.#module.functionType(importedFunctionCount + body).params.length + locals.count;
  }

  #writeContext(writer: CodeWriter, base: number, site: number): void {
    const chained = base !== noLocal && this.#changes.contextSites[site] === contextKind.chained;
    if (chained) writer.localGet(base);
    writer.byte(op.i64Const);
    writePositive(writer, siteValue(site));
    if (chained) writer.byte(op.i64Add);
    writer.globalSet(this.#changes.context);
  }

  /** Writes the instruction of a site; returns where the original goes on. */
  #writeSite(writer: CodeWriter, site: number, pos: number): number {
    const { bytes } = this.#module;
    const { opcode, target } = this.#sites;
    switch (opcode[site]) {
      case op.call:
      case op.returnCall:
        writer.byte(opcode[site]);
        writer.u32(this.#changes.called(target[site]));
        return skipLeb(bytes, pos + 1);
      case op.refFunc:
        writer.op(op.refFunc);
        writer.u32(this.#changes.referenced(target[site]));
        return skipLeb(bytes, pos + 1);
      case op.memoryGrow: {
        const helper = this.#changes.grow(target[site]);
        if (helper === undefined) return pos;
        writer.call(helper);
        return skipLeb(bytes, pos + 1);
      }
      default:
        // the instruction itself goes with the next span
        return pos;
    }
  }
}

/** A signed LEB128 of a number ≥ 0 below 2^31. */
function writePositive(writer: CodeWriter, value: number): void {
  while (value > 0x3f) {
    writer.byte((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  writer.byte(value);
}
