/** Writes the bodies of a module with their checks. */
import { instructionEnd, op } from "../../wasm/instructions.js";
import { Reader, skipLeb, u32At } from "../../wasm/leb128.js";
import type { Module } from "../../wasm/module.js";
import { countLocals, decodeLocals } from "../../wasm/sections/code.js";
import { valueType } from "../../wasm/types.js";
import { CodeWriter } from "../emit.js";
import {
  type AccessCheckOptions,
  AccessChecks,
  accessKind,
  Locals,
  type StackBounds,
} from "./access-check.js";
import { type AccessFacts, nothingKnown } from "./access-facts.js";
import { accessAt, bulkAccesses } from "./accesses.js";
import { type LoopPlan, type LoopPlans, noPlans, planLoops } from "./loops/plan.js";
import { labels } from "./loops/tree.js";
import { redundantAccesses } from "./redundant.js";

export interface BodyOptions extends AccessCheckOptions {
  /** Whether a function is left as it is, by its index in the module. */
  isExempt(index: number): boolean;
  /** The stack pointer, and the addresses below the stack: into them it grows when it is full. */
  stack?: StackBounds;
  /** Addresses that are static data, `[start, end)`. */
  data: readonly [start: number, end: number];
  /** Of two bytes that may be used and have this distance or less, all between them may be used. */
  gap: number;
  /** Go's own compiler made the module. */
  isGo: boolean;
  /** Accesses are checked too of which the outcome is known. */
  everywhere: boolean;
}

/** Where the new code goes on with the old: the same offset in both from `written` on, or for a check its access. */
interface Span {
  written: number;
  original: number;
  isCheck: boolean;
}

export class BodyWriter {
  readonly #module: Module;
  readonly #options: BodyOptions;
  readonly #checks: AccessChecks;
  readonly #code = new CodeWriter(1 << 16);

  constructor(module: Module, options: BodyOptions) {
    this.#module = module;
    this.#options = options;
    this.#checks = new AccessChecks(options);
  }

  /** Checks so far. */
  get sites(): number {
    return this.#checks.sites;
  }

  /** Offsets in the body that was written last, of branches that are hardly ever taken. */
  get branches(): readonly number[] {
    return this.#checks.branches;
  }

  /** Appends a body without its size. */
  write(writer: CodeWriter, body: number, spans?: Span[]): void {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    const [start, end] = [bodies.start[body], bodies.end[body]];
    const index = importedFunctionCount + body;
    const checks = this.#checks;
    checks.branches = [];
    checks.needsLimit = false;
    if (this.#options.isExempt(index)) {
      spans?.push({ written: 0, original: start, isCheck: false });
      writer.copy(bytes, start, end);
      return;
    }
    const declared = countLocals(bytes, start, end);
    const locals = new Locals(this.#module.functionType(index).params.length + declared.count);
    const code = this.#code;
    code.length = 0;
    const inner: Span[] | undefined = spans && [{ written: 0, original: declared.end, isCheck: false }];
    const facts = this.#factsOf(body, declared);
    const plans = this.#plansOf(body, declared.end, facts);
    const copy = new Copy(this.#module, this.#options, checks, { code, locals, facts, spans: inner });
    copy.range(declared.end, end, plans);

    const prologue = new CodeWriter(32);
    if (checks.needsLimit) checks.prologue(prologue, locals);
    const from = writer.length;
    writer.u32(declared.groups + locals.types.length);
    writer.copy(bytes, skipLeb(bytes, start), declared.end);
    for (const type of locals.types) writer.op(1, type);
    writer.copy(prologue.buffer, 0, prologue.length);
    const header = writer.length - from;
    checks.branches = checks.branches.map((at) => at + header);
    writer.copy(code.buffer, 0, code.length);
    if (!spans || !inner) return;
    spans.push({ written: 0, original: start, isCheck: true });
    for (const span of inner) spans.push({ ...span, written: span.written + header });
  }

  /** Offset in the module before of an offset in a written body. */
  originalOf(body: number, firstSite: number, within: number): number {
    const spans: Span[] = [];
    const { sites } = this.#checks;
    this.#checks.sites = firstSite;
    this.write(new CodeWriter(1 << 16), body, spans);
    this.#checks.sites = sites;
    const span = spans.findLast(({ written }) => written <= within);
    if (!span) return this.#module.bodies.start[body];
    return span.isCheck ? span.original : span.original + within - span.written;
  }

  #factsOf(body: number, declared: { end: number; count: number }): AccessFacts {
    const module = this.#module;
    const { stack, data, gap, everywhere, boundsOnly, isGo } = this.#options;
    if (everywhere) return nothingKnown;
    const parameters = module.functionType(module.importedFunctionCount + body).params.length;
    return redundantAccesses(
      module,
      body,
      { start: declared.end, end: module.bodies.end[body], locals: parameters + declared.count },
      { ...(stack && { stackPointer: stack.global }), data, gap, isConstant: boundsOnly, isGo },
    );
  }

  #plansOf(body: number, start: number, { redundant, speculated, groups }: AccessFacts): LoopPlans {
    const { bytes, bodies, importedFunctionCount } = this.#module;
    const { everywhere, boundsOnly } = this.#options;
    if (everywhere || boundsOnly) return noPlans;
    const declared = decodeLocals(bytes, bodies.start[body], bodies.end[body]);
    const { params } = this.#module.functionType(importedFunctionCount + body);
    const localTypes = [...params, ...declared.groups.flatMap(({ count, type }) => Array(count).fill(type))];
    return planLoops(
      this.#module,
      {
        start,
        end: bodies.end[body],
        localTypes: localTypes.map((type) => (typeof type === "number" ? type : 0)),
      },
      (pos) => !redundant.has(pos) && !speculated.has(pos),
      (pos) => groups.get(pos)?.members ?? [pos],
    );
  }
}

interface Target {
  code: CodeWriter;
  locals: Locals;
  facts: AccessFacts;
  spans: Span[] | undefined;
}

const nothingCovered: ReadonlySet<number> = new Set();

/** Copies the instructions of one body, and inserts checks. */
class Copy {
  readonly #module: Module;
  readonly #options: BodyOptions;
  readonly #checks: AccessChecks;
  readonly #target: Target;
  /**
   * Within a loop that is written twice: blocks from outside of it on, up to the current one, and whether they are
   * new. Branches out of the loop have to count those.
   */
  readonly #blocks: boolean[] = [];
  #copied = 0;

  constructor(module: Module, options: BodyOptions, checks: AccessChecks, target: Target) {
    this.#module = module;
    this.#options = options;
    this.#checks = checks;
    this.#target = target;
  }

  /** @param covered accesses that need no check here */
  range(from: number, end: number, plans: LoopPlans, covered = nothingCovered): void {
    const { bytes } = this.#module;
    const { stack } = this.#options;
    const { code, locals, facts } = this.#target;
    this.#copied = from;
    this.#note(from, false);
    for (let pos = from, next: number; pos < end; pos = next) {
      const opcode = bytes[pos];
      const plan = opcode === op.loop ? plans.get(pos) : undefined;
      if (plan) {
        this.#twice(plan, covered);
        next = plan.loop.end + 1;
        continue;
      }
      next = instructionEnd(bytes, pos);
      if (this.#blocks.length > 0 && this.#follow(pos, next)) continue;
      if (opcode === op.globalSet) {
        if (stack && u32At(bytes, pos + 1) === stack.global) {
          this.#insert(pos, () => this.#checks.stack(code, stack, locals));
        } else if (facts.stackChanges.has(pos)) {
          this.#insert(pos, () => this.#checks.goStack(code, locals));
        }
        continue;
      }
      if (opcode === op.prefixMisc) {
        const bulk = bulkAccesses(bytes, pos);
        if (bulk) this.#insert(pos, () => this.#checks.bulk(code, bulk, locals));
        continue;
      }
      const access = accessAt(bytes, pos);
      if (access?.memory !== 0 || facts.redundant.has(pos) || covered.has(pos)) continue;
      const how = access.write
        ? accessKind.write
        : facts.strict.has(pos)
          ? accessKind.strictRead
          : facts.speculated.has(pos)
            ? accessKind.speculatedRead
            : accessKind.read;
      const group = facts.groups.get(pos);
      this.#insert(pos, () => this.#checks.access(code, { ...access, how, pos, group }, locals));
    }
    this.#copyTo(end);
  }

  #copyTo(pos: number): void {
    this.#target.code.copy(this.#module.bytes, this.#copied, pos);
    this.#copied = pos;
  }

  #note(original: number, isCheck: boolean): void {
    const { code, spans } = this.#target;
    spans?.push({ written: code.length, original, isCheck });
  }

  #insert(pos: number, write: () => void): void {
    this.#copyTo(pos);
    this.#note(pos, true);
    write();
    this.#note(pos, false);
  }

  /** A loop without the checks that a look at the memory makes needless, and as it is. */
  #twice({ loop, guard, inner }: LoopPlan, covered: ReadonlySet<number>): void {
    const { bytes } = this.#module;
    const { code, locals } = this.#target;
    let number = 0;
    this.#insert(loop.pos, () => {
      guard.write(code, {
        newLocal: () => locals.of(valueType.f64, `${number++}`),
        usable: this.#options.checker("checkUsable"),
      });
      code.op(op.if);
      code.copy(bytes, loop.pos + 1, loop.start);
    });
    this.#blocks.push(true);
    const after = loop.end + 1;
    this.range(
      loop.pos,
      after,
      noPlans,
      covered.size > 0 ? new Set([...covered, ...guard.covered]) : guard.covered,
    );
    code.op(op.else);
    this.range(loop.pos, after, inner, covered);
    code.end();
    this.#blocks.pop();
    this.#note(after, false);
  }

  /** Keeps track of blocks; returns whether it wrote the instruction, which leads elsewhere now. */
  #follow(pos: number, next: number): boolean {
    const { bytes } = this.#module;
    const { code } = this.#target;
    switch (bytes[pos]) {
      case op.block:
      case op.loop:
      case op.if:
        this.#blocks.push(false);
        return false;
      case op.end:
        this.#blocks.pop();
        return false;
      case op.br:
      case op.brIf:
      case op.brTable:
        break;
      default:
        return false;
    }
    if ([...labels(bytes, pos)].every((label) => this.#moved(label) === label)) return false;
    this.#copyTo(pos);
    code.op(bytes[pos]);
    const reader = new Reader(bytes, pos + 1, next);
    if (bytes[pos] === op.brTable) {
      const count = reader.u32();
      code.u32(count);
    }
    while (!reader.atEnd()) code.u32(this.#moved(reader.u32()));
    this.#copied = next;
    this.#note(next, false);
    return true;
  }

  /** A label as it has to be with the new blocks. */
  #moved(label: number): number {
    let moved = label;
    let left = label;
    for (let at = this.#blocks.length - 1; at >= 0 && left >= 0; at--) {
      if (this.#blocks[at]) moved++;
      else left--;
    }
    return moved;
  }
}
