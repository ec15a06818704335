// Hooks for Node's loader: TypeScript of the project becomes JavaScript, once for each state of a file.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { transformSync, version } from "esbuild";

const root = new URL("..", import.meta.url).href;
const cache = new URL("../.cache/typescript/", import.meta.url);

const isOurs = (url) => url.startsWith(root) && !url.includes("/node_modules/");

/** Imports say `.js`, as the compiled files will be called. */
export function resolve(specifier, context, next) {
  const { parentURL } = context;
  if (specifier.startsWith(".") && specifier.endsWith(".js") && parentURL && isOurs(parentURL)) {
    for (const ending of ["ts", "tsx"]) {
      const url = new URL(specifier.slice(0, -2) + ending, parentURL);
      if (existsSync(url)) return { url: url.href, format: "module", shortCircuit: true };
    }
  }
  return next(specifier, context);
}

export function load(url, context, next) {
  const [file] = url.split("?");
  if (!/\.tsx?$/.test(file) || !isOurs(file)) return next(url, context);
  return { format: "module", source: compiled(fileURLToPath(file)), shortCircuit: true };
}

function compiled(path) {
  const source = readFileSync(path, "utf8");
  const key = createHash("sha256").update(`${version}\0${path}\0${source}`).digest("base64url");
  const place = new URL(`${key}.js`, cache);
  if (existsSync(place)) return readFileSync(place, "utf8");
  const { code } = transformSync(source, {
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: path.endsWith("x") ? "tsx" : "ts",
    sourcefile: path,
    sourcemap: "inline",
    sourcesContent: false,
    target: "node20",
  });
  mkdirSync(cache, { recursive: true });
  // other processes may be about to write the same
  const draft = new URL(`${key}.${process.pid}`, cache);
  writeFileSync(draft, code);
  renameSync(draft, place);
  return code;
}
