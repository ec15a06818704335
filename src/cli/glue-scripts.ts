import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import type { GlueScripts } from "../instrument/index.js";

const script = /\.[cm]?js$/;
/** Scripts of one folder that are looked into, and the largest, in bytes. */
const mostScripts = 40;
const largestScript = 64 << 20;

/** The scripts beside a module: first those of its name, then those that name its file. */
export function glueScripts(path: string): GlueScripts {
  return function* () {
    const file = basename(path);
    const stem = basename(file, extname(file));
    const namesakes = (names: readonly string[]) => names.filter((name) => name.startsWith(`${stem}.`));
    const scripts = scriptsIn(dirname(path));
    const first = namesakes(scripts);
    for (const name of first) yield* textOf(join(dirname(path), name));
    for (const name of scripts.slice(0, mostScripts)) {
      if (first.includes(name)) continue;
      for (const text of textOf(join(dirname(path), name))) if (text.includes(file)) yield text;
    }
  };
}

function scriptsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => script.test(name))
      .sort();
  } catch {
    return [];
  }
}

/** Nothing where a script can't be read: it only helps. */
function textOf(path: string): string[] {
  try {
    return statSync(path).size > largestScript ? [] : [readFileSync(path, "utf8")];
  } catch {
    return [];
  }
}
