// A recorder as tests use it: notes what it is told and has no stacks to capture.
import { createRecorder, type Recorder, type RecorderHost } from "../../src/recorder/index.js";
import { isNested } from "./wasm-stacks.js";

export interface Growth {
  memory: number;
  /** Pages before, or -1 when it was denied. */
  before: number;
  /** Pages asked for. */
  asked: number;
}

export interface Recording {
  recorder: Recorder;
  /** What instrumented modules import. */
  imports: Record<string, WebAssembly.ImportValue>;
  /** Hash by number of context. */
  contexts: Map<number, bigint>;
  growth: Growth[];
}

/** @param host answers to what the recorder asks; without them no caller is captured */
export function createRecording(host: Partial<RecorderHost> = {}): Recording {
  const contexts = new Map<number, bigint>();
  const growth: Growth[] = [];
  const recorder = createRecorder({
    contextSeen: (context, hash) => contexts.set(context, hash) === contexts,
    captureCaller: () => 0,
    isNested,
    ...host,
  });
  const grown = (memory: number, before: number, asked: number) => {
    growth.push({ memory, before, asked });
  };
  return { recorder, imports: { ...recorder.imports, grown }, contexts, growth };
}
