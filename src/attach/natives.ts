/**
 * The engine's own WebAssembly functions, taken before anything is put around them. Everything here must go
 * on working however the program patches the globals afterwards.
 */
const { Module, Instance, Memory, CompileError, LinkError } = WebAssembly;
const { apply } = Reflect;

const memoryBuffer = Object.getOwnPropertyDescriptor(Memory.prototype, "buffer")!.get!;
const instanceExports = Object.getOwnPropertyDescriptor(Instance.prototype, "exports")!.get!;
const { imports: moduleImports, exports: moduleExports, customSections: moduleSections } = Module;

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const viewGetters = [typedArray, DataView.prototype].map((prototype) => ({
  buffer: Object.getOwnPropertyDescriptor(prototype, "buffer")!.get!,
  byteOffset: Object.getOwnPropertyDescriptor(prototype, "byteOffset")!.get!,
  byteLength: Object.getOwnPropertyDescriptor(prototype, "byteLength")!.get!,
}));
const { isView } = ArrayBuffer;

export const pageBytes = 65536;

export const natives = { Module, Instance, Memory, CompileError, LinkError };

export function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** Size of a memory in pages, or undefined when `value` is none. */
export function memoryPages(value: unknown): number | undefined {
  if (!isObject(value)) return undefined;
  try {
    return (apply(memoryBuffer, value, []) as ArrayBuffer).byteLength / pageBytes;
  } catch {
    return undefined;
  }
}

/** Whether the buffer of a memory is shared between threads. */
export function isSharedMemory(memory: WebAssembly.Memory): boolean {
  const buffer: unknown = apply(memoryBuffer, memory, []);
  return typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer;
}

export function exportsOf(instance: WebAssembly.Instance): WebAssembly.Exports {
  return apply(instanceExports, instance, []);
}

export function importsOf(module: WebAssembly.Module): WebAssembly.ModuleImportDescriptor[] {
  return apply(moduleImports, undefined, [module]);
}

export function exportDescriptorsOf(module: WebAssembly.Module): WebAssembly.ModuleExportDescriptor[] {
  return apply(moduleExports, undefined, [module]);
}

/** Contents of the custom sections of a name, or undefined when `value` is no module. */
export function customSectionsOf(value: unknown, name: string): ArrayBuffer[] | undefined {
  if (!isObject(value)) return undefined;
  try {
    return apply(moduleSections, undefined, [value, name]);
  } catch {
    return undefined;
  }
}

/** The bytes of a buffer or view, without asking anything that the program may have put on it. */
export function bytesOf(source: unknown): Uint8Array | undefined {
  if (!isObject(source)) return undefined;
  try {
    if (!isView(source)) return new Uint8Array(asBuffer(source));
    for (const { buffer, byteOffset, byteLength } of viewGetters) {
      try {
        const length: number = apply(byteLength, source, []);
        return new Uint8Array(apply(buffer, source, []), apply(byteOffset, source, []), length);
      } catch {
        // It is the other kind of view.
      }
    }
  } catch {
    // Detached, or no buffer at all: the engine says so.
  }
  return undefined;
}

const bufferLength = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")!.get!;
const sharedLength =
  typeof SharedArrayBuffer === "function"
    ? Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, "byteLength")!.get!
    : undefined;

/** @throws TypeError when `source` is no buffer. */
function asBuffer(source: object): ArrayBuffer {
  try {
    apply(bufferLength, source, []);
  } catch (error) {
    if (!sharedLength) throw error;
    apply(sharedLength, source, []);
  }
  return source as ArrayBuffer;
}
