/** The walk: finds the sites of all bodies. */
import { FORMS, INTEREST, LEB, MARK_COUNT, MARKS, MEMARG, NONE } from "./forms";
import { longU32 } from "./host";
import {
  bodyCount,
  bytes,
  catches,
  crowded,
  end,
  first,
  free,
  keep,
  length,
  marked,
  parametersOf,
  reach,
  take,
} from "./memory";
import { afterLocals, localsInLongForm, longLooseU32, looseU32, skip, skipInstruction, skipMemarg } from "./skip";

const LOCAL_GET: u32 = 0x20;

/** What `INTEREST` says of an opcode that makes a site. */
const SITE: u8 = 1;
const CONSTANT: u8 = 3;

/** With a thousand parameters, which is all that a function can have, it still has room for more. */
const MANY_LOCALS: u32 = 48_000;

/** A site while the walk goes on: position, target, opcode. */
const SITE_SIZE: usize = 12;

/** Columns of the sites: position in the module, what it names, opcode. */
export let positions: usize = 0;
export let targets: usize = 0;
export let opcodes: usize = 0;

/** Position that was reached in a body that does not end where it says. */
export let stopped: u32 = 0;

/**
 * Where bodies name their first declared local, in case that it has to have another index: distances in bytes from one
 * such instruction to the next, from the body's first instruction on, `FAR` being added to the one that follows it.
 */
let distancesEnd: usize = 0;
/** By body: address of its first distance. The last one of a body leads to its end. */
export let firstDistances: usize = 0;
export const FAR: u32 = 0xff;

/** Returns the number of sites, or -1 - i when the i-th body does not end where it says. */
export function walk(): i32 {
  firstDistances = take(<usize>bodyCount << 2);
  // each of them stands for at least two bytes of code; what is not written is not there
  distancesEnd = take(length / 2 + 2 * bodyCount);
  const found = free;
  let site = found;
  for (let body: u32 = 0; body < bodyCount; body++) {
    store<u32>(first + (<usize>body << 2), <u32>((site - found) / SITE_SIZE));
    site = walkBody(body, site);
    if (!site) return -1 - <i32>body;
  }
  const count = <u32>((site - found) / SITE_SIZE);
  store<u32>(first + (<usize>bodyCount << 2), count);
  keep(site);
  positions = take(<usize>count << 2);
  targets = take(<usize>count << 2);
  opcodes = take(count);
  for (let i: u32 = 0; i < count; i++) {
    const from = found + <usize>i * SITE_SIZE;
    store<u32>(positions + (<usize>i << 2), load<u32>(from));
    store<u32>(targets + (<usize>i << 2), load<u32>(from, 4));
    store<u8>(opcodes + i, load<u8>(from, 8));
  }
  // the columns take the place of what they were made of
  const down = positions - found;
  memory.copy(found, positions, free - positions);
  positions -= down;
  targets -= down;
  opcodes -= down;
  keep(free - down);
  return <i32>count;
}

function walkBody(body: u32, site: usize): usize {
  const limit = bytes + end(body);
  let at = afterLocals(body);
  const local = parametersOf(body);
  let noted = at;
  let distance = distancesEnd;
  store<u32>(firstDistances + (<usize>body << 2), <u32>distance);
  if (localsInLongForm(body, at) > MANY_LOCALS) store<u8>(crowded + body, 1);
  let room = (<usize>memory.size() << 16) - SITE_SIZE;
  while (at < limit) {
    const opcode = load<u8>(at);
    const interest = load<u8>(INTEREST + opcode);
    if (!interest) {
      const form = load<u8>(FORMS + opcode);
      if (form == NONE) at++;
      else if (form == LEB) {
        // the last comparison says it all, the first one is seldom true
        if ((load<u8>(at, 1) & 0x7f) == (local & 0x7f) && opcode - LOCAL_GET < 3 && looseU32(at + 1) == local) {
          distance = noteDistance(distance, at - noted);
          noted = at;
        }
        at = skip(at + 1);
      } else if (form == MEMARG) at = skipMemarg(at + 1);
      else at = skipInstruction(at);
      continue;
    }
    if (interest == CONSTANT) {
      // none of those that count takes only a byte
      if (load<u8>(at, 1) < 0x80) at += 2;
      else at = noteConstant(body, at + 1);
      continue;
    }
    if (interest == SITE) {
      if (site > room) {
        reach(site + 4096 * SITE_SIZE);
        room = (<usize>memory.size() << 16) - SITE_SIZE;
      }
      const position = <u32>(at - bytes);
      const target = <u32>load<u8>(at, 1);
      store<u32>(site, position);
      store<u32>(site, target < 0x80 ? target : longTarget(at + 1, limit), 4);
      store<u8>(site, opcode, 8);
      site += SITE_SIZE;
    } else {
      store<u8>(catches + body, 1);
    }
    at = skipInstruction(at);
  }
  if (at != limit || load<u8>(limit - 1) != 0x0b) {
    stopped = <u32>(at - bytes);
    return 0;
  }
  distancesEnd = noteDistance(distance, at - noted);
  return site;
}

/** A number of more than a byte, in a body that ends at `limit`. What is wrong with one is for the host to say. */
function longTarget(from: usize, limit: usize): u32 {
  let at = from;
  let value: u32 = 0;
  for (let shift: u32 = 0; shift < 35; shift += 7) {
    const byte = <u32>load<u8>(at++);
    if (shift == 28 && byte > 0x0f) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return at <= limit ? value : longU32(<u32>(from - bytes));
  }
  return longU32(<u32>(from - bytes));
}

@inline
function noteDistance(to: usize, distance: usize): usize {
  while (distance >= FAR) {
    store<u8>(to++, <u8>FAR);
    distance -= FAR;
  }
  store<u8>(to, <u8>distance);
  return to + 1;
}

/** Notes a constant that is among the marked ones; returns the address behind it. */
function noteConstant(body: u32, at: usize): usize {
  // of a signed number too, of up to 32 bits but for those that are negative: none of the marked ones is
  const value = longLooseU32(at);
  for (let i: u32 = 0; i < MARK_COUNT; i++) {
    if (load<u32>(MARKS + (<usize>i << 2)) == value) {
      store<u8>(marked + body, load<u8>(marked + body) | (1 << <u8>i));
      break;
    }
  }
  return skip(at);
}
