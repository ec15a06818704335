import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { usedFeatures } from "../../src/instrument/features.js";
import { detectToolchain } from "../../src/instrument/toolchain.js";
import { decodeModule, encodeModule, makeSection } from "../../src/wasm/module.js";
import { sectionId } from "../../src/wasm/types.js";
import { corpusDirectory } from "../support/shared.js";

const fixtures = fileURLToPath(new URL("../fixtures/allocators/", import.meta.url));

function fixture(name: string) {
  return decodeModule(readFileSync(join(fixtures, `${name}.wasm`)));
}

describe("detectToolchain", () => {
  for (const [name, toolchain] of [
    // what the section says: the compiler of Debian's wasi-libc, the newer one left nothing
    ["c-named", "clang 14.0.6"],
    ["c-stripped", "unknown"],
    ["cpp-named", "wasi-sdk (clang 14.0.6)"],
    ["rust-named", "Rust 1.63.0"],
    ["rust-stripped", "Rust"],
    ["boundary", "wasm-bindgen (Rust)"],
    ["numbered", "wasm-bindgen (Rust)"],
    ["as-named", "AssemblyScript"],
    ["as-stripped", "AssemblyScript"],
  ]) {
    test(`${name}: ${toolchain}`, () => assert.equal(detectToolchain(fixture(name)), toolchain));
  }

  test("a damaged producers section tells nothing, and stops nothing", () => {
    const damaged = makeSection(sectionId.custom, Uint8Array.of(0x7f, 0x01), "producers");
    assert.equal(detectToolchain(decodeModule(encodeModule([damaged]))), "unknown");
  });

  for (const [path, toolchain] of [
    ["@silvia-odwyer/photon-node/photon_rs_bg.wasm", "wasm-bindgen 0.2.95 (Rust 1.86.0-nightly)"],
    ["tiktoken/tiktoken_bg.wasm", "wasm-bindgen 0.2.100 (Rust)"],
    ["lightningcss-wasm/lightningcss_node.wasm", "napi-rs (Rust 1.92.0)"],
    ["@embedpdf/pdfium/dist/pdfium.wasm", "Emscripten"],
    ["sql.js/dist/sql-wasm.wasm", "Emscripten (minified)"],
    ["@vscode/tree-sitter-wasm/wasm/tree-sitter-css.wasm", "Emscripten side module"],
    ["esbuild-wasm/esbuild.wasm", "Go 1.26.5"],
    ["@wasm-fmt/gofmt/gofmt.wasm", "TinyGo 0.40.1"],
    ["md4w/js/md4w-fast.wasm", "Zig"],
    ["source-map/lib/mappings.wasm", "Rust"],
    ["@fluffylabs/anan-as/dist/build/release.wasm", "AssemblyScript"],
    ["@node-rs/argon2-wasm32-wasi/argon2.wasm32-wasi.wasm", "napi-rs (Rust)"],
  ]) {
    const file = join(corpusDirectory() ?? "", "node_modules", path);
    const skip = !corpusDirectory()
      ? "needs LINMEM_CORPUS"
      : !existsSync(file)
        ? "not in this corpus"
        : false;
    test(`${path}: ${toolchain}`, { skip }, () => {
      assert.equal(detectToolchain(decodeModule(readFileSync(file))), toolchain);
    });
  }
});

describe("usedFeatures", () => {
  test("looks at code, types, memories and tables", () => {
    assert.deepEqual(usedFeatures(fixture("misfits")), [
      "multi-memory",
      "multi-value",
      "mutable-globals",
      "reference-types",
      "sign-extension",
    ]);
  });

  test("of the first version nothing is named", () => {
    assert.deepEqual(usedFeatures(fixture("boundary")), []);
  });
});
