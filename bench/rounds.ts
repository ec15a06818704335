/** Rounds of work, short and in turn. */
import { sum } from "./statistics.js";

/** Something that can do work. */
export interface Worker {
  /** Does `count` units of it; returns the milliseconds that it took. */
  round(count: number): number;
}

/** Milliseconds of work before it is clear how much fits into a round. */
const calibration = 1500;

/** How much work takes about so many milliseconds. */
export function calibrate(raw: Worker, milliseconds: number): number {
  let count = 1;
  let total = 0;
  for (;;) {
    const times = [raw.round(count), raw.round(count), raw.round(count)];
    total += sum(times);
    const time = Math.max(Math.min(...times), 0.01);
    const fitting = Math.max(1, Math.round((count * milliseconds) / time));
    // it becomes faster while the engine compiles
    if (total > calibration && time > milliseconds / 2) return fitting;
    count = Math.min(fitting, count * 4);
  }
}

/** What a round took: milliseconds, and microseconds of processor time. */
export interface RoundTime {
  time: number;
  cpuTime: number;
}

/** Yields the number of the worker that has the next round, and is told what it took. */
export type Schedule<T> = Generator<number, T, RoundTime>;

/**
 * Has workers do `count` units of work in each round. All that is done before and while it is measured should be one
 * schedule: to linmem a place in JavaScript that begins to call is news, and what is new costs more than what it knows.
 */
export function perform<T>(workers: readonly Worker[], count: number, schedule: Schedule<T>): T {
  let step = schedule.next({ time: 0, cpuTime: 0 });
  while (!step.done) {
    const start = process.cpuUsage();
    const time = workers[step.value].round(count);
    const { user, system } = process.cpuUsage(start);
    step = schedule.next({ time, cpuTime: user + system });
  }
  return step.value;
}

/** Rounds in which every worker has one turn. Returns what they took, by worker. */
export function* inTurn(
  workers: number,
  rounds: number,
): Schedule<{ times: number[][]; cpuTimes: number[][] }> {
  const times = Array.from({ length: workers }, (): number[] => []);
  const cpuTimes = Array.from({ length: workers }, (): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < workers; i++) {
      const turn = (i + round) % workers;
      const taken = yield turn;
      times[turn].push(taken.time);
      cpuTimes[turn].push(taken.cpuTime);
    }
  }
  return { times, cpuTimes };
}
