/**
 * Optimised builds of Emscripten give their exports names of one or two letters; what they are called in C stands
 * only in the script that the build makes along with the module: `Module["_malloc"] = wasmExports["v"]`, or what a
 * minifier leaves of it, `d._malloc=b.v`. Of a study's 77 packages 42 modules named their `malloc` that way.
 */
import type { Module } from "../wasm/module.js";
import { externalKind } from "../wasm/types.js";
import { conventionsOf } from "./allocators/conventions.js";

/** Texts of the scripts that a module may have come with, or be bundled in, the likeliest first. */
export type GlueScripts = () => Iterable<string>;

export interface GlueNames {
  /** Names that functions have in C, by the name of the export. */
  names: ReadonlyMap<string, string>;
  notes: string[];
}

const noNames: GlueNames = { names: new Map(), notes: [] };

/** Minified names are the shortest that there are: three letters come after some 3,000 exports. */
const minifiedName = /^[\w$]{1,2}$/;
const member = String.raw`(?:\.[\w$]+|\[["'][\w$]+["']\])`;
const place = String.raw`[\w$]+${member}*`;
/** What wrote `_malloc` until 2019: a function that calls the export. */
const passing = String.raw`(?:function\(\)\s*\{\s*return\s+)?`;
/** `_malloc`, or a member of that name, to which a member of something is assigned, perhaps by way of others. */
const assignment = new RegExp(
  String.raw`(?<![\w$])_([\w$]*(?:alloc|memalign|free|_Z[nd])[\w$]*)(?:["']\])?\s*=\s*(?=(?:${place}\s*=\s*)*` +
    String.raw`${passing}([\w$]+${member}+)\s*(?:[;,)}\n]|$|\.apply\(null,\s*arguments\)))`,
  "g",
);
const lastMember = /(?:\.([\w$]+)|\[["']([\w$]+)["']\])$/;

/** What the scripts call the exports of a module whose own names say nothing. */
export function glueNames(module: Module, scripts: GlueScripts | undefined): GlueNames {
  if (!scripts) return noNames;
  const exported = new Set(
    module.exports.flatMap(({ kind, name }) => (kind === externalKind.function ? [name] : [])),
  );
  const minified = [...exported].filter((name) => minifiedName.test(name));
  // exports that tell by themselves need no script to be read
  if (minified.length < 2 || minified.length * 2 < exported.size) return noNames;
  for (const text of scripts()) {
    const found = namesIn(text, new Set(minified));
    if (found.names.size > 0 || found.notes.length > 0) return found;
  }
  return noNames;
}

/** @param exported names that count: what else a script assigns is none of a module's */
export function namesIn(text: string, exported: ReadonlySet<string>): GlueNames {
  const places = new Map<string, Set<string>>();
  for (const [, name, value] of text.matchAll(assignment)) {
    const [, dotted, quoted] = lastMember.exec(value) ?? [];
    const target = dotted ?? quoted;
    if (!exported.has(target) || conventionsOf(name).length === 0) continue;
    places.set(name, (places.get(name) ?? new Set()).add(target));
  }
  const names = new Map<string, string>();
  const notes: string[] = [];
  for (const [name, targets] of places) {
    const [target] = targets;
    if (targets.size === 1 && !names.has(target)) names.set(target, name);
    else if (targets.size > 1) {
      const list = [...targets].map((one) => `"${one}"`).join(" and ");
      notes.push(`the script around the module gives "_${name}" as export ${list}: it was not used`);
    }
  }
  return { names, notes };
}
