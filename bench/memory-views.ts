/**
 * One element of a memory, read in a loop while the memory grows between the rounds. Every variant has a loop and, if
 * it is a rejected design, a class of its own: code that two variants share would be slowed by the types of the other.
 */
import { LinearMemory } from "../src/index.js";
import { type Loop, measure, type Variant } from "./memory-rounds.js";
import { table } from "./tables.js";

const PAGES = 16;
/** A round takes a fraction of a millisecond, so that the system seldom takes the processor away within one. */
const COUNT = 100_000;
/** Repetitions of one call. */
const SHORT = 1000;
const ROUNDS = 300;

let loops = 0;

/** A loop of its own over `body`, in which `o` is the object, `i` counts and `s` is the result, a float where need be. */
function loop(object: () => unknown, body: string): Loop {
  // An integer that becomes a float only in the loop would cost more than what is measured.
  const start = body.startsWith("s += 0.5") ? "0.5" : "0";
  const run = new Function(
    "o",
    "n",
    `/* ${loops++} */ let s = ${start}; for (let i = 0; i < n; i++) { ${body} } return s`,
  );
  // Many calls of a short loop, as in a program. One long loop is compiled while it runs, and stays worse for it.
  return (count) => {
    let result: unknown;
    for (let done = 0; done < count; done += SHORT) result = run(object(), SHORT);
    return result;
  };
}

function memory(shared: boolean): WebAssembly.Memory {
  return filled(new WebAssembly.Memory({ initial: PAGES, maximum: 4096, shared }));
}

/** Floats with a fraction: of zeros V8 believes that they are integers, and converts and checks each one. */
function filled(wasm: WebAssembly.Memory): WebAssembly.Memory {
  new Float64Array(wasm.buffer).fill(1.1);
  return wasm;
}

type ViewClass = new (buffer: ArrayBufferLike) => Uint8Array | Float64Array;

/** A fixed typed array, made anew outside the time. */
function raw(shared: boolean, body: string, View: ViewClass = Uint8Array): Variant {
  const wasm = memory(shared);
  let view = new View(wasm.buffer);
  return {
    name: `raw ${View.name}`,
    before: () => {
      wasm.grow(1);
      view = new View(wasm.buffer);
    },
    loop: loop(() => view, body),
  };
}

function library(name: string, shared: boolean, body: string, others = 0): Variant {
  const all = Array.from({ length: others + 1 }, () => {
    const memory = new LinearMemory({ initial: PAGES, maximum: 4096, shared });
    filled(memory.wasm);
    return memory;
  });
  let turn = 0;
  return {
    name,
    before: () => {
      turn = (turn + 1) % all.length;
      // As a module does it: the library does not see it.
      WebAssembly.Memory.prototype.grow.call(all[turn].wasm, 1);
    },
    loop: loop(() => all[turn], body),
  };
}

/** A class with a `u8` that stays valid by the check given, in which `v` is the view and `m` the memory. */
function design(name: string, shared: boolean, check: string, prepare = ""): Variant {
  const Views = new Function(
    "sizeOf",
    `/* ${loops++} */ return class {
      constructor(m) { this.m = m; this.sizeOf = sizeOf?.(m); this.renew(); }
      get u8() { const v = this.v; const m = this.m; return ${check} ? v : this.renew(); }
      renew() { const m = this.m; ${prepare}; this.b = m.buffer; this.size = this.sizeOf?.(); return this.v = new Uint8Array(m.buffer); }
    }`,
  )(shared ? sizeOf : undefined);
  const wasm = memory(shared);
  const views = new Views(wasm);
  return { name, before: () => void wasm.grow(1), loop: loop(() => views, BODY) };
}

/** `memory.size` of a shared memory, as an exported function. */
function sizeOf(wasm: WebAssembly.Memory): () => number {
  // (module (memory (import "" "") 0 65536 shared) (func (export "") (result i32) memory.size))
  const bytes = [
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f],
    ...[2, 9, 1, 0, 0, 2, 3, 0, 0x80, 0x80, 4, 3, 2, 1, 0, 7, 4, 1, 0, 0, 0, 10, 6, 1, 4, 0, 0x3f, 0, 11],
  ];
  const module = new WebAssembly.Module(Uint8Array.from(bytes));
  return new WebAssembly.Instance(module, { "": { "": wasm } }).exports[""] as () => number;
}

/** A view that follows a resizable buffer by itself. */
function tracking(shared: boolean): Variant[] {
  const wasm = memory(shared) as WebAssembly.Memory & { toResizableBuffer?: () => ArrayBuffer };
  if (wasm.toResizableBuffer === undefined) return [];
  const view = new Uint8Array(wasm.toResizableBuffer());
  return [
    {
      name: "view of a resizable buffer",
      before: () => void wasm.grow(1),
      loop: loop(() => view, "s += o[i & 0xfffff]"),
    },
  ];
}

const BODY = "s += o.u8[i & 0xfffff]";

export function runViews(): string {
  const plain = measure(
    [
      raw(false, "s += o[i & 0xfffff]"),
      library("**LinearMemory.u8**", false, BODY),
      library("LinearMemory.u8, 5 memories in turn", false, BODY, 4),
      design("check `view.length !== 0`", false, "v.length !== 0"),
      design("check `view[0] !== undefined`", false, "v[0] !== undefined"),
      design("check `view.buffer === memory.buffer`", false, "v.buffer === m.buffer"),
      design("check `buffer === memory.buffer`", false, "this.b === m.buffer"),
      ...tracking(false),
    ],
    COUNT,
    ROUNDS,
  );
  // One shared memory first: a call site that has seen one function only is compiled to a shorter call.
  const shared = measure(
    [
      raw(true, "s += o[i & 0xfffff]"),
      library("**LinearMemory.u8**", true, BODY),
      design("check `size() === pages`", true, "this.sizeOf() === this.size"),
      design("check `buffer === memory.buffer`", true, "this.b === m.buffer"),
      ...tracking(true),
    ],
    COUNT,
    ROUNDS,
  );
  const several = [3, 8].map(
    (count) =>
      measure(
        [
          raw(true, "s += o[i & 0xfffff]"),
          library(`LinearMemory.u8, ${count} memories in turn`, true, BODY, count - 1),
        ],
        COUNT,
        ROUNDS,
      )[1],
  );
  const floats = measure(
    [
      raw(false, "s += 0.5 * o[i & 0x1ffff]", Float64Array),
      library("LinearMemory.f64", false, "s += 0.5 * o.f64[i & 0x1ffff]"),
    ],
    COUNT,
    ROUNDS,
  );
  const stores = measure(
    [
      raw(false, "o[i & 0x1ffff] = i", Float64Array),
      library("LinearMemory.f64, written", false, "o.f64[i & 0x1ffff] = i"),
    ],
    COUNT,
    ROUNDS,
  );
  const accesses = measure(
    [
      dataView("DataView made once", "s += o.getUint32((i * 4) & 0xffffc, true)"),
      library("LinearMemory.readU32, aligned", false, "s += o.readU32((i * 4) & 0xffffc)"),
      library("LinearMemory.readU32, unaligned", false, "s += o.readU32(((i * 4) & 0xffffc) + 1)"),
      library("LinearMemory.readF64", false, "s += o.readF64((i * 8) & 0xffff8)"),
      library("LinearMemory.writeU32", false, "o.writeU32((i * 4) & 0xffffc, i)"),
      library("LinearMemory.writeF64", false, "o.writeF64((i * 8) & 0xffff8, i)"),
    ],
    COUNT,
    ROUNDS,
  );
  const rows = (timings: typeof plain) =>
    timings.map(({ name, time, over }) => [name, time.toFixed(2), over.toFixed(2)]);
  const head = ["read in a loop, growth between rounds", "ns", "over the first"];
  return [
    "One element read in a loop. Allowed: 3 ns over a raw typed array. `check …`: ways to see that a view is stale that were tried and not taken, or taken (`view.length !== 0`, `size() === pages`), each alone in a class of its own; a view of a resizable buffer follows by itself, where the engine has such.",
    table(head, [...rows(plain), ...rows(floats), ...rows(stores)]),
    "A sum of floats is the slowest: V8 keeps the sum in memory instead of a register, because the loop has a call in it, the one that makes new views.",
    "The same for shared memories, whose buffers never detach; `size()` is a wasm function that returns `memory.size`. For up to three shared memories in a process it is called directly, for more through the engine's general call.",
    table(head, rows([...shared, ...several])),
    "Loads and stores at an address, with bounds checks.",
    table(head, rows(accesses)),
  ].join("\n\n");
}

function dataView(name: string, body: string): Variant {
  const wasm = memory(false);
  let view = new DataView(wasm.buffer);
  return {
    name,
    before: () => {
      wasm.grow(1);
      view = new DataView(wasm.buffer);
    },
    loop: loop(() => view, body),
  };
}
