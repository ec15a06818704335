// The engine's own functions as they were when linmem was loaded. Code that runs later may replace what prototypes
// hold, and be handed whatever they are called with: a view of a whole memory, say. Load linmem before such code.
//
// What needs no capture: `view[index]`, `new` of a captured constructor, operators. What must not be used on a view or a
// memory outside of this file: its methods and getters, `instanceof`, spreading, `subarray` and `slice` (which ask
// `constructor` and `Symbol.species` and hand over the buffer).

const { call, bind } = Function.prototype;

/** `fn.call` as a function that nobody can replace. */
const uncurry = bind.bind(call as never) as unknown as <This, Parameters extends unknown[], Result>(
  fn: (this: This, ...parameters: Parameters) => Result,
) => (self: This, ...parameters: Parameters) => Result;

function getter<This, Result>(prototype: object, name: PropertyKey): (self: This) => Result {
  return uncurry(Object.getOwnPropertyDescriptor(prototype, name)!.get as () => Result) as (
    self: This,
  ) => Result;
}

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype);

export const Bytes = Uint8Array;
export const Data = DataView;
export const { isInteger } = Number;
export const toNumber = Number;

/** A memory's buffer; TypeError for what is no memory. */
export const bufferOf = getter<WebAssembly.Memory, ArrayBufferLike>(WebAssembly.Memory.prototype, "buffer");
/** "Uint8Array"; undefined for what is no typed array. */
export const typedArrayName = getter<unknown, string | undefined>(typedArray, Symbol.toStringTag);
export const lengthOf = getter<Uint8Array, number>(typedArray, "length");
export const backingOf = getter<Uint8Array, ArrayBufferLike>(typedArray, "buffer");
export const setBytes = uncurry(Uint8Array.prototype.set) as (target: Uint8Array, source: Uint8Array) => void;
export const fillBytes = uncurry(Uint8Array.prototype.fill) as (target: Uint8Array, value: number) => void;

export const get = {
  i8: uncurry(DataView.prototype.getInt8),
  u8: uncurry(DataView.prototype.getUint8),
  i16: uncurry(DataView.prototype.getInt16),
  u16: uncurry(DataView.prototype.getUint16),
  i32: uncurry(DataView.prototype.getInt32),
  u32: uncurry(DataView.prototype.getUint32),
  f32: uncurry(DataView.prototype.getFloat32),
  f64: uncurry(DataView.prototype.getFloat64),
  i64: uncurry(DataView.prototype.getBigInt64),
  u64: uncurry(DataView.prototype.getBigUint64),
};

export const set = {
  i8: uncurry(DataView.prototype.setInt8),
  u8: uncurry(DataView.prototype.setUint8),
  i16: uncurry(DataView.prototype.setInt16),
  u16: uncurry(DataView.prototype.setUint16),
  i32: uncurry(DataView.prototype.setInt32),
  u32: uncurry(DataView.prototype.setUint32),
  f32: uncurry(DataView.prototype.setFloat32),
  f64: uncurry(DataView.prototype.setFloat64),
  i64: uncurry(DataView.prototype.setBigInt64),
  u64: uncurry(DataView.prototype.setBigUint64),
};
