/**
 * What one thread records: its modules, instances and memories, and from time to time what changed in them.
 * Everything is held by WeakRef, or by being reachable from the instance itself.
 */

import type { Checker } from "../check/index.js";
import type { MemoryLayout } from "../instrument/index.js";
import type { Frame, GrowRecord, ModuleRecord, ProfileRecord } from "../profile/records.js";
import { threadId } from "../profile/thread-ids.js";
import { StackTable } from "../profile/writer.js";
import type { Recorder } from "../recorder/index.js";
import { createRecorder } from "../recorder/index.js";
import { CaptureBudget, type CaptureMode } from "./budget.js";
import { finalBlocks } from "./final-blocks.js";
import {
  captureCredit,
  maximumCallers,
  maximumGrowStacks,
  maximumStackFrames,
  nearFrames,
  repeatedCapturePrice,
} from "./limits.js";
import { type CheckSettings, MemoryErrors } from "./memory-errors.js";
import type { MemoryFacts } from "./module-facts.js";
import type { KnownModule, ModuleRegistry } from "./module-registry.js";
import { isSharedMemory, memoryPages } from "./natives.js";
import { RecordOutput, type RecordSink } from "./record-output.js";
import { SnapshotSchedule } from "./snapshot-schedule.js";
import type { Site, Sites } from "./stacks.js";
import { isReentered, StackIds, splitStack, visible } from "./stacks.js";
import { TrackedMemory } from "./tracked-memory.js";
import { type AnyFunction, captureCallSites } from "./v8-stacks.js";

export interface SessionOptions {
  /** 0 for the main thread. */
  thread: number;
  registry: ModuleRegistry;
  sites: Sites;
  /** Milliseconds since the time in the profile's header. */
  now(): number;
  /** Milliseconds between snapshots, fewer at the beginning; infinite for none but those asked for. */
  interval: number;
  /** Opens the profile, once, when there is something to record; undefined when that is impossible. */
  open(): RecordSink | undefined;
  /** Whether a thread of this process has opened it. */
  begun(): boolean;
  /** How modules that are to be checked are. */
  check?: CheckSettings;
  /** Adds milliseconds to those that all threads of this process took for captures, and returns the sum. */
  addCaptureTime?(milliseconds: number): number;
}

export class Session {
  readonly registry: ModuleRegistry;
  readonly sites: Sites;
  readonly #options: SessionOptions;
  /** Stacks of contexts that are not of a module, by their hash. */
  readonly libraryStacks = new Map<bigint, number>();
  readonly #table: StackTable;
  readonly #stacks: StackIds;
  readonly #budget: CaptureBudget;
  readonly #memories = new Map<number, TrackedMemory>();
  readonly #byMemory = new WeakMap<WebAssembly.Memory, TrackedMemory>();
  readonly #collected: FinalizationRegistry<{ memory?: TrackedMemory; instance?: number }>;
  readonly #output: RecordOutput;
  readonly #schedule: SnapshotSchedule;
  #memoryCount = 0;
  #instanceCount = 0;
  #recorders = 0;
  #busy = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.registry = options.registry;
    this.sites = options.sites;
    this.#budget = new CaptureBudget(options.now, options.check !== undefined);
    this.#output = new RecordOutput(() => options.open());
    this.#schedule = new SnapshotSchedule(options.interval, options.now());
    this.#table = new StackTable(options.thread, (record) => this.write(record));
    this.#stacks = new StackIds((frames) => this.#table.idOf(frames));
    this.#collected = new FinalizationRegistry(({ memory, instance }) => {
      const time = this.#options.now();
      if (memory) {
        this.#snapshotOf(memory, time);
        this.#warnOfContexts(memory);
        this.#memories.delete(memory.id);
        if (memory.written) this.write({ type: "collected", time, memory: memory.id });
      }
      if (instance !== undefined) this.write({ type: "collected", time, instance });
    });
  }

  /** Whether anything is in the profile. */
  get active(): boolean {
    return this.#output.active;
  }

  /** Milliseconds spent on capturing stacks. */
  get captureTime(): number {
    return this.#budget.total;
  }

  write(...records: ProfileRecord[]): void {
    this.#output.write(records);
  }

  /** The sites of the running stack, without linmem's own, and with what started it if that is known. */
  stackOf(from: AnyFunction): Site[] {
    return this.#budget.other(() => this.sites.withCauses(this.sites.of(captureCallSites(from))));
  }

  /** The sites of the running stack, as what starts a callback that is yet to come; undefined when there is no time for it. */
  causeOf(from: AnyFunction): Site[] | undefined {
    if (this.#budget.left() <= 0) return undefined;
    return this.#budget.caller(() => visible(this.sites.of(captureCallSites(from))));
  }

  stackId(sites: readonly Site[]): number {
    return this.#stacks.of(visible(sites));
  }

  /** Frames of a stack by its id, innermost first. */
  framesOf(stack: number): Frame[] {
    return this.#table.framesOf(stack);
  }

  /** Memories that the collector has not taken. */
  memories(): Iterable<TrackedMemory> {
    return this.#memories.values();
  }

  /** Which JavaScript callers are captured from now on. */
  get captureMode(): CaptureMode {
    return this.#budget.mode;
  }

  set captureMode(mode: CaptureMode) {
    this.#budget.mode = mode;
    for (const tracked of this.#memories.values()) this.#adjustEagerness(tracked);
  }

  /**
   * While there is time to spare, and something to learn, every entry that leaves blocks asks for its caller; then only a
   * share of them.
   */
  #adjustEagerness(tracked: TrackedMemory, isDear = false): void {
    const eager = !isDear && this.#budget.left() > captureCredit / 2;
    if (eager !== tracked.eager) tracked.recorder?.setEager((tracked.eager = eager));
  }

  #moduleId(module: KnownModule): number {
    return threadId(this.#options.thread, module.id);
  }

  /** A module is about to get an instance that has a memory: only now there is something to record. */
  announce(module: KnownModule): void {
    this.#output.activate();
    if (module.written) return;
    module.written = true;
    const { name, bytes, toolchain, allocator, reason, code } = module;
    const record: ModuleRecord = {
      type: "module",
      id: this.#moduleId(module),
      thread: this.#options.thread,
      name,
      bytes,
      toolchain,
      allocator,
      instrumented: allocator.length > 0,
      ...(reason === undefined ? {} : { reason }),
      ...(code === undefined ? {} : { code }),
    };
    this.write(record);
    for (const message of module.unchecked ?? []) {
      this.write({ type: "warning", code: "not-checked", message, module: record.id });
    }
    for (const message of module.damage ?? []) {
      this.write({ type: "warning", code: "symbols", message, module: record.id });
    }
    for (const message of module.warnings) {
      this.write({ type: "warning", code: "not-instrumented", message, module: record.id });
    }
  }

  /** A memory that comes to life, created by `stack`. It is in the profile from `register` on. */
  newMemory(facts: Omit<MemoryFacts, "import">, stack: number): TrackedMemory {
    return new TrackedMemory(threadId(this.#options.thread, ++this.#memoryCount), facts, stack);
  }

  /** The memory's tracking; begins it for one that was not seen before, created by `stack`. */
  track(memory: WebAssembly.Memory, maximumPages: number | null, stack: number): TrackedMemory {
    let tracked = this.#byMemory.get(memory);
    if (!tracked) {
      const initialPages = memoryPages(memory) ?? 0;
      tracked = this.newMemory({ initialPages, maximumPages, shared: isSharedMemory(memory) }, stack);
      // nobody here made it
      tracked.received = tracked.shared && stack === 0 && this.#options.thread > 0;
      this.register(tracked);
      this.adopt(tracked, memory);
    }
    return tracked;
  }

  /** Connects a tracked memory with the object that JavaScript has of it. */
  adopt(tracked: TrackedMemory, memory: WebAssembly.Memory): void {
    tracked.attach(memory);
    this.#byMemory.set(memory, tracked);
    this.#collected.register(memory, { memory: tracked });
  }

  /** For a memory that JavaScript can't see: it lives as long as `token`. */
  tie(tracked: TrackedMemory, token: object): void {
    this.#collected.register(token, { memory: tracked });
  }

  /** Enters a memory in the profile. */
  register(tracked: TrackedMemory): void {
    tracked.written = true;
    this.#memories.set(tracked.id, tracked);
    this.write({
      type: "memory",
      id: tracked.id,
      time: this.#options.now(),
      thread: this.#options.thread,
      initialPages: tracked.initialPages,
      maximumPages: tracked.maximumPages,
      shared: tracked.shared,
      ...(tracked.received && { received: true as const }),
      stack: tracked.stack,
    });
  }

  /** An instance lives, and with it the memories that it defines. `token` lives as long as it does. */
  instantiated(
    module: KnownModule,
    memories: readonly TrackedMemory[],
    stack: number,
    token: object,
    globals: readonly WebAssembly.Global[],
  ): void {
    const id = threadId(this.#options.thread, ++this.#instanceCount);
    for (const memory of memories) {
      if (!memory.written) this.register(memory);
      if (memory.module) continue;
      memory.module = module;
      this.write({ type: "memory-module", memory: memory.id, module: this.#moduleId(module) });
    }
    const [first] = memories;
    if (first && module.layout) this.#layOut(first, module, module.layout, globals);
    this.write({
      type: "instance",
      id,
      time: this.#options.now(),
      module: this.#moduleId(module),
      memories: memories.map((memory) => memory.id),
      stack,
    });
    this.#collected.register(token, { instance: id });
    this.snapshotIfDue();
  }

  #layOut(
    memory: TrackedMemory,
    module: KnownModule,
    layout: MemoryLayout,
    globals: readonly WebAssembly.Global[],
  ): void {
    memory.globals.push(...globals.map((global) => new WeakRef(global)));
    if (memory.layouts.some((known) => known.layout === layout)) return;
    memory.layouts.push({ layout, data: module.data });
    const { id, pages } = memory;
    this.write({ type: "layout", memory: id, module: this.#moduleId(module), pages, ...layout });
  }

  /** The recorder of a memory, made for the first module that needs it. */
  recorderOf(tracked: TrackedMemory, module: KnownModule): Recorder {
    tracked.modules.add(module.id);
    if (tracked.recorder) return tracked.recorder;
    const { contextStacks } = module;
    const contextSeen = (context: number, hash: bigint): boolean => {
      let stack = this.libraryStacks.get(hash) ?? contextStacks.get(hash);
      if (stack === undefined) {
        if (!this.#budget.hasTimeForContexts) return false;
        stack = this.#budget.context(() => {
          const sites = this.sites.ofRecorderCall(captureCallSites(contextSeen));
          return this.#stacks.of(splitStack(sites, tracked.modules).context);
        });
        contextStacks.set(hash, stack);
      }
      tracked.setContextStack(context, stack);
      return true;
    };
    const captureCaller = (): number => {
      const isDear = this.#budget.isThrifty && tracked.isQuiet();
      this.#adjustEagerness(tracked, isDear);
      this.snapshotIfDue();
      if (this.#budget.left(isDear) <= 0 || tracked.callers.length > maximumCallers) return 0;
      tracked.captured();
      return this.#budget.caller(
        () => {
          const sites = this.sites.ofRecorderCall(captureCallSites(captureCaller));
          const { caller } = splitStack(sites, tracked.modules);
          return tracked.callerNumber(this.#stacks.of(this.sites.withCauses(caller)));
        },
        isDear ? repeatedCapturePrice : 1,
      );
    };
    const isNested = (): boolean =>
      this.#budget.other(() =>
        // a call back from JavaScript that wasm called lies a few frames above: C++ has thousands of contexts of them
        [nearFrames, maximumStackFrames].some((limit) =>
          isReentered(this.sites.ofRecorderCall(captureCallSites(isNested, limit)), tracked.modules),
        ),
      );
    const recorder = createRecorder({ contextSeen, captureCaller, isNested });
    tracked.recorder = recorder;
    if (this.#recorders++ === 0) this.#schedule.restart(this.#options.now());
    this.#adjustEagerness(tracked);
    return recorder;
  }

  /**
   * The checker of a memory, made for the first module that is checked.
   * @throws RangeError when the engine has no room for a shadow memory
   */
  checkerOf(tracked: TrackedMemory, module: KnownModule): Checker {
    tracked.modules.add(module.id);
    tracked.errors ??= new MemoryErrors(
      {
        memory: tracked.id,
        now: this.#options.now,
        pages: () => tracked.currentPages(),
        maximumPages: tracked.maximumPages,
        warn: (message) =>
          this.write({ type: "warning", code: "not-checked", message, module: this.#moduleId(module) }),
        write: (record) => {
          this.#output.activate();
          if (!tracked.written) this.register(tracked);
          this.write(record);
        },
        sites: (callSites) => this.sites.ofRecorderCall(callSites),
        stackId: (sites) => this.stackId(sites),
        contextStackId: (sites) => this.#stacks.of(splitStack(sites, tracked.modules).context),
        contextStacks: module.contextStacks,
        callerOf: (address) => tracked.callers[tracked.recorder?.callerOf(address) ?? 0] ?? 0,
      },
      module.check!,
      this.#options.check!,
    );
    const { checker } = tracked.errors;
    checker.setPages(tracked.pages);
    return checker;
  }

  /** A memory was asked to grow; `from` is undefined when the engine refused. */
  grew(tracked: TrackedMemory, from: number | undefined, deltaPages: number, asked: AnyFunction): void {
    const fromPages = from ?? tracked.pages;
    const granted = from !== undefined;
    if (granted) {
      tracked.pages = fromPages + deltaPages;
      tracked.errors?.checker.setPages(tracked.pages);
    }
    // Asking for nothing detaches views but moves no boundary.
    if (deltaPages === 0 || ++tracked.growStacks > maximumGrowStacks) return;
    const record: GrowRecord = {
      type: "grow",
      memory: tracked.id,
      time: this.#options.now(),
      fromPages,
      deltaPages,
      granted,
      stack: this.stackId(this.stackOf(asked)),
    };
    if (granted) tracked.growStack = record.stack;
    // In a start function the memory is not in the profile yet.
    if (!tracked.written) this.register(tracked);
    this.write(record);
    this.snapshotIfDue();
  }

  memoryOf(memory: WebAssembly.Memory): TrackedMemory | undefined {
    return this.#byMemory.get(memory);
  }

  /** Milliseconds until a snapshot is due. */
  untilSnapshot(): number {
    return this.#schedule.until(this.#options.now());
  }

  /** Programs that never return to the event loop get their snapshots from here. */
  snapshotIfDue(): void {
    if (this.#schedule.isDue(this.#options.now())) this.snapshot();
  }

  /** Writes what changed since the previous snapshot. */
  snapshot(): void {
    if (this.#busy) return;
    this.#busy = true;
    const { now } = this.#options;
    const time = now();
    try {
      const look = this.#schedule.look(time);
      for (const tracked of this.#memories.values()) this.#snapshotOf(tracked, time, look);
    } finally {
      this.#busy = false;
      this.#schedule.taken(time, now());
    }
  }

  #snapshotOf(tracked: TrackedMemory, time: number, look = true): void {
    const pages = look ? tracked.currentPages() : tracked.pages;
    const records: ProfileRecord[] = [];
    const grown = pages - tracked.pages;
    if (grown > 0) {
      // Noticed afterwards: by another thread, or a module that runs as it is.
      const { id: memory, pages: fromPages } = tracked;
      records.push({ type: "grow", memory, time, fromPages, deltaPages: grown, granted: true, stack: 0 });
      tracked.pages = pages;
    }
    const { contexts, snapshot } = tracked.changes(time);
    for (const { id, stack, caller } of contexts) {
      records.push({ type: "context", id, memory: tracked.id, stack, caller });
    }
    if (snapshot) records.push(snapshot);
    if (records.length > 0) this.#output.write(records);
  }

  #warnOfContexts({ contextsWithoutStack: count, module }: TrackedMemory): void {
    if (count === 0) return;
    this.write({
      type: "warning",
      code: "contexts-not-captured",
      message: `no time was left to look at the calls in wasm behind ${count} calling contexts: their blocks are shown without them`,
      ...(module && { module: this.#moduleId(module) }),
    });
  }

  #writeBlocks(): void {
    const { now } = this.#options;
    const stack = captureCallSites(this.end);
    const running =
      stack.length >= maximumStackFrames || this.sites.of(stack).some(({ frame }) => frame.kind === "wasm");
    const checks = this.#options.check !== undefined;
    for (const record of finalBlocks(this.#memories.values(), { now, running, checks })) this.write(record);
  }

  /** Writes the last snapshots, live blocks and, in the main thread, how the program ended. */
  end(exit: number | string): void {
    this.#schedule.lookNext();
    this.snapshot();
    for (const tracked of this.#memories.values()) tracked.errors?.end(tracked.buffer());
    this.#writeBlocks();
    // once more for what only the sorted blocks tell
    this.snapshot();
    const captureTime = this.#options.addCaptureTime?.(this.captureTime) ?? this.captureTime;
    for (const tracked of this.#memories.values()) this.#warnOfContexts(tracked);
    if (this.#options.thread !== 0) return;
    if (this.#options.begun()) this.#output.activate();
    this.write({ type: "end", time: this.#options.now(), exit, captureTime });
  }
}
