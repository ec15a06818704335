/** Modules as optimisers and strippers leave them. */
import binaryen from "binaryen";
import { encodeModule, type Module, makeSection, replaceSections } from "../../src/wasm/module.js";
import { encodeExports } from "../../src/wasm/sections/exports.js";
import { sectionId } from "../../src/wasm/types.js";

export const optimisations = ["O1", "O2", "O3", "O4", "Oz"] as const;

/** The module as binaryen rewrites it, with its names. undefined where binaryen can't read it. */
export function optimised(
  bytes: Uint8Array<ArrayBuffer>,
  level: (typeof optimisations)[number],
): Uint8Array<ArrayBuffer> | undefined {
  binaryen.setDebugInfo(true);
  binaryen.setOptimizeLevel(level === "Oz" ? 2 : Number(level[1]));
  binaryen.setShrinkLevel(level === "Oz" ? 2 : 0);
  let module: binaryen.Module | undefined;
  try {
    module = binaryen.readBinary(bytes);
    module.setFeatures(binaryen.Features.All & ~binaryen.Features.GC);
    module.optimize();
    return new Uint8Array(module.emitBinary());
  } catch {
    return undefined;
  } finally {
    module?.dispose();
  }
}

/** Without DWARF, which binaryen would only carry along. */
export function withoutDebug(module: Module): Uint8Array<ArrayBuffer> {
  const kept = module.sections.filter(
    ({ id, name }) => id !== sectionId.custom || !/^(?:\.debug_|reloc\.)/.test(name ?? ""),
  );
  return new Uint8Array(encodeModule(kept));
}

/** Without any name: no custom sections but the one of dynamic linking, and exports numbered. */
export function stripped(module: Module): Uint8Array {
  const kept = module.sections.filter(
    ({ id, name }) => id !== sectionId.custom || /^dylink/.test(name ?? ""),
  );
  const renamed = module.exports.map((item, i) => ({ ...item, name: `x${i}` }));
  const sections =
    renamed.length > 0
      ? replaceSections(kept, [makeSection(sectionId.export, encodeExports(renamed))])
      : kept;
  return encodeModule(sections);
}
