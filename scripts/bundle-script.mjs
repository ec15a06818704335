// Bundles modules for node into one script that compiled-script.cts can run.
import { build } from "esbuild";

/**
 * @param entry path of a module of TypeScript
 * @returns an expression: a function of `require` and the script's URL that returns the module's exports. Packages are
 *   left to `require`.
 */
export async function bundleScript(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
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
  return inAscii(asFunction(outputFiles[0].text));
}

/** In strings there is nothing else by now; for one ellipsis in a comment engines would keep all of it in two bytes a character. */
function inAscii(script) {
  return script.replaceAll(/[^\0-\x7f]/g, "?");
}

/** As with imports, what is used of Node is taken once: programs replace functions of `fs` and of timers. */
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
