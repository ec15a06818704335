// What a module is, as text for people.
import { clean, countOf, formatBytes } from "./format.js";
import { Page, type TextOptions } from "./page.js";

/** What `linmem inspect --json` prints; keys are only ever added. */
export interface ModuleDescription {
  file: string;
  /** Size of the module. */
  bytes: number;
  toolchain: string;
  memories: MemoryDescription[];
  features: {
    /** Found in the module's code and types. */
    used: string[];
    /** What the compiler was allowed to use, from the `target_features` section. */
    declared: string[];
  };
  allocator: {
    functions: { role: string; index: number; name: string; evidence: string; confidence: string }[];
    notes: string[];
  };
  functions: { imported: number; defined: number };
  boundary: {
    imports: BoundaryItem[];
    exports: BoundaryItem[];
  };
  sections: { name: string; offset: number; bytes: number }[];
  debug: {
    /** Functions with a name in the name section. */
    functionNames: number;
    dwarf: boolean;
    /** URL of a file with DWARF. */
    externalDwarf: string | null;
    /** URL of the source map. */
    sourceMap: string | null;
  };
}

export interface MemoryDescription {
  index: number;
  /** `module.name` of an imported one. */
  imported: string | null;
  exported: string[];
  initialPages: number;
  initialBytes: number;
  /** null where it may grow as far as its addresses reach. */
  maximumPages: number | null;
  maximumBytes: number | null;
  pageBytes: number;
  shared: boolean;
  /** Width of its addresses in bits. */
  addressBits: 32 | 64;
}

export interface BoundaryItem {
  kind: "function" | "table" | "memory" | "global" | "tag";
  /** Of an import: the module it comes from. */
  module?: string;
  name: string;
  /** Signature, limits or type, as text. */
  type: string;
  /** Whether a reference to something of the host's passes here. */
  externref: boolean;
}

export function inspectText(description: ModuleDescription, options: TextOptions = {}): string {
  const page = new Page(options);
  const { functions } = description;
  page.prose(`${clean(description.file)}, ${formatBytes(description.bytes)}`, { style: page.colors.bold });
  page.line();
  page.definitions(
    [
      ["toolchain", clean(description.toolchain)],
      ["functions", `${countOf(functions.defined, "function")}, ${functions.imported} imported`],
      ["features", description.features.used.join(", ") || "none beyond the first version"],
      ["debug", debugText(description)],
    ],
    0,
  );
  memories(page, description.memories);
  allocator(page, description.allocator);
  boundary(page, "Imports, what the host provides", description.boundary.imports);
  boundary(page, "Exports, what the host can reach", description.boundary.exports);
  page.heading("Sections");
  page.table(
    [{ cut: "end" }, { align: "right" }, { align: "right", style: page.colors.dim }],
    description.sections.map(({ name, bytes, offset }) => [
      clean(name),
      formatBytes(bytes),
      `at 0x${offset.toString(16)}`,
    ]),
  );
  return page.toString();
}

function debugText({ debug }: ModuleDescription): string {
  const has = [
    debug.functionNames > 0 && countOf(debug.functionNames, "function name"),
    debug.dwarf && "DWARF",
    debug.externalDwarf !== null && `DWARF in ${clean(debug.externalDwarf)}`,
    debug.sourceMap !== null && `source map ${clean(debug.sourceMap)}`,
  ].filter((text) => text !== false);
  return has.join(", ") || "none: stacks will show function numbers and offsets";
}

function memories(page: Page, list: readonly MemoryDescription[]): void {
  page.heading(list.length === 1 ? "Memory" : "Memories");
  if (list.length === 0) page.prose("none: there is nothing to profile", { indent: 2 });
  for (const memory of list) {
    const { initialPages, initialBytes, maximumPages, maximumBytes } = memory;
    const where = memory.imported ? `imported from ${clean(memory.imported)}` : "its own";
    const exported = memory.exported.map((name) => `exported as ${clean(name)}`);
    const traits = [
      where,
      ...exported,
      ...(memory.shared ? ["shared"] : []),
      `${memory.addressBits}-bit addresses`,
    ];
    page.prose(`memory ${memory.index}: ${traits.join(", ")}`, { indent: 2, hanging: 4 });
    const maximum =
      maximumPages === null
        ? "none, it grows until the engine refuses"
        : `${countOf(maximumPages, "page")}, ${formatBytes(maximumBytes ?? 0)}`;
    page.definitions(
      [
        ["initial", `${countOf(initialPages, "page")}, ${formatBytes(initialBytes)}`],
        ["maximum", maximum],
      ],
      4,
    );
    if (memory.pageBytes !== 65536)
      page.prose(`pages of ${countOf(memory.pageBytes, "byte")}`, { indent: 4 });
  }
}

function allocator(page: Page, { functions, notes }: ModuleDescription["allocator"]): void {
  page.heading("Allocator");
  if (functions.length === 0) page.prose("no functions to hook: only growth is recorded", { indent: 2 });
  page.table(
    [{}, { align: "right", style: page.colors.dim }, { cut: "end" }, {}, { cut: "end" }],
    functions.map(({ role, index, name, confidence, evidence }) => [
      role,
      String(index),
      clean(name),
      confidence,
      clean(evidence),
    ]),
    functions.length > 0 ? { head: ["role", "index", "name", "confidence", "evidence"] } : {},
  );
  for (const note of notes) page.prose(clean(note), { indent: 2, hanging: 4, style: page.colors.yellow });
}

function boundary(page: Page, title: string, items: readonly BoundaryItem[]): void {
  const references = items.filter(({ externref }) => externref).length;
  const passes = references > 0 ? `, ${references} with host references` : "";
  page.heading(`${title}: ${items.length}${passes}`);
  page.table(
    [{ style: page.colors.dim }, { cut: "end" }, { cut: "end" }],
    items.map(({ kind, module, name, type }) => [
      kind,
      clean(module === undefined ? name : `${module}.${name}`),
      clean(type),
    ]),
  );
}
