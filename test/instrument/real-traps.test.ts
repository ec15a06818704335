// Real modules, called with nonsense: every export returns or throws the same raw and instrumented, and the stacks
// of the errors map back to those of the raw module.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { instrument } from "../../src/instrument/index.js";
import { recorderModuleName } from "../../src/recorder/index.js";
import { createRecording } from "../support/recording.js";
import { corpusDirectory } from "../support/shared.js";
import { thrownBy, type WasmFrame } from "../support/wasm-stacks.js";

const corpus = corpusDirectory();
const nonsense = [0x7fff_fff0, 8, -1, 0, 1, 2, 3, 4];

/** Frames in the original module, innermost first, as text. */
type ToOriginal = (frame: WasmFrame) => string | undefined;

const text = (index: number, offset: number, name: string) => `${name}[${index}]:0x${offset.toString(16)}`;

/** Calls all exports with numbers that mean nothing; says for each what came of it, and where. */
function callEverything(
  module: WebAssembly.Module,
  own: WebAssembly.Imports,
  toOriginal: ToOriginal,
): string[] {
  const imports: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from === recorderModuleName) continue;
    imports[from] ??= {};
    if (kind === "function") imports[from][name] = () => 0;
    if (kind === "memory") imports[from][name] = new WebAssembly.Memory({ initial: 256, maximum: 32768 });
  }
  const { exports } = new WebAssembly.Instance(module, { ...(imports as WebAssembly.Imports), ...own });
  const outcomes: string[] = [];
  for (const [name, item] of Object.entries(exports)) {
    if (typeof item !== "function") continue;
    let result: unknown;
    const thrown = thrownBy(() => {
      result = (item as (...args: number[]) => unknown)(...nonsense.slice(0, item.length));
    });
    const error = thrown && String(thrown.error);
    // where the stack ends is up to the engine
    const frames = error?.startsWith("RangeError") ? [] : (thrown?.frames ?? []).map(toOriginal);
    outcomes.push(`${name}: ${error ?? String(result)} ${frames.filter((frame) => frame).join(" < ")}`);
  }
  return outcomes;
}

describe("exports of real modules, called with nonsense", {
  skip: !corpus && "LINMEM_CORPUS is not set",
}, () => {
  for (const file of [
    "@silvia-odwyer/photon-node/photon_rs_bg.wasm",
    "@embedpdf/pdfium/dist/pdfium.wasm",
    "@resvg/resvg-wasm/index_bg.wasm",
    "tiktoken/tiktoken_bg.wasm",
    "lightningcss-wasm/lightningcss_node.wasm",
    "@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm",
    "sql.js/dist/sql-wasm.wasm",
    "source-map/lib/mappings.wasm",
  ]) {
    test(file, (t) => {
      const bytes = new Uint8Array(readFileSync(join(corpus as string, "node_modules", file)));
      const raw = callEverything(new WebAssembly.Module(bytes), {}, ({ functionIndex, offset, name }) =>
        text(functionIndex, offset, name),
      );
      const recording = createRecording();
      const { bytes: instrumented, toOriginal } = instrument(bytes);
      const outcomes = callEverything(
        new WebAssembly.Module(new Uint8Array(instrumented)),
        { [recorderModuleName]: recording.imports },
        ({ functionIndex, offset, name }) => {
          const original = toOriginal(functionIndex, offset);
          return original.added ? undefined : text(original.functionIndex, original.offset, name);
        },
      );
      assert.deepEqual(outcomes, raw);
      const stacks = raw.filter((outcome) => outcome.includes(" < ")).length;
      t.diagnostic(`${raw.length} exports, ${stacks} with stacks of several frames`);
    });
  }
});
