/** Live bytes, and their high-water mark with each context's share in it. */
import { markPeak } from "./contexts";
import { hot } from "./hot";
import { settle } from "./young";

/** High-water mark since `beginPeriod`, or of all time; of before the running growth, which ends with a release. */
let peak: u64 = 0;
/** High-water mark of all time, as of the beginning of the period. */
let earlierPeak: u64 = 0;
/** Live bytes above which the contexts' shares are remembered anew: a 64th above the last time. */
let nextPeak: u64 = 0;

/** Kept as the distance from the high-water mark: whether that was passed takes a look at one number. */
@inline
export function liveBytes(): u64 {
  return peak - hot.headroom;
}

@inline
export function grew(bytes: u32): void {
  hot.headroom -= bytes;
}

@inline
export function shrank(bytes: u32): void {
  hot.headroom += bytes;
}

/** Whether more is live than ever: `reachPeak` comes before anything is released. */
@inline
export function isHighest(): bool {
  return hot.headroom < 0;
}

export function reachPeak(): void {
  if (!isHighest()) return;
  setPeak(liveBytes());
  if (peak <= nextPeak) return;
  settle(true);
  markPeak();
  nextPeak = peak + (peak >> 6);
}

/** What is live is the high-water mark. */
@inline
function setPeak(live: u64): void {
  peak = live;
  hot.headroom = 0;
}

/** Begins a period with a high-water mark of its own, beside that of all time. Costs the hooks nothing. */
export function beginPeriod(): void {
  reachPeak();
  earlierPeak = max(earlierPeak, peak);
  setPeak(liveBytes());
}

/** High-water mark of live bytes since `beginPeriod`. */
export function periodPeak(): f64 {
  reachPeak();
  return <f64>peak;
}

/** The high-water mark that `hasRisen` saw last. */
let seen: u64 = 0;

/** Whether more has been live since the previous call than ever before. */
export function hasRisen(): bool {
  const highest = max(max(earlierPeak, peak), liveBytes());
  if (highest <= seen) return false;
  seen = highest;
  return true;
}

/** High-water mark of all time. */
export function highestPeak(): u64 {
  reachPeak();
  return max(earlierPeak, peak);
}
