/**
 * Turns call sites into frames of a profile. Everything about a code position is worked out once and kept, so
 * that a capture costs little beyond what the engine takes for it: no line numbers are computed and no strings
 * made for positions seen before.
 */
import type { Frame } from "../profile/records.js";
import { maximumSites } from "./limits.js";
import { bodyHolds } from "./module-facts.js";
import type { KnownModule, ModuleRegistry } from "./module-registry.js";
import type { CallSite } from "./v8-stacks.js";
import { scriptFunctionName, wasmFunctionIndex } from "./v8-stacks.js";

/** A code position on a stack. */
export interface Site {
  /** Equal numbers are equal positions. */
  number: number;
  frame: Frame;
  /** Id of the module of a wasm frame, 0 when it is not known. */
  module: number;
  /** Left out of the program's stacks: hooks, entries, linmem's own code, the engine's. */
  hidden: boolean;
  /** What a checked module has in front of functions that JavaScript sees. */
  exposer?: true;
}

export interface SitesOptions {
  /** URLs and paths of linmem's own scripts begin with one of these. */
  ownFiles: readonly string[];
  /** File URL to path, for people. */
  path(file: string): string;
  /** The id in the profile of a module of this thread. */
  moduleId?(module: number): number;
  /** Position in the source that a script was compiled from; undefined where there is no source map. */
  sourcePosition?(
    file: string,
    line: number,
    column: number,
    callSite: CallSite,
  ): Pick<Frame, "file" | "line" | "column"> | undefined;
}

const wasmScheme = "wasm://";
const noFrame: Frame = { kind: "wasm", function: "", file: "", line: 0, column: 0 };

function fileOf(callSite: CallSite): string {
  return callSite.getFileName() ?? callSite.getScriptNameOrSourceURL() ?? "";
}

export class Sites {
  readonly #registry: ModuleRegistry;
  readonly #options: SitesOptions;
  readonly #files = new Map<string, Map<number, Site>>();
  #count = 0;
  #next = 1;
  /** How the engine names linmem's own wasm modules. */
  readonly #ownModules = new Set<string>();
  /** Where what the running callback belongs to was made, then what made that, and so on. */
  causes?: () => Iterable<readonly Site[]>;

  constructor(registry: ModuleRegistry, options: SitesOptions) {
    this.#registry = registry;
    this.#options = options;
  }

  /** The sites of a stack, innermost first. */
  of(callSites: readonly CallSite[]): Site[] {
    return callSites.map((site) => this.#site(site));
  }

  /** The sites of a stack on which the recorder or the checker called, which shows how the engine names it. */
  ofRecorderCall(callSites: readonly CallSite[]): Site[] {
    const own = callSites.map(fileOf).find((file) => file.startsWith(wasmScheme));
    if (own !== undefined) this.#ownModules.add(own);
    return this.of(callSites);
  }

  /**
   * A stack without linmem's frames. In a callback of a package, below which there is nothing of the program itself, it goes
   * on with what started that callback, as far as that is known.
   */
  withCauses(stack: readonly Site[]): Site[] {
    const sites = visible(stack);
    if (this.causes === undefined || sites.some(isProgramsOwn)) return sites;
    for (const cause of this.causes()) {
      const more = visible(cause);
      sites.push(...more);
      if (more.some(isProgramsOwn)) break;
    }
    return sites;
  }

  /** Whether a call site belongs to linmem. */
  isOwn(site: CallSite): boolean {
    const file = site.getFileName();
    return typeof file === "string" && this.#options.ownFiles.some((own) => file.startsWith(own));
  }

  #site(callSite: CallSite): Site {
    const file = fileOf(callSite);
    const position = callSite.getPosition();
    // code made by `new Function` has no file, and much of it is alike but for its name: embind's invokers
    const key = file === "" ? `${callSite.getTypeName?.()} ${callSite.getFunctionName()}` : file;
    let sites = this.#files.get(key);
    if (!sites) this.#files.set(key, (sites = new Map()));
    let site = sites.get(position);
    if (!site) {
      site = file.startsWith(wasmScheme)
        ? this.#wasmSite(callSite, file, position)
        : this.#scriptSite(callSite, file);
      if (++this.#count > maximumSites) {
        this.#files.clear();
        this.#count = 0;
      } else {
        sites.set(position, site);
      }
    }
    return site;
  }

  #scriptSite(callSite: CallSite, file: string): Site {
    const line = callSite.getLineNumber() ?? 0;
    const column = callSite.getColumnNumber() ?? 0;
    const hidden = file.startsWith("node:internal/") || this.isOwn(callSite);
    const source = hidden ? undefined : this.#options.sourcePosition?.(file, line, column, callSite);
    const frame: Frame = {
      kind: "js",
      function: scriptFunctionName(callSite),
      ...(source ?? { file: this.#options.path(file), line, column }),
    };
    return { number: this.#next++, frame, module: 0, hidden };
  }

  #wasmSite(callSite: CallSite, url: string, offset: number): Site {
    const functionIndex = wasmFunctionIndex(callSite);
    if (this.#ownModules.has(url)) return { number: this.#next++, frame: noFrame, module: 0, hidden: true };
    const module = this.#moduleOf(functionIndex, offset);
    const original = module?.toOriginal(functionIndex, offset) ?? { functionIndex, offset };
    const frame: Frame = {
      kind: "wasm",
      function: callSite.getFunctionName() ?? "",
      file: module?.name ?? url,
      line: original.functionIndex,
      column: original.offset,
      ...(module && { module: this.#options.moduleId?.(module.id) ?? module.id }),
    };
    const hidden = "added" in original && original.added !== undefined;
    const exposer = hidden && original.added === "exposer";
    return { number: this.#next++, frame, module: module?.id ?? 0, hidden, ...(exposer && { exposer }) };
  }

  /**
   * The module of a wasm frame. The engine's URL is a hash of the bytes of its own kind, so modules are told
   * apart by whether that function of theirs has code at that offset. Two modules that agree in this differ
   * hardly in more than their data.
   */
  #moduleOf(functionIndex: number, offset: number): KnownModule | undefined {
    let unmapped: KnownModule | undefined;
    for (const module of this.#registry.living()) {
      if (bodyHolds(module.facts, functionIndex, offset)) return module;
      if (module.facts.bodies.length === 0) unmapped ??= module;
    }
    return unmapped;
  }
}

/** The part of a stack that belongs to a calling context, and the one below its outermost entry. */
export interface SplitStack {
  context: Site[];
  caller: Site[];
}

/**
 * Cuts a stack below the outermost frame of one of `modules`: those share a memory and with it the calling
 * context. JavaScript between their frames belongs to the context.
 */
export function splitStack(sites: readonly Site[], modules: ReadonlySet<number>): SplitStack {
  let first = -1;
  let last = -1;
  sites.forEach((site, i) => {
    if (!modules.has(site.module)) return;
    if (first < 0) first = i;
    last = i;
  });
  // What lies above the first frame of the program's module is the recorder.
  return {
    context: visible(sites.slice(Math.max(first, 0), last + 1)),
    caller: visible(sites.slice(last + 1)),
  };
}

/**
 * Whether the entry that asks was called, by whatever way, from a function of the same module: only then is the
 * context that it found that of its caller.
 */
export function isReentered(sites: readonly Site[], modules: ReadonlySet<number>): boolean {
  const entry = sites.findIndex((site) => modules.has(site.module));
  const own = sites[entry + 1]?.exposer ? entry + 1 : entry;
  return entry >= 0 && sites.some((site, i) => i > own && site.module === sites[entry].module);
}

/** Of the program itself: neither of a package nor of Node. */
export function isProgramsOwn({ frame: { kind, file } }: Site): boolean {
  return kind === "js" && file !== "" && !file.startsWith("node:") && !/[\\/]node_modules[\\/]/.test(file);
}

export function visible(sites: readonly Site[]): Site[] {
  return sites.filter((site) => !site.hidden);
}

/** Gives each distinct stack one id, by numbers alone; frames are looked at only for a new one. */
export class StackIds {
  readonly #root: StackNode = { id: 0, inner: new Map() };
  readonly #idOf: (frames: Frame[]) => number;

  /** @param idOf Id of a stack that was not seen before. */
  constructor(idOf: (frames: Frame[]) => number) {
    this.#idOf = idOf;
  }

  of(sites: readonly Site[]): number {
    // From the outside in: stacks of one program have their outer frames in common.
    let node = this.#root;
    for (let i = sites.length - 1; i >= 0; i--) {
      const { number } = sites[i];
      let next = node.inner.get(number);
      if (!next) node.inner.set(number, (next = { id: -1, inner: new Map() }));
      node = next;
    }
    if (node.id < 0) node.id = this.#idOf(sites.map((site) => site.frame));
    return node.id;
  }
}

interface StackNode {
  id: number;
  inner: Map<number, StackNode>;
}
