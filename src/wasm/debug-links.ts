/** Custom sections that say where debug information is: `external_debug_info` and `sourceMappingURL`. */
import type { Reader } from "./leb128.js";

/**
 * The URL of a separate file with DWARF, or of a source map, as the section gives it.
 * @throws DecodeError when the section is damaged; it has no influence on what the module does
 */
export function decodeDebugLink(reader: Reader): string {
  return reader.displayName();
}
