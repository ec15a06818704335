/** Puts tables into bench/RESULTS.md, each between markers of its own; what else is there stays. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { root } from "./packages.js";

const file = `${root}bench/RESULTS.md`;

export function writeResults(name: string, text: string): void {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const before = existsSync(file) ? readFileSync(file, "utf8") : "# Measurements\n";
  const section = `${start}\n${text.trim()}\n${end}`;
  const from = before.indexOf(start);
  const to = before.indexOf(end);
  const after =
    from >= 0 && to > from
      ? before.slice(0, from) + section + before.slice(to + end.length)
      : `${before.trimEnd()}\n\n${section}\n`;
  writeFileSync(file, after);
}

/** When, where and how something was measured. */
export function circumstances(command: string): string {
  const date = new Date().toISOString().slice(0, 10);
  const memory = Math.round(totalmem() / 2 ** 30);
  const { version, arch, platform } = process;
  return `${date}, Node ${version}, ${platform} ${arch}, ${cpus().length} cores, ${memory} GiB, shared and noisy; \`${command}\`.`;
}
