import { readFileSync } from "node:fs";
import { DecodeError, UsageError } from "../errors.js";
import { systemReason } from "../profile/system-reason.js";

/**
 * Reads a module and gives its bytes to `use`.
 * @throws UsageError when the file can't be read, or `use` throws a DecodeError
 */
export function useModuleFile<T>(path: string, use: (bytes: Uint8Array) => T): T {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${systemReason(error)}`, { cause: error });
  }
  try {
    return use(bytes);
  } catch (error) {
    if (error instanceof DecodeError) {
      throw new UsageError(`cannot decode ${path}: ${error.message}${advice(bytes)}`);
    }
    throw error;
  }
}

/** What to do instead with a file that is no module at all, if its beginning tells what it is. */
function advice(bytes: Uint8Array): string {
  const beginning = Buffer.from(bytes.subarray(0, 200)).toString("latin1");
  if (beginning.startsWith("\0asm")) return "";
  if (beginning === "") return "; it is empty";
  if (/^\{"type":"header","format":"linmem"/.test(beginning))
    return "; it is a profile: give it to linmem report";
  if (/^\s*(;;.*\n\s*)*\(module\b/.test(beginning))
    return "; it is WebAssembly text: wat2wasm makes a module of it";
  return "; give a WebAssembly module in its binary form";
}
