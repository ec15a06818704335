import { Writer } from "../../src/wasm/leb128.js";
import { decodeModule, encodeModule, type Module, makeSection } from "../../src/wasm/module.js";
import { sectionId } from "../../src/wasm/types.js";

/** A module of one function without parameters and results; `code` is its body with locals. */
export function withBody(code: readonly number[]): Module {
  const body = new Writer();
  body.u32(1);
  body.u32(code.length);
  body.bytes(Uint8Array.from(code));
  return decodeModule(
    encodeModule([
      makeSection(sectionId.type, Uint8Array.of(1, 0x60, 0, 0)),
      makeSection(sectionId.function, Uint8Array.of(1, 0)),
      makeSection(sectionId.code, body.finish()),
    ]),
  );
}
