/** Comparisons of sums, which say whether a loop goes on. */
import { op } from "../../../wasm/instructions.js";
import { type Affine, constantOf } from "./affine.js";

/** A loop goes on as long as that is so of two values. */
export interface LoopTest {
  comparison: "ne" | "lt" | "le";
  signed: boolean;
  left: Affine;
  right: Affine;
}

interface Condition {
  comparison: "eq" | "ne" | "lt" | "le";
  signed: boolean;
  left: Affine;
  right: Affine;
}

/** A sum, a condition, or unknown. */
export type Value = Affine | Condition | undefined;

const isCondition = (value: Value): value is Condition => value !== undefined && "comparison" in value;
export const asSum = (value: Value): Affine | undefined => (isCondition(value) ? undefined : value);

const [i32LeS, i32LeU, i32GeS] = [0x4c, 0x4d, 0x4e];

/** For each comparison: its name, whether it is signed, whether its operands have to be exchanged. */
const comparisons = new Map<number, readonly [Condition["comparison"], boolean, boolean]>([
  [op.i32Eq, ["eq", false, false]],
  [op.i32Ne, ["ne", false, false]],
  [op.i32LtS, ["lt", true, false]],
  [op.i32LtU, ["lt", false, false]],
  [op.i32GtS, ["lt", true, true]],
  [op.i32GtU, ["lt", false, true]],
  [i32LeS, ["le", true, false]],
  [i32LeU, ["le", false, false]],
  [i32GeS, ["le", true, true]],
  [op.i32GeU, ["le", false, true]],
]);

/** What a comparison makes of two sums; undefined when the instruction is none. */
export function comparisonOf(opcode: number): ((left: Affine, right: Affine) => Condition) | undefined {
  const found = comparisons.get(opcode);
  if (!found) return undefined;
  const [comparison, signed, exchanged] = found;
  return (left, right) =>
    exchanged ? { comparison, signed, left: right, right: left } : { comparison, signed, left, right };
}

export function negated(value: Value): Value {
  if (!isCondition(value)) {
    return value && { comparison: "eq", signed: false, left: value, right: constantOf(0) };
  }
  const { comparison, signed, left, right } = value;
  if (comparison === "eq") return { ...value, comparison: "ne" };
  if (comparison === "ne") return { ...value, comparison: "eq" };
  return { comparison: comparison === "lt" ? "le" : "lt", signed, left: right, right: left };
}

/** What has to be so for the loop to go on, of a branch that leads to its next iteration or out of it. */
export function testOf(condition: Value, comesRound: boolean): LoopTest | undefined {
  const goesOn = comesRound
    ? isCondition(condition)
      ? condition
      : negated(negated(condition))
    : negated(condition);
  if (!isCondition(goesOn) || goesOn.comparison === "eq") return undefined;
  return { ...goesOn, comparison: goesOn.comparison };
}
