/**
 * Wraps functions of the engine. A Proxy keeps name, length, prototype and `instanceof`; an error that the
 * engine throws gets its stack cut at the program's call, so that nothing shows that linmem is in between.
 */
import { isObject } from "./natives.js";
import { hideFrames } from "./v8-stacks.js";

// biome-ignore lint/suspicious/noExplicitAny: arguments pass through untouched.
export type Arguments = any[];

/** A call of a function that was replaced. */
export interface Replaced {
  target: Function;
  self: unknown;
  args: Arguments;
  /** Marks where the program's part of the stack begins. */
  from: Function;
  /** Calls the engine's function, with these arguments or the program's. */
  forward(args?: Arguments): unknown;
}

/** Replaces a function of `WebAssembly`, if the engine has it. */
export function replaceFunction(name: keyof typeof WebAssembly, run: (call: Replaced) => unknown): void {
  replaceMethod(WebAssembly, name, run);
}

export function replaceMethod<T extends object>(
  holder: T,
  name: keyof T & string,
  run: (call: Replaced) => unknown,
): void {
  const native: unknown = holder[name];
  if (typeof native !== "function") return;
  const apply = (target: Function, self: unknown, args: Arguments): unknown =>
    asEngine(() => {
      const forward = (changed = args) => Reflect.apply(target, self, changed);
      return run({ target, self, args, from: apply, forward });
    }, apply);
  redefine(holder, name, new Proxy(native, { apply }));
}

/** Replaces a class of `WebAssembly`; called without `new` the engine's throws as before. */
export function replaceClass(
  name: "Module" | "Instance" | "Memory",
  // biome-ignore lint/suspicious/noExplicitAny: whatever the class makes.
  run: (target: Function, args: Arguments, newTarget: Function, from: Function) => any,
): void {
  const native = WebAssembly[name];
  const construct = (target: Function, args: Arguments, newTarget: Function): object =>
    asEngine(() => run(target, args, newTarget, construct), construct);
  const proxy = new Proxy(native, { construct });
  redefine(WebAssembly, name, proxy);
  redefine(native.prototype, "constructor", proxy);
}

function redefine(holder: object, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { ...Object.getOwnPropertyDescriptor(holder, name), value });
}

/** Runs a function of the engine. What the engine itself throws looks as if thrown at the program's call. */
function asEngine<T>(call: () => T, from: Function): T {
  try {
    return call();
  } catch (error) {
    // Errors of code that the engine ran (getters, a start function) keep their stack.
    if (error instanceof Error && /^WebAssembly\b/.test(error.message)) hideFrames(error, from);
    throw error;
  }
}

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
        const value = Reflect.get(object, key, object);
        if (key === member) seen = value;
        return value;
      },
      has: (_target, key) => Reflect.has(object, key),
    },
  );
  return { object: proxy, value: () => seen };
}
