/** Wraps `WebAssembly` with no more than it takes to run changed modules: for what src/attach can't be told. */
import { moduleFacts } from "../src/attach/module-facts.js";
import { recorderModuleName } from "../src/recorder/index.js";

type Imports = Record<string, Record<string, unknown>>;

/** @param imports what modules that `change` changed find under the recorder's name */
export function attachRecorder(
  change: (bytes: Uint8Array) => Uint8Array,
  imports: Readonly<Record<string, unknown>>,
): void {
  const { Module, Instance, instantiate } = WebAssembly;
  const changed = (source: BufferSource): Uint8Array => {
    const bytes = ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
    const facts = moduleFacts(bytes, recorderModuleName);
    return facts && facts.memories.length > 0 ? change(bytes) : bytes;
  };
  // not enumerated: Emscripten's GOT objects notice
  const withRecorder = (given: Imports = {}): WebAssembly.Imports =>
    new Proxy(given, {
      get: (_target, key) => (key === recorderModuleName ? imports : given[key as string]),
    }) as WebAssembly.Imports;

  Object.assign(WebAssembly, {
    Module: new Proxy(Module, {
      construct: (target, [source]) => new target(changed(source) as BufferSource),
    }),
    Instance: new Proxy(Instance, {
      construct: (target, [module, given]) => new target(module, withRecorder(given)),
    }),
    instantiate: (source: BufferSource | WebAssembly.Module, given?: Imports) =>
      source instanceof Module
        ? instantiate(source, withRecorder(given))
        : instantiate(changed(source) as BufferSource, withRecorder(given)),
  });
}
