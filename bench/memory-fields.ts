/**
 * Fields of structs, read and written in a loop, against typed arrays by hand. Every variant has a loop of its own: code
 * that two variants share would be slowed by the types of the other. Several other structs exist and were used, as in
 * any program.
 */
import { array, bool, f32, f64, i32, LinearMemory, struct, u8, u32 } from "../src/index.js";
import { type Loop, measure, type Timing, type Variant } from "./memory-rounds.js";
import { table } from "./tables.js";

const Point = struct({ x: f32, y: f32, alive: bool, n: i32 });
const ELEMENTS = 1000;
const BASE = 1024;
const COUNT = 100_000;
const ROUNDS = 200;

let loops = 0;

/** A loop of its own over `body`, in which `o` is the object, `i` counts and `s` is the result. */
function loop(object: () => unknown, body: string, first = ""): Loop {
  const run = new Function(
    "o",
    "n",
    "Point",
    "order",
    `/* ${loops++} */ ${first}; let s = 0.5; for (let i = 0; i < n; i++) { ${body} } return s`,
  );
  // Many calls of a short loop, as in a program. One long loop is compiled while it runs, and stays worse for it.
  return (count) => {
    let result: unknown;
    for (let done = 0; done < count; done += ELEMENTS) result = run(object(), ELEMENTS, Point, order);
    return result;
  };
}

/** Floats with a fraction: of zeros V8 believes that they are integers, and converts and checks each one. */
function makeMemory(): WebAssembly.Memory {
  const wasm = new WebAssembly.Memory({ initial: 16, maximum: 4096 });
  new Float32Array(wasm.buffer, 0, BASE + ELEMENTS * 16).fill(1.5);
  return wasm;
}
/** Grows as a module does it: the library does not see it. */
const growUnseen = (wasm: WebAssembly.Memory) => void WebAssembly.Memory.prototype.grow.call(wasm, 1);

interface Views {
  /** Address of the struct or the array. */
  base: number;
  f32: Float32Array;
  u8: Uint8Array;
}

/** Typed arrays that are made anew outside of the time. */
function byHand(body: string, grows: boolean): Variant {
  const wasm = makeMemory();
  const make = (): Views => ({
    base: BASE,
    f32: new Float32Array(wasm.buffer),
    u8: new Uint8Array(wasm.buffer),
  });
  let views = make();
  return {
    name: "typed arrays by hand",
    before: () => {
      if (!grows) return;
      growUnseen(wasm);
      views = make();
    },
    loop: loop(() => views, body, "const { f32, u8, base } = o"),
  };
}

/** The usual check before each access. */
function byHandChecked(body: string): Variant {
  const wasm = makeMemory();
  const views = { wasm, f32: new Float32Array(wasm.buffer) };
  const get = new Function(
    "o",
    `/* ${loops++} */ if (o.f32.buffer !== o.wasm.buffer) o.f32 = new Float32Array(o.wasm.buffer); return o.f32`,
  );
  Object.assign(views, { get });
  return {
    name: "check `view.buffer === memory.buffer`",
    before: () => growUnseen(wasm),
    loop: loop(() => views, body),
  };
}

type Growth = "none" | "by the library" | "by a module";

function library(
  name: string,
  growth: Growth,
  make: (memory: LinearMemory) => unknown,
  body: string,
  keep: boolean,
): Variant {
  const memory = LinearMemory.wrap(makeMemory());
  let object = make(memory);
  return {
    name,
    before: () => {
      if (growth === "by the library") memory.grow(1);
      if (growth === "by a module") growUnseen(memory.wasm);
      if (!keep) object = make(memory);
    },
    loop: loop(() => object, body),
  };
}

const one = (memory: LinearMemory) => Point.at(memory, BASE);
const many = (memory: LinearMemory) => array(Point, ELEMENTS).at(memory, BASE);
const whole = (memory: LinearMemory) => memory;

/** The elements in no order at all. */
const order = Int32Array.from({ length: ELEMENTS }, (_, i) => (i * 7919) % ELEMENTS);

/** What other parts of a program do: structs of other shapes, read and written. */
function useOthers(): void {
  const memory = LinearMemory.wrap(makeMemory());
  for (let shape = 0; shape < 8; shape++) {
    const fields = { before: array(u8, shape * 4), x: f32, y: f32, alive: bool, n: i32, z: f64, a: u32 };
    const value = struct(fields).at(memory, 0);
    for (let i = 0; i < 20_000; i++) {
      value.x = value.y + 1;
      value.alive = !value.alive;
      value.n = value.n + value.a;
    }
  }
}

export function runFields(): string {
  const hand = "const p = base + i * 16; s += f32[p >>> 2] + f32[(p + 4) >>> 2]";
  const element = "const p = o.get(i); s += p.x + p.y";
  const at = `const p = Point.at(o, ${BASE} + i * 16); s += p.x + p.y`;
  const handAnywhere = "const p = base + order[i] * 16; s += f32[p >>> 2] + f32[(p + 4) >>> 2]";
  const elementAnywhere = "const p = o.get(order[i]); s += p.x + p.y";
  const handOne = "s += f32[base >>> 2] + f32[(base + 4) >>> 2]";

  const fields = measure(
    [
      byHand(handOne, false),
      library("**accessor**", "none", one, "s += o.x + o.y", true),
      library("accessor, growth by the library", "by the library", one, "s += o.x + o.y", true),
    ],
    COUNT,
    ROUNDS,
  );
  const elements = measure(
    [
      byHand(hand, false),
      library("**array of structs, `get(i)`**", "none", many, element, true),
      library("`Point.at(memory, address)`", "none", whole, at, true),
    ],
    COUNT,
    ROUNDS,
  );
  const anywhere = measure(
    [
      byHand(handAnywhere, false),
      library("**array of structs, `get(i)`**", "none", many, elementAnywhere, true),
    ],
    COUNT,
    ROUNDS,
  );
  const flags = measure(
    [
      byHand("if (u8[base + 8] !== 0) s += i; else s -= i", false),
      library("**accessor**", "none", one, "if (o.alive) s += i; else s -= i", true),
    ],
    COUNT,
    ROUNDS,
  );
  const writes = measure(
    [
      byHand("f32[base >>> 2] = i; f32[(base + 4) >>> 2] = 1", false),
      library("**accessor**", "none", one, "o.x = i; o.y = 1", true),
    ],
    COUNT,
    ROUNDS,
  );
  useOthers();
  const elementsAmong = measure(
    [byHand(hand, false), library("array of structs, `get(i)`", "none", many, element, true)],
    COUNT,
    ROUNDS,
  );
  const fieldsAmong = measure(
    [byHand(handOne, false), library("accessor", "none", one, "s += o.x + o.y", true)],
    COUNT,
    ROUNDS,
  );
  const madeAnew = measure(
    [
      byHand(handOne, true),
      library("**accessor made after the growth**", "by a module", one, "s += o.x + o.y", false),
    ],
    COUNT,
    ROUNDS,
  );
  // Last: in V8 a read that finds a stale view slows that kind of read for good.
  const kept = measure(
    [
      byHand(handOne, true),
      library("**accessor kept from before the growth**", "by a module", one, "s += o.x + o.y", true),
      byHandChecked(`s += o.get(o)[${BASE / 4}] + o.get(o)[${BASE / 4 + 1}]`),
    ],
    COUNT,
    ROUNDS,
  );
  const after = measure(
    [
      byHand(handOne, false),
      library("accessor, in a memory that never grows", "none", one, "s += o.x + o.y", true),
    ],
    COUNT,
    ROUNDS,
  );
  return [
    "Fields of a struct in a loop. Allowed: 1.3 times typed arrays by hand. Each line is two reads or two writes, of `alive` one read. The loops have 1,000 repetitions and are called often.",
    rows([
      ["two floats read", fields],
      ["two floats of 1,000 structs read", elements],
      ["the same, in no order", anywhere],
      ["a boolean read", flags],
      ["two floats written", writes],
      ["two floats read, a module grew the memory before", madeAnew],
      ["the same with eight more structs in use", fieldsAmong],
      ["the same with eight more structs in use", elementsAmong],
    ]),
    "A module grows the memory, and an accessor from before is used without any other look at the memory. V8 remembers such a read and slows that kind of field from then on, in the whole program.",
    rows([
      ["two floats read, a module grew the memory before", kept],
      ["after that, without growth", after],
    ]),
  ].join("\n\n");
}

function rows(groups: [string, Timing[]][]): string {
  return table(
    ["", "ns", "times by hand"],
    groups.flatMap(([title, timings]) =>
      timings.map(({ name, time, ratio }, i) => [
        `${i === 0 ? `${title}: ` : "… "}${name}`,
        time.toFixed(2),
        ratio.toFixed(2),
      ]),
    ),
  );
}
