/**
 * Adds to a profile where the code on its stacks comes from. It happens when the run is over, in a process of
 * its own: the program does not wait for it, and a module's debug information is read from its file.
 */
import { existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { findCalls } from "../analyze/calls.js";
import type { MappedPosition } from "../analyze/source-map.js";
import {
  symbolizeByDwarf,
  symbolizeByGo,
  symbolizeByMap,
  symbolizeScript,
  wantedFrames,
} from "../analyze/symbolize.js";
import { UsageError } from "../errors.js";
import { readProfileFile } from "../profile/file.js";
import { ProfileFileWriter } from "../profile/file-writer.js";
import type { Frame, ModuleRecord, ProfileRecord, SourceRecord, WarningRecord } from "../profile/records.js";
import { fold, type Profile } from "../profile/state.js";
import { systemReason } from "../profile/system-reason.js";
import {
  codeHash,
  findBeside,
  findModuleFile,
  localPath,
  type OpenFile,
  openFile,
  openSourceMap,
} from "./symbol-files.js";

export interface SymbolizeOptions {
  /** Files that were named on the command line. */
  symbols: readonly string[];
  /** Folder in which a run kept its modules that have debug information, by the hash of their code. */
  kept?: string;
}

/** Files from the command line, each with the hash of its code where it has code. */
export class SymbolFiles {
  readonly #files: { file: OpenFile; hash: string | undefined; used: boolean }[];

  /** @throws UsageError for a file that can't be read or is no module */
  constructor(paths: readonly string[]) {
    this.#files = paths.map((path) => {
      try {
        const file = openFile(path);
        return { file, hash: codeHash(file), used: false };
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const reason = code?.startsWith("E") && !code.startsWith("ERR") ? systemReason(error) : message;
        throw new UsageError(`cannot read symbols from ${path}: ${reason}`, { cause: error });
      }
    });
  }

  /** The files for a module: those with the same code, and if there is no other module those without code. */
  of({ code }: ModuleRecord, only: boolean): OpenFile[] {
    const fitting = this.#files.filter(({ hash }) => (hash === undefined ? only : hash === code?.hash));
    for (const entry of fitting) entry.used = true;
    return fitting.map(({ file }) => file);
  }

  /** Paths of files that were for no module so far. */
  get unused(): string[] {
    return this.#files.filter(({ used }) => !used).map(({ file }) => file.path);
  }

  close(): void {
    for (const { file } of this.#files) file.close();
  }
}

/** Looks up what is on the stacks of a profile and appends it to the file; returns the profile with it. */
export async function symbolizeFile(path: string, options: SymbolizeOptions): Promise<Profile> {
  const profile = await readProfileFile(path);
  const records = symbolize(profile, options);
  if (records.length === 0) return profile;
  if (profile.cut) truncateSync(path, readFileSync(path).lastIndexOf(0x0a) + 1);
  const writer = ProfileFileWriter.open(path);
  try {
    writer.write(records);
  } finally {
    writer.close();
  }
  return profile;
}

/**
 * Looks up what is on the stacks of a profile, and takes it into the profile.
 * @throws UsageError for a file of `symbols` that can't be read
 */
export function symbolize(profile: Profile, { symbols, kept }: SymbolizeOptions): ProfileRecord[] {
  const files = new SymbolFiles(symbols);
  try {
    const records = [...symbolizeModules(profile, files, kept), ...symbolizeScripts(profile)];
    for (const path of files.unused) {
      records.push(warning(`${path} has the code of no module that ran: its symbols were not used`));
    }
    records.push(...findCalls(profile, scriptOf));
    for (const record of records) fold(profile, record);
    return records;
  } finally {
    files.close();
  }
}

function warning(message: string, module?: number): WarningRecord {
  return { type: "warning", code: "symbols", message, ...(module !== undefined && { module }) };
}

function symbolizeModules(profile: Profile, files: SymbolFiles, kept: string | undefined): ProfileRecord[] {
  const records: ProfileRecord[] = [];
  const { modules } = wantedFrames(profile);
  const only = new Set([...profile.modules.values()].map(({ code }) => code?.hash)).size === 1;
  for (const [id, frames] of modules) {
    const module = profile.modules.get(id);
    if (!module) continue;
    const own = kept === undefined || !module.code ? undefined : openKept(join(kept, module.code.hash));
    const sources = [...files.of(module, only), ...(own ? [own] : [])];
    const notes = new Set<string>();
    try {
      let left = frames;
      for (const file of sources) {
        const found = lookUp(profile, module, left, file, notes);
        const done = new Set(found.map(({ frame }) => `${frame.line} ${frame.column}`));
        left = left.filter(({ line, column }) => !done.has(`${line} ${column}`));
        records.push(...found);
      }
    } finally {
      own?.close();
    }
    for (const note of notes) records.push(warning(`symbols: ${note}`, id));
  }
  return records;
}

function openKept(path: string): OpenFile | undefined {
  try {
    return openFile(path);
  } catch {
    return undefined;
  }
}

/** What a file says of frames: by its own DWARF, that of the file it refers to, or its source map. */
function lookUp(
  profile: Profile,
  module: ModuleRecord,
  frames: readonly Frame[],
  file: OpenFile,
  notes: Set<string>,
): SourceRecord[] {
  const take = ({ records, notes: found }: ReturnType<typeof symbolizeByDwarf>) => {
    for (const note of found) notes.add(note);
    return records;
  };
  if (/^Go\b/.test(module.toolchain)) return take(symbolizeByGo(frames, file));
  if (file.debug.has("info") || (file.names && !file.external && !file.sourceMap)) {
    return take(symbolizeByDwarf(module, frames, file));
  }
  const { external, sourceMap } = file;
  if (external === undefined && sourceMap === undefined) return [];
  const folders = foldersOf(profile, module, file);
  if (external !== undefined) {
    const path = findBeside(external, folders);
    if (path === undefined) notes.add(`${external}, to which the module refers for DWARF, was not found`);
    else {
      const separate = openKept(path);
      try {
        const hash = separate && codeHash(separate);
        if (!separate) notes.add(`${path} is no WebAssembly file`);
        else if (hash !== undefined && hash !== module.code?.hash) notes.add(`${path} is for other code`);
        else return take(symbolizeByDwarf(module, frames, separate));
      } finally {
        separate?.close();
      }
    }
  }
  if (sourceMap !== undefined) {
    const opened = openSourceMap(sourceMap, folders);
    if (typeof opened === "string") notes.add(opened);
    else
      return symbolizeByMap(
        frames,
        file,
        opened.map,
        (position) => existing(position, opened.folder) ?? position.source,
      );
  }
  return [];
}

/** Where a module's companions may be: beside its own file, or the scripts that made instances of it. */
function foldersOf(profile: Profile, module: ModuleRecord, file: OpenFile): string[] {
  const scripts = [...profile.instances.values()]
    .filter((instance) => instance.module === module.id)
    .flatMap((instance) => profile.stacks.get(instance.stack) ?? [])
    .flatMap((frame) => (frame.kind === "js" && isAbsolute(frame.file) ? [dirname(frame.file)] : []));
  const folders = [...new Set([...scripts, process.cwd()])];
  const own = findModuleFile(folders, module.bytes, module.code?.hash ?? "");
  return [...(own === undefined ? [] : [dirname(own)]), dirname(file.path), ...folders];
}

/** The file of a source; undefined when there is none on this machine. */
function existing({ source, sourceRoot }: MappedPosition, folder: string): string | undefined {
  const rooted = sourceRoot === "" ? source : `${sourceRoot.replace(/\/$/, "")}/${source}`;
  for (const [name, from] of [
    [rooted, folder],
    [source, folder],
    [source, process.cwd()],
  ] as const) {
    const path = localPath(name, from);
    if (path !== undefined && existsSync(path)) return path;
  }
  return undefined;
}

const largestScript = 1 << 27;

/** Scripts that a compiler wrote: what node itself maps (`--enable-source-maps`, tsx) is mapped already. */
function symbolizeScripts(profile: Profile): SourceRecord[] {
  const records: SourceRecord[] = [];
  for (const [file, frames] of wantedFrames(profile).scripts) {
    const path = file.startsWith("file:") ? fileURLToPath(file) : file;
    const url = isAbsolute(path) ? sourceMapUrl(path) : undefined;
    if (url === undefined) continue;
    const folder = dirname(path);
    const opened = openSourceMap(url, [folder]);
    if (typeof opened === "string") continue;
    const inPackage = packageFolder(path);
    records.push(
      ...symbolizeScript(frames, opened.map, (position) => {
        const source = existing(position, opened.folder);
        // a library stays in its package: a source that is not there would look like the program's own
        if (inPackage !== undefined) return source?.startsWith(inPackage) ? source : undefined;
        return source ?? resolvedName(position.source, opened.folder);
      }),
    );
  }
  return records;
}

/** Text of a script of the program; undefined where there is none to read. */
function scriptOf(file: string): string | undefined {
  const path = file.startsWith("file:") ? fileURLToPath(file) : file;
  try {
    return isAbsolute(path) && statSync(path).size <= largestScript ? readFileSync(path, "utf8") : undefined;
  } catch {
    return undefined;
  }
}

/** `…/node_modules/name/` */
function packageFolder(path: string): string | undefined {
  return /^.*[\\/]node_modules[\\/](@[^\\/]+[\\/])?[^\\/]+[\\/]/.exec(path)?.[0];
}

function resolvedName(source: string, folder: string): string {
  return /^\w{2,}:/.test(source) ? source : resolve(folder, source);
}

/** The last `//# sourceMappingURL=` of a script. */
function sourceMapUrl(path: string): string | undefined {
  try {
    if (statSync(path).size > largestScript) return undefined;
    const text = readFileSync(path, "utf8");
    const at = Math.max(text.lastIndexOf("//# sourceMappingURL="), text.lastIndexOf("//@ sourceMappingURL="));
    return at < 0
      ? undefined
      : /^\S*/.exec(text.slice(at + "//# sourceMappingURL=".length))?.[0] || undefined;
  } catch {
    return undefined;
  }
}
