import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { stripped } from "../../scripts/strip-matrix/variants.js";
import { UsageError } from "../../src/errors.js";
import { conventionsOf, readableName } from "../../src/instrument/allocators/conventions.js";
import { findAllocator } from "../../src/instrument/find-allocator.js";
import { decodeModule, encodeModule } from "../../src/wasm/module.js";
import { corpusDirectory } from "../support/shared.js";
import { assemble } from "./support.js";

const fixtures = fileURLToPath(new URL("../fixtures/allocators/", import.meta.url));

function fixture(name: string) {
  return decodeModule(readFileSync(join(fixtures, `${name}.wasm`)));
}

/** `role index` of each function that was found. */
function found(module: ReturnType<typeof fixture>): string[] {
  return findAllocator(module).functions.map(({ role, index }) => `${role} ${index}`);
}

describe("by name", () => {
  test("C: the function of each name, and the inner ones where calls go as well", () => {
    const { functions, notes } = findAllocator(fixture("c-named"));
    assert.deepEqual(
      functions.map(({ role, name }) => `${role} ${name}`),
      [
        "malloc malloc",
        "malloc dlmalloc",
        "free free",
        "free dlfree",
        "calloc calloc",
        "realloc realloc",
        "posix_memalign posix_memalign",
        "memalign internal_memalign",
        "memalign aligned_alloc",
      ],
    );
    assert.ok(functions.every(({ evidence }) => evidence === "name section"));
    assert.deepEqual(notes, []);
  });

  test("C++: every form of new and delete, mangled or not", () => {
    const named = found(fixture("cpp-named"));
    assert.deepEqual(found(fixture("cpp-mangled")), named);
    const { functions } = findAllocator(fixture("cpp-named"));
    const role = (name: string) => functions.find((member) => member.name === name)?.role;
    assert.equal(role("operator new(unsigned long)"), "malloc");
    assert.equal(role("operator new[](unsigned long)"), "malloc");
    assert.equal(role("operator new(unsigned long, std::nothrow_t const&)"), "malloc");
    assert.equal(role("operator new(unsigned long, std::align_val_t)"), "alloc_aligned");
    assert.equal(role("operator delete(void*)"), "free");
    assert.equal(role("operator delete(void*, unsigned long, std::align_val_t)"), "free");
    assert.equal(role("malloc"), "malloc");
  });

  test("Rust: shims and dlmalloc's methods, with self where it is still there", () => {
    const { functions } = findAllocator(fixture("rust-named"));
    const roles = Object.fromEntries(functions.map(({ name, role }) => [name, role]));
    assert.equal(roles.__rust_alloc, "alloc_aligned");
    assert.equal(roles.__rust_dealloc, "free");
    assert.equal(roles.__rdl_realloc, "rust_realloc");
    assert.equal(roles["dlmalloc::dlmalloc::Dlmalloc<A>::malloc"], "malloc_method");
    assert.equal(roles["dlmalloc::dlmalloc::Dlmalloc<A>::free"], "free_method");
    assert.equal(roles["dlmalloc::dlmalloc::Dlmalloc<A>::realloc"], "realloc_method");
    assert.equal(roles["dlmalloc::dlmalloc::Dlmalloc<A>::memalign"], "memalign_method");
  });

  test("Rust: talc's own functions, which others than the shims call too", () => {
    const talc = fileURLToPath(new URL("../fixtures/bugs/rust-talc.wasm", import.meta.url));
    const { functions } = findAllocator(decodeModule(readFileSync(talc)));
    assert.deepEqual(
      functions.slice(0, 3).map(({ role, index }) => [role, index]),
      [
        ["free_sized_method", 0],
        ["memalign_method", 1],
        ["realloc_layout_method", 2],
      ],
    );
    // Rust's older mangling
    for (const [name, role] of [
      ["_ZN4talc4talc13Talc$LT$O$GT$6malloc17h0123456789abcdefE", "memalign_method"],
      ["_ZN4talc4talc13Talc$LT$O$GT$4free17h0123456789abcdefE", "free_sized_method"],
      [
        "_ZN91_$LT$talc..talck..Talck$LT$R$C$O$GT$$u20$as$u20$core..alloc..global..GlobalAlloc$GT$7realloc17h0123456789abcdefE",
        "realloc_layout_method",
      ],
    ] as const) {
      assert.deepEqual(
        conventionsOf(name).map((it) => it.role),
        [role],
      );
    }
  });

  describe("Zig: both functions, unless another one works on their state", () => {
    /** One list of free blocks at 70000, and at 70004 where nothing was given out yet. */
    const zig = ({ data = "", both = "", others = "" }) => `(module
  (memory 2) ${data}
  (func $heap.WasmAllocator.alloc (export "a") (param i32 i32 i32 i32) (result i32) (local $block i32) ${both}
    (if (i32.and (i32.le_u (local.get 1) (i32.const 64)) (i32.ne (i32.load (i32.const 70000)) (i32.const 0)))
      (then
        (local.set $block (i32.load (i32.const 70000)))
        (i32.store (i32.const 70000) (i32.load (local.get $block)))
        (return (local.get $block))))
    (local.set $block (i32.add (i32.const 80000) (i32.load (i32.const 70004))))
    (i32.store (i32.const 70004)
      (i32.add (i32.load (i32.const 70004)) (i32.and (i32.add (local.get 1) (i32.const 71)) (i32.const -64))))
    (local.get $block))
  (func $heap.WasmAllocator.free (export "f") (param i32 i32 i32 i32 i32) ${both}
    (i32.store (local.get 1) (i32.load (i32.const 70000)))
    (i32.store (i32.const 70000) (local.get 1)))
  ${others})`;
    const message = "(drop (i32.load (i32.const 70400)))";
    const data = '(data (i32.const 70400) "no room")';
    const users = (body: string) => `(func $first) (func $other (export "o") ${body})`;
    const part = /not hooked: a part of the allocator is in other too/;

    for (const [name, parts, isPair] of [
      ["nobody comes near it", {}, true],
      ["a message that others show as well is none", { data, both: message, others: users(message) }, true],
      [
        "a function with a part of it",
        { others: users("(i32.store (i32.const 70000) (i32.const 0))") },
        false,
      ],
      [
        "a part in which the address is an offset",
        { others: users("(i32.store offset=70000 (i32.const 0) (i32.const 0))") },
        false,
      ],
      [
        "a part that only a trial tells from a message",
        { data: '(data (i32.const 70000) "\\00")', others: users("(drop (i32.load (i32.const 70000)))") },
        false,
      ],
    ] as const) {
      test(name, () => {
        const { functions, notes } = findAllocator(decodeModule(assemble(zig(parts))));
        const roles = functions.map(({ role, name }) => `${role} ${name}`);
        const pair = ["malloc_method heap.WasmAllocator.alloc", "free_method heap.WasmAllocator.free"];
        assert.deepEqual(roles, isPair ? pair : [], notes.join());
        assert.equal(part.test(notes.join()), !isPair, notes.join());
      });
    }

    test("a part for one size, whose list lies behind the address that the others have", () => {
      /** A list for each of four lengths, and what was given out yet in front of them. */
      const lists = (others: string) => {
        const [alloc, free] = zig({ others })
          .replaceAll("70004", "69996")
          .split("(func $heap.WasmAllocator.free");
        const byLength = (text: string, length: string) =>
          text.replaceAll(
            "(i32.const 70000)",
            `(i32.add (i32.const 70000) (i32.and ${length} (i32.const 12)))`,
          );
        const whole = `${byLength(alloc!, "(local.get 1)")}(func $heap.WasmAllocator.free${byLength(free!, "(local.get 2)")}`;
        return findAllocator(decodeModule(assemble(whole)));
      };
      const user = (address: number) => users(`(i32.store (i32.const ${address}) (i32.const 0))`);
      assert.equal(lists(user(70200)).functions.length, 2);
      const { functions, notes } = lists(user(70008));
      assert.deepEqual(functions, []);
      assert.match(notes.join(), part);
    });
  });

  test("AssemblyScript: the level at which allocation and release pair", () => {
    const { functions, notes } = findAllocator(fixture("as-named"));
    const pair = functions.filter(({ role }) => role !== "collect");
    assert.deepEqual(pair.map(({ name }) => name).sort(), ["~lib/rt/tlsf/__alloc", "~lib/rt/tlsf/__free"]);
    assert.deepEqual(notes, []);
  });

  test("dlmalloc as Emscripten's compiler before 2020 wrote it, without an instruction that counts zeros", () => {
    const constants = (list: readonly number[]) =>
      list.map((value) => `(drop (i32.const ${value}))`).join("");
    const both = [16777215, -8, 31, 14, 15, 7, 25];
    const more = (count: number) =>
      "(drop (i32.load (i32.const 5000))) (drop (i32.load (i32.const 5300)))".repeat(count);
    const { functions } = findAllocator(
      decodeModule(
        assemble(`(module
          (import "env" "memory" (memory 16)) (import "env" "f" (func (param f32)))
          (func $a (param i32) (result i32) ${constants([...both, 245, 11, -65])} ${more(250)} (i32.const 0))
          (func $b (param i32) ${constants([...both, -2, 3])} ${more(40)})
          (func (export "x") (param i32) (call $b (call $a (local.get 0)))))`),
      ),
    );
    assert.deepEqual(
      functions.map(({ role, index }) => [role, index]),
      [
        ["malloc", 1],
        ["free", 2],
      ],
    );
  });

  test("names of all manglings", () => {
    const role = (name: string) => conventionsOf(name)[0]?.role;
    assert.equal(role("_RNvCsdBezzDwma51_7___rustc12___rust_alloc"), "alloc_aligned");
    assert.equal(role("_RNvCsdBezzDwma51_7___rustc14___rust_dealloc"), "free");
    assert.equal(role("__rustc[de2ca18b4c54d5b8]::__rust_realloc"), "rust_realloc");
    assert.equal(role("__rdl_alloc_zeroed"), "alloc_aligned");
    assert.equal(role("dlmalloc::dlmalloc::Dlmalloc<A>::free::h600e8abf61a27942"), "free");
    assert.equal(role("<dlmalloc::dlmalloc::Dlmalloc<dlmalloc::sys::System>>::malloc"), "malloc");
    assert.equal(role("dlmalloc::Dlmalloc<A>::realloc::h600e8abf61a27942"), "rust_realloc");
    assert.equal(
      role("_RNvMs0_NtCs4HgSFOBc2lI_8dlmalloc8dlmallocINtB5_8DlmallocNtNtB7_3sys6SystemE8memalign"),
      "memalign",
    );
    assert.equal(role("_ZnwmSt11align_val_tRKSt9nothrow_t"), "alloc_aligned");
    assert.equal(role("_ZdaPvm"), "free");
    assert.equal(role("emscripten_builtin_memalign"), "memalign");
    assert.equal(role("mi_malloc_aligned"), "alloc_aligned");
    assert.equal(role("cabi_realloc"), "cabi_realloc");
    assert.equal(role("_malloc"), "malloc");
    for (const other of [
      "operator new(unsigned long, void*)",
      "my_malloc",
      "freedom",
      "__rust_no_alloc_shim_is_unstable",
    ]) {
      assert.equal(role(other), undefined, other);
    }
    assert.equal(readableName("_RNvCsdBezzDwma51_7___rustc12___rust_alloc"), "__rust_alloc");
    assert.equal(
      readableName("_ZN8dlmalloc8dlmalloc17Dlmalloc$LT$A$GT$4free17hc162d4563cf6e25bE"),
      "dlmalloc::dlmalloc::Dlmalloc<A>::free",
    );
  });

  test("names whose types don't fit, imports and halves are notes", () => {
    const { functions, notes } = findAllocator(fixture("misfits"));
    assert.deepEqual(functions, []);
    assert.deepEqual(notes, [
      '"free" (function 2) has type (f64) → nothing, which does not fit the role free: not hooked',
      'imports "calloc" of "env": its blocks are those of the module that provides it',
      "only malloc found, but no function that releases blocks: not hooked",
    ]);
  });
});

describe("without names", () => {
  test("C: the functions that have names elsewhere", () => {
    // the same code as c-named, so the same indices: the inner functions, where all calls go
    assert.deepEqual(found(fixture("c-stripped")), ["malloc 9", "free 11", "realloc 13", "memalign 16"]);
  });

  test("C: exports, and around them what isn't exported", () => {
    const { functions } = findAllocator(fixture("c-exports"));
    assert.deepEqual(
      functions.map(({ role, name }) => `${role} ${name}`),
      [
        "malloc malloc",
        "malloc wasm-function[9]",
        "free free",
        "free wasm-function[11]",
        "realloc realloc",
        "memalign wasm-function[16]",
      ],
    );
    assert.equal(functions[0].evidence, 'export "malloc"');
    assert.equal(functions[1].evidence, "body constants of dlmalloc's malloc");
  });

  test("Rust: as with names", () => {
    const methods = findAllocator(fixture("rust-named")).functions.filter(({ role }) =>
      role.endsWith("_method"),
    );
    assert.deepEqual(
      found(fixture("rust-stripped")),
      methods.map(({ role, index }) => `${role} ${index}`),
    );
  });

  test("Rust with link-time optimisation: self is gone, what aligns and resizes stays", () => {
    assert.deepEqual(found(fixture("rust-lto-stripped")), [
      "memalign 2",
      "malloc 3",
      "rust_realloc 7",
      "free 9",
    ]);
  });

  test("wasm-bindgen's exports lead to the functions behind them, and are not hooked", () => {
    const expected = ["alloc_aligned 0", "free 1", "rust_realloc 2"];
    assert.deepEqual(found(fixture("boundary")), expected);
    assert.deepEqual(found(fixture("numbered")), expected);
    const { functions } = findAllocator(fixture("boundary"));
    assert.equal(functions[0].evidence, 'callee of export "__wbindgen_malloc"');
  });

  test("those of wasm-bindgen before 0.2.85, which know no alignment, as well", () => {
    const module = decodeModule(
      assemble(`(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 65536))
  (func $take (param i32) (result i32)
    (drop (memory.grow (i32.const 1)))
    (global.set $top (i32.add (global.get $top) (local.get 0)))
    (global.get $top))
  (func $give (param i32) (global.set $top (local.get 0)))
  (func $resize (param i32 i32) (result i32) (call $take (local.get 1)))
  (func (export "work") (call $give (call $resize (call $take (i32.const 8)) (i32.const 16))))
  (func (export "__wbindgen_malloc") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 4))))
    (call $take (local.get 0)))
  (func (export "__wbindgen_realloc") (param i32 i32 i32) (result i32)
    (call $resize (local.get 0) (local.get 2)))
  (func (export "__wbindgen_free") (param i32 i32)
    (if (local.get 1) (then (call $give (local.get 0))))))`),
    );
    const { functions, notes } = findAllocator(module);
    assert.deepEqual(
      functions.map(({ role, evidence }) => `${role}, ${evidence}`),
      [
        'malloc, callee of export "__wbindgen_malloc"',
        'free, callee of export "__wbindgen_free"',
        'realloc, callee of export "__wbindgen_realloc"',
      ],
    );
    assert.deepEqual(notes, []);
  });

  test("of several exports of one function the name is the one that says what it is", () => {
    const module = decodeModule(
      assemble(`(module (memory 1)
  (func (export "malloc") (param i32) (result i32) (local.get 0))
  (func (export "_ZN3BoxD0Ev") (export "free") (param i32)))`),
    );
    assert.deepEqual(
      findAllocator(module).functions.map(({ name }) => name),
      ["malloc", "free"],
    );
  });

  test("AssemblyScript: where no pair is found what it allocates, and a note", () => {
    const { functions, notes } = findAllocator(fixture("as-stripped"));
    assert.deepEqual(
      functions.map(({ role }) => role),
      ["collected_alloc", "collect"],
    );
    assert.match(notes.join(), /garbage-collected guest \(AssemblyScript\)/);
  });

  test("a module without functions", () => {
    assert.deepEqual(findAllocator(decodeModule(encodeModule([]))), { functions: [], notes: [] });
  });
});

describe("--allocator", () => {
  test("by export, by name and by index", () => {
    const { functions } = findAllocator(fixture("c-exports"), [
      { role: "malloc", target: "make" },
      { role: "free", target: "release" },
    ]);
    assert.deepEqual(
      functions.map(({ role, name, evidence }) => [role, name, evidence]),
      [
        ["malloc", "make", "--allocator"],
        ["free", "release", "--allocator"],
      ],
      "replaces what would be found",
    );
    const named = findAllocator(fixture("rust-named"), [
      { role: "malloc_method", target: "dlmalloc::dlmalloc::Dlmalloc<A>::malloc" },
      { role: "free_method", target: "14" },
    ]);
    assert.equal(named.functions.find(({ index }) => index === 14)?.evidence, "--allocator");
    assert.equal(named.functions.find(({ index }) => index === 15)?.evidence, "--allocator");
  });

  test("keeps what was found around the same functions", () => {
    const { functions } = findAllocator(fixture("c-stripped"), [
      { role: "malloc", target: "9" },
      { role: "free", target: "11" },
    ]);
    assert.deepEqual(
      functions.map(({ role, index, evidence }) => `${role} ${index} ${evidence.slice(0, 11)}`),
      ["malloc 9 --allocator", "free 11 --allocator", "realloc 13 calls mallo", "memalign 16 calls mallo"],
    );
  });

  const refused: [role: string, target: string, message: RegExp][] = [
    [
      "malloc",
      "nowhere",
      /^--allocator malloc=nowhere: the module has no export or function of that name; exports that fit: make$/,
    ],
    ["malloc", "9999", /the module has no function of that index, its last is \d+; exports that fit: make$/],
    [
      "calloc",
      "make",
      /function \d+ has type \(i32\) → i32, calloc takes \(count, size\) and returns a block; exports that fit: make_cleared/,
    ],
    ["borrow", "make", /no such role; roles are malloc, calloc/],
    ["malloc", "toString", /no export or function/],
  ];
  for (const [role, target, message] of refused) {
    test(`refuses ${role}=${target} in one line`, () => {
      assert.throws(
        () => findAllocator(fixture("c-stripped"), [{ role: role as "malloc", target }]),
        (error: Error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }

  test("refuses imported functions", () => {
    assert.throws(
      () => findAllocator(fixture("misfits"), [{ role: "calloc", target: "0" }]),
      /only the module's own can be hooked/,
    );
  });
});

describe("modules from npm", () => {
  // Indices were checked by disassembling: what each function does, who calls it, which state they share.
  const modules: [path: string, expected: string[]][] = [
    ["@resvg/resvg-wasm/index_bg.wasm", ["malloc 102", "free 398", "rust_realloc 499", "memalign 766"]],
    ["tiktoken/tiktoken_bg.wasm", ["malloc 25", "rust_realloc 136", "free 167", "memalign 283"]],
    [
      "lightningcss-wasm/lightningcss_node.wasm",
      ["malloc 56", "free 116", "rust_realloc 122", "memalign 123"],
    ],
    ["source-map/lib/mappings.wasm", ["malloc 18", "free 20", "memalign 21", "rust_realloc 22"]],
    ["web-tree-sitter/web-tree-sitter.wasm", ["malloc 34", "calloc 42", "free 51", "realloc 93"]],
    ["sql.js/dist/sql-wasm.wasm", ["free 243", "malloc 244", "memalign 1265"]],
    [
      "@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm",
      ["free 142", "malloc 150", "realloc 775"],
    ],
    [
      "@embedpdf/pdfium/dist/pdfium.wasm",
      ["malloc 7470", "free 7472", "realloc 7473", "memalign 7475", "memalign 7476"],
    ],
    [
      "@node-rs/argon2-wasm32-wasi/argon2.wasm32-wasi.wasm",
      ["malloc 74", "free 91", "realloc 109", "memalign 138", "malloc 546", "free 547"],
    ],
    ["md4w/js/md4w-fast.wasm", ["malloc 62", "realloc 63", "free 64"]],
    ["@fluffylabs/anan-as/dist/build/debug.wasm", ["malloc 32", "free 61", "collect 64", "collect 440"]],
    // insertBlock, which every release goes through since freeBlock was inlined: counts are those of the debug build
    ["@fluffylabs/anan-as/dist/build/release.wasm", ["free_method 3", "malloc_method 7"]],
    ["@wasm-fmt/gofmt/gofmt.wasm", ["collected_alloc 29"]],
    ["esbuild-wasm/esbuild.wasm", ["go_collect 441", "go_alloc 1371"]],
    ["@vscode/tree-sitter-wasm/wasm/tree-sitter-css.wasm", []],
  ];
  test("gofmt without its names", { skip: !corpusDirectory() && "needs LINMEM_CORPUS" }, () => {
    const file = join(corpusDirectory()!, "node_modules/@wasm-fmt/gofmt/gofmt.wasm");
    const { sections } = decodeModule(readFileSync(file));
    const bytes = encodeModule(sections.filter(({ name }) => name !== "name"));
    assert.deepEqual(found(decodeModule(bytes)), ["collected_alloc 29"]);
  });

  test("md4w without its names", { skip: !corpusDirectory() && "needs LINMEM_CORPUS" }, () => {
    const file = join(corpusDirectory()!, "node_modules/md4w/js/md4w-fast.wasm");
    const { functions, notes } = findAllocator(decodeModule(stripped(decodeModule(readFileSync(file)))));
    // what C's free releases has a header in front, and Zig's own blocks, of which it takes no notice, have none
    assert.deepEqual(functions, []);
    assert.match(
      notes.join(),
      /function 62 allocates and function 64 releases, but a part of that allocator/,
    );
  });

  for (const [path, expected] of modules) {
    const file = join(corpusDirectory() ?? "", "node_modules", path);
    const skip = !corpusDirectory()
      ? "needs LINMEM_CORPUS"
      : !existsSync(file)
        ? "not in this corpus"
        : false;
    test(path, { skip }, () => {
      const module = decodeModule(readFileSync(file));
      assert.deepEqual(found(module), expected);
      // SQLite's own realloc, with a header of its own in front of each block, has dlmalloc's inlined
      if (path.startsWith("sql.js"))
        assert.match(findAllocator(module).notes.join(), /function 1827 works on/);
      if (expected.length === 0) assert.notDeepEqual(findAllocator(module).notes, []);
    });
  }
});
