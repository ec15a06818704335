import { Writer } from "../../wasm/leb128.js";
import { makeSection } from "../../wasm/module.js";
import { type RawSection, sectionId } from "../../wasm/types.js";

/** The section that tells the engine which branches are hardly ever taken: it keeps what they lead to out of the way. */
export class BranchHints {
  readonly #writer = new Writer(1 << 12);
  #functions = 0;

  /** @param branches offsets in the body */
  add(functionIndex: number, branches: readonly number[]): void {
    if (branches.length === 0) return;
    this.#functions++;
    const writer = this.#writer;
    writer.u32(functionIndex);
    writer.u32(branches.length);
    for (const offset of branches) {
      writer.u32(offset);
      writer.u32(1);
      writer.u32(0);
    }
  }

  section(): RawSection {
    const payload = new Writer(this.#writer.length + 5);
    payload.u32(this.#functions);
    payload.copy(this.#writer.buffer, 0, this.#writer.length);
    return makeSection(sectionId.custom, payload.finish(), "metadata.code.branch_hint");
  }
}
