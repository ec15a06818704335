/**
 * Function bodies from bytes to bytes: the spans between sites are copied, and only sites are written anew. The
 * walker does that; the few bodies that get a hook are written here.
 */
import { instructionEnd, op } from "../wasm/instructions.js";
import { skipLeb } from "../wasm/leb128.js";
import type { Module } from "../wasm/module.js";
import { countLocals, type LocalCounts } from "../wasm/sections/code.js";
import type { ValueType } from "../wasm/types.js";
import { contextKind, contextWay, insideAllocator } from "./context-sites.js";
import { CodeWriter, noResult } from "./emit.js";
import type { Exit, Exits } from "./exits.js";
import type { Hook } from "./hooks.js";
import { firstLocalLast, MovingCopy, movedLocal, type SiteListener } from "./moved-local.js";
import { type CodeChanges, type CodeWalker, exitsOf, noHelper, type Sites, watchBody } from "./walker.js";

/** What a rewriting changes; all indices on the right are of the instrumented module. */
export interface BodyChanges extends CodeChanges {
  /** What to put around the i-th defined function's body. */
  hooks: ReadonlyMap<number, Hook>;
}

export class BodyRewriter {
  readonly #module: Module;
  readonly #sites: Sites;
  readonly changes: BodyChanges;

  constructor(module: Module, sites: Sites, changes: BodyChanges) {
    this.#module = module;
    this.#sites = sites;
    this.changes = changes;
  }

  /** Appends all bodies, each with its size. Returns where in the new code each begins, behind its size. */
  writeAll(walker: CodeWalker): Map<number, number> {
    const { hooks } = this.changes;
    const hooked = [...hooks.keys()].sort((a, b) => a - b);
    const starts = new Map<number, number>();
    let next = 0;
    for (const body of hooked) {
      walker.rewrite(next, body);
      const writer = new CodeWriter(4096);
      writer.paddedU32(0);
      this.#writeHooked(writer, body, hooks.get(body)!, (local) => walker.exits(body, local));
      writer.patchU32(0, writer.length - 5);
      starts.set(body, walker.length + 5);
      walker.append(writer.finish());
      next = body + 1;
    }
    walker.rewrite(next, this.#module.bodies.count);
    return starts;
  }

  /** Where the distance between a body of the instrumented module and the original changes, as `watchBody` gives it. */
  watch(body: number): Uint32Array {
    const hook = this.changes.hooks.get(body);
    if (!hook) return watchBody(this.#module, this.#sites, this.changes, body);
    const pairs: number[] = [];
    const exits = (local: number | undefined) => exitsOf(this.#module, body, local);
    this.#writeHooked(new CodeWriter(4096), body, hook, exits, (...pair) => pairs.push(...pair));
    return Uint32Array.from(pairs);
  }

  /** The body as a block between what the hook does first and last; exits lead to the end of the block. */
  #writeHooked(
    writer: CodeWriter,
    body: number,
    hook: Hook,
    find: (local: number | undefined) => Exits,
    listener?: SiteListener,
  ): void {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    const { position, first } = this.#sites;
    const end = bodies.end[body];
    const locals = countLocals(bytes, bodies.start[body], end);
    const { params, results } = this.#module.functionType(importedFunctionCount + body);
    const passed = this.changes.contextParameters[body];
    const parameter = passed ? params.length : undefined;
    const moved = passed ? movedLocal(params.length, locals) : undefined;
    this.#writeLocals(writer, body, locals, { moved: moved !== undefined, more: hook.locals });
    const firstLocal = params.length + passed + locals.count;
    const entry = this.changes.lookEntries[body];
    if (entry !== 0) {
      writer.bytes(this.changes.look);
      writer.params(params.length).returnCall(entry).end().end();
    }
    hook.before(writer, firstLocal);
    writer.op(op.block, results.length === 0 ? noResult : (results[0] as number));
    listener?.(writer.length, locals.end);

    let copied = locals.end;
    let site = first[body];
    const { exits, named } = find(moved?.from);
    const copy = new MovingCopy(writer, bytes, named, moved?.to ?? 0, listener);
    const writeSitesUpTo = (limit: number) => {
      for (; site < first[body + 1] && position[site] < limit; site++) {
        copy.copy(copied, position[site]);
        this.#giveContext(writer, site, parameter);
        listener?.(writer.length, position[site]);
        copied = this.#writeSite(writer, site, position[site]);
        listener?.(writer.length, copied);
      }
    };
    for (const exit of exits) {
      writeSitesUpTo(exit.position);
      copy.copy(copied, exit.position);
      copied = instructionEnd(bytes, exit.position);
      if (exit.opcode !== op.return) {
        this.#giveContext(writer, site, parameter);
        listener?.(writer.length, exit.position);
        this.#writeTailCall(writer, exit, site++, copied);
      }
      writer.op(op.br);
      writer.u32(exit.depth);
      listener?.(writer.length, copied);
    }
    writeSitesUpTo(end);
    // the function's own end becomes that of the block
    copy.copy(copied, end);
    hook.after(writer, firstLocal);
    writer.end();
  }

  /** What is called from there is told that the allocator is running; a collector hands on what it was told itself. */
  #giveContext(writer: CodeWriter, site: number, parameter: number | undefined): void {
    const { contextSites, getContext, setContext } = this.changes;
    const how = contextSites[site];
    const inside = (how & contextKind.mask) === contextKind.none;
    if ((how & contextWay.set) !== 0) {
      if (inside) writer.i64Const(insideAllocator).bytes(setContext);
      // without a parameter the global has it already
      else if (parameter !== undefined) writer.localGet(parameter).bytes(setContext);
    }
    if ((how & contextWay.passed) === 0) return;
    if (inside) writer.i64Const(insideAllocator);
    else if (parameter === undefined) writer.bytes(getContext);
    else writer.localGet(parameter);
  }

  /** A tail call as an ordinary one: something is left to do after it. */
  #writeTailCall(writer: CodeWriter, { position, opcode }: Exit, site: number, end: number): void {
    if (opcode === op.returnCall) {
      writer.call(this.changes.called[this.#sites.target[site]]);
    } else {
      writer.op(opcode === op.returnCallRef ? op.callRef : op.callIndirect);
      writer.copy(this.#module.bytes, position + 1, end);
    }
  }

  /** Declares more locals behind those that are there, or behind the first of them if it has to move. */
  #writeLocals(
    writer: CodeWriter,
    body: number,
    locals: LocalCounts,
    { moved, more }: { moved: boolean; more: readonly ValueType[] },
  ): void {
    const { bytes, bodies } = this.#module;
    const start = bodies.start[body];
    if (moved) {
      const declared = new CodeWriter(64);
      writer.u32(firstLocalLast(declared, bytes, start, locals) + more.length);
      writer.copy(declared.buffer, 0, declared.length);
    } else {
      writer.u32(locals.groups + more.length);
      writer.copy(bytes, skipLeb(bytes, start), locals.end);
    }
    for (const type of more) writer.op(1, type as number);
  }

  /** Writes the instruction of a site; returns where the original goes on. */
  #writeSite(writer: CodeWriter, site: number, pos: number): number {
    const { bytes } = this.#module;
    const { opcode, target } = this.#sites;
    switch (opcode[site]) {
      case op.call:
      case op.returnCall:
        writer.byte(opcode[site]);
        writer.u32(this.changes.called[target[site]]);
        return skipLeb(bytes, pos + 1);
      case op.refFunc:
        writer.op(op.refFunc);
        writer.u32(this.changes.referenced[target[site]]);
        return skipLeb(bytes, pos + 1);
      case op.memoryGrow: {
        const helper = this.changes.growHelpers[target[site]];
        if (helper === noHelper) return pos;
        writer.call(helper);
        return skipLeb(bytes, pos + 1);
      }
      default:
        // the instruction itself goes with the next span
        return pos;
    }
  }
}
