/**
 * The two loops over all bytes of a module's code: the walk that finds what passes care about, and the copy that
 * leaves everything between as it is. In JavaScript they took two thirds of the time of a fresh process: it runs
 * them as bytecode for as long as most modules take. An engine has wasm compiled before its first call.
 *
 * Addresses are bytes of this memory, positions are offsets in the module. See ../walker.ts, which lays out the
 * input and reads the output.
 */
import { changed, instructionEnd, locals, longU32 } from "./host";
import {
  BLOCK,
  BR_TABLE,
  BYTE,
  BYTES16,
  BYTES4,
  BYTES8,
  FORMS,
  INPUT,
  INTEREST,
  LEB,
  LEB2,
  MEMARG,
  MEMARG_LANE,
  MISC,
  MISC_FORMS,
  MISC_SIZE,
  NONE,
  PROLOGUE,
  SET_CONTEXT,
  VECTOR,
  VECTOR_FORMS,
  VECTOR_SIZE,
} from "./forms";

const CALL: u8 = 0x10;
const RETURN_CALL: u8 = 0x12;
const MEMORY_GROW: u8 = 0x40;
const REF_FUNC: u8 = 0xd2;

const LOCAL_GET: u32 = 0x20;
const I64_CONST: u32 = 0x42;
const I64_ADD: u32 = 0x7c;
const I64: u32 = 0x7e;

/** What `INTEREST` says of an opcode that makes a site. */
const SITE: u8 = 1;

/** Bytes that a site may have more in the output than in the input, and a body, without its own code. */
const MOST_AT_SITE: usize = 32;
const MOST_AT_BODY: usize = 96;

const NO_HELPER: u32 = ~0;
const CHAINED: u8 = 1;

/** A site while the walk goes on: position, target, opcode. */
const SITE_SIZE: usize = 12;

/** Where a position of the module lies in this memory, less the position. */
let bytes: usize = 0;
/** Columns of the bodies: where each begins and ends. */
let starts: usize = 0;
let ends: usize = 0;
let bodyCount: u32 = 0;
/** Columns that the walk fills. */
export let first: usize = 0;
export let catches: usize = 0;
export let positions: usize = 0;
export let targets: usize = 0;
export let opcodes: usize = 0;
/** Behind everything that has its place. */
let free: usize = 0;

/** Makes the memory reach `end`; a trap when the engine has no room. */
function reach(end: usize): void {
  const have = <usize>memory.size() << 16;
  if (end <= have) return;
  // by an eighth at least: growth is a call of the system
  const pages = <i32>((max(end - have, have >> 3) + 0xffff) >> 16);
  if (memory.grow(pages) < 0 && memory.grow(<i32>((end - have + 0xffff) >> 16)) < 0) unreachable();
}

@inline
function aligned(address: usize): usize {
  return (address + 7) & ~7;
}

/** Takes room for a column; returns its address. */
export function take(length: usize): usize {
  const at = free;
  free = aligned(at + length);
  reach(free);
  return at;
}

/**
 * Makes room for `length` bytes of a module, from position `origin` on, and the columns of `count` bodies.
 * Returns the address for the bytes; `starts` and `ends` follow.
 */
export function prepare(length: usize, origin: usize, count: u32): usize {
  free = INPUT;
  // a number that the module cuts off ends in the zeros behind
  const at = take(length + 64);
  memory.fill(at + length, 0, 64);
  bytes = at - origin;
  bodyCount = count;
  starts = take(<usize>count << 2);
  ends = take(<usize>count << 2);
  first = take((<usize>count + 1) << 2);
  catches = take(count);
  memory.fill(catches, 0, count);
  return at;
}

export function startsAddress(): usize {
  return starts;
}

export function endsAddress(): usize {
  return ends;
}

@inline
function start(body: u32): u32 {
  return load<u32>(starts + (<usize>body << 2));
}

@inline
function end(body: u32): u32 {
  return load<u32>(ends + (<usize>body << 2));
}

@inline
function skip(at: usize): usize {
  while (load<u8>(at++) & 0x80);
  return at;
}

/** Two numbers; three when the first says that a memory index follows. */
@inline
function skipMemarg(at: usize): usize {
  const flags = load<u8>(at);
  at = skip(at);
  if (flags & 0x40) at = skip(at);
  return skip(at);
}

@inline
function skipBlockType(at: usize): usize {
  const type = load<u8>(at);
  return skip(type == 0x63 || type == 0x64 ? at + 1 : at);
}

/** Address behind an instruction that is more than its opcode and a number. */
function skipInstruction(at: usize): usize {
  const from = at;
  let form = load<u8>(FORMS + load<u8>(at++));
  if (form == VECTOR || form == MISC) {
    const sub = looseU32(at);
    at = skip(at);
    if (form == VECTOR) form = sub < VECTOR_SIZE ? load<u8>(VECTOR_FORMS + sub) : 0xff;
    else form = sub < MISC_SIZE ? load<u8>(MISC_FORMS + sub) : 0xff;
  }
  switch (form) {
    case NONE:
      return at;
    case LEB:
      return skip(at);
    case MEMARG:
      return skipMemarg(at);
    case LEB2:
      return skip(skip(at));
    case BLOCK:
      return skipBlockType(at);
    case BYTE:
      return at + 1;
    case BYTES4:
      return at + 4;
    case BYTES8:
      return at + 8;
    case BYTES16:
      return at + 16;
    case MEMARG_LANE:
      return skipMemarg(at) + 1;
    case BR_TABLE: {
      const count = looseU32(at);
      at = skip(at);
      // an absurd count is an error that the host words
      if (count > 0xffffff) break;
      const limit = free;
      for (let label: u32 = 0; label <= count; label++) {
        if (at >= limit) break;
        at = skip(at);
      }
      return at;
    }
    default:
  }
  return bytes + instructionEnd(<u32>(from - bytes));
}

/** An unsigned number without a check of its length. */
@inline
function looseU32(at: usize): u32 {
  const byte = <u32>load<u8>(at);
  return byte < 0x80 ? byte : longLooseU32(at);
}

function longLooseU32(at: usize): u32 {
  let value: u32 = 0;
  for (let shift: u32 = 0; shift < 35; shift += 7) {
    const byte = <u32>load<u8>(at++);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return value;
}

/**
 * The walk. Returns the number of sites, or -1 - i when the i-th body does not end where it says; `stopped` is then
 * the position that was reached.
 */
export let stopped: u32 = 0;

export function walk(): i32 {
  const found = free;
  let site = found;
  for (let body: u32 = 0; body < bodyCount; body++) {
    store<u32>(first + (<usize>body << 2), <u32>((site - found) / SITE_SIZE));
    site = walkBody(body, site);
    if (!site) return -1 - <i32>body;
  }
  const count = <u32>((site - found) / SITE_SIZE);
  store<u32>(first + (<usize>bodyCount << 2), count);
  free = aligned(site);
  positions = take(<usize>count << 2);
  targets = take(<usize>count << 2);
  opcodes = take(count);
  for (let i: u32 = 0; i < count; i++) {
    const from = found + <usize>i * SITE_SIZE;
    store<u32>(positions + (<usize>i << 2), load<u32>(from));
    store<u32>(targets + (<usize>i << 2), load<u32>(from, 4));
    store<u8>(opcodes + i, load<u8>(from, 8));
  }
  return <i32>count;
}

/**
 * Where the instructions of a body begin. Numbers and types of more than a byte are for the host.
 */
function afterLocals(body: u32): usize {
  let at = bytes + start(body);
  const groups = <u32>load<u8>(at++);
  for (let left = groups; left > 0; left--) {
    if (load<u8>(at) >= 0x80 || !isPlainType(load<u8>(at, 1))) return bytes + locals(start(body), end(body), 0);
    at += 2;
  }
  return groups < 0x80 && at <= bytes + end(body) ? at : bytes + locals(start(body), end(body), 0);
}

/** `i32`, `i64`, `f32`, `f64`, `v128` */
@inline
function isPlainType(byte: u32): bool {
  return byte >= 0x7b && byte <= 0x7f;
}

function walkBody(body: u32, site: usize): usize {
  const limit = bytes + end(body);
  let at = afterLocals(body);
  let room = (<usize>memory.size() << 16) - SITE_SIZE;
  while (at < limit) {
    const opcode = load<u8>(at);
    const interest = load<u8>(INTEREST + opcode);
    if (!interest) {
      const form = load<u8>(FORMS + opcode);
      if (form == NONE) at++;
      else if (form == LEB) at = skip(at + 1);
      else if (form == MEMARG) at = skipMemarg(at + 1);
      else at = skipInstruction(at);
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
      store<u32>(site, target < 0x80 ? target : longU32(position + 1), 4);
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
  return site;
}

// What the rewriting changes: addresses of columns, which the host takes and fills.

/** By function: what calls of it, and references to it, become. */
export let called: usize = 0;
export let referenced: usize = 0;
/** By memory: what to call instead of `memory.grow`, or `NO_HELPER`. */
export let growHelpers: usize = 0;
/** By site: how the context is set; one of `contextKind`. */
export let contextSites: usize = 0;
/** By body: its parameters. */
export let parameters: usize = 0;
/** Locals that a function may have, parameters included. */
export let mostLocals: u32 = 0;
/** By body: where its code begins in the output. */
export let written: usize = 0;
/** Whether to tell the host where the distance between output and input changes. */
export let watched: bool = false;

let output: usize = 0;
let to: usize = 0;

/** Output begins here, behind all columns; returns its address. */
export function begin(): usize {
  output = to = free;
  return output;
}

/** Length of the output so far. */
export function length(): u32 {
  return <u32>(to - output);
}

/** Makes room for that many bytes of the host's own; returns their address. */
export function append(count: usize): usize {
  const at = to;
  to += count;
  reach(to);
  return at;
}

@inline
function put(byte: u32): void {
  store<u8>(to++, <u8>byte);
}

@inline
function putU32(value: u32): void {
  while (value >= 0x80) {
    put((value & 0x7f) | 0x80);
    value >>= 7;
  }
  put(value);
}

/** A signed number ≥ 0. */
@inline
function putPositive(value: u32): void {
  while (value >= 0x40) {
    put((value & 0x7f) | 0x80);
    value >>= 7;
  }
  put(value);
}

@inline
function copy(from: usize, until: usize): void {
  // engines call out for `memory.copy`
  if (until - from > 32) {
    memory.copy(to, from, until - from);
    to += until - from;
  } else {
    while (from < until) store<u8>(to++, load<u8>(from++));
  }
}

/** Bytes that the host put at `from`, behind their length. */
@inline
function insert(from: usize): void {
  copy(from + 1, from + 1 + load<u8>(from));
}

@inline
function tell(position: usize): void {
  if (watched) changed(length(), <u32>(position - bytes));
}

/** Appends the bodies from the i-th on, up to but without the j-th, each with its size. */
export function rewrite(from: u32, until: u32): void {
  for (let body = from; body < until; body++) {
    reach(to + MOST_AT_BODY);
    // the size in 5 bytes, known only afterwards
    const sizeAt = to;
    to += 5;
    store<u32>(written + (<usize>body << 2), length());
    rewriteBody(body);
    let size = <u32>(to - sizeAt - 5);
    for (let i: usize = 0; i < 4; i++) {
      store<u8>(sizeAt + i, <u8>((size & 0x7f) | 0x80));
      size >>= 7;
    }
    store<u8>(sizeAt + 4, <u8>size);
  }
}

/** Appends a body without its size. */
export function rewriteBody(body: u32): void {
  let from = bytes + start(body);
  const siteFrom = load<u32>(first + (<usize>body << 2));
  const siteUntil = load<u32>(first + (<usize>body << 2) + 4);
  reach(to + (end(body) - start(body)) + <usize>(siteUntil - siteFrom) * MOST_AT_SITE + MOST_AT_BODY);
  let base: u32 = 0;
  let chained = false;
  for (let site = siteFrom; site < siteUntil; site++) {
    if (load<u8>(contextSites + site) == CHAINED) {
      chained = true;
      break;
    }
  }
  if (chained) {
    const code = afterLocals(body);
    base = load<u32>(parameters + (<usize>body << 2)) + localCount(body, code);
    chained = base < mostLocals;
    if (chained) {
      const groups = looseU32(from);
      putU32((groups < 0x80 ? groups : locals(start(body), end(body), 1)) + 1);
      copy(skip(from), code);
      put(1);
      put(I64);
      insert(PROLOGUE);
      putU32(base);
      from = code;
      tell(from);
    }
  }
  for (let site = siteFrom; site < siteUntil; site++) {
    const at = bytes + load<u32>(positions + (<usize>site << 2));
    copy(from, at);
    const kind = load<u8>(contextSites + site);
    if (kind) {
      const chain = chained && kind == CHAINED;
      if (chain) {
        put(LOCAL_GET);
        putU32(base);
      }
      put(I64_CONST);
      putPositive(2 * site + 2);
      if (chain) put(I64_ADD);
      insert(SET_CONTEXT);
    }
    tell(at);
    from = rewriteSite(site, at);
    tell(from);
  }
  copy(from, bytes + end(body));
}

/** Number of locals that a body declares. */
function localCount(body: u32, code: usize): u32 {
  let at = bytes + start(body);
  const groups = <u32>load<u8>(at++);
  let count: u32 = 0;
  // as long as this, each group has two bytes
  if (groups >= 0x80 || at + 2 * groups != code) return locals(start(body), end(body), 2);
  for (; at < code; at += 2) count += load<u8>(at);
  return count;
}

/** Appends the instruction of a site; returns where the input goes on. */
@inline
function rewriteSite(site: u32, at: usize): usize {
  const opcode = load<u8>(opcodes + site);
  const target = <usize>load<u32>(targets + (<usize>site << 2)) << 2;
  if (opcode == CALL || opcode == RETURN_CALL) {
    put(opcode);
    putU32(load<u32>(called + target));
    return skip(at + 1);
  }
  if (opcode == REF_FUNC) {
    put(REF_FUNC);
    putU32(load<u32>(referenced + target));
    return skip(at + 1);
  }
  if (opcode == MEMORY_GROW) {
    const helper = load<u32>(growHelpers + target);
    if (helper != NO_HELPER) {
      put(CALL);
      putU32(helper);
      return skip(at + 1);
    }
  }
  // the instruction itself goes with the next span
  return at;
}
