/**
 * Puts linmem between a program and `WebAssembly`. Each function is wrapped in a Proxy, so that its name,
 * length, prototype, `instanceof` and subclasses stay the engine's. Whatever is wrong with a call goes to the
 * engine as it came: the error is the engine's own, and its stack is cut at the program's frame.
 */
import { recorderModuleName } from "../recorder/index.js";
import { Linking } from "./linking.js";
import type { KnownModule, Prepared } from "./module-registry.js";
import { bytesOf, isObject, memoryPages } from "./natives.js";
import type { Replaced, WebAssemblyNamespace } from "./proxies.js";
import { observeMember, replaceClass, replaceFunction, replaceMethod } from "./proxies.js";
import type { Session } from "./session.js";
import type { Site } from "./stacks.js";
import { takeResponse } from "./streaming.js";
import type { AnyFunction } from "./v8-stacks.js";
import { captureCallSites } from "./v8-stacks.js";

/** Whether what a script compiles is the engine's own: its HTTP parser, its lexer of CommonJS. */
const isHost = (file: string) => file.startsWith("node:internal/deps/");

/** Bytes of a program that are to run instrumented. */
interface Found {
  prepared: Prepared;
  /** A copy: the program may change its buffer while the engine compiles. */
  original: Uint8Array;
}

/**
 * Makes the global `WebAssembly` report to a session.
 * @param namespace That of another realm: Jest and the vm pools of Vitest run tests in contexts of `node:vm`.
 */
export function patchWebAssembly(session: Session, namespace: WebAssemblyNamespace = WebAssembly): void {
  const { registry } = session;
  // Taken before they are replaced.
  const { Module: moduleClass, CompileError } = namespace;
  const memoryPrototype = namespace.Memory.prototype;

  /** Files of the program on the stack, the nearest first. */
  function callerFiles(from: AnyFunction): string[] {
    const callers = captureCallSites(from, 8).filter((site) => !session.sites.isOwn(site));
    return callers.map((site) => site.getFileName() ?? "");
  }

  /** The bytes that a program compiles, instrumented; undefined when they are to be left alone. */
  function prepare(source: unknown, from: AnyFunction): Found | undefined {
    const bytes = bytesOf(source);
    if (!bytes) return undefined;
    if (!registry.concerns(bytes)) return undefined;
    const files = callerFiles(from);
    const [caller = ""] = files;
    if (isHost(caller)) return undefined;
    return { prepared: registry.prepare(bytes, moduleName(caller), [...new Set(files)]), original: bytes };
  }

  function demote(prepared: Prepared, error: unknown): void {
    registry.demote(prepared, `instrumented, the engine refuses it: ${String(error)}`);
  }

  function link(known: KnownModule, importObject: unknown, from: AnyFunction | Site[]): Linking | undefined {
    // What the engine refuses, it has to see. An original without imports may come without an import object.
    if (importObject === undefined ? known.importsAnything : !isObject(importObject)) return undefined;
    if (typeof from === "function" && known.bytes === 0 && isHost(callerFiles(from)[0] ?? ""))
      return undefined;
    return new Linking(session, known, typeof from === "function" ? session.stackOf(from) : from);
  }

  /** Compiles found bytes with an asynchronous function of the engine. */
  async function compile({ args, forward }: Replaced, found: Found, wrap = same): Promise<unknown> {
    const { prepared, original } = found;
    const attempt = (bytes: Uint8Array) => forward([wrap(bytes), ...args.slice(1)]);
    let module: WebAssembly.Module;
    if (prepared.bytes) {
      try {
        module = await attempt(prepared.bytes);
      } catch (error) {
        module = await attempt(original);
        demote(prepared, error);
      }
    } else {
      module = await attempt(original);
    }
    registry.remember(module, prepared.module);
    return module;
  }

  /** Compiles and instantiates found bytes in one call of the engine. */
  async function instantiate(call: Replaced, found: Found, linking: Linking | undefined, wrap = same) {
    const { args, forward } = call;
    const { prepared, original } = found;
    const attempt = (bytes: Uint8Array): Promise<WebAssembly.WebAssemblyInstantiatedSource> => {
      const imports = linking ? [linking.observe(args[1])] : args.slice(1, 2);
      return forward([wrap(bytes), ...imports, ...args.slice(2)]);
    };
    let result: WebAssembly.WebAssemblyInstantiatedSource;
    if (prepared.bytes) {
      try {
        result = await attempt(prepared.bytes);
      } catch (error) {
        // Imports were read: so it compiled, and the error is about linking or comes from the start function.
        if (linking?.started || !(error instanceof CompileError)) throw error;
        result = await attempt(original);
        demote(prepared, error);
      }
    } else {
      result = await attempt(original);
    }
    registry.remember(result.module, prepared.module);
    linking?.done(result.module, result.instance);
    return result;
  }

  replaceClass(namespace, "Module", (construct, args, from) => {
    const found = prepare(args[0], from);
    const make = (bytes: unknown): WebAssembly.Module =>
      construct(args.length === 0 ? args : [bytes, ...args.slice(1)]);
    if (!found) return make(args[0]);
    const { prepared } = found;
    let module: WebAssembly.Module;
    try {
      module = make(prepared.bytes ?? args[0]);
    } catch (error) {
      if (!prepared.bytes) throw error;
      module = make(args[0]);
      demote(prepared, error);
    }
    registry.remember(module, prepared.module);
    return module;
  });

  replaceFunction(namespace, "compile", (call) => {
    const found = prepare(call.args[0], call.from);
    return found ? compile(call, snapshot(found)) : call.forward();
  });

  replaceClass(namespace, "Instance", (construct, args, from) => {
    const known = registry.of(args[0]);
    const linking = known && link(known, args[1], from);
    if (!linking) return construct(args);
    const imports = linking.observe(args[1]);
    const instance = construct([args[0], imports, ...args.slice(2)]);
    linking.done(args[0], instance);
    return instance;
  });

  replaceFunction(namespace, "instantiate", (call) => {
    const { args, from } = call;
    const known = registry.of(args[0]);
    if (known) {
      const linking = link(known, args[1], from);
      return linking ? instantiateModule(call, linking) : call.forward();
    }
    const found = prepare(args[0], from);
    if (!found) return call.forward();
    return instantiate(call, snapshot(found), link(found.prepared.module, args[1], from));
  });

  async function instantiateModule({ args, forward }: Replaced, linking: Linking) {
    const imports = linking.observe(args[1]);
    const instance = await forward([args[0], imports, ...args.slice(2)]);
    linking.done(args[0], instance);
    return instance;
  }

  replaceFunction(namespace, "compileStreaming", async (call) => {
    const source = await takeResponse(call.args[0]);
    if (!source) return call.forward();
    const found = prepare(source.bytes, call.from);
    if (!found) return call.forward([source.respond(source.bytes), ...call.args.slice(1)]);
    return compile(call, found, source.respond);
  });

  replaceFunction(namespace, "instantiateStreaming", async (call) => {
    const { args } = call;
    const stack = session.stackOf(call.from);
    const source = await takeResponse(args[0]);
    if (!source) return call.forward();
    const found = prepare(source.bytes, call.from);
    if (!found) return call.forward([source.respond(source.bytes), ...args.slice(1)]);
    return instantiate(call, found, link(found.prepared.module, args[1], stack), source.respond);
  });

  replaceClass(namespace, "Memory", (construct, args, from) => {
    const observed = observeMember(args[0], "maximum");
    const memory = construct(args.length === 0 ? args : [observed.object, ...args.slice(1)]);
    const maximum = observed.value();
    const pages = typeof maximum === "number" || typeof maximum === "bigint" ? Number(maximum) : null;
    session.track(memory, pages, session.stackId(session.stackOf(from)));
    session.snapshotIfDue();
    return memory;
  });

  replaceMethod(memoryPrototype, "grow", ({ self, args, forward, from }) => {
    const memory = self as WebAssembly.Memory;
    const tracked = isObject(memory) ? session.memoryOf(memory) : undefined;
    let old: number | bigint;
    try {
      old = forward();
    } catch (error) {
      const asked = args[0];
      if (tracked && (error as Error)?.name === "RangeError" && typeof asked === "number") {
        session.grew(tracked, undefined, Math.trunc(asked), from);
      }
      throw error;
    }
    if (tracked) {
      const fromPages = Number(old);
      session.grew(tracked, fromPages, (memoryPages(memory) ?? fromPages) - fromPages, from);
    }
    return old;
  });

  replaceMethod(moduleClass, "imports", ({ args, forward }) => {
    const all: WebAssembly.ModuleImportDescriptor[] = forward();
    if (!registry.of(args[0])?.instrumented) return all;
    return all.filter(({ module }) => module !== recorderModuleName);
  });

  replaceMethod(moduleClass, "customSections", ({ args, forward }) => {
    const known = args.length < 2 ? undefined : registry.of(args[0]);
    if (!known?.marked) return forward();
    const name = String(args[1]);
    if (name === recorderModuleName || name === `${recorderModuleName}.name`) return [];
    if (!known.instrumented) return forward([args[0], name]);
    return forward([args[0], name === "name" ? `${recorderModuleName}.name` : name]);
  });
}

const same = (bytes: Uint8Array): unknown => bytes;

function snapshot(found: Found): Found {
  return { ...found, original: found.original.slice() };
}

/** A name for a module that has none: the package, or the script, that compiled it. */
function moduleName(file: string): string {
  const [, scope, name] = /.*[\\/]node_modules[\\/](@[^\\/]+[\\/])?([^\\/]+)/.exec(file) ?? [];
  if (name) return `${scope?.replace("\\", "/") ?? ""}${name}`;
  return /[^\\/]*$/.exec(file)?.[0] ?? "";
}
