/**
 * Hooks of a module that is checked. Beside what the others do they ask the allocator for more than the program did, so
 * that there is a redzone behind each block; and what the program frees they keep in quarantine. A pointer that the
 * program sees is the allocator's own, never moved: whoever releases it where no hook is does no harm.
 *
 * Only the outermost call of the allocator is changed, as only that is recorded. When a block leaves the quarantine, the
 * function that the program freed it with is called as if by the allocator.
 */
import { op } from "../../wasm/instructions.js";
import { type FunctionType, type ValueType, valueType } from "../../wasm/types.js";
import { type CodeWriter, noResult } from "../emit.js";
import { address, type Hook, type HookTargets, loadAddress, record } from "../hooks.js";
import { type AllocatorRole, type ArgumentMeaning, allocatorRoles } from "../roles.js";
import type { CheckerFunction } from "./functions.js";

const { i32, i64 } = valueType;

export interface CheckHookOptions {
  targets: HookTargets;
  /** Index of a function that the checker provides. */
  checker(name: CheckerFunction): number;
  /** Bytes that are added to blocks. */
  redzone: number;
  /** Sizes that are multiples of the alignment remain so: some functions refuse others. */
  keepsMultiples?: boolean;
  /** A release may have the alignment where another has the size. */
  sizesUnknown?: boolean;
  /** Bytes to which the allocator rounds blocks, and those of them that are its own; the program uses the rest. */
  rounding?: { unit: number; header: number };
  /** Functions that release blocks which may be kept for a while, by their number; indices of the new module. */
  releases: readonly Release[];
  /** Whether the module has the checker's memory as its second one. */
  inline: boolean;
}

interface Release {
  index: number;
  type: FunctionType;
  /** Which of its arguments is the block. */
  block: number;
}

/** Blocks of more than this are left as large as they are. */
const mostEnlarged = 0x40000000;
/** Aligned blocks of more than this get a redzone that is no multiple. */
const mostAlignment = 4096;
const mostHeldArguments = 4;

const how = { free: 2, realloc: 3 } as const;

/** Whether hooks of this kind can be put on a function: its arguments and its result are 32 bits wide. */
export function canCheck(type: FunctionType): boolean {
  return [...type.params, ...type.results].every((it) => it === i32);
}

/** Whether what a function releases may be kept: it can be called later with the same arguments. */
export function canHold(type: FunctionType): boolean {
  return type.results.length === 0 && type.params.length <= mostHeldArguments;
}

/** @param index of the function itself, in the new module */
export function makeCheckHook(
  role: AllocatorRole,
  type: FunctionType,
  index: number,
  options: CheckHookOptions,
): Hook {
  const params: readonly ArgumentMeaning[] = allocatorRoles[role].params;
  const argument = (meaning: ArgumentMeaning) => params.indexOf(meaning);
  return allocatorRoles[role].returns === "nothing"
    ? releaseHook(type, { block: argument("block"), size: argument("oldSize") }, index, options)
    : allocationHook(role, type, argument, index, options);
}

/** What is done only when the program itself calls. */
function ifOutermost(code: CodeWriter, saved: number, write: () => void): void {
  code.localGet(saved).op(op.i32WrapI64).i32Const(1).op(op.i32And, op.i32Eqz).if();
  write();
  code.end();
}

function enterAllocator(code: CodeWriter, saved: number, context: number): void {
  code.localGet(saved).i64Const(1).op(op.i64Or).globalSet(context);
}

function allocationHook(
  role: AllocatorRole,
  type: FunctionType,
  argument: (meaning: ArgumentMeaning) => number,
  index: number,
  options: CheckHookOptions,
): Hook {
  const { targets, checker, redzone, keepsMultiples, rounding } = options;
  const returnsError = allocatorRoles[role].returns === "error";
  const [blockAt, sizeAt, countAt, oldSizeAt] = [
    argument(returnsError ? "out" : "block"),
    argument("size"),
    argument("count"),
    argument("oldSize"),
  ];
  const alignmentAt = keepsMultiples ? argument("alignment") : -1;
  const resizes = blockAt >= 0 && !returnsError;
  const [size, block, result, extra, saved, answer, work] = [0, 1, 2, 3, 4, 5, 6];
  const asked = work + workLocals.length;
  const locals: ValueType[] = [i32, i32, i32, i32, i64, i32, ...workLocals, ...type.params.map(() => i32)];

  /** What holds back memory gives way, and the allocator is asked for no more than the program wants. */
  const tryAgain = (code: CodeWriter, first: number) => {
    releaseHeld(code, "checkEvictAll", first + work, first + saved, options);
    enterAllocator(code, first + saved, targets.context);
    for (let i = 0; i < type.params.length; i++) code.localGet(first + asked + i);
    code
      .call(index)
      .localTee(first + result)
      .if();
    code
      .i32Const(0)
      .localSet(first + extra)
      .call(checker("checkPressure"))
      .end();
  };

  return {
    locals,
    before(code, first) {
      const enlarge = () => {
        code.localGet(first + size).if();
        code.i32Const(redzone).localSet(first + extra);
        if (alignmentAt >= 0) {
          // the redzone, or as much as the alignment if that is more
          code
            .localGet(alignmentAt)
            .i32Const(redzone)
            .op(op.i32Sub)
            .i32Const(mostAlignment)
            .op(op.i32LtU)
            .if();
          code
            .localGet(alignmentAt)
            .localSet(first + extra)
            .end();
        }
        code
          .localGet(first + size)
          .localGet(first + extra)
          .op(op.i32Add)
          .localSet(sizeAt);
        if (countAt >= 0) code.i32Const(1).localSet(countAt);
        code.end();
      };
      code.localGet(sizeAt);
      if (countAt >= 0) code.localGet(countAt).op(op.i32Mul);
      code.localSet(first + size);
      if (blockAt >= 0) code.localGet(blockAt).localSet(first + block);
      code.globalGet(targets.context).localSet(first + saved);
      ifOutermost(code, first + saved, () => {
        if (resizes)
          code
            .localGet(first + block)
            .localGet(first + saved)
            .call(checker("checkResize"));
        if (oldSizeAt >= 0) {
          code
            .localGet(first + block)
            .localGet(oldSizeAt)
            .i32Const(how.realloc)
            .i32Const(1);
          code
            .localGet(first + saved)
            .call(checker("checkSized"))
            .localSet(oldSizeAt);
        }
        for (let i = 0; i < type.params.length; i++) code.localGet(i).localSet(first + asked + i);
        if (redzone > 0) {
          code.localGet(sizeAt).op(op.i64ExtendI32U);
          if (countAt >= 0) code.localGet(countAt).op(op.i64ExtendI32U, op.i64Mul);
          code.i64Const(mostEnlarged).op(op.i64LtU).if();
          enlarge();
          code.end();
        }
      });
      enterAllocator(code, first + saved, targets.context);
    },

    after(code, first) {
      code.localSet(first + result);
      ifOutermost(code, first + saved, () => {
        code.localGet(first + result).op(op.i32Eqz);
        if (returnsError) code.if();
        else {
          code
            .localGet(first + size)
            .i32Const(0)
            .op(op.i32Ne, op.i32And)
            .if();
          tryAgain(code, first);
          code.end();
        }
        const operands = () => {
          if (returnsError) loadAddress(code, first + block, false);
          else {
            if (resizes) code.localGet(first + block);
            code.localGet(first + result);
          }
          code.localGet(first + size);
        };
        operands();
        if (rounding) {
          const { unit, header } = rounding;
          code.i32Const(unit - 1 + header).op(op.i32Add);
          code.i32Const(-unit).op(op.i32And).i32Const(header).op(op.i32Sub);
        }
        code.localGet(first + extra).localGet(first + saved);
        code.call(checker(resizes ? "checkResized" : "checkAllocated"));
        record(code, resizes ? targets.realloc : targets.alloc, first + answer, targets.pending, () => {
          operands();
          code.localGet(first + saved);
        });
        if (returnsError) code.end();
      });
      code.localGet(first + saved).globalSet(targets.context);
      code.localGet(first + result);
    },
  };
}

/** @param known which arguments are the block and its size, -1 where that isn't known */
function releaseHook(
  type: FunctionType,
  known: { block: number; size: number },
  index: number,
  options: CheckHookOptions,
): Hook {
  const blockAt = known.block;
  const { targets, checker, releases, sizesUnknown = false } = options;
  const [saved, answer, held, work] = [0, 1, 2, 3];
  const params = type.params.length;
  const mayHaveSize = params > blockAt + 1 && !(sizesUnknown && params > blockAt + 2);
  const sizeAt = known.size >= 0 ? known.size : mayHaveSize ? blockAt + 1 : -1;
  // (block, size, alignment); in two arguments the second may be an alignment
  const strict = known.size >= 0 || params > blockAt + 2;
  const number = releases.findIndex((release) => release.index === index);

  const finish = (code: CodeWriter) => {
    for (const result of type.results) if (result === i32) code.i32Const(0);
    code.op(op.return);
  };

  const releaseNow = (code: CodeWriter, first: number) => {
    code
      .localGet(blockAt)
      .localGet(first + saved)
      .call(checker("checkReleaseNow"))
      .if();
    finish(code);
    code.end();
  };

  /** Has the checker keep the block; what is too much then is released in its place. */
  const hold = (code: CodeWriter, first: number) => {
    code.localGet(blockAt).i32Const(number);
    for (let i = 0; i < mostHeldArguments; i++) {
      if (i < params) code.localGet(i);
      else code.i32Const(0);
    }
    code.localGet(first + saved).call(checker("checkRelease"));
    code
      .localTee(first + held)
      .i64Const(0)
      .op(op.i64Ne)
      .if();
    code
      .localGet(first + held)
      .i64Const(1)
      .op(op.i64Ne)
      .if();
    const { words, pointer, sum } = localsOf(first + work);
    code
      .localGet(first + held)
      .i64Const(32)
      .op(op.i64ShrU, op.i32WrapI64);
    code.i32Const(mostWords).op(op.i32And).localSet(words);
    code.localGet(blockAt).localSet(pointer);
    sumWords(code, { words, pointer, sum });
    code
      .localGet(first + held)
      .op(op.i32WrapI64)
      .localGet(sum);
    if (options.inline) storeInSecondMemory(code);
    else code.call(checker("checkSummed"));
    code
      .localGet(first + held)
      .i64Const(0)
      .op(op.i64LtS)
      .if();
    releaseHeld(code, "checkEvict", first + work, first + saved, options);
    code.end().end();
    finish(code);
    code.end();
  };

  return {
    locals: [i64, i32, i64, ...workLocals],
    before(code, first) {
      code.globalGet(targets.context).localSet(first + saved);
      ifOutermost(code, first + saved, () => {
        if (sizeAt >= 0) {
          // nothing is behind the address of a block of no bytes
          code.localGet(sizeAt).if();
          code
            .localGet(blockAt)
            .localGet(sizeAt)
            .i32Const(how.free)
            .i32Const(strict ? 1 : 0);
          code
            .localGet(first + saved)
            .call(checker("checkSized"))
            .localSet(sizeAt);
        }
        record(code, targets.free, first + answer, targets.pending, () =>
          address(code, { index: blockAt, wide: false }),
        );
        if (number < 0) releaseNow(code, first);
        else hold(code, first);
        if (sizeAt >= 0) code.end();
      });
      enterAllocator(code, first + saved, targets.context);
    },
    after: (code, first) => code.localGet(first + saved).globalSet(targets.context),
  };
}

/** Locals that summing up and releasing need: four numbers, what `checkEvict` packs into one, and further arguments. */
const workLocals: readonly ValueType[] = [i32, i32, i32, i32, i64, ...Array(mostHeldArguments).fill(i32)];

const localsOf = (first: number) => ({
  number: first,
  words: first + 1,
  pointer: first + 2,
  sum: first + 3,
  evicted: first + 4,
  arguments: first + 5,
});

/** Of the words that a sum is of there are no more. */
const mostWords = 0xffff;

type Summing = Record<"words" | "pointer" | "sum", number>;

/** The sum of so many words: each is added to what came before, turned by 7 bits. src/check/index.ts does the same. */
function sumWords(code: CodeWriter, { words, pointer, sum }: Summing): void {
  code.i32Const(0).localSet(sum);
  code.localGet(words).if();
  // from now on the end
  code.localGet(pointer).localGet(words).i32Const(2).op(op.i32Shl, op.i32Add).localSet(words);
  code.op(op.loop, noResult);
  code.localGet(sum).i32Const(7).op(op.i32Rotl);
  code.localGet(pointer).load(op.i32Load).op(op.i32Add).localSet(sum);
  code.localGet(pointer).i32Const(4).op(op.i32Add).localTee(pointer);
  code.localGet(words).op(op.i32LtU, op.brIf, 0).end().end();
}

/** Stores the number on the stack in the checker's memory, at the address below it. */
function storeInSecondMemory(code: CodeWriter): void {
  // alignment of 4 bytes, another memory than the first, which one, offset
  code.op(op.i32Store, 0x42, 1, 0);
}

/**
 * Releases what the quarantine lets go, with the functions that were to do it.
 */
function releaseHeld(
  code: CodeWriter,
  evict: "checkEvict" | "checkEvictAll",
  work: number,
  saved: number,
  { targets, checker, releases }: Pick<CheckHookOptions, "targets" | "checker" | "releases">,
): void {
  const { number, words, pointer, sum, evicted, arguments: first } = localsOf(work);
  const address = sum;
  const more = Math.max(...releases.map(({ type }) => type.params.length));
  enterAllocator(code, saved, targets.context);
  code.call(checker(evict)).localSet(evicted);
  code.op(op.block, noResult, op.loop, noResult);
  code.localGet(evicted).op(op.i64Eqz, op.brIf, 1);
  code.localGet(evicted).op(op.i32WrapI64).localSet(pointer);
  code.localGet(evicted).i64Const(32).op(op.i64ShrU, op.i32WrapI64);
  code.localTee(number).i32Const(mostWords).op(op.i32And).localSet(words);
  code.localGet(number).i32Const(16).op(op.i32ShrU).localSet(number);
  sumWords(code, { words, pointer, sum });
  if (more > 1) {
    for (let k = 0; k < more; k++)
      code
        .i32Const(k)
        .call(checker("checkArgument"))
        .localSet(first + k);
  }
  code.localGet(sum);
  code.localGet(evicted).op(op.i32WrapI64).localSet(address);
  code.call(checker("checkEvicted")).localSet(evicted);
  releases.forEach(({ index, type, block }, i) => {
    if (releases.length > 1)
      code
        .localGet(number)
        .i32Const(i + 1)
        .op(op.i32Eq)
        .if();
    for (let k = 0; k < type.params.length; k++) code.localGet(k === block ? address : first + k);
    code.call(index);
    if (releases.length > 1) code.end();
  });
  code.op(op.br, 0).end().end();
  code.localGet(saved).globalSet(targets.context);
}
