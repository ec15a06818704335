// Scripts of the specification's tests as JSON, in the dialects of wabt's wast2json and of wasm-tools.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A number as the decimal digits of its bits; lanes of a vector as a list of such; a reference by a number. */
export interface Constant {
  type: string;
  value?: string | string[];
  /** Of a vector: i8, i16, i32, i64, f32 or f64. */
  lane_type?: string;
  /** Any of these will do; relaxed SIMD leaves the choice to the engine. */
  values?: Constant[];
}

export interface Action {
  type: "invoke" | "get";
  /** Name of the instance; the latest one without it. */
  module?: string;
  field: string;
  args?: Constant[];
}

export interface Command {
  type: string;
  line: number;
  name?: string;
  as?: string;
  filename?: string;
  module_type?: "binary" | "text";
  /** A binary form of a module that the script gives as text. */
  binary_filename?: string;
  action?: Action;
  expected?: Constant[];
  /** wast2json's word for results of which any will do. */
  either?: Constant[];
  /** What an error should say, in the words of the reference interpreter. */
  text?: string;
  /** Of `module_instance`: name of the new instance, and of the module. */
  instance?: string;
  module?: string;
}

export interface Script {
  name: string;
  commands: Command[];
  /** The bytes of a module that a command names. */
  read(filename: string): Uint8Array<ArrayBuffer>;
}

/** All scripts of a directory. */
export function* scriptsIn(directory: string): Generator<Script> {
  for (const file of readdirSync(directory).sort()) {
    if (!file.endsWith(".json")) continue;
    const { commands } = JSON.parse(readFileSync(join(directory, file), "utf8")) as { commands?: Command[] };
    if (!commands) continue;
    yield {
      name: basename(file, ".json"),
      commands,
      read: (filename) => new Uint8Array(readFileSync(join(directory, filename))),
    };
  }
}
