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
  /** By function index: index of the function that calls of it go to. */
  called: Uint32Array;
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

/** Bytes that a site may have more in the output than in the original. */
const mostAtSite = 32;

/** Longer spans are copied by the engine: a view of the bytes costs more than the copy of a short one. */
const longSpan = 48;

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

  /**
   * Nearly all of a module goes through here, most of it before the engine has compiled this to more than
   * bytecode, where each call costs as much as the copy of a span: so it is one function, its numbers written
   * out in place.
   */
  #writePlain(writer: CodeWriter, body: number, listener?: SiteListener): void {
    const { bytes, bodies } = this.#module;
    const { position, first, opcode, target } = this.#sites;
    const { contextSites, context, called } = this.#changes;
    const siteEnd = first[body + 1];
    const end = bodies.end[body];
    let copied = bodies.start[body];
    let base = noLocal;
    let site = first[body];
    while (site < siteEnd && contextSites[site] !== contextKind.chained) site++;
    if (site < siteEnd) {
      const locals = countLocals(bytes, copied, end);
      if (this.#hasRoom(body, locals, 1)) {
        base = this.#writeLocals(writer, body, locals, [valueType.i64]);
        writer.globalGet(context).i64Const(contextFactor).op(op.i64Mul).localSet(base);
        copied = locals.end;
        listener?.(writer.length, copied);
      }
    }

    writer.reserve(end - copied + (siteEnd - first[body]) * mostAtSite);
    const out = writer.buffer;
    let to = writer.length;
    for (site = first[body]; site < siteEnd; site++) {
      const pos = position[site];
      if (pos - copied > longSpan) {
        out.set(bytes.subarray(copied, pos), to);
        to += pos - copied;
      } else {
        while (copied < pos) out[to++] = bytes[copied++];
      }
      const kind = contextSites[site];
      if (kind !== contextKind.none) {
        const chained = base !== noLocal && kind === contextKind.chained;
        let value = base;
        if (chained) {
          out[to++] = op.localGet;
          for (; value >= 0x80; value >>>= 7) out[to++] = (value & 0x7f) | 0x80;
          out[to++] = value;
        }
        out[to++] = op.i64Const;
        // signed: bit 6 of the last byte stays clear
        for (value = siteValue(site); value >= 0x40; value >>>= 7) out[to++] = (value & 0x7f) | 0x80;
        out[to++] = value;
        if (chained) out[to++] = op.i64Add;
        out[to++] = op.globalSet;
        for (value = context; value >= 0x80; value >>>= 7) out[to++] = (value & 0x7f) | 0x80;
        out[to++] = value;
      }
      listener?.(to, pos);
      const instruction = opcode[site];
      copied = pos;
      if (instruction === op.call || instruction === op.returnCall) {
        out[to++] = instruction;
        let value = called[target[site]];
        for (; value >= 0x80; value >>>= 7) out[to++] = (value & 0x7f) | 0x80;
        out[to++] = value;
        copied++;
        while (bytes[copied++] & 0x80);
      } else if (instruction === op.refFunc || instruction === op.memoryGrow) {
        writer.length = to;
        copied = this.#writeSite(writer, site, pos);
        to = writer.length;
      }
      listener?.(to, copied);
    }
    writer.length = to;
    writer.copy(bytes, copied, end);
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
      writer.call(this.#changes.called[this.#sites.target[site]]);
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

  /** Writes the instruction of a site; returns where the original goes on. */
  #writeSite(writer: CodeWriter, site: number, pos: number): number {
    const { bytes } = this.#module;
    const { opcode, target } = this.#sites;
    switch (opcode[site]) {
      case op.call:
      case op.returnCall:
        writer.byte(opcode[site]);
        writer.u32(this.#changes.called[target[site]]);
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
