/**
 * Requests of at most 2 bytes outside of pages: two share a block of 8 bytes, see layout.ts. No more than one pair that is half free is
 * known; the others wait until they are free. So a pair never takes more than a block for each would. Compiled twice, see access.ts.
 */
import { choose } from "../bits.js";
import {
  field,
  HALF_BYTES,
  HALF_FREE,
  HEADER,
  halvesHeader,
  halvesOf,
  isPair,
  PAIR_FREE,
  pairHeader,
  TINY,
} from "../layout.js";
import { Pages } from "./pages.js";

/** Where the second header of a pair is. */
const SECOND = 6;

export class Pairs extends Pages {
  /** The free half of the pair that is known to have one; or 0. */
  protected takeHalf(requested: number): number {
    const pair = this.word(field.openPair);
    if (pair === 0) return 0;
    const halves = halvesOf(pair, this.loadHalf(pair, SECOND));
    const second = choose((halves & HALF_FREE) === HALF_FREE, 0, 1);
    const taken = (HALF_FREE - requested) << (second << 1);
    this.storeHalf(pair, halvesHeader(pair, halves - taken), SECOND);
    this.setWord(field.openPair, 0);
    this.setWord(field.openPairs, this.word(field.openPairs) - 1);
    this.add(field.requested, requested, 1);
    return pair + HEADER + (second << 2);
  }

  /** Makes a pair of a block of 8 bytes; returns its first half, which is used. */
  protected makePair(block: number, requested: number): number {
    this.writeHeader(block, pairHeader(block));
    this.storeHalf(block, halvesHeader(block, (HALF_FREE << 2) | requested), SECOND);
    this.setWord(field.openPair, block);
    this.setWord(field.openPairs, this.word(field.openPairs) + 1);
    this.add(field.requested, requested, 1);
    return block + HEADER;
  }

  /** The pair that a used half belongs to, which begins here; or 0. */
  protected pairOf(payload: number): number {
    const block = pairAt(payload);
    if ((payload & (HALF_BYTES - 1)) !== 0 || block < this.word(field.first)) return 0;
    if (block >= this.word(field.top) || !isPair(block, this.headerAt(block))) return 0;
    const halves = halvesOf(block, this.loadHalf(block, SECOND));
    return halves > PAIR_FREE || halfOf(payload, halves) === HALF_FREE ? 0 : block;
  }

  /** What was asked for half of a pair. */
  protected halfRequest(payload: number): number {
    const pair = pairAt(payload);
    return halfOf(payload, halvesOf(pair, this.loadHalf(pair, SECOND)));
  }

  protected setHalfRequest(payload: number, requested: number): number {
    const pair = pairAt(payload);
    const before = halvesOf(pair, this.loadHalf(pair, SECOND));
    const halves = before + ((requested - halfOf(payload, before)) << shiftOf(payload));
    this.storeHalf(pair, halvesHeader(pair, halves), SECOND);
    return halves;
  }

  protected freeHalf(pair: number, payload: number): void {
    const requested = this.halfRequest(payload);
    this.subtract(field.requested, requested, 1);
    const open = this.word(field.openPair);
    if (this.setHalfRequest(payload, HALF_FREE) !== PAIR_FREE) {
      this.setWord(field.openPairs, this.word(field.openPairs) + 1);
      if (open === 0) this.setWord(field.openPair, pair);
      return;
    }
    this.setWord(field.openPairs, this.word(field.openPairs) - 1);
    if (open === pair) this.setWord(field.openPair, 0);
    this.release(pair, TINY);
  }
}

/** The block of a pair, by the address of one of its halves. */
function pairAt(payload: number): number {
  return payload - HEADER - ((payload & HALF_BYTES) >>> 0);
}

/** What a pair says of one of its halves is moved up by so much. */
function shiftOf(payload: number): number {
  return (payload & HALF_BYTES) >>> 1;
}

function halfOf(payload: number, halves: number): number {
  return ((halves >>> shiftOf(payload)) & HALF_FREE) >>> 0;
}
