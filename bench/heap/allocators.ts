/** The heap and its peers, each behind the same two functions. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Heap, LinearMemory } from "../../src/index.js";
import { compileAssembly } from "../compile-assembly.js";
import { packageFile } from "../packages.js";

export interface Allocator {
  allocate(bytes: number): number;
  free(address: number): void;
  /** The memory that it works in, as it is now. */
  words(): Uint32Array;
}

export interface Kind {
  name: string;
  /** A new one, with nothing in it. */
  make(): Allocator;
  /** So slow with many blocks that it does this share of the work. */
  share?(live: number): number;
}

const most = 1600;

export const heap: Kind = {
  name: "linmem Heap",
  make() {
    const memory = new LinearMemory({ initial: 1, maximum: most });
    const own = Heap.create(memory);
    return {
      allocate: (bytes) => own.allocate(bytes),
      free: (address) => own.free(address),
      words: () => memory.u32,
    };
  },
};

type Exports = Record<string, (value: number) => number> & { memory: WebAssembly.Memory };

function fromModule(name: string, module: WebAssembly.Module, allocate: string, free: string): Kind {
  return {
    name,
    make() {
      const exports: Exports = new WebAssembly.Instance(module, {
        env: { emscripten_notify_memory_growth() {} },
        wasi_snapshot_preview1: system(module, () => exports.memory),
      }).exports as Exports;
      const memory = LinearMemory.wrap(exports.memory);
      exports._initialize?.(0);
      return { allocate: exports[allocate], free: exports[free], words: () => memory.u32 };
    },
  };
}

/** What an allocator in C asks of its system: the time, and nothing else is there. */
function system(module: WebAssembly.Module, memory: () => WebAssembly.Memory): WebAssembly.ModuleImports {
  const notThere = 52;
  const all: WebAssembly.ModuleImports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module))
    if (from.startsWith("wasi")) all[name] = () => notThere;
  all.clock_time_get = (_clock: number, _precision: bigint, at: number) => {
    new DataView(memory().buffer).setBigUint64(at, BigInt(Math.round(performance.now() * 1e6)), true);
    return 0;
  };
  return all;
}

async function assemblyScript(): Promise<Kind> {
  const source = `
export function malloc(bytes: usize): usize { return heap.alloc(bytes); }
export function free(address: usize): void { heap.free(address); }`;
  const module = new WebAssembly.Module(await compileAssembly(source, "minimal"));
  return fromModule("AssemblyScript TLSF", module, "malloc", "free");
}

const linked = [
  "--no-entry",
  "-sSTANDALONE_WASM",
  "-sALLOW_MEMORY_GROWTH",
  "-sMAXIMUM_MEMORY=128MB",
  "-sEXPORTED_FUNCTIONS=_malloc,_free",
];

/** Runs Emscripten's compiler in a folder of its own; the module that it wrote, or why there is none. */
function compileC(commands: readonly (readonly string[])[]): WebAssembly.Module | string {
  const folder = mkdtempSync(join(tmpdir(), "linmem-heap-"));
  try {
    writeFileSync(join(folder, "empty.c"), "");
    for (const args of commands) {
      const { status, error, stderr } = spawnSync("emcc", ["-O3", ...args], {
        cwd: folder,
        encoding: "utf8",
      });
      if (error !== undefined) return "needs Emscripten's emcc";
      if (status !== 0) return stderr;
    }
    return new WebAssembly.Module(readFileSync(join(folder, "out.wasm")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An allocator of Emscripten, where that is installed and knows it. */
function emscripten(name: string): (Kind | undefined)[] {
  const module = compileC([["empty.c", ...linked, `-sMALLOC=${name}`, "-o", "out.wasm"]]);
  if (typeof module === "object") return [fromModule(`Emscripten ${name}`, module, "malloc", "free")];
  if (name === "mimalloc" && process.env.MIMALLOC) return process.env.MIMALLOC.split(delimiter).map(mimalloc);
  const why = module.startsWith("needs") ? module : "is not in the Emscripten that is installed";
  const how = name === "mimalloc" ? "; with folders of its sources in MIMALLOC it is built" : "";
  return [leftOut(`${name} ${why}${how}`)];
}

/**
 * Mimalloc from its sources, as newer versions of Emscripten have it: it gets its pages from emmalloc, whose own names must not be those
 * of the allocator that a program calls.
 */
function mimalloc(sources: string): Kind | undefined {
  const root = spawnSync("em-config", ["EMSCRIPTEN_ROOT"], { encoding: "utf8" });
  if (root.error !== undefined) return leftOut("mimalloc needs Emscripten's em-config");
  const library = join(root.stdout.trim(), "system/lib");
  const names = ["malloc", "free", "realloc", "calloc", "memalign"];
  const others = names.map((name) => `-D__libc_${name}=emmalloc_libc_${name}`);
  const options = ["-fno-builtin", "-DNDEBUG", "-c"];
  const override = ["-DMI_MALLOC_OVERRIDE", "-DMI_DEBUG=0", `-I${join(sources, "include")}`];
  const module = compileC([
    [...options, ...others, join(library, "emmalloc.c"), "-o", "emmalloc.o"],
    [...options, ...override, join(sources, "src/static.c"), "-o", "mimalloc.o"],
    ["mimalloc.o", "emmalloc.o", join(library, "sbrk.c"), ...linked, "-sMALLOC=none", "-o", "out.wasm"],
  ]);
  if (typeof module === "object")
    return fromModule(`mimalloc ${versionOf(sources)}`, module, "malloc", "free");
  return leftOut(`mimalloc could not be built: ${module}`);
}

function leftOut(why: string): undefined {
  process.stderr.write(`left out: ${why}\n`);
}

/** `20401` is 2.4.1. */
function versionOf(sources: string): string {
  const text = readFileSync(join(sources, "include/mimalloc.h"), "utf8");
  const [, major, minor, patch] = /MI_MALLOC_VERSION\s+(\d+)(\d\d)(\d\d)/.exec(text) ?? [];
  return [major, minor, patch].map(Number).join(".");
}

interface ThingPool {
  malloc(bytes: number): number;
  free(address: number): boolean;
}

async function thing(): Promise<Kind> {
  const { MemPool } = (await import(packageFile("@thi.ng/malloc/index.js"))) as {
    MemPool: new (options: object) => ThingPool;
  };
  return {
    name: "@thi.ng/malloc",
    make() {
      const buffer = new ArrayBuffer(most * 65_536);
      const pool = new MemPool({ buf: buffer });
      const words = new Uint32Array(buffer);
      return {
        allocate: (bytes) => pool.malloc(bytes),
        free: (address) => {
          pool.free(address);
        },
        words: () => words,
      };
    },
    share: (live) => (live > 20_000 ? 0.002 : live > 1000 ? 0.02 : 0.3),
  };
}

export async function allocators(): Promise<Kind[]> {
  const kinds = [
    heap,
    await assemblyScript(),
    ...["dlmalloc", "emmalloc", "mimalloc"].flatMap(emscripten),
    await thing(),
  ];
  return kinds.filter((kind) => kind !== undefined);
}
