/** Function section: the type index of each defined function. Their bodies are in the code section. */
import { type Reader, Writer } from "../leb128.js";
import { limits } from "../limits.js";

export function decodeFunctions(reader: Reader): number[] {
  const count = reader.count(1, limits.functions, "functions");
  const types = reader.u32s(count);
  reader.expectEnd("function section");
  return types;
}

export function encodeFunctions(types: readonly number[]): Uint8Array {
  const writer = new Writer(types.length * 2 + 5);
  writer.u32(types.length);
  for (const type of types) writer.u32(type);
  return writer.finish();
}
