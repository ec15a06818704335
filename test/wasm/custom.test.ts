import assert from "node:assert/strict";
import { test } from "node:test";
import { DecodeError } from "../../src/errors.js";
import { decodeDebugLink } from "../../src/wasm/debug-links.js";
import { decodeDylink } from "../../src/wasm/dylink.js";
import { Reader } from "../../src/wasm/leb128.js";
import { decodeProducers } from "../../src/wasm/producers.js";
import { decodeTargetFeatures } from "../../src/wasm/target-features.js";
import { hex } from "./support.js";

const reader = (text: string) => new Reader(hex(text));

test("producers, by field", () => {
  const producers = decodeProducers(
    reader(
      `02 08 "language" 01 04 "Rust" 00  0c "processed-by" 02 05 "rustc" 03 "1.9" 06 "walrus" 04 "0.20"`,
    ),
  );
  assert.deepEqual(producers.get("language"), [{ name: "Rust", version: "" }]);
  assert.deepEqual(producers.get("processed-by"), [
    { name: "rustc", version: "1.9" },
    { name: "walrus", version: "0.20" },
  ]);
});

test("target features", () => {
  assert.deepEqual(decodeTargetFeatures(reader(`02 2b 07 "simd128" 2d 07 "atomics"`)), [
    { prefix: "+", name: "simd128" },
    { prefix: "-", name: "atomics" },
  ]);
});

test("debug links", () => {
  assert.equal(decodeDebugLink(reader(`08 "x.wasm.d"`)), "x.wasm.d");
});

test("dylink, with and without subsections", () => {
  const memory = { size: 1024, alignmentLog2: 4, tableSize: 2, tableAlignmentLog2: 0 };
  // Subsection 4, import flags, is passed over.
  const current = decodeDylink(reader(`01 05 80 08 04 02 00  04 01 00  02 06 01 04 "a.so"`), "dylink.0");
  assert.deepEqual(current, { memory, needed: ["a.so"] });
  assert.deepEqual(decodeDylink(reader(`80 08 04 02 00 01 04 "a.so"`), "dylink"), {
    memory,
    needed: ["a.so"],
  });
});

test("damaged ones say where", () => {
  const at = (offset: number) => (error: unknown) => error instanceof DecodeError && error.offset === offset;
  assert.throws(() => decodeProducers(reader("ff ff ff ff 0f")), at(0));
  assert.throws(() => decodeTargetFeatures(reader("01 2b 09")), at(3));
  assert.throws(() => decodeDebugLink(reader("05 61")), at(1));
  assert.throws(() => decodeDylink(reader("01 09 00"), "dylink.0"), at(2));
});
