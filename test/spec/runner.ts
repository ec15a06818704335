// Runs a script of the specification's tests, and says for every command what came of it. That the outcome is the
// one that the suite asks for is the engine's business; here it only shows that the runner does its work.
import { createHash } from "node:crypto";
import { recorderModuleName } from "../../src/recorder/index.js";
import { decodeModule, type Module } from "../../src/wasm/module.js";
import { type FunctionType, valueType } from "../../src/wasm/types.js";
import { createRecording } from "../support/recording.js";
import { thrownBy, type WasmFrame, wasmUrlsAbove } from "../support/wasm-stacks.js";
import { type Callable, callerName, callFromWasm } from "./caller.js";
import type { Action, Command, Constant, Script } from "./script.js";
import { spectest } from "./spectest.js";
import { raw, type Treated, type Treatment } from "./treatments.js";
import { describe, describeConstant, type NumericType, numericTypes, toJavaScript } from "./values.js";

export interface Outcome {
  command: Command;
  /** What came of it: values, an error, what was printed. */
  text: string;
  /** Why the command was not run. */
  skipped?: string;
  /** Whether it is what the suite asks for; undefined where that leaves a choice. */
  asExpected?: boolean;
  /** Where in wasm the error was thrown, innermost frame first. */
  frames?: WasmFrame[];
}

interface CompiledModule {
  module: WebAssembly.Module;
  /** The original, decoded. */
  decoded: Module;
}

interface LiveInstance {
  exports: WebAssembly.Exports;
  decoded: Module;
}

/** The outcome of a command that a missing feature of the engine or a format keeps from running. */
class Skip extends Error {}

/** One run of a script, all of its modules treated the same way. */
export class ScriptRun {
  readonly outcomes: Outcome[] = [];
  /** Each module that was treated. */
  readonly treated: Treated[] = [];
  readonly #script: Script;
  readonly #treatment: Treatment;
  // some scripts make a million tail calls: those are asked about no more
  readonly #recording = createRecording({ isNested: () => this.#asked++ > 10_000 || isCalledByWasm() });
  #asked = 0;
  readonly #printed: string[] = [];
  readonly #registered: Record<string, WebAssembly.Exports>;
  readonly #definitions = new Map<string | undefined, CompiledModule>();
  readonly #instances = new Map<string | undefined, LiveInstance | undefined>();

  constructor(script: Script, treatment: Treatment = raw) {
    this.#script = script;
    this.#treatment = treatment;
    this.#registered = { spectest: spectest((text) => this.#printed.push(text)) };
    for (const command of script.commands) this.outcomes.push(this.#run(command));
    this.outcomes.push({ command: { type: "memories", line: 0 }, text: this.#memories() });
  }

  /** Allocations that hooks recorded: shows that they ran. */
  get allocations(): number {
    return this.#recording.recorder.totals().allocations;
  }

  /** Contexts that hooks were reached in. */
  get contexts(): number {
    return this.#recording.contexts.size;
  }

  #run(command: Command): Outcome {
    let result: Omit<Outcome, "command"> = { text: "" };
    const thrown = thrownBy(() => {
      result = this.#perform(command);
    });
    const printed = this.#printed.splice(0).join("; ");
    if (thrown) {
      const { error, frames } = thrown;
      if (error instanceof Skip) return { command, text: "", skipped: error.message };
      const asExpected = !["module", "action", "assert_return", "register"].includes(command.type);
      result = { text: describeError(error), asExpected };
      // where the stack ends is up to the engine
      if (command.type !== "assert_exhaustion") {
        result.frames = frames.filter(({ url }) => !url.includes(callerName));
      }
    }
    return { command, ...result, text: printed ? `${result.text} [printed ${printed}]` : result.text };
  }

  #perform(command: Command): Omit<Outcome, "command"> {
    switch (command.type) {
      case "module":
        this.#instances.set(undefined, undefined);
        if (command.name) this.#instances.set(command.name, undefined);
        return { text: this.#instantiate(this.#compile(command), command.name), asExpected: true };
      case "module_definition":
        this.#definitions.set(command.name, this.#compile(command));
        return { text: "", asExpected: true };
      case "module_instance": {
        const definition = this.#definitions.get(command.module);
        if (!definition) throw new Skip("needs a module that the engine rejects");
        return { text: this.#instantiate(definition, command.instance), asExpected: true };
      }
      case "assert_uninstantiable":
      case "assert_unlinkable":
        return { text: this.#instantiate(this.#compile(command)), asExpected: false };
      case "assert_invalid":
      case "assert_malformed":
        return this.#assertRejected(command);
      case "register":
        this.#registered[command.as ?? ""] = this.#instance(command.name).exports;
        return { text: "", asExpected: true };
      default:
        if (!command.action) throw new Skip(`unknown command ${command.type}`);
        return this.#act(command, command.action);
    }
  }

  #bytes({ filename = "", module_type, binary_filename }: Command): Uint8Array<ArrayBuffer> {
    const binary = module_type === "text" ? binary_filename : filename;
    if (!binary) throw new Skip("module in text format");
    return this.#script.read(binary);
  }

  #treat(bytes: Uint8Array<ArrayBuffer>): Treated {
    const treated = this.#treatment.apply(bytes);
    this.treated.push(treated);
    return treated;
  }

  #compile(command: Command): CompiledModule {
    const bytes = this.#bytes(command);
    if (!WebAssembly.validate(bytes)) throw new Skip("module that the engine rejects");
    const module = new WebAssembly.Module(this.#treat(bytes).bytes);
    return { module, decoded: decodeModule(bytes) };
  }

  #assertRejected(command: Command): Omit<Outcome, "command"> {
    const bytes = this.#bytes(command);
    const valid = WebAssembly.validate(this.#treat(bytes).bytes);
    return { text: valid ? "valid" : "invalid", asExpected: !valid };
  }

  #instantiate({ module, decoded }: CompiledModule, name?: string): string {
    const { exports } = new WebAssembly.Instance(module, {
      ...this.#registered,
      [recorderModuleName]: this.#recording.imports,
    });
    const instance = { exports, decoded };
    this.#instances.set(undefined, instance);
    if (name) this.#instances.set(name, instance);
    return `${describeInterface(module)} ${describeExports(exports)}`;
  }

  #instance(name: string | undefined): LiveInstance {
    const instance = this.#instances.get(name);
    if (!instance) throw new Skip("needs a module that the engine rejects");
    return instance;
  }

  #act({ expected = [], type }: Command, action: Action): Omit<Outcome, "command"> {
    const { exports, decoded } = this.#instance(action.module);
    const item = exports[action.field];
    const wanted = type === "assert_return" ? expected : [];
    if (action.type === "get") {
      // a vector can't be read from JavaScript: the engine's error is the outcome
      const text = describe((item as WebAssembly.Global).value, exports);
      return { text, asExpected: agrees(text, wanted) };
    }
    const args = action.args ?? [];
    const exported = decoded.exports.find((entry) => entry.name === action.field);
    const signature = numericSignature(decoded.functionType(exported?.index ?? 0));
    if (!signature) {
      if (args.some((constant) => constant.type === "v128")) throw new Skip("vectors among references");
      const text = describe((item as Callable)(...args.map(toJavaScript)), exports);
      return { text, asExpected: agrees(text, wanted) };
    }
    const inIntegers = [...signature.params, ...signature.results].every((name) => /^i(32|64)$/.test(name));
    const text = inIntegers
      ? describe((item as Callable)(...args.map(toJavaScript)), exports)
      : callFromWasm(item as Callable, signature, args, wanted);
    return { text, asExpected: type === "assert_return" || type === "action" ? agrees(text, wanted) : false };
  }

  /** What all exported memories hold in the end. */
  #memories(): string {
    const text: string[] = [];
    for (const [name, instance] of this.#instances) {
      for (const [field, item] of Object.entries(instance?.exports ?? {})) {
        if (!(item instanceof WebAssembly.Memory) || item.buffer.byteLength > 2 ** 24) continue;
        const digest = createHash("sha256").update(new Uint8Array(item.buffer)).digest("hex");
        text.push(`${name}.${field}: ${item.buffer.byteLength} ${digest}`);
      }
    }
    return text.join(", ");
  }
}

/**
 * Whether the entry that asks was called by wasm; no import of the suite calls back. Looks at the innermost frames
 * only, since scripts recurse deeply.
 */
function isCalledByWasm(): boolean {
  const [, , caller] = wasmUrlsAbove(isCalledByWasm, 5);
  return caller !== undefined && !caller.includes(callerName);
}

function describeError(error: unknown): string {
  const name = (error as object | null)?.constructor?.name;
  return `threw ${name}: ${error instanceof Error ? error.message : ""}`;
}

/** What `WebAssembly.Module` says about a module, without the imports that linmem adds. */
function describeInterface(module: WebAssembly.Module): string {
  const imports = WebAssembly.Module.imports(module).filter((item) => item.module !== recorderModuleName);
  return JSON.stringify([imports, WebAssembly.Module.exports(module)]);
}

/** Which exports and elements of exported tables are one function, and how many parameters it has. */
function describeExports(exports: WebAssembly.Exports): string {
  const parts: string[] = [];
  for (const [name, item] of Object.entries(exports)) {
    if (typeof item === "function") parts.push(`${name}/${item.length}: ${describe(item, exports)}`);
    if (item instanceof WebAssembly.Table && item.length <= 64) {
      for (let i = 0; i < item.length; i++) parts.push(`${name}[${i}]: ${elementOf(item, i, exports)}`);
    }
  }
  return parts.join(", ");
}

function elementOf(table: WebAssembly.Table, index: number, exports: WebAssembly.Exports): string {
  try {
    return describe(table.get(index), exports);
  } catch (error) {
    return describeError(error);
  }
}

function numericSignature({ params, results }: FunctionType) {
  const named = (types: FunctionType["params"]) =>
    types.map((type) => numericTypes.find((name) => valueType[name] === type));
  const signature = { params: named(params), results: named(results) };
  if ([...signature.params, ...signature.results].includes(undefined)) return undefined;
  return signature as { params: NumericType[]; results: NumericType[] };
}

function agrees(text: string, expected: readonly Constant[]): boolean | undefined {
  if (text.startsWith("number ") || text.startsWith("bigint ")) {
    const integers = expected.every(({ type }) => type === "i32" || type === "i64");
    return integers ? text === describe(expected.map(toJavaScript)) : undefined;
  }
  const wanted = expected.map(describeConstant);
  return wanted.length === 0 || wanted.includes(undefined) ? undefined : text === wanted.join(", ");
}
