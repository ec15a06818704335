/** The `producers` section: the languages, tools and SDKs that made a module. */
import type { Reader } from "./leb128.js";
import { limits } from "./limits.js";

interface Producer {
  name: string;
  /** Empty where the tool gives none. */
  version: string;
}

/** Producers by field; `language`, `processed-by` and `sdk` are the usual ones. */
export type Producers = Map<string, Producer[]>;

/** @throws DecodeError when the section is damaged; it has no influence on what the module does */
export function decodeProducers(reader: Reader): Producers {
  const producers: Producers = new Map();
  for (let fields = reader.count(2, limits.names, "fields"); fields > 0; fields--) {
    const field = reader.displayName();
    const list = producers.get(field) ?? [];
    producers.set(field, list);
    for (let count = reader.count(2, limits.names, "producers"); count > 0; count--) {
      list.push({ name: reader.displayName(), version: reader.displayName() });
    }
  }
  return producers;
}
