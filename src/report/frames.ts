import type { FrameReport, ModuleReport } from "../analyze/report.js";
import { clean } from "./format.js";

/** The name of a frame's function, fit for a terminal. */
export function functionName({ kind, function: name, line }: FrameReport): string {
  if (name !== "") return clean(name);
  return kind === "wasm" ? `wasm-function[${line}]` : "(anonymous)";
}

/** `src/app.mjs:12:5`, `photon-node/photon_rs.js:112`, `photon_rs_bg.wasm:0x1a2b3`. */
export function location({ kind, file, line, column, source }: FrameReport, directory: string): string {
  if (source) return location({ function: "", kind: "js", ...source }, directory);
  if (kind === "wasm") return column > 0 ? `${lastPart(file)}:0x${column.toString(16)}` : lastPart(file);
  const path = shortPath(file, directory);
  return [path, ...(line > 0 ? [line] : []), ...(line > 0 && column > 0 ? [column] : [])].join(":");
}

/** The same without the column: a line that one can name. */
export function lineLocation(frame: FrameReport, directory: string): string {
  const { source } = frame;
  return location({ ...frame, column: 0, ...(source && { source: { ...source, column: 0 } }) }, directory);
}

/** A script's path: from `directory`, or from the package that it belongs to. */
export function shortPath(file: string, directory: string): string {
  if (file === "") return "(unknown)";
  let path = file;
  if (/^file:\/\/\//.test(file)) {
    try {
      path = decodeURIComponent(file.slice("file://".length)).replace(/^\/(?=[A-Za-z]:)/, "");
    } catch {
      // Not percent-encoded after all: as it is.
    }
  }
  if (/^data:/.test(path)) return "(data URL)";
  path = clean(path).replaceAll("\\", "/");
  const inPackage = /^.*\/node_modules\/(.+)$/.exec(path) ?? rustPath.exec(path);
  if (inPackage) return inPackage[1] ?? inPackage[2]!;
  const base = directory.replaceAll("\\", "/").replace(/\/?$/, "/");
  return directory !== "" && path.startsWith(base) ? path.slice(base.length) : path;
}

/** Rust's own library, wherever it was built, and packages that Cargo fetched. */
const rustPath =
  /^.*\/(?:rustc(?:-[\w.+-]+)?\/(?:\w{40}\/)?((?:library|vendor)\/.+)|\.cargo\/registry\/src\/[^/]+\/(.+))$/;

/** `node src/app.mjs --all`: without the folder of node, and that of the script where it is below `directory`. */
export function commandLine([program = "", ...rest]: readonly string[], directory: string): string {
  const [script, ...args] = rest;
  const shown = [lastPart(program).replace(/\.exe$/i, ""), ...(script ? [shortPath(script, directory)] : [])];
  return [...shown, ...args.map(clean)].join(" ");
}

/** A module's name without its folder: `photon_rs_bg.wasm`. */
export function moduleName({ name, id }: Pick<ModuleReport, "name" | "id">): string {
  if (lastPart(name) !== "") return lastPart(name);
  // numbers of worker threads begin at multiples of 2^32
  const thread = Math.floor(id / 2 ** 32);
  return thread === 0 ? `module ${id}` : `module ${id % 2 ** 32} of thread ${thread}`;
}

function lastPart(name: string): string {
  return clean(name)
    .replace(/[?#].*$/, "")
    .replace(/^.*[/\\](?=[^/\\])/, "");
}

/**
 * Names of functions that only pass an allocation on. The containers of C++'s and other standard libraries are
 * not among them: that a vector grew says something.
 */
const allocatorName = new RegExp(
  `^(?:${[
    "_*(dl|em|mi_|emmalloc_|napi_wasm_)?(malloc|calloc|realloc|free|memalign|aligned_alloc|posix_memalign)$",
    "(emscripten_builtin_|internal_)\\w*(alloc|memalign|free)$",
    "operator (new|delete)\\b",
    "_{0,2}r(ust|dl|g)_(alloc|dealloc|realloc)",
    "_*rustc(\\[\\w+\\])?::",
    "<?(alloc|dlmalloc|std::alloc|core::alloc)::",
    "__wbindgen_(malloc|realloc|free|export)",
    "cabi_realloc$",
    "std::(__\\w+::)?(__libcpp_|allocator<|allocator_traits<|__allocate|__new_allocator<)",
    "~lib/rt/",
    "runtime\\.alloc$",
  ].join("|")})`,
);

/** Whether a frame is part of the module's allocator. */
export function isAllocatorFrame(
  frame: FrameReport,
  module: Pick<ModuleReport, "name" | "allocator">,
): boolean {
  if (frame.kind !== "wasm") return false;
  const hooked =
    frame.file === module.name && module.allocator.some((allocator) => allocator.index === frame.line);
  return hooked || allocatorName.test(frame.function);
}

/** One line of a stack as text shows it: a frame, or frames left out. */
export type StackLine = { frame: FrameReport; caller: boolean } | { left: number; of: "allocator" | "other" };

const innermostShown = 7;
const shownAroundCaller = 2;

/**
 * The frames worth a line: without those of the allocator at the inner end and of the engine at the outer
 * end; of a long stack its inner end and what surrounds the caller.
 */
export function stackLines(
  stack: readonly FrameReport[],
  module: Pick<ModuleReport, "name" | "allocator">,
  caller?: FrameReport,
): StackLine[] {
  let begin = stack.findIndex((frame) => !isAllocatorFrame(frame, module));
  if (begin < 0) begin = 0;
  let end = stack.length;
  while (end > begin + 1 && stack[end - 1]!.kind === "js" && /^(node|internal):/.test(stack[end - 1]!.file))
    end--;
  const callerAt = stack.findIndex((frame) => caller && sameLine(frame, caller));
  const lines: StackLine[] = begin > 0 ? [{ left: begin, of: "allocator" }] : [];
  let left = 0;
  for (let i = begin; i < end; i++) {
    const near = callerAt >= 0 && Math.abs(i - callerAt) <= shownAroundCaller;
    if (i - begin < innermostShown || near || end - begin <= innermostShown + 2) {
      if (left > 0) lines.push({ left, of: "other" });
      left = 0;
      lines.push({ frame: stack[i]!, caller: i === callerAt });
    } else {
      left++;
    }
  }
  if (left > 0) lines.push({ left, of: "other" });
  return lines;
}

function sameLine(a: FrameReport, b: FrameReport): boolean {
  return a.kind === b.kind && a.function === b.function && a.file === b.file && a.line === b.line;
}
