import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { findAllocator } from "../../src/instrument/find-allocator.js";
import { namesIn } from "../../src/instrument/glue-names.js";
import { decodeModule, encodeModule, makeSection, replaceSections } from "../../src/wasm/module.js";
import { encodeExports } from "../../src/wasm/sections/exports.js";
import { sectionId } from "../../src/wasm/types.js";
import { minifiedModule } from "../support/minified.js";
import { corpusDirectory } from "../support/shared.js";

const exported = new Set(["v", "w", "x", "y", "asm", "Ia"]);

function names(text: string): Record<string, string> {
  return Object.fromEntries(namesIn(text, exported).names);
}

describe("what scripts call minified exports", () => {
  // as Emscripten wrote it over the years, from the scripts of packages
  const forms: [what: string, text: string][] = [
    ["assigned", `var _malloc = Module["_malloc"] = wasmExports["v"];`],
    ["assigned, minified", "k._open=c.Ha;da=k._malloc=c.v;ea=k._freeing=c.Ja;"],
    ["a member alone", "d._malloc=b.v;d._QTS_Throw=b.z"],
    [
      "replaced at the first call",
      `var _malloc=Module["_malloc"]=function(){return(_malloc=Module["_malloc"]=Module["asm"]["v"]).apply(null,arguments)};`,
    ],
    [
      "replaced at the first call, minified",
      "a._malloc=function(){return(a._malloc=a.asm.v).apply(null,arguments)}",
    ],
    [
      "an arrow",
      `var _malloc=Module["_malloc"]=(a0,a1)=>(_malloc=Module["_malloc"]=wasmExports["v"])(a0,a1);`,
    ],
    [
      "called by a function",
      `var _malloc=Module["_malloc"]=function(){return Module["asm"]["v"].apply(null,arguments)};`,
    ],
    ["called by a function, minified", "Ta=f._malloc=function(){return f.asm.v.apply(null,arguments)},"],
    ["single quotes", "_malloc = Module['_malloc'] = wasmExports['v'];"],
  ];
  for (const [what, text] of forms) {
    test(what, () => assert.deepEqual(names(text), { v: "malloc" }));
  }

  test("several functions at once", () => {
    const text = "k._malloc=c.Ia;k._free=c.w;k._realloc=c.x;k._sqlite3_open=c.y;";
    assert.deepEqual(names(text), { Ia: "malloc", w: "free", x: "realloc" });
  });

  for (const [what, text] of [
    ["a member that the module doesn't export", "k._malloc=c.zz"],
    ["a comparison", "if(k._malloc==c.v)f()"],
    ["what a call returns", "k._malloc=c.v(1)"],
    ["a name that ends so", "my_malloc=c.v"],
    ["a function of the program's", "k._mallocate=c.v"],
  ]) {
    test(`not ${what}`, () => assert.deepEqual(names(text), {}));
  }

  test("a name with two exports, as where two modules are bundled, is not used", () => {
    const { names: found, notes } = namesIn("k._malloc=c.v;k._free=c.w;j._malloc=d.x", exported);
    assert.deepEqual(Object.fromEntries(found), { w: "free" });
    assert.deepEqual(notes, [
      'the script around the module gives "_malloc" as export "v" and "x": it was not used',
    ]);
  });
});

const minifiedFixture = () => decodeModule(minifiedModule());

describe("finding the allocator by a script", () => {
  test("functions that behave as their names say", () => {
    const { functions } = findAllocator(minifiedFixture(), [], undefined, () => [
      "M._malloc=w.b;M._free=w.d;M._realloc=w.c",
    ]);
    const named = functions.filter(({ confidence }) => confidence === "named");
    assert.deepEqual(
      named.map(({ role, name, evidence }) => `${role} ${name}: ${evidence}`),
      [
        'malloc malloc: export "b", which the script calls "_malloc"',
        'free free: export "d", which the script calls "_free"',
        'realloc realloc: export "c", which the script calls "_realloc"',
      ],
    );
  });

  test("names that no trial proves, as those of another module, are not relied on", () => {
    const unaided = findAllocator(minifiedFixture());
    const { functions, notes } = findAllocator(minifiedFixture(), [], undefined, () => [
      "M._realloc=w.c;M._malloc=w.a;M._calloc=w.e",
    ]);
    assert.deepEqual(
      functions.map(({ role, index }) => `${role} ${index}`),
      unaided.functions.map(({ role, index }) => `${role} ${index}`),
    );
    assert.match(
      notes.join("\n"),
      /malloc \(export "a", which the script calls "_malloc"\), .* could not be tried out: not relied on/,
    );
  });

  test("names that can't be tried out hold where the bodies say the same", () => {
    const { functions, notes } = findAllocator(minifiedFixture(), [], undefined, () => ["M._realloc=w.c"]);
    const resizing = functions.find(({ role }) => role === "realloc");
    assert.equal(resizing?.name, "realloc");
    assert.equal(resizing.confidence, "likely");
    assert.match(resizing.evidence, /heap's state, export "c", which the script calls "_realloc"$/);
    assert.doesNotMatch(notes.join(), /not relied on/);
  });

  test("what the module itself names needs no trial, and proves nothing that a script says", () => {
    const named = decodeModule(readFileSync("test/fixtures/allocators/c-named.wasm"));
    const { functions: own } = findAllocator(named);
    const exports = ["make_aligned", "release"].map((name, i) => {
      const { kind, index } = named.exports.find((item) => item.name === name)!;
      return { kind, index, name: "ab"[i]! };
    });
    const section = makeSection(sectionId.export, encodeExports(exports));
    const minified = decodeModule(encodeModule(replaceSections(named.sections, [section])));
    const { functions, notes } = findAllocator(minified, [], undefined, () => ["M._calloc=w.a"]);
    assert.deepEqual(functions, own);
    assert.match(
      notes.join(),
      /^calloc \(export "a", which the script calls "_calloc"\) could not be tried out/,
    );
  });

  test("no script is read where exports have names", () => {
    const module = decodeModule(readFileSync("test/fixtures/allocators/c-exports.wasm"));
    findAllocator(module, [], undefined, () => assert.fail("a script was asked for"));
  });

  const corpus = corpusDirectory();
  for (const [folder, module, script, allocating] of [
    ["sql.js/dist", "sql-wasm.wasm", "sql-wasm.js", 244],
    ["@jitl/quickjs-wasmfile-release-sync/dist", "emscripten-module.wasm", "emscripten-module.mjs", 150],
    ["@jitl/quickjs-wasmfile-release-asyncify/dist", "emscripten-module.wasm", "emscripten-module.cjs", 151],
  ] as const) {
    const place = corpus && join(corpus, "node_modules", folder);
    const skip = place && existsSync(place) ? false : "LINMEM_CORPUS is not set";
    test(`${folder}: the script and the constants name the same function`, { skip }, () => {
      const bytes = readFileSync(join(place!, module));
      const text = readFileSync(join(place!, script), "utf8");
      const named = findAllocator(decodeModule(bytes), [], undefined, () => [text]).functions;
      const unaided = findAllocator(decodeModule(bytes)).functions;
      const which = ({ role, index }: { role: string; index: number }) => `${role} ${index}`;
      assert.deepEqual(named.map(which), unaided.map(which));
      const malloc = named.find(({ role }) => role === "malloc");
      assert.equal(malloc?.index, allocating);
      assert.match(malloc?.evidence ?? "", /which the script calls "_malloc"/);
    });
  }
});
