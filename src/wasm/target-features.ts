/** The `target_features` section: the WebAssembly features that a compiler was allowed to use. */
import type { Reader } from "./leb128.js";
import { limits } from "./limits.js";

export interface TargetFeature {
  /** `+` used, `-` must not be linked with, `=` required (old linkers). */
  prefix: string;
  name: string;
}

/** @throws DecodeError when the section is damaged; it has no influence on what the module does */
export function decodeTargetFeatures(reader: Reader): TargetFeature[] {
  const features: TargetFeature[] = [];
  for (let count = reader.count(2, limits.names, "features"); count > 0; count--) {
    features.push({ prefix: String.fromCharCode(reader.byte()), name: reader.displayName() });
  }
  return features;
}
