/**
 * Wraps functions of the engine. A Proxy keeps name, length, prototype and `instanceof`; an error that the
 * engine throws gets its stack cut at the program's call, so that nothing shows that linmem is in between.
 */
import { isObject } from "./natives.js";
import type { AnyFunction } from "./v8-stacks.js";
import { frameHolder, hideFrames, replaceOwnFrames } from "./v8-stacks.js";

// biome-ignore lint/suspicious/noExplicitAny: arguments pass through untouched.
export type Arguments = any[];

/** A call of a function that was replaced. */
export interface Replaced {
  self: unknown;
  args: Arguments;
  /** Marks where the program's part of the stack begins. */
  from: AnyFunction;
  /** Calls the engine's function, with these arguments or the program's. */
  // biome-ignore lint/suspicious/noExplicitAny: whatever it returns.
  forward(args?: Arguments): any;
}

/** The object `WebAssembly` of a realm. */
export type WebAssemblyNamespace = typeof WebAssembly;

/** Replaces a function of `WebAssembly` that returns a promise, if the engine has it. */
export function replaceFunction(
  namespace: WebAssemblyNamespace,
  name: "compile" | "instantiate" | "compileStreaming" | "instantiateStreaming",
  run: (call: Replaced) => unknown,
): void {
  replaceMethod(namespace, name, (call) => {
    const here = frameHolder(call.from);
    return (run(call) as Promise<unknown>).then(undefined, (error) => {
      if (isEngineError(error)) replaceOwnFrames(error, here);
      throw error;
    });
  });
}

export function replaceMethod<T extends object>(
  holder: T,
  name: keyof T & string,
  run: (call: Replaced) => unknown,
): void {
  const native: unknown = holder[name];
  if (!isFunction(native)) return;
  const apply = (target: AnyFunction, self: unknown, args: Arguments): unknown =>
    asEngine(() => {
      const forward = (changed = args) => Reflect.apply(target, self, changed);
      return run({ self, args, from: apply, forward });
    }, apply);
  redefine(holder, name, new Proxy(native, { apply, get: nativeText(native) }));
}

/** Replaces a class of `WebAssembly`; called without `new` the engine's throws as before. */
export function replaceClass(
  namespace: WebAssemblyNamespace,
  name: "Module" | "Instance" | "Memory",
  // biome-ignore lint/suspicious/noExplicitAny: whatever the class makes.
  run: (make: (args: Arguments) => any, args: Arguments, from: AnyFunction) => any,
): void {
  const native = namespace[name] as unknown as AnyFunction & { prototype: object };
  const construct = (target: AnyFunction, args: Arguments, newTarget: unknown): object =>
    asEngine(() => {
      const make = (changed: Arguments) => Reflect.construct(target, changed, newTarget as AnyFunction);
      return run(make, args, construct);
    }, construct);
  const proxy = new Proxy(native, { construct, get: nativeText(native) });
  redefine(namespace, name, proxy);
  redefine(native.prototype, "constructor", proxy);
}

function isFunction(value: unknown): value is AnyFunction {
  return typeof value === "function";
}

function redefine(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { ...Object.getOwnPropertyDescriptor(holder, name), value });
}

/** Runs a function of the engine. What the engine itself throws looks as if thrown at the program's call. */
function asEngine<T>(call: () => T, from: AnyFunction): T {
  try {
    return call();
  } catch (error) {
    if (isEngineError(error)) hideFrames(error, from);
    throw unshown(error, "node-do-not-add-exception-line");
  }
}

/** Node shows the line that throws an uncaught error, unless the line has these words. Bundling removes comments. */
function unshown(error: unknown, _words: "node-do-not-add-exception-line"): unknown {
  return error;
}

/** Errors of code that the engine runs (getters, a start function) are not the engine's; they keep their stack. */
function isEngineError(error: unknown): error is Error {
  // Not `instanceof`: it may be an error of another realm.
  return isObject(error) && "stack" in error && /^WebAssembly\b/.test(String((error as Error).message));
}

/** The text of the function is still the engine's: of a Proxy alone it would lack the name. */
function nativeText(
  native: AnyFunction,
): (target: AnyFunction, key: string | symbol, receiver: unknown) => unknown {
  const text = functionText.call(native);
  const named = new Proxy(functionText, { apply: () => text });
  return (target, key, receiver) => {
    const value = Reflect.get(target, key, receiver);
    return key === "toString" && value === functionText ? named : value;
  };
}
const { toString: functionText } = Function.prototype;

/**
 * An object to hand to the engine in place of one of the program's. It reads each member once, as the engine
 * would, and keeps the value of one of them.
 */
export function observeMember(object: unknown, member: string): { object: unknown; value(): unknown } {
  let seen: unknown;
  if (!isObject(object)) return { object, value: () => seen };
  const proxy = new Proxy(
    {},
    {
      get(_target, key) {
        const value = (object as Record<string | symbol, unknown>)[key];
        if (key === member) seen = value;
        return value;
      },
      has: (_target, key) => Reflect.has(object, key),
    },
  );
  return { object: proxy, value: () => seen };
}
