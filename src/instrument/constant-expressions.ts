/** References to functions in constant expressions: initial values of globals and tables, element segments. */
import { instructionEnd, op } from "../wasm/instructions.js";
import { u32At, Writer } from "../wasm/leb128.js";

/** Calls `visit` with each function that a constant expression refers to. */
export function forEachRefFunc(expression: Uint8Array, visit: (index: number) => void): void {
  mapRefFunc(expression, (index) => {
    visit(index);
    return index;
  });
}

/** The constant expression with other function indices; the same bytes when nothing changes. */
export function mapRefFunc(expression: Uint8Array, map: (index: number) => number): Uint8Array {
  let writer: Writer | undefined;
  let copied = 0;
  for (let pos = 0; pos < expression.length; ) {
    const end = instructionEnd(expression, pos);
    if (expression[pos] === op.refFunc) {
      const index = u32At(expression, pos + 1);
      const mapped = map(index);
      if (mapped !== index) {
        writer ??= new Writer(expression.length + 8);
        writer.copy(expression, copied, pos);
        writer.byte(op.refFunc);
        writer.u32(mapped);
        copied = end;
      }
    }
    pos = end;
  }
  if (!writer) return expression;
  writer.copy(expression, copied, expression.length);
  return writer.finish();
}
