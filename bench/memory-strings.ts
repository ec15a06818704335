/** Text in and out of a memory, against TextEncoder and TextDecoder by hand. */
import { LinearMemory } from "../src/index.js";
import { measure, type Variant } from "./memory-rounds.js";
import { table } from "./tables.js";

const texts = {
  "12 ASCII": "hello, world",
  "100 ASCII": "0123456789".repeat(10),
  "100 mixed": "añ→😀bcdef".repeat(10),
  "10,000 ASCII": "0123456789".repeat(1000),
  "10,000 mixed": "añ→😀bcdef".repeat(1000),
};

export function runStrings(): string {
  const rows: string[][] = [];
  for (const [name, text] of Object.entries(texts)) {
    const count = Math.ceil(200_000 / (text.length + 20));
    const [, write] = measure(writers(text), count, 40);
    const [, read] = measure(readers(text), count, 40);
    const [, cString] = measure(cStringReaders(text), count, 40);
    const row = [name];
    for (const { time, ratio } of [write, read, cString]) row.push(time.toFixed(0), ratio.toFixed(2));
    rows.push(row);
  }
  return [
    "Text. By hand: `encodeInto` into a view made for the place, `decode` of a view made for the bytes, `indexOf(0)` for the length. Allowed: no slower.",
    table(
      ["units of text", "writeUtf8 ns", "by hand", "readUtf8 ns", "by hand", "readCString ns", "by hand"],
      rows,
    ),
  ].join("\n\n");
}

function writers(text: string): Variant[] {
  const memory = new LinearMemory({ initial: 16, maximum: 16 });
  const byHand = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16 }).buffer);
  const encoder = new TextEncoder();
  return [
    {
      name: "by hand",
      loop: (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += encoder.encodeInto(text, byHand.subarray(i & 1023)).written;
        return sum;
      },
    },
    {
      name: "library",
      loop: (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += memory.writeUtf8(i & 1023, text);
        return sum;
      },
    },
  ];
}

function readers(text: string): Variant[] {
  const memory = new LinearMemory({ initial: 16, maximum: 16 });
  const byHand = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16 }).buffer);
  const bytes = new TextEncoder().encode(text);
  memory.writeBytes(100, bytes);
  byHand.set(bytes, 100);
  const { length } = bytes;
  const decoder = new TextDecoder();
  return [
    {
      name: "by hand",
      loop: (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += decoder.decode(byHand.subarray(100, 100 + length)).length;
        return sum;
      },
    },
    {
      name: "library",
      loop: (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += memory.readUtf8(100, length).length;
        return sum;
      },
    },
  ];
}

function cStringReaders(text: string): Variant[] {
  const memory = new LinearMemory({ initial: 16, maximum: 16 });
  const byHand = new Uint8Array(new WebAssembly.Memory({ initial: 16, maximum: 16 }).buffer);
  memory.writeCString(100, text);
  byHand.set(new TextEncoder().encode(text), 100);
  const decoder = new TextDecoder();
  return [
    {
      name: "by hand",
      loop: (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++)
          sum += decoder.decode(byHand.subarray(100, byHand.indexOf(0, 100))).length;
        return sum;
      },
    },
    {
      name: "library",
      loop: (count) => {
        let sum = 0;
        for (let i = 0; i < count; i++) sum += memory.readCString(100).length;
        return sum;
      },
    },
  ];
}
