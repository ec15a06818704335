// Files with debug information: opening them, and finding those that a module refers to.
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { SourceMap } from "../analyze/source-map.js";
import { systemReason } from "../profile/system-reason.js";
import { type DebugFile, openDebugFile } from "../wasm/dwarf/debug-file.js";
import type { ByteSource } from "../wasm/dwarf/index.js";

/** A file with debug information that is read where it is needed. */
export interface OpenFile extends DebugFile {
  path: string;
  close(): void;
}

/** @throws an error with the system's reason, or DecodeError when it is no WebAssembly file */
export function openFile(path: string): OpenFile {
  const file = openSync(path, "r");
  try {
    const source: ByteSource = {
      size: fstatSync(file).size,
      read(start, end) {
        const bytes = new Uint8Array(end - start);
        let read = 0;
        while (read < bytes.length) {
          const more = readSync(file, bytes, read, bytes.length - read, start + read);
          if (more === 0) break; // somebody has cut it meanwhile: the rest stays 0
          read += more;
        }
        return bytes;
      },
    };
    return { ...openDebugFile(source), path, close: () => closeSync(file) };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

const pieceSize = 1 << 20;

/** Hash of the contents of a file's code section, as module records have it; undefined without one. */
export function codeHash({ source, code }: DebugFile): string | undefined {
  if (!code) return undefined;
  const hash = createHash("sha256");
  for (let at = code.start; at < code.end; at += pieceSize) {
    hash.update(source.read(at, Math.min(code.end, at + pieceSize)));
  }
  return hash.digest("hex");
}

/** So many folders are looked into for a module's file. */
const foldersSearched = 500;
const depthSearched = 4;

/**
 * The file of a module, among those below `folders`: one with the same size and the same code.
 * @param size of the module, in bytes
 */
export function findModuleFile(folders: readonly string[], size: number, hash: string): string | undefined {
  const seen = new Set<string>();
  const next = folders.map((path) => ({ path, depth: 0 }));
  for (let i = 0; i < next.length && seen.size < foldersSearched; i++) {
    const { path, depth } = next[i];
    if (seen.has(path)) continue;
    seen.add(path);
    let entries: ReturnType<typeof listFolder>;
    try {
      entries = listFolder(path);
    } catch {
      continue;
    }
    for (const entry of entries) {
      const child = join(path, entry.name);
      if (entry.isDirectory()) {
        const passed = entry.name === "node_modules" || entry.name.startsWith(".");
        if (depth < depthSearched && !passed) next.push({ path: child, depth: depth + 1 });
      } else if (entry.name.endsWith(".wasm") && isModule(child, size, hash)) {
        return child;
      }
    }
  }
  return undefined;
}

const listFolder = (path: string) => readdirSync(path, { withFileTypes: true });

function isModule(path: string, size: number, hash: string): boolean {
  try {
    if (statSync(path).size !== size) return false;
    const file = openFile(path);
    try {
      return codeHash(file) === hash;
    } finally {
      file.close();
    }
  } catch {
    return false;
  }
}

/** The path of an URL, as seen from `folder`; undefined for one that is not on this machine. */
export function localPath(url: string, folder: string): string | undefined {
  if (url.startsWith("file:")) {
    try {
      return fileURLToPath(url);
    } catch {
      return undefined;
    }
  }
  if (/^\w{2,}:/.test(url)) return undefined;
  try {
    return resolve(folder, decodeURIComponent(url));
  } catch {
    return resolve(folder, url);
  }
}

/** The first of these folders in which a file is that a module refers to. */
export function findBeside(url: string, folders: readonly string[]): string | undefined {
  for (const folder of folders) {
    const path = localPath(url, folder);
    if (path !== undefined && existsSync(path)) return path;
  }
  return undefined;
}

/** Larger ones are no source maps that anybody made on purpose. */
const largestMap = 1 << 28;

/** A source map and the folder that its sources are relative to. */
export interface OpenMap {
  map: SourceMap;
  folder: string;
}

/**
 * Reads a source map from a `data:` URL, or from a file in one of the folders.
 * @returns why not, in words
 */
export function openSourceMap(url: string, folders: readonly string[]): OpenMap | string {
  const shown = url.length > 80 ? `${url.slice(0, 80)}…` : url;
  try {
    if (url.startsWith("data:")) {
      const comma = url.indexOf(",");
      const data = url.slice(comma + 1);
      const base64 = /;base64$/i.test(url.slice(0, comma));
      const text = base64 ? Buffer.from(data, "base64").toString("utf8") : decodeURIComponent(data);
      return { map: new SourceMap(text), folder: folders[0] ?? process.cwd() };
    }
    const path = findBeside(url, folders);
    if (path === undefined) return `source map ${shown} was not found`;
    if (statSync(path).size > largestMap) return `source map ${shown} is too large`;
    return { map: new SourceMap(readFileSync(path, "utf8")), folder: dirname(path) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return `source map ${shown} ${code ? `can't be read: ${systemReason(error)}` : "is damaged"}`;
  }
}
