/**
 * Where blocks would lie by rules of placement alone: a trace is played through them with blocks that have no headers, or only
 * those that are said; what is free merges at once, and each time all free pieces are looked at. An allocator that follows such a
 * rule, and leaves blocks where they are, can only have a larger span.
 */
import { table } from "../tables.js";
import { type Trace, traces } from "./traces.js";

/** Picks one of the free pieces for a block, which are sorted by address; -1: none, it goes behind all others. */
type Rule = (pieces: Pieces, bytes: number) => number;

class Pieces {
  readonly from: number[] = [];
  readonly to: number[] = [];

  /** Takes bytes at the beginning of a piece; returns their address. */
  take(index: number, bytes: number): number {
    const at = this.from[index];
    this.from[index] += bytes;
    if (this.from[index] === this.to[index]) {
      this.from.splice(index, 1);
      this.to.splice(index, 1);
    }
    return at;
  }

  /** Takes bytes back; returns the top, which is lower now if they, or the piece that they are part of, end there. */
  give(from: number, to: number, top: number): number {
    let low = 0;
    for (let high = this.from.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if (this.from[middle] < from) low = middle + 1;
      else high = middle;
    }
    const before = low > 0 && this.to[low - 1] === from;
    const behind = this.from[low] === to;
    const start = before ? this.from[low - 1] : from;
    const end = behind ? this.to[low] : to;
    const first = before ? low - 1 : low;
    const merged = end === top ? [] : [start];
    this.from.splice(first, Number(before) + Number(behind), ...merged);
    this.to.splice(first, Number(before) + Number(behind), ...(end === top ? [] : [end]));
    return end === top ? start : top;
  }
}

const bestFit: Rule = (pieces, bytes) => {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < pieces.from.length; i++) {
    const size = pieces.to[i] - pieces.from[i];
    if (size >= bytes && size < least) {
      best = i;
      least = size;
      if (size === bytes) break;
    }
  }
  return best;
};

const firstFit: Rule = (pieces, bytes) => {
  for (let i = 0; i < pieces.from.length; i++) if (pieces.to[i] - pieces.from[i] >= bytes) return i;
  return -1;
};

interface Policy {
  name: string;
  rule: Rule;
  header?: number;
  step?: number;
  /** Bytes of the smallest block. */
  least?: number;
  /** Bytes elsewhere for each block. */
  beside?: number;
  /** Step for what fits into it. */
  smallStep?: number;
  /** What is so small takes 4 bytes, header included. */
  pairs?: number;
}

const policies: Policy[] = [
  { name: "best fit", rule: bestFit },
  { name: "first fit", rule: firstFit },
  { name: "best fit, steps of 8", rule: bestFit, step: 8 },
  { name: "… and a byte for each block elsewhere", rule: bestFit, step: 8, beside: 1 },
  { name: "… and steps of 4 for up to 4 bytes", rule: bestFit, step: 8, beside: 1, smallStep: 4 },
  { name: "best fit, headers of 2 bytes, steps of 8", rule: bestFit, header: 2, step: 8 },
  { name: "… and 4 bytes with all for up to 2", rule: bestFit, header: 2, step: 8, pairs: 2 },
  { name: "best fit, headers of 4 bytes, steps of 8", rule: bestFit, header: 4, step: 8 },
  { name: "… and of 16 bytes at least", rule: bestFit, header: 4, step: 8, least: 16 },
];

function spanOf(
  trace: Trace,
  { rule, header = 0, step = 1, least = 0, beside = 0, smallStep = step, pairs = -1 }: Policy,
): number {
  const pieces = new Pieces();
  const places = new Float64Array(trace.slots);
  const sizes = new Float64Array(trace.slots);
  let top = 0;
  let highest = 0;
  let live = 0;
  let most = 0;
  for (const ops of [trace.before, trace.timed]) {
    for (let i = 0; i < ops.length; i += 2) {
      const [slot, size] = [ops[i], ops[i + 1]];
      if (size < 0) {
        live--;
        top = pieces.give(places[slot], places[slot] + sizes[slot], top);
        continue;
      }
      live++;
      most = Math.max(most, live);
      const by = size <= smallStep ? smallStep : step;
      const bytes = size <= pairs ? 4 : Math.max(least, Math.ceil((size + header) / by) * by);
      const piece = rule(pieces, bytes);
      if (piece >= 0) places[slot] = pieces.take(piece, bytes);
      else {
        places[slot] = top;
        top += bytes;
      }
      sizes[slot] = bytes;
      highest = Math.max(highest, top);
    }
  }
  return (highest + most * beside) / trace.peak;
}

export function placement(): string {
  const chosen = traces("").filter(({ name }) => /2,000|LIFO|larson|sh6bench|glibc|mstress/.test(name));
  const rows = policies.map((policy) => [
    policy.name,
    ...chosen.map((trace) => spanOf(trace, policy).toFixed(3)),
  ]);
  return table(["rule", ...chosen.map(({ name }) => name)], rows);
}
