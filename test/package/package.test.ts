// The package as its users get it: packed, installed in an empty folder, imported, type-checked and run.
// Reads dist/, so build first (`npm test` does).
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
/** "linmem", "linmem/testing", …: what package.json offers for import. */
const importable = Object.keys(manifest.exports)
  .filter((key) => !key.endsWith(".json"))
  .map((key) => key.replace(/^\./, manifest.name));
/** These are there for what they do, some of them only inside of a test runner: testing.test.ts. */
const forEffect = ["linmem/testing/jest", "linmem/testing/vitest", "linmem/testing/register"];
const subpaths = importable.filter((subpath) => !forEffect.includes(subpath));

describe("the packed package", () => {
  let folder: string;
  let packed: string[];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "linmem-package-"));
    const { stdout } = await run(
      "npm",
      ["pack", "--json", "--ignore-scripts", "--pack-destination", folder],
      { cwd: root },
    );
    // npm 12 answers with an object by package name, earlier ones with a list.
    const [{ filename, files }] = Object.values<{ filename: string; files: { path: string }[] }>(
      JSON.parse(stdout),
    ) as [{ filename: string; files: { path: string }[] }];
    packed = files.map((file) => file.path);
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", join(folder, filename)], {
      cwd: folder,
    });
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("holds what runs, its types and its papers, nothing else", () => {
    const unexpected = packed.filter(
      (path) => !/^((dist|docs|schema)\/|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(path),
    );
    assert.deepEqual(unexpected, []);
    assert.deepEqual(
      packed.filter((path) => /\.test\.|recorder\/assembly/.test(path)),
      [],
    );
    assert.ok(packed.includes("LICENSE"));
  });

  for (const subpath of subpaths) {
    test(`import "${subpath}"`, async () => {
      const { stdout } = await run(
        process.execPath,
        ["--input-type=module", "--eval", `console.log(Object.keys(await import("${subpath}")).length)`],
        { cwd: folder },
      );
      assert.ok(Number(stdout) > 0, "exports nothing");
    });
  }

  test("types resolve, without Node's, for a strict TypeScript user", async () => {
    writeFileSync(
      join(folder, "user.ts"),
      subpaths.map((subpath, index) => `export * as part${index} from "${subpath}";\n`).join(""),
    );
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          target: "ES2022",
          module: "NodeNext",
          lib: ["ES2023", "DOM"],
          types: [],
          noEmit: true,
        },
        files: ["user.ts"],
      }),
    );
    await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", folder]);
  });

  test("types of the matchers, for Vitest and for Jest", async () => {
    const installed = join(folder, "node_modules");
    for (const name of ["vitest", "@types/node", "@types/jest"]) {
      mkdirSync(dirname(join(installed, name)), { recursive: true });
      symlinkSync(join(root, "node_modules", name), join(installed, name), "junction");
    }
    const uses = `
const fn = async () => {};
export const good: Promise<void>[] = [
  expect(fn).toNotLeak(),
  expect(fn).toNotLeak({ warmup: 1, runs: 2, allow: ["1 KiB", /name/] }),
  expect(fn).not.toStayWithin("4 MiB"),
  expect(fn).toStayWithin(4096),
];
// @ts-expect-error no size
expect(fn).toStayWithin("4 megs");
// @ts-expect-error no option
expect(fn).toNotLeak({ warmUp: 1 });
`;
    const compiler = { strict: true, target: "ES2022", module: "NodeNext", skipLibCheck: true, noEmit: true };
    const users = {
      vitest: `import { expect } from "vitest";\nimport "linmem/testing/vitest";\n${uses}`,
      jest: `import "linmem/testing/jest";\n${uses}`,
    };
    for (const [runner, source] of Object.entries(users)) {
      writeFileSync(join(folder, `${runner}.ts`), source);
      writeFileSync(
        join(folder, `tsconfig.${runner}.json`),
        JSON.stringify({
          compilerOptions: { ...compiler, types: runner === "jest" ? ["jest"] : [] },
          files: [`${runner}.ts`],
        }),
      );
      const config = join(folder, `tsconfig.${runner}.json`);
      await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", config]).catch(
        ({ stdout }) => assert.fail(stdout),
      );
    }
  });

  test("a CommonJS user has the same from require, with types", async () => {
    writeFileSync(
      join(folder, "user.cts"),
      'import testing = require("linmem/testing");\nexport const done: Promise<void> = testing.expectNoLeaks(() => {});\n',
    );
    const compiler = ["--strict", "--noEmit", "--target", "ES2022", "--module", "NodeNext", "--skipLibCheck"];
    await run(process.execPath, [
      join(root, "node_modules/typescript/bin/tsc"),
      ...compiler,
      join(folder, "user.cts"),
    ]).catch(({ stdout }) => assert.fail(stdout));
    const { stdout } = await run(
      process.execPath,
      [
        "--eval",
        'import("linmem/testing").then((m) => console.log(Object.keys(m).sort().join(), Object.keys(require("linmem/testing")).sort().join()))',
      ],
      { cwd: folder },
    );
    const [imported, required] = stdout.trim().split(" ");
    assert.equal(required, imported);
  });

  for (const name of Object.keys(manifest.bin)) {
    test(`npx ${name} --help`, async () => {
      const { stdout } = await run("npx", ["--no-install", name, "--help"], { cwd: folder });
      assert.match(stdout, new RegExp(`\\b${name}\\b`));
    });
  }

  test("linmem run keeps what was compiled of it inside the package, for the next run", async () => {
    const cache = join(folder, "node_modules", manifest.name, ".cache");
    writeFileSync(
      join(folder, "grow.mjs"),
      `const bytes = [0, 97, 115, 109, 1, 0, 0, 0, 5, 3, 1, 0, 1];
       const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes)));
       console.log(Object.keys(exports).length);`,
    );
    const linmem = ["--no-install", manifest.name, "run", "--force", "--out", "grow.linmem", "grow.mjs"];
    const first = await run("npx", linmem, { cwd: folder });
    const kept = readdirSync(cache).map((name) => statSync(join(cache, name)));
    assert.equal(kept.length, 1);
    assert.equal(first.stdout, "0\n");
    assert.deepEqual((await run("npx", linmem, { cwd: folder })).stdout, first.stdout);
    assert.deepEqual(
      readdirSync(cache).map((name) => statSync(join(cache, name)).ino),
      kept.map(({ ino }) => ino),
    );
  });
});
