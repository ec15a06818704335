/**
 * How a profiled program ended: its exit code, or the signal that ended it. A command throws it to have
 * `main.ts`, the only place that sets the exit code, end in the same way.
 */
export class ProgramEnded extends Error {
  readonly outcome: number | NodeJS.Signals;

  constructor(outcome: number | NodeJS.Signals) {
    super(`the program ended with ${outcome}`);
    this.outcome = outcome;
  }
}
