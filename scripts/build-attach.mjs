// Bundles what is loaded in front of every program into one script: node takes 80 ms for its 160 modules one by one,
// 24 ms for one file, and what V8 compiled of one script can be kept for the next process (compiled-script.cts).
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const { outputFiles } = await build({
  entryPoints: ["src/attach/node/start.ts"],
  bundle: true,
  write: false,
  platform: "node",
  format: "esm",
  target: "node20.19",
  packages: "external",
  define: { "import.meta.url": "scriptUrl" },
  legalComments: "none",
  logLevel: "warning",
});

/**
 * The text of an ES module as an expression: a function of `require` and the script's URL that returns its exports.
 * Like imports, what it uses of Node is taken once: programs replace functions of `fs` and of timers.
 */
function asFunction(module) {
  const imports = [];
  const body = module
    .replaceAll(/^import (?:\* as )?(.+) from ("[^"]+");\n/gm, (_, names, from) => {
      imports.push(`const ${names.replaceAll(" as ", ": ")} = require(${from});\n`);
      return "";
    })
    .replace(/^export \{\n((?: {2}\w+,?\n)*)\};\n/m, "return {\n$1};\n");
  return `(function (require, scriptUrl) {\n"use strict";\n${imports.join("")}${body}})`;
}

const text = asFunction(outputFiles[0].text);
await writeFile("dist/attach/node/attach.cjs", text);
process.stdout.write(`what attaches to programs: ${text.length} bytes of script\n`);
