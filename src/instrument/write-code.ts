/** The code section of an instrumented module: the rewritten bodies, and those of the functions that are added. */
import { op } from "../wasm/instructions.js";
import { Writer } from "../wasm/leb128.js";
import { encodeModule, type Module } from "../wasm/module.js";
import { type RawSection, sectionId, valueType } from "../wasm/types.js";
import { exposerBody } from "./checks/exposers.js";
import { makeCheckHook } from "./checks/hooks.js";
import { type ChecksPlan, checkHookOptions } from "./checks/plan.js";
import { contextInstructions, type EntryTargets, EntryTemplates, lookInstructions } from "./context.js";
import { carrierBody } from "./dynamic-linking.js";
import { CodeWriter } from "./emit.js";
import { type Hook, type HookTargets, makeHook, type RecorderPair } from "./hooks.js";
import { allMemories, type Plan, type RecorderFunction } from "./plan.js";
import type { BodyRewriter } from "./rewrite-bodies.js";
import { type CodeChanges, type CodeWalker, noHelper } from "./walker.js";
import { growType, type TypeTable } from "./write-sections.js";

export interface WrittenCode {
  section: RawSection;
  /** Offset of each body of the original's functions in the section's bytes. */
  starts: Uint32Array;
}

export function writeCode(
  module: Module,
  plan: Plan,
  rewriter: BodyRewriter,
  walker: CodeWalker,
  types: TypeTable,
): WrittenCode {
  const { bodies } = module;
  const added = plan.entries.length + plan.carriers.size + plan.exposers.length + plan.growHelpers.size;
  const header = new Writer(16);
  header.byte(sectionId.code);
  // the size of the section, known only at the end
  header.paddedU32(0);
  const payloadStart = header.length;
  header.u32(bodies.count + added);
  walker.begin(rewriter.changes, roomInFront(module, plan));
  walker.append(header.finish());
  const hooked = rewriter.writeAll(walker);
  appendEntries(walker, module, plan);
  walker.append(addedBodies(module, plan, types));

  const { code, starts } = walker.finish();
  for (const [body, start] of hooked) starts[body] = start;
  const size = new Writer(5);
  size.paddedU32(code.length - payloadStart);
  code.set(size.finish(), payloadStart - 5);
  return { section: { id: sectionId.code, offset: 0, bytes: code, payloadStart }, starts };
}

/** What the sections in front of the code may take: indices in them grow by a byte or two. */
function roomInFront(module: Module, plan: Plan): number {
  const offset = module.section(sectionId.code)?.offset ?? 0;
  return 2 * offset + 4 * plan.entries.length + 4096;
}

/** A module of sections among which that of the new code is, without a copy of that where there needs none. */
export function assembleModule(
  sections: readonly RawSection[],
  code: WrittenCode,
  walker: CodeWalker,
): Uint8Array<ArrayBuffer> {
  const place = sections.indexOf(code.section);
  const behind = sections.slice(place + 1).map(({ bytes }) => bytes);
  return walker.surround(encodeModule(sections.slice(0, place)), behind) ?? encodeModule(sections);
}

function appendEntries(walker: CodeWalker, module: Module, plan: Plan): void {
  const { entries } = plan;
  const functions = plan.imports.length + module.functionCount;
  const largestValue = entries.at(-1)?.value ?? 0;
  const templates = new EntryTemplates(recorderTargets(plan), plan.tailCalls, functions, largestValue);
  const rows = new Uint32Array(3 * entries.length);
  let length = 0;
  for (let i = 0, row = 0; i < entries.length; i++) {
    const entry = entries[i];
    const place = templates.of(module, entry);
    rows[row++] = place.start;
    rows[row++] = plan.moved(entry.target);
    rows[row++] = entry.value;
    length += place.length;
  }
  walker.appendCopies(rows, templates.bytes, length, templates.widths);
}

/** Bodies of the other functions that are added, each with its size. */
function addedBodies(module: Module, plan: Plan, types: TypeTable): Uint8Array {
  const writer = new CodeWriter(4096);
  const write = (body: Uint8Array) => {
    writer.u32(body.length);
    writer.bytes(body);
  };
  for (const target of plan.carriers.keys()) {
    write(carrierBody(module.functionType(target), target, plan.context, plan.importIndex("carry")));
  }
  for (const memory of plan.growHelpers.keys()) {
    types.indexOf(growType(module, memory));
    write(growBody(module, memory, plan.importIndex("grown")));
  }
  const targets = {
    expose: plan.importIndex("checkExpose"),
    context: plan.withContext ? plan.context : undefined,
    tailCalls: plan.tailCalls,
  };
  for (const exposer of plan.exposers) {
    write(exposerBody(module.functionType(exposer.target), exposer, targets));
  }
  return writer.finish();
}

/** What the walker has to know of a plan. */
export function codeChanges(module: Module, plan: Plan): CodeChanges {
  return {
    called: plan.called,
    referenced: plan.referenced,
    growHelpers: Uint32Array.from(
      allMemories(module),
      (_, memory) => plan.growHelpers.get(memory) ?? noHelper,
    ),
    contextSites: plan.contextSites,
    contextParameters: plan.contextParameters,
    lookEntries: plan.lookEntries,
    ...contextInstructions(plan.context),
    look: lookInstructions(plan.context, plan.looked),
  };
}

/** By body. */
export function hooksOf(module: Module, plan: Plan, checks?: ChecksPlan): Map<number, Hook> {
  const targets = recorderTargets(plan);
  const checked =
    checks?.blocks && checkHookOptions({ ...checks, blocks: checks.blocks }, module, plan, targets);
  return new Map(
    plan.hooked.map(({ role, index }, i) => {
      const type = module.functionType(index);
      const hook = checked
        ? makeCheckHook(role, type, plan.moved(index), checked)
        : makeHook(role, type, targets, plan.relations[i]);
      return [index - module.importedFunctionCount, hook];
    }),
  );
}

function recorderTargets(plan: Plan): HookTargets & EntryTargets {
  const pair = (quick: RecorderFunction, slow: RecorderFunction): RecorderPair => ({
    quick: plan.importIndex(quick),
    slow: plan.importIndex(slow),
  });
  return {
    context: plan.context,
    pending: plan.pending,
    looked: plan.looked,
    alloc: pair("alloc", "allocSlowly"),
    free: pair("free", "freeSlowly"),
    realloc: pair("realloc", "reallocSlowly"),
    counted: plan.importIndex("counted"),
    collected: plan.importIndex("collected"),
    leave: plan.importIndex("leave"),
    abandon: plan.importIndex("abandon"),
    nested: plan.importIndex("nested"),
  };
}

/** Grows a memory and reports it: the old size or -1, and what was asked for, in pages. */
function growBody(module: Module, memory: number, grown: number): Uint8Array {
  const code = new CodeWriter(48);
  const wide = allMemories(module)[memory].index64;
  const narrow = () => {
    if (wide) code.op(op.i32WrapI64);
  };
  code.u32(1);
  code.u32(1);
  code.byte(wide ? valueType.i64 : valueType.i32);
  code.localGet(0).op(op.memoryGrow);
  code.u32(memory);
  code.localSet(1).i32Const(memory).localGet(1);
  narrow();
  code.localGet(0);
  narrow();
  code.call(grown).localGet(1).end();
  return code.finish();
}
