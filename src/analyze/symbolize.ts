/**
 * Where the code of a profile's frames comes from. Only frames that are in the profile are looked up; whoever
 * calls provides the files.
 */
import { DecodeError } from "../errors.js";
import type { Frame, ModuleRecord, SourceFrame, SourceRecord } from "../profile/records.js";
import { frameKey, type Profile } from "../profile/state.js";
import { bodiesAt, type DebugFile, findFunctionNames } from "../wasm/dwarf/debug-file.js";
import { findPositions } from "../wasm/dwarf/index.js";
import { GoProgram } from "../wasm/go-program.js";
import type { MappedPosition, SourceMap } from "./source-map.js";

/** What was found, and what could not be read. */
export interface Symbolized {
  records: SourceRecord[];
  notes: string[];
}

/** Frames whose source is not known yet, each once. */
export interface WantedFrames {
  /** wasm frames by the id of their module. */
  modules: Map<number, Frame[]>;
  /** JavaScript frames by their file. */
  scripts: Map<string, Frame[]>;
}

export function wantedFrames(profile: Profile): WantedFrames {
  const wanted: WantedFrames = { modules: new Map(), scripts: new Map() };
  const seen = new Set<string>(profile.sources.keys());
  for (const frame of profile.stacks.frames()) {
    const key = frameKey(frame);
    if (seen.has(key)) continue;
    seen.add(key);
    if (frame.kind === "js") {
      if (frame.line > 0) listOf(wanted.scripts, frame.file).push(frame);
    } else if (frame.module !== undefined) {
      listOf(wanted.modules, frame.module).push(frame);
    }
  }
  return wanted;
}

function listOf<K, V>(map: Map<K, V[]>, key: K): V[] {
  let list = map.get(key);
  if (!list) map.set(key, (list = []));
  return list;
}

const noPlace = { file: "", line: 0, column: 0 };

function record({ kind, file, line, column, module }: Frame, source: SourceFrame[]): SourceRecord {
  return { type: "source", frame: { kind, file, line, column, module }, source };
}

/** Looks frames of a module up in the DWARF and the names of a file. */
export function symbolizeByDwarf(
  { code }: ModuleRecord,
  frames: readonly Frame[],
  file: DebugFile,
): Symbolized {
  const start = code?.start ?? 0;
  const addresses = frames.filter(({ column }) => column > start).map(({ column }) => column - start);
  const { positions, notes } = findPositions(file.debug, addresses);
  const unnamed = frames.filter((frame) => frame.function === "").map(({ line }) => line);
  const names = findFunctionNames(file, new Set(unnamed));
  const records: SourceRecord[] = [];
  for (const frame of frames) {
    const found = positions.get(frame.column - start);
    const name = names.get(frame.line) ?? "";
    if (found) {
      const last = found.length - 1;
      const chain = found.map((place, i) => (i === last && name ? { ...place, function: name } : place));
      records.push(record(frame, chain));
    } else if (name !== "") {
      records.push(record(frame, [{ function: name, ...noPlace }]));
    }
  }
  return { records, notes };
}

/** Looks frames of a module of Go up in the table that its runtime has of its functions. */
export function symbolizeByGo(frames: readonly Frame[], { source }: DebugFile): Symbolized {
  let program: GoProgram | undefined;
  try {
    program = GoProgram.read(source.read(0, source.size));
  } catch (error) {
    return { records: [], notes: [`the module can't be read: ${(error as Error).message}`] };
  }
  if (!program) return { records: [], notes: ["the table of functions of Go's runtime was not found"] };
  const records: SourceRecord[] = [];
  let damaged = 0;
  for (const frame of frames) {
    try {
      const found = program.framesAt(frame.line, frame.column);
      if (found.length > 0)
        records.push(
          record(
            frame,
            found.map((place) => ({ ...place, column: 0 })),
          ),
        );
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      damaged++;
    }
  }
  return {
    records,
    notes:
      damaged === 0 ? [] : [`the table of functions of Go's runtime is damaged: ${damaged} places not found`],
  };
}

/**
 * Looks frames of a module up in its source map.
 * @param path the path of a source that the map names
 */
export function symbolizeByMap(
  frames: readonly Frame[],
  file: DebugFile,
  map: SourceMap,
  path: (position: MappedPosition) => string,
): SourceRecord[] {
  const bodies = bodiesAt(
    file,
    frames.map(({ column }) => column),
  );
  return frames.flatMap((frame) => {
    const body = bodies.get(frame.column);
    if (!body) return [];
    const own = map.find(0, frame.column);
    // code without a mapping of its own must not get that of the function before
    const exact = own && own.generatedColumn >= body.start;
    // what compilers add to a function has none: the line nearby is right, as a rule, and its column is not
    const found = exact ? own : map.findNear(frame.column, body);
    if (!found) return [];
    const column = exact ? found.column : 0;
    return [record(frame, [{ function: frame.function, file: path(found), line: found.line, column }])];
  });
}

/** Looks frames of a script up in its source map; `path` returns undefined for what is not to be followed. */
export function symbolizeScript(
  frames: readonly Frame[],
  map: SourceMap,
  path: (position: MappedPosition) => string | undefined,
): SourceRecord[] {
  return frames.flatMap((frame) => {
    const found = map.find(frame.line - 1, Math.max(0, frame.column - 1));
    const file = found && path(found);
    if (!found || file === undefined) return [];
    return [record(frame, [{ function: frame.function, file, line: found.line, column: found.column }])];
  });
}
