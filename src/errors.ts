/** Base of every error that linmem throws on purpose. `code` is stable; the message may be reworded. */
export class LinmemError extends Error {
  /** What went wrong, as `ERR_LINMEM_…`. Never changes. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Bytes that are not a WebAssembly module, or not one that this version knows. */
export class DecodeError extends LinmemError {
  /** Byte offset from the start of the module at which decoding stopped. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super("ERR_LINMEM_DECODE", `${message} (at offset 0x${offset.toString(16)})`);
    this.offset = offset;
  }
}

/** A valid module that can't be instrumented; it has to run as it is. */
export class InstrumentError extends LinmemError {
  constructor(message: string) {
    super("ERR_LINMEM_INSTRUMENT", message);
  }
}

/** A profile that can't be read: missing, foreign, or of a newer version. */
export class ProfileError extends LinmemError {
  constructor(message: string, options?: ErrorOptions) {
    super("ERR_LINMEM_PROFILE", message, options);
  }
}

/** A test's function leaks. The message says how much, and which lines made it. */
export class LeakError extends LinmemError {
  constructor(message: string) {
    super("ERR_LINMEM_LEAK", message);
  }
}

/** A command line that can't be carried out. The command prints the message alone and exits with code 2. */
export class UsageError extends LinmemError {
  constructor(message: string, options?: ErrorOptions) {
    super("ERR_LINMEM_USAGE", message, options);
  }
}

/** Numbers that an error is about: addresses and sizes in bytes, pages where the name says so. */
export type ErrorNumbers = Readonly<Record<string, number>>;

/** A number that does not fit: an address outside, a growth past the maximum. Also a `RangeError`. */
export class LinmemRangeError extends RangeError {
  /** What went wrong, as `ERR_LINMEM_…`. Never changes. */
  readonly code: string;
  /** The numbers of the message, by name. */
  readonly numbers: ErrorNumbers;

  constructor(code: string, message: string, numbers: ErrorNumbers = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.numbers = numbers;
  }
}

/** An argument of the wrong kind: a string for an address, NaN pages. Also a `TypeError`. */
export class LinmemTypeError extends TypeError {
  /** What went wrong, as `ERR_LINMEM_…`. Never changes. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A handle that was used after it was released or given away. */
export class ReleasedError extends LinmemError {
  /** The handle in words. */
  readonly handle: string;

  constructor(handle: string, fate: string) {
    super("ERR_LINMEM_RELEASED", `${handle} was used, but it is ${fate}`);
    this.handle = handle;
  }
}

/** A handle that was released twice. */
export class DoubleReleaseError extends LinmemError {
  /** The handle in words. */
  readonly handle: string;

  constructor(handle: string, fate: string) {
    super("ERR_LINMEM_DOUBLE_RELEASE", `${handle} was released, but it is already ${fate}`);
    this.handle = handle;
  }
}

/** An allocator that gave no memory: it returned null, trapped, or returned what can't be a block. */
export class AllocationError extends LinmemRangeError {}
