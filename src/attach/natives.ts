/**
 * The engine's own WebAssembly functions, taken before anything is put around them. Everything here must go
 * on working however the program patches the globals afterwards.
 */
const { Module, Instance, Memory, validate } = WebAssembly;
const { apply } = Reflect;

const bufferOfMemory = Object.getOwnPropertyDescriptor(Memory.prototype, "buffer")!.get!;
const valueOfGlobal = Object.getOwnPropertyDescriptor(WebAssembly.Global.prototype, "value")!.get!;
const instanceExports = Object.getOwnPropertyDescriptor(Instance.prototype, "exports")!.get!;
const { imports: moduleImports, exports: moduleExports, customSections: moduleSections } = Module;

const { isView } = ArrayBuffer;

const pageBytes = 65536;

export function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** Size of a memory in pages, or undefined when `value` is none. */
export function memoryPages(value: unknown): number | undefined {
  if (!isObject(value)) return undefined;
  try {
    return (apply(bufferOfMemory, value, []) as ArrayBuffer).byteLength / pageBytes;
  } catch {
    return undefined;
  }
}

/**
 * A memory of so many pages.
 * @throws RangeError when the engine has no room for it
 */
export function makeMemory(initial: number, maximum: number | null): WebAssembly.Memory {
  return new Memory(maximum === null ? { initial } : { initial, maximum });
}

/** The buffer of a memory, which stays attached as long as the memory does not grow. */
export function memoryBuffer(memory: WebAssembly.Memory): ArrayBuffer {
  return apply(bufferOfMemory, memory, []);
}

/** Value of a global as the 32 bits of an address; undefined when it holds anything else. */
export function addressIn(global: WebAssembly.Global): number | undefined {
  try {
    const value: unknown = apply(valueOfGlobal, global, []);
    return typeof value === "number" && Number.isInteger(value) ? value >>> 0 : undefined;
  } catch {
    // A type that JavaScript can't see, or not initialised yet.
    return undefined;
  }
}

/** Whether the buffer of a memory is shared between threads. */
export function isSharedMemory(memory: WebAssembly.Memory): boolean {
  // Not `instanceof`: it may be a buffer of another realm.
  try {
    return (
      Boolean(sharedLength) &&
      (read(sharedLength as () => unknown, apply(bufferOfMemory, memory, [])) as number) >= 0
    );
  } catch {
    return false;
  }
}

/** Compiles and instantiates a module of linmem's own: nothing that is put around these functions hears of it. */
export function instantiateUnseen(bytes: BufferSource, imports: WebAssembly.Imports): WebAssembly.Exports {
  return exportsOf(new Instance(new Module(bytes), imports));
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

/**
 * The bytes of a buffer or view that the engine would compile, without asking anything that the program may
 * have put on it. Engines differ in what they take besides plain buffers and typed arrays.
 */
export function bytesOf(source: unknown): Uint8Array | undefined {
  if (!isObject(source)) return undefined;
  try {
    if (!isView(source)) return acceptedBuffer(source) && new Uint8Array(source as ArrayBuffer);
    const getters = read(typedArrayTag, source) === undefined ? dataViewGetters : typedArrayGetters;
    if (getters === dataViewGetters && !accepts.dataViews) return undefined;
    const buffer = read(getters.buffer, source) as ArrayBuffer;
    const length = read(getters.byteLength, source) as number;
    return (
      acceptedBuffer(buffer) && new Uint8Array(buffer, read(getters.byteOffset, source) as number, length)
    );
  } catch {
    // Detached, or no buffer at all: the engine says so.
    return undefined;
  }
}

const read = (getter: () => unknown, object: object) => apply(getter, object, []);
const getter = (prototype: object, name: string | symbol) =>
  Object.getOwnPropertyDescriptor(prototype, name)?.get as () => unknown;
const viewGetters = (prototype: object) => ({
  buffer: getter(prototype, "buffer"),
  byteOffset: getter(prototype, "byteOffset"),
  byteLength: getter(prototype, "byteLength"),
});
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const typedArrayGetters = viewGetters(typedArray);
const typedArrayTag = getter(typedArray, Symbol.toStringTag);
const dataViewGetters = viewGetters(DataView.prototype);
const bufferLength = getter(ArrayBuffer.prototype, "byteLength");
const bufferResizable = getter(ArrayBuffer.prototype, "resizable");
const sharedLength =
  typeof SharedArrayBuffer === "function" && getter(SharedArrayBuffer.prototype, "byteLength");
const sharedGrowable = sharedLength && getter(SharedArrayBuffer.prototype, "growable");

/** Whether the engine takes these bytes for a module. */
export function isValidModule(bytes: Uint8Array): boolean {
  return validate(bytes as BufferSource);
}

const accepts = {
  dataViews: engineTakes(() => new DataView(new ArrayBuffer(8))),
  shared: engineTakes(() => new Uint8Array(new SharedArrayBuffer(8)) as unknown as BufferSource),
  resizable: engineTakes(() => new Uint8Array(Reflect.construct(ArrayBuffer, [8, { maxByteLength: 8 }]))),
};

function engineTakes(make: () => BufferSource): boolean {
  try {
    validate(make());
    return true;
  } catch {
    return false;
  }
}

/** @throws TypeError when `buffer` is none. */
function acceptedBuffer(buffer: object): true | undefined {
  let shared = false;
  try {
    read(bufferLength, buffer);
  } catch (error) {
    if (!sharedLength) throw error;
    read(sharedLength, buffer);
    shared = true;
  }
  if (shared && !accepts.shared) return undefined;
  const resizes = shared ? sharedGrowable : bufferResizable;
  return resizes && read(resizes, buffer) && !accepts.resizable ? undefined : true;
}
