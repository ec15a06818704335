// Runs a script with what V8 compiled of it in an earlier process: half of the time until a small module is
// instrumented would go into compiling linmem itself. What was compiled lies in the package's own folder, where only
// those can write who can change the script as well, and goes with it. Where nobody can write, it is compiled anew.

import crypto = require("node:crypto");
import fs = require("node:fs");
import path = require("node:path");
import url = require("node:url");
import v8 = require("node:v8");
import vm = require("node:vm");

/** Taken now: programs replace them. */
const { createHash } = crypto;
const { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } = fs;
const { cachedDataVersionTag } = v8;

interface CompiledScript {
  /** What the script's text evaluates to. */
  value: unknown;
  /** Keeps what is compiled by now for processes to come, unless an earlier one did. */
  keep(): void;
}

/** @param cacheFolder Made when something is kept. */
function runScript(file: string, cacheFolder: string): CompiledScript {
  const source = readFileSync(file);
  // another version of V8, other flags or another processor have another tag
  const tag = cachedDataVersionTag();
  const name = `${path.basename(file)}.${process.version}.${process.arch}.${tag.toString(16)}`;
  const cache = path.join(cacheFolder, name);
  const cachedData = readCache(cache, source);
  const script = new vm.Script(source.toString(), { filename: url.pathToFileURL(file).href, cachedData });
  const isKept = cachedData !== undefined && !script.cachedDataRejected;
  return {
    value: script.runInThisContext(),
    keep() {
      // a program may have set flags of V8: what it made would be rejected
      if (isKept || cachedDataVersionTag() !== tag) return;
      const data = script.createCachedData();
      writeCache(cache, Buffer.concat([digest(source, data), data]));
    },
  };
}

/** V8 looks at the length of the source alone, and not at all whether the data is whole. */
function readCache(cache: string, source: Buffer): Buffer | undefined {
  let kept: Buffer;
  try {
    kept = readFileSync(cache);
  } catch {
    return undefined;
  }
  const data = kept.subarray(digestSize);
  return digest(source, data).equals(kept.subarray(0, digestSize)) ? data : undefined;
}

/** In one step: other processes read it meanwhile, or write it as well. */
function writeCache(cache: string, content: Buffer): void {
  const part = `${cache}.${process.pid}`;
  try {
    mkdirSync(path.dirname(cache), { recursive: true });
    writeFileSync(part, content);
    renameSync(part, cache);
  } catch {
    // Nobody can write there, or the disk is full.
    try {
      rmSync(part, { force: true });
    } catch {}
  }
}

const digestSize = 32;

function digest(source: Buffer, data: Buffer): Buffer {
  return createHash("sha256").update(source).update(data).digest();
}

export = { runScript };
