import assert from "node:assert/strict";
import { test } from "node:test";
import { demangle } from "../../src/names/demangle.js";

const names: [toolchain: string, mangled: string, readable: string][] = [
  ["C++", "_Znwm", "operator new(unsigned long)"],
  [
    "C++",
    "_ZNSt3__26vectorIiNS_9allocatorIiEEE9push_backEOi",
    "std::__2::vector<int, std::__2::allocator<int> >::push_back(int&&)",
  ],
  ["Rust legacy", "_ZN5alloc5alloc8box_free17h0123456789abcdefE", "alloc::alloc::box_free"],
  ["Rust v0", "_RNvCsg0J8ox6dRTM_7___rustc12___rust_alloc", "__rustc::__rust_alloc"],
  ["Rust v0", "_RNvMNtCs1234_7mycrate3fooNtB2_3Bar3baz", "<mycrate::foo::Bar>::baz"],
];
for (const [toolchain, mangled, readable] of names) {
  test(`${toolchain}: ${mangled}`, () => assert.equal(demangle(mangled), readable));
}

test("what is not mangled stays as it is", () => {
  for (const name of [
    "",
    "malloc",
    "__rust_alloc",
    "_Z",
    "_ZN",
    "_Rxx",
    "wasm-function[12]",
    "std::vector<int>::at(int)",
  ]) {
    assert.equal(demangle(name), name);
  }
});
