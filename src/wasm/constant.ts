import { op } from "./instructions.js";
import { Reader } from "./leb128.js";

/** Value of `i32.const n; end`, unsigned; undefined for any other expression. */
export function constantOf(expression: Uint8Array): number | undefined {
  if (expression[0] !== op.i32Const) return undefined;
  const reader = new Reader(expression, 1);
  const value = reader.s32() >>> 0;
  return reader.byte() === op.end && reader.atEnd() ? value : undefined;
}
