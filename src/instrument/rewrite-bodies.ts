/**
 * Function bodies from bytes to bytes: the spans between sites are copied, and only sites are written anew.
 */
import { op, skipLeb } from "../wasm/instructions.js";
import { Writer } from "../wasm/leb128.js";
import type { Module } from "../wasm/module.js";
import { decodeLocals, type Locals } from "../wasm/sections/code.js";
import { limits } from "../wasm/limits.js";
import { contextFactor, siteValue } from "./context.js";
import type { Sites } from "./scan.js";

/** What a rewriting changes; all indices on the right are of the instrumented module. */
export interface BodyChanges {
  /** Index of a function where it is called. */
  called(index: number): number;
  /** Index of a function where a reference to it is taken. */
  referenced(index: number): number;
  /** Function to call instead of `memory.grow`, or undefined to leave it. */
  grow(memory: number): number | undefined;
  /** 1 for sites before which the calling context is set. */
  contextSites: Uint8Array;
  /** Global that holds the calling context. */
  context: number;
}

/** Told for each site where its instruction went: offset in the output, offset in the original module. */
export type SiteListener = (written: number, original: number) => void;

const i64 = 0x7e;

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
  write(writer: Writer, body: number, listener?: SiteListener): void {
    const { bytes, bodies } = this.#module;
    const { position, opcode, first } = this.#sites;
    const { contextSites } = this.#changes;
    let copied = bodies.start[body];
    let base = 0;
    if (contextSites.subarray(first[body], first[body + 1]).includes(1)) {
      const locals = decodeLocals(bytes, copied, bodies.end[body]);
      base = this.#writePrologue(writer, body, locals);
      copied = locals.end;
    }
    for (let site = first[body]; site < first[body + 1]; site++) {
      const pos = position[site];
      writer.copy(bytes, copied, pos);
      if (contextSites[site] === 1) this.#writeContext(writer, base, site);
      listener?.(writer.length, pos);
      copied = this.#writeSite(writer, site, opcode[site], pos);
    }
    writer.copy(bytes, copied, bodies.end[body]);
  }

  /** Declares one more local and fills it; returns its index. */
  #writePrologue(writer: Writer, body: number, locals: Locals): number {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    const base = this.#module.functionType(importedFunctionCount + body).params.length + locals.count;
    writer.u32(locals.groups.length + 1);
    writer.copy(bytes, skipLeb(bytes, bodies.start[body]), locals.end);
    writer.byte(1);
    writer.byte(i64);
    writer.byte(op.globalGet);
    writer.u32(this.#changes.context);
    writer.byte(op.i64Const);
    writer.s33(contextFactor);
    writer.byte(op.i64Mul);
    writer.byte(op.localSet);
    writer.u32(base);
    return base;
  }

  #writeContext(writer: Writer, base: number, site: number): void {
    writer.byte(op.localGet);
    writer.u32(base);
    writer.byte(op.i64Const);
    writePositive(writer, siteValue(site));
    writer.byte(op.i64Add);
    writer.byte(op.globalSet);
    writer.u32(this.#changes.context);
  }

  /** Writes the instruction of a site; returns where the original goes on. */
  #writeSite(writer: Writer, site: number, opcode: number, pos: number): number {
    const { bytes } = this.#module;
    const target = this.#sites.target[site];
    switch (opcode) {
      case op.call:
      case op.returnCall:
      case op.refFunc:
        writer.byte(opcode);
        writer.u32(opcode === op.refFunc ? this.#changes.referenced(target) : this.#changes.called(target));
        return skipLeb(bytes, pos + 1);
      case op.memoryGrow: {
        const helper = this.#changes.grow(target);
        if (helper === undefined) return pos;
        writer.byte(op.call);
        writer.u32(helper);
        return skipLeb(bytes, pos + 1);
      }
      default:
        // the instruction itself goes with the next span
        return pos;
    }
  }
}

/** Whether a body can take one more local. */
export function canTakeLocal(module: Module, body: number): boolean {
  const { bytes, bodies } = module;
  const { count } = decodeLocals(bytes, bodies.start[body], bodies.end[body]);
  const { params } = module.functionType(module.importedFunctionCount + body);
  return count + params.length < limits.locals;
}

/** A signed LEB128 of a number ≥ 0 below 2^31. */
function writePositive(writer: Writer, value: number): void {
  while (value > 0x3f) {
    writer.byte((value & 0x7f) | 0x80);
    value >>>= 7;
  }
  writer.byte(value);
}
