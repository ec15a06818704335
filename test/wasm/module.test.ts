import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DecodeError } from "../../src/errors.js";
import { decodeModule, encodeModule, makeSection, replaceSections } from "../../src/wasm/module.js";
import { encodeGlobals } from "../../src/wasm/sections/globals.js";
import { encodeTags } from "../../src/wasm/sections/tags.js";
import { externalKind, type RawSection, sectionId } from "../../src/wasm/types.js";
import { hex, moduleOf, samples } from "./support.js";

const header = `00 "asm" 01 00 00 00`;

function failsAt(offset: number, message: RegExp, bytes: Uint8Array): void {
  assert.throws(
    () => decodeModule(bytes),
    (error) => error instanceof DecodeError && error.offset === offset && message.test(error.message),
  );
}

describe("the header", () => {
  test("is asked for in full", () => {
    failsAt(0, /magic header not detected/, new Uint8Array(0));
    failsAt(0, /magic header not detected/, hex(`00 "as"`));
    failsAt(0, /magic header not detected/, hex(`00 "asn" 01 00 00 00`));
    failsAt(4, /unknown binary version/, hex(`00 "asm"`));
    failsAt(4, /unknown binary version/, hex(`00 "asm" 02 00 00 00`));
    assert.deepEqual(decodeModule(hex(header)).sections, []);
  });

  test("of a component gets an error of its own", () => {
    failsAt(4, /component/, hex(`00 "asm" 0d 00 01 00`));
  });

  test("errors show the offset", () => {
    assert.throws(() => decodeModule(hex(`00 "asm" 02 00 00 00`)), { message: /\(at offset 0x4\)$/ });
  });
});

describe("sections", () => {
  test("keep id, place, payload, and their name when custom", () => {
    const { sections } = decodeModule(hex(`${header} 00 04 02 "ab" 63 05 84 80 00 01 01 01 02`));
    const [custom, memory] = sections;
    assert.equal(custom.name, "ab");
    assert.equal(custom.offset, 8);
    assert.deepEqual(custom.bytes.subarray(custom.payloadStart), hex("63"));
    assert.equal(memory.id, sectionId.memory);
    assert.equal(memory.offset, 14);
    assert.deepEqual(memory.bytes.subarray(memory.payloadStart), hex("01 01 01 02"));
  });

  test("that are out of order, twice there or unknown are refused where they begin", () => {
    failsAt(
      11,
      /unexpected content after last section: section out of order/,
      hex(`${header} 03 01 00 01 01 00`),
    );
    failsAt(
      11,
      /unexpected content after last section: duplicate section/,
      hex(`${header} 01 01 00 01 01 00`),
    );
    failsAt(8, /malformed section id 14/, hex(`${header} 0e 01 00`));
    failsAt(8, /malformed section id 127/, hex(`${header} 7f 01 00`));
  });

  test("have tags between memories and globals, and the data count before code", () => {
    const order = [1, 2, 3, 4, 5, 13, 6, 7, 9, 12, 10, 11];
    const bytes = moduleOf(...order.map((id): [number, string] => [id, "00"]));
    assert.deepEqual(
      decodeModule(bytes).sections.map(({ id }) => id),
      order,
    );
    failsAt(11, /out of order/, hex(`${header} 06 01 00 0d 01 00`));
    failsAt(11, /out of order/, hex(`${header} 0a 01 00 0c 01 00`));
  });

  test("that end behind the module are refused", () => {
    failsAt(10, /length out of bounds/, hex(`${header} 01 01`));
    failsAt(14, /length out of bounds/, hex(`${header} 01 ff ff ff ff 0f 00`)); // 4 GiB
    failsAt(9, /integer representation too long/, hex(`${header} 01 80 80 80 80 80 80 80 80 80 80 00 00`));
    failsAt(9, /integer too large/, hex(`${header} 01 80 80 80 80 10 00`));
    failsAt(9, /unexpected end/, hex(`${header} 01`));
  });

  test("that are custom need a name that is UTF-8 and lies inside", () => {
    failsAt(10, /unexpected end/, hex(`${header} 00 00`));
    failsAt(11, /length out of bounds/, hex(`${header} 00 01 01 61`));
    failsAt(11, /malformed UTF-8/, hex(`${header} 00 02 01 ff`));
  });

  test("agree on how many functions and data segments there are", () => {
    failsAt(14, /function and code section/, hex(`${header} 03 02 01 00 0a 01 00`));
    failsAt(12, /function and code section/, hex(`${header} 03 02 01 00`));
    failsAt(13, /data count and data section/, hex(`${header} 0c 01 01 0b 01 00`));
  });
});

describe("typed parts", () => {
  const module = decodeModule(samples.plain);

  test("are decoded once", () => {
    assert.equal(module.types, module.types);
    assert.equal(module.bodies, module.bodies);
    assert.equal(module.names, module.names);
  });

  test("are empty where a section is missing", () => {
    const empty = decodeModule(hex(header));
    assert.deepEqual(empty.types, []);
    assert.equal(empty.bodies.count, 0);
    assert.equal(empty.start, undefined);
    assert.equal(empty.dataCount, undefined);
    assert.deepEqual(empty.names, {});
  });

  test("say what a function is, imported or defined", () => {
    assert.equal(module.importedFunctionCount, 1);
    assert.equal(module.importedMemoryCount, 1);
    assert.equal(module.importedGlobalCount, 0);
    assert.equal(module.importedTableCount, 0);
    assert.equal(module.importedTagCount, 0);
    assert.equal(module.functionCount, 3);
    assert.deepEqual(
      [0, 1, 2].map((index) => module.functionTypeIndex(index)),
      [1, 0, 1],
    );
    assert.deepEqual(module.functionType(1), { kind: "func", params: [0x7f, 0x7f], results: [0x7f] });
    assert.equal(module.functionName(1), "add");
    assert.equal(module.functionName(2), undefined);
    assert.throws(() => module.functionType(3), DecodeError);
  });

  test("that are damaged fail when asked for, with their offset, and leave the others alone", () => {
    const damaged = decodeModule(hex(`${header} 01 03 01 60 00 05 03 01 00 01`));
    for (let i = 0; i < 2; i++) {
      assert.throws(
        () => damaged.types,
        (error) => error instanceof DecodeError && error.offset === 13,
      );
    }
    assert.equal(damaged.memories.length, 1);
  });

  test("a function whose type is none is refused", () => {
    const odd = decodeModule(moduleOf([1, "01 5e 7f 00"], [3, "02 00 07"], [10, "02 02 00 0b 02 00 0b"]));
    assert.throws(() => odd.functionType(0), /type 0 of function 0 is no function type/);
    assert.throws(() => odd.functionType(1), /type 7 of function 1 is no function type/);
  });
});

describe("writing", () => {
  test("sections as they are gives the same bytes", () => {
    for (const bytes of Object.values(samples)) {
      assert.deepEqual(encodeModule(decodeModule(bytes).sections), bytes);
    }
  });

  test("a section made from a payload reads back", () => {
    const module = decodeModule(
      encodeModule([
        makeSection(sectionId.tag, encodeTags([0])),
        makeSection(sectionId.custom, hex("01 02"), "linmem"),
      ]),
    );
    assert.deepEqual(module.tags, [0]);
    assert.deepEqual(
      module.customs.map(({ name }) => name),
      ["linmem"],
    );
    const custom = module.custom("linmem") as RawSection;
    assert.deepEqual(module.reader(custom).take(2), hex("01 02"));
  });

  test("replaced sections keep their place, new ones get theirs", () => {
    const { sections } = decodeModule(samples.plain);
    const globals = encodeGlobals([{ type: 0x7e, mutable: true, init: hex("42 00 0b") }]);
    const result = replaceSections(sections, [
      makeSection(sectionId.memory, hex("01 00 01")),
      makeSection(sectionId.global, globals),
      makeSection(sectionId.custom, hex("00"), "added"),
      makeSection(sectionId.custom, hex("00"), "name"),
    ]);
    const shape = result.map(({ id, name }) => name ?? id);
    assert.deepEqual(shape, [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11, "name", "producers", "added"]);
    assert.deepEqual(decodeModule(encodeModule(result)).globals[0].init, hex("42 00 0b"));
  });

  test("a known section that is new goes in front of the custom sections at the end", () => {
    const { sections } = decodeModule(moduleOf([1, "00"], [0, `04 "name"`]));
    const result = replaceSections(sections, [makeSection(sectionId.data, hex("00"))]);
    assert.deepEqual(
      result.map(({ id }) => id),
      [1, 11, 0],
    );
    const alone = replaceSections(decodeModule(moduleOf([0, `01 "a"`])).sections, [
      makeSection(1, hex("00")),
    ]);
    assert.deepEqual(
      alone.map(({ id }) => id),
      [1, 0],
    );
  });
});

test("imports keep kinds apart", () => {
  const module = decodeModule(samples.tags);
  assert.equal(module.imports[0].kind, externalKind.tag);
  assert.equal(module.importedTagCount, 1);
  assert.deepEqual(module.tags, [0]);
});
