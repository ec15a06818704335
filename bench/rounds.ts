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

/** Milliseconds and microseconds of processor time of each worker's rounds. */
export function inTurn(workers: readonly Worker[], count: number, rounds: number) {
  const times = workers.map((): number[] => []);
  const cpuTimes = workers.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < workers.length; i++) {
      const turn = (i + round) % workers.length;
      const start = process.cpuUsage();
      times[turn].push(workers[turn].round(count));
      const { user, system } = process.cpuUsage(start);
      cpuTimes[turn].push(user + system);
    }
  }
  return { times, cpuTimes };
}
