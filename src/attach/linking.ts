/**
 * What an instance gets to import. The engine reads a proxy in place of the program's import object: it answers
 * the recorder's module name itself, and for everything else does the one read that the engine would have done.
 * So nothing is enumerated or read twice, which getters and Emscripten's GOT proxies would notice. On the
 * way it shows which memories the engine takes.
 */
import { recorderModuleName } from "../recorder/index.js";
import type { KnownModule } from "./module-registry.js";
import { exportDescriptorsOf, exportsOf, isObject, makeMemory, memoryPages } from "./natives.js";
import type { Session } from "./session.js";
import type { Site } from "./stacks.js";
import type { TrackedMemory } from "./tracked-memory.js";

type Members = Record<string | symbol, unknown>;

/** One attempt to make an instance. */
export class Linking {
  /** Whether the engine came to read imports. */
  started = false;
  readonly #session: Session;
  readonly #module: KnownModule;
  readonly #stack: number;
  /** By memory index. */
  readonly #memories: (TrackedMemory | undefined)[];
  #recorderImports: object | undefined;
  /** Lives as long as what the engine holds of the instance. */
  #token: object | undefined;

  constructor(session: Session, module: KnownModule, stack: readonly Site[]) {
    this.#session = session;
    this.#module = module;
    this.#stack = session.stackId(stack);
    this.#memories = module.facts.memories.map((facts) =>
      facts.import ? undefined : session.newMemory(facts, this.#stack),
    );
  }

  /** What to hand to the engine as import object. */
  observe(importObject: object | undefined): object {
    const { memories } = this.#module.facts;
    const modules = new Set(memories.map((facts) => facts.import?.module));
    return new Proxy(
      {},
      {
        get: (_target, key) => {
          this.started = true;
          if (key === recorderModuleName && this.#module.instrumented) return this.#imports();
          const inner = importObject === undefined ? undefined : (importObject as Members)[key];
          return modules.has(key as string) && isObject(inner)
            ? this.#observeModule(key as string, inner)
            : inner;
        },
      },
    );
  }

  #observeModule(module: string, inner: object): object {
    return new Proxy(
      {},
      {
        get: (_target, name) => {
          const value = (inner as Members)[name];
          this.#module.facts.memories.forEach((facts, index) => {
            if (facts.import?.module !== module || facts.import.name !== name) return;
            // Another import may have the same name: it is taken only if it is a memory.
            if (memoryPages(value) === undefined) return;
            this.#memories[index] = this.#session.track(value as WebAssembly.Memory, facts.maximumPages, 0);
          });
          return value;
        },
      },
    );
  }

  /** The recorder's imports come last, when the memories that the module imports are known. */
  #imports(): object {
    if (this.#recorderImports) return this.#recorderImports;
    const session = this.#session;
    const memories = this.#memories;
    const grown = (memory: number, oldPages: number, deltaPages: number): void => {
      const tracked = memories[memory];
      if (tracked) session.grew(tracked, oldPages < 0 ? undefined : oldPages, deltaPages >>> 0, grown);
    };
    this.#token = grown;
    const first = (memories[0] ??= session.newMemory(this.#module.facts.memories[0], this.#stack));
    const records = this.#module.facts.recorderImports.includes("leave");
    const recorder = records ? session.recorderOf(first, this.#module).imports : {};
    this.#recorderImports = { ...recorder, ...this.#checkerImports(first), grown };
    return this.#recorderImports;
  }

  /** The checker's functions; and where checks are inline the shadow memory, and in place of its own another one. */
  #checkerImports(first: TrackedMemory): object {
    const { check, facts } = this.#module;
    if (!check) return {};
    const { imports } = this.#session.checkerOf(first, this.#module);
    const [own] = facts.memories;
    if (!check.inline || !own || own.import) return imports;
    const memory = makeMemory(own.initialPages, own.maximumPages);
    first.attach(memory);
    return { ...imports, memory };
  }

  /** The engine made the instance. */
  done(module: WebAssembly.Module, instance: WebAssembly.Instance): void {
    this.#session.announce(this.#module);
    const exported = this.#exportedMemories(module, instance);
    const token = this.#token ?? instance;
    this.#memories.forEach((tracked, index) => {
      if (!tracked || this.#module.facts.memories[index]?.import) return;
      const memory = exported.shift();
      // Of a module whose bytes were not seen the limits are unknown, but the memory is there.
      if (memory && this.#module.bytes === 0) {
        this.#memories[index] = this.#session.track(memory, null, this.#stack);
      } else if (memory) this.#session.adopt(tracked, memory);
      else this.#session.tie(tracked, token);
    });
    const memories = this.#memories.filter((memory) => memory !== undefined);
    const globals = exportsOfKind<WebAssembly.Global>(module, instance, "global");
    this.#session.instantiated(this.#module, memories, this.#stack, token, globals);
  }

  /** Memories among the exports that were not seen before: the module's own. */
  #exportedMemories(module: WebAssembly.Module, instance: WebAssembly.Instance): WebAssembly.Memory[] {
    const memories = exportsOfKind<WebAssembly.Memory>(module, instance, "memory");
    return [...new Set(memories)].filter((memory) => !this.#session.memoryOf(memory));
  }
}

function exportsOfKind<T>(
  module: WebAssembly.Module,
  instance: WebAssembly.Instance,
  wanted: WebAssembly.ImportExportKind,
): T[] {
  const exports = exportsOf(instance);
  return exportDescriptorsOf(module)
    .filter(({ kind }) => kind === wanted)
    .map(({ name }) => exports[name] as T);
}
