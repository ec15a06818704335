import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Frame, ProfileRecord } from "../../src/profile/records.js";
import { Stacks } from "../../src/profile/stacks.js";
import { moduleSource } from "./modules.js";

/** The built command. */
export const linmem = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A folder for programs and the profiles that they leave. */
export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "linmem test "));

  /** Writes a program. `modules` of modules.ts are defined in it. */
  write(name: string, source: string): string {
    writeFileSync(join(this.folder, name), name.endsWith(".json") ? source : moduleSource + source);
    return name;
  }

  start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    // The runner's own settings for its children are none of the programs'.
    const { NODE_OPTIONS, NODE_TEST_CONTEXT, ...rest } = process.env;
    return spawn(command, args, { cwd: this.folder, env: { ...rest, ...env }, stdio: "pipe" });
  }

  node(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
    return ended(this.start(process.execPath, args, env));
  }

  linmem(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
    return this.node([linmem, ...args], env);
  }

  /** Runs a program with and without linmem. */
  async both(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<{ native: Ended; profiled: Ended }> {
    const native = await this.node(args, env);
    const profiled = await this.linmem(["run", "--quiet", ...args], env);
    return { native, profiled };
  }

  profiles(): string[] {
    return readdirSync(this.folder).filter((name) => name.endsWith(".linmem"));
  }

  /** Records of a profile; of the only one when none is named. */
  records(name = this.profiles()[0]): ProfileRecord[] {
    const lines = readFileSync(join(this.folder, name), "utf8").trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line));
  }

  clear(): void {
    for (const name of this.profiles()) rmSync(join(this.folder, name));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Collects what a process prints, until it ends. */
export function ended(child: ChildProcess): Promise<Ended> {
  let stdout = "";
  let stderr = "";
  child.stdout!.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr!.setEncoding("utf8").on("data", (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Resolves when a process has printed something. */
export function printed(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve) => {
    let all = "";
    child.stdout!.on("data", (chunk) => {
      if ((all += chunk).includes(text)) resolve();
    });
  });
}

/** Records of one type. */
/** The frames of a stack, innermost first. */
export function framesOf(records: readonly ProfileRecord[], id: number): Frame[] {
  const stacks = new Stacks();
  for (const { type, id: frameId, ...frame } of ofType(records, "frame")) stacks.addFrame(frameId, frame);
  for (const record of ofType(records, "stack")) stacks.add(record);
  return stacks.get(id) ?? [];
}

export function ofType<T extends ProfileRecord["type"]>(
  records: readonly ProfileRecord[],
  type: T,
): Extract<ProfileRecord, { type: T }>[] {
  return records.filter((record): record is Extract<ProfileRecord, { type: T }> => record.type === type);
}
