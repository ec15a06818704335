// What the text of scripts says of the objects that are made on their lines.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ScriptText } from "../../src/analyze/calls.js";

/** Line and column, from 1, of a mark `@` in a text, and the text without it. */
function at(marked: string): [ScriptText, number, number] {
  const before = marked.slice(0, marked.indexOf("@"));
  const line = before.split("\n").length;
  return [new ScriptText(marked.replace("@", "")), line, before.length - before.lastIndexOf("\n")];
}

const made = (marked: string) => {
  const [text, line, column] = at(marked);
  return text.classMadeAt(line, column);
};
const called = (marked: string) => {
  const [text, line, column] = at(marked);
  return text.calledAt(line, column);
};

describe("the class of what a function returns", () => {
  test("is what wasm-bindgen wraps behind the call", () => {
    assert.equal(
      made(`module.exports.resize = function(image, width) {
    _assertClass(image, Image);
    const ret = wasm.@resize(image.__wbg_ptr, width);
    return Image.__wrap(ret);
};`),
      "Image",
    );
    assert.equal(
      made(`  render() {
    try {
      wasm.@resvg_render(retptr, this.__wbg_ptr);
      if (getInt32(retptr + 8)) { throw takeObject(r1); }
      return RenderedImage.__wrap(r0);
    } finally { wasm.__wbindgen_add_to_stack_pointer(16); }
  }`),
      "RenderedImage",
    );
    assert.equal(
      made("resize(a,b){let c=i.@resize(a.__wbg_ptr,b);return t.__wrap(c)}free(){i.free(1)}"),
      "t",
    );
  });

  test("is not what the next function wraps", () => {
    assert.equal(
      made(`export function width(image) {
    return wasm.@image_width(image.__wbg_ptr);
}
export function copy(image) {
    return Image.__wrap(wasm.image_copy(image.__wbg_ptr));
}`),
      "",
    );
    assert.equal(made("width: () => wasm.@width(),\ncopy: () => Image.__wrap(wasm.copy())"), "");
    assert.equal(
      made("    const ret = wasm.@count();\n    return ret;\n  }\n  static of() { return Image.__wrap(1); }"),
      "",
    );
  });
});

describe("what a line calls", () => {
  test("is the name before the place, and from there to the bracket", () => {
    assert.equal(called("const root = yoga.Node.@create();"), "yoga.Node.create");
    assert.equal(called("f(1)\n  (new @Image (1))"), "Image");
    assert.equal(called("a.@b"), "");
    assert.equal(called("@"), "");
  });

  test("places that a text doesn't have call nothing", () => {
    const text = new ScriptText("Node.create()");
    for (const [line, column] of [
      [0, 1],
      [2, 1],
      [1, 0],
      [1, 5000],
      [1e9, 1e9],
    ] as const)
      assert.deepEqual([text.calledAt(line, column), text.classMadeAt(line, column)], ["", ""]);
  });
});
