import { readFileSync } from "node:fs";
import { DecodeError, UsageError } from "../errors.js";
import { systemReason } from "../profile/file.js";

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
    if (error instanceof DecodeError) throw new UsageError(`cannot decode ${path}: ${error.message}`);
    throw error;
  }
}
