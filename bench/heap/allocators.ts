/** The heap and its peers, each behind the same two functions. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

const heap: Kind = {
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
      const imports = { env: { emscripten_notify_memory_growth() {} }, wasi_snapshot_preview1: {} };
      const exports = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
      const memory = LinearMemory.wrap(exports.memory);
      exports._initialize?.(0);
      return { allocate: exports[allocate], free: exports[free], words: () => memory.u32 };
    },
  };
}

async function assemblyScript(): Promise<Kind> {
  const source = `
export function malloc(bytes: usize): usize { return heap.alloc(bytes); }
export function free(address: usize): void { heap.free(address); }`;
  const module = new WebAssembly.Module(await compileAssembly(source, "minimal"));
  return fromModule("AssemblyScript TLSF", module, "malloc", "free");
}

/** An allocator of Emscripten, where that is installed and knows it. */
function emscripten(name: string): Kind | undefined {
  const folder = mkdtempSync(join(tmpdir(), "linmem-heap-"));
  try {
    writeFileSync(join(folder, "empty.c"), "");
    const options = ["-O3", "--no-entry", "-sSTANDALONE_WASM", "-sALLOW_MEMORY_GROWTH", `-sMALLOC=${name}`];
    const args = [
      ...options,
      "-sMAXIMUM_MEMORY=128MB",
      "-sEXPORTED_FUNCTIONS=_malloc,_free",
      "empty.c",
      "-o",
      "out.wasm",
    ];
    const { status, error } = spawnSync("emcc", args, { cwd: folder, stdio: "ignore" });
    if (status !== 0) {
      const why =
        error === undefined ? "is not in the Emscripten that is installed" : "needs Emscripten's emcc";
      process.stderr.write(`left out: ${name} ${why}\n`);
      return undefined;
    }
    const module = new WebAssembly.Module(readFileSync(join(folder, "out.wasm")));
    return fromModule(`Emscripten ${name}`, module, "malloc", "free");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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
    ...["dlmalloc", "emmalloc", "mimalloc"].map(emscripten),
    await thing(),
  ];
  return kinds.filter((kind) => kind !== undefined);
}
