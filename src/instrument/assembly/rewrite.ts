/** The rewriting: copies what lies between sites, and writes sites anew. */
import {
  CHAINED,
  CONTEXT_KIND,
  GET_CONTEXT,
  KEEP,
  KEPT,
  LOOK,
  MAKE_BASE,
  PASSED,
  SET,
  SET_AFTER,
  SET_CONTEXT,
} from "./forms";
import { locals } from "./host";
import { bytes, end, first, free, parametersOf, reach, start } from "./memory";
import { afterLocals, localCount, looseU32, skip, skipInstruction } from "./skip";
import { FAR, firstDistances, opcodes, positions, targets } from "./walk";

const CALL: u8 = 0x10;
const RETURN_CALL: u8 = 0x12;
const RETURN_CALL_INDIRECT: u8 = 0x13;
const RETURN_CALL_REF: u8 = 0x15;
const MEMORY_GROW: u8 = 0x40;
const REF_FUNC: u8 = 0xd2;
const END: u32 = 0x0b;
const LOCAL_GET: u32 = 0x20;
const I64_CONST: u32 = 0x42;
const I64_ADD: u32 = 0x7c;
const I64: u32 = 0x7e;

/** Bytes that a site may have more in the output than in the input, and a body, without its own code. */
const MOST_AT_SITE: usize = 64;
const MOST_AT_BODY: usize = 96;
/** And in a function that looks whether an entry runs, with each of its parameters. */
const MOST_AT_LOOK: usize = 48;
const MOST_AT_PARAMETER: usize = 6;

const NO_HELPER: u32 = ~0;
const NO_LOCAL: u32 = ~0;

// What the rewriting changes: addresses of columns, which the host takes and fills.

/** By function: what calls of it, and references to it, become. */
export let called: usize = 0;
export let referenced: usize = 0;
/** By memory: what to call instead of `memory.grow`, or `NO_HELPER`. */
export let growHelpers: usize = 0;
/** By site: which context its call is made in, and how that gets there: see `contextKind`. */
export let contextSites: usize = 0;
/** By body: whether it is called with its context, in a parameter behind its own. */
export let contextParameters: usize = 0;
/** By body: its entry, if it looks itself whether one runs; else 0. */
export let lookEntries: usize = 0;
/** Locals that a function may have, parameters included. */
export let mostLocals: u32 = 0;
/** By body: where its code begins in the output. */
export let written: usize = 0;
/** Where to note next where the distance between output and input changes, offsets in both; 0 where nobody wants to know. */
export let notes: usize = 0;

let output: usize = 0;
let to: usize = 0;

/** Output begins here, behind all columns and some room; returns its address. */
export function begin(room: usize): usize {
  output = to = free + room;
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

/** What was appended last is not part of the output after all. */
export function drop(count: usize): void {
  to -= count;
}

@inline
function put(byte: u32): void {
  store<u8>(to++, <u8>byte);
}

@inline
function putU32(value: u32): void {
  // `to` is read and written once: to an engine that compiles in haste it is memory
  let at = to;
  for (; value >= 0x80; value >>= 7) store<u8>(at++, <u8>value | 0x80);
  store<u8>(at, <u8>value);
  to = at + 1;
}

/** An opcode, and an index. */
@inline
function putIndexed(opcode: u32, index: u32): void {
  let at = to;
  store<u8>(at++, <u8>opcode);
  for (; index >= 0x80; index >>= 7) store<u8>(at++, <u8>index | 0x80);
  store<u8>(at, <u8>index);
  to = at + 1;
}

/** An opcode, and a signed number ≥ 0. */
@inline
function putPositive(opcode: u32, value: u32): void {
  let at = to;
  store<u8>(at++, <u8>opcode);
  for (; value >= 0x40; value >>= 7) store<u8>(at++, <u8>value | 0x80);
  store<u8>(at, <u8>value);
  to = at + 1;
}

/** Writes up to 7 bytes too many, which what comes next is put over. */
@inline
function copy(from: usize, until: usize): void {
  let at = to;
  to = at + until - from;
  // engines call out for `memory.copy`
  if (until - from > 64) memory.copy(at, from, until - from);
  else {
    for (; from < until; from += 8, at += 8) store<u64>(at, load<u64>(from));
  }
}

/** Bytes that the host put at `from`, behind their length. */
@inline
function insert(from: usize): void {
  copy(from + 1, from + 1 + load<u8>(from));
}

@inline
function tell(position: usize): void {
  if (!notes) return;
  store<u32>(notes, length());
  store<u32>(notes, <u32>(position - bytes), 4);
  notes += 8;
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
  const entry = load<u32>(lookEntries + (<usize>body << 2));
  // all at once: what is written later is not to take what is meant for something else
  reach(
    to +
      // a local whose number grows takes up to twice its bytes
      2 * (end(body) - start(body)) +
      <usize>(siteUntil - siteFrom) * MOST_AT_SITE +
      MOST_AT_BODY +
      (entry ? MOST_AT_LOOK + <usize>parametersOf(body) * MOST_AT_PARAMETER : 0),
  );
  let chained = false;
  for (let site = siteFrom; site < siteUntil; site++) {
    if ((load<u8>(contextSites + site) & CONTEXT_KIND) == CHAINED) {
      chained = true;
      break;
    }
  }
  const passed = load<u8>(contextParameters + body) != 0;
  let base: u32 = 0;
  let replacement: u32 = NO_LOCAL;
  if (chained || passed || entry) {
    const code = afterLocals(body);
    const declared = localCount(body, code);
    base = parametersOf(body);
    if (passed) {
      if (declared > 0) {
        replacement = base + declared;
        beginReplacing(body, code);
        putFirstLocalLast(body, code);
      } else copy(from, code);
      if (chained) putIndexed(LOCAL_GET, base);
    } else {
      base += declared;
      chained = chained && base < mostLocals;
      if (chained) {
        const groups = looseU32(from);
        putU32((groups < 0x80 ? groups : locals(start(body), end(body), 1)) + 1);
        copy(skip(from), code);
        put(1);
        put(I64);
      } else copy(from, code);
      if (entry) putLook(entry, base - declared);
      if (chained) insert(GET_CONTEXT);
    }
    if (chained) {
      insert(MAKE_BASE);
      putU32(base);
    }
    from = code;
    tell(from);
  }
  for (let site = siteFrom; site < siteUntil; site++) {
    const at = bytes + load<u32>(positions + (<usize>site << 2));
    if (replacement == NO_LOCAL) copy(from, at);
    else copyReplacing(from, at, replacement);
    const how = load<u8>(contextSites + site);
    if (how & SET) {
      putContext(site, how, chained, base);
      insert(SET_CONTEXT);
    }
    if (how & PASSED) putContext(site, how, chained, base);
    tell(at);
    from = rewriteSite(site, at);
    if (how & SET_AFTER) from = setContextAfter(site, at, from, chained, base);
    tell(from);
  }
  if (replacement == NO_LOCAL) copy(from, bytes + end(body));
  else copyReplacing(from, bytes + end(body), replacement);
}

/** Puts the look whether an entry runs, and the call of the function's own where none does. */
function putLook(entry: u32, parameters: u32): void {
  insert(LOOK);
  for (let i: u32 = 0; i < parameters; i++) putIndexed(LOCAL_GET, i);
  putIndexed(RETURN_CALL, entry);
  put(END);
  put(END);
}

/** Sets the context behind the call of a site; returns where the input goes on. */
function setContextAfter(site: u32, at: usize, from: usize, chained: bool, base: u32): usize {
  const opcode = load<u8>(opcodes + site);
  if (opcode == RETURN_CALL || opcode == RETURN_CALL_INDIRECT || opcode == RETURN_CALL_REF) return from;
  if (from == at) {
    from = skipInstruction(at);
    copy(at, from);
  }
  if (chained) putIndexed(LOCAL_GET, base);
  else putPositive(I64_CONST, 2 * site + 2);
  insert(SET_CONTEXT);
  return from;
}

/** Puts the context for a call on the stack. */
function putContext(site: u32, how: u8, chained: bool, base: u32): void {
  const kind = how & CONTEXT_KIND;
  const chain = chained && (kind == CHAINED || kind == KEPT);
  if (chain) {
    putIndexed(LOCAL_GET, base);
    if (kind == KEPT) {
      insert(KEEP);
      return;
    }
  }
  // what the allocator calls itself is not told apart, only that the allocator runs
  putPositive(I64_CONST, kind ? 2 * site + 2 : 1);
  if (chain) put(I64_ADD);
}

/** Where a type ends. */
@inline
function skipType(at: usize): usize {
  const type = load<u8>(at);
  return skip(type == 0x63 || type == 0x64 ? at + 1 : at);
}

/** Appends the declaration of a body's locals, the first of which becomes the last: its index is a parameter's now. */
function putFirstLocalLast(body: u32, code: usize): void {
  let at = bytes + start(body);
  const declaration = skip(at);
  const groups = looseU32(at);
  at = declaration;
  while (looseU32(at) == 0) at = skipType(skip(at));
  const more = looseU32(at) - 1;
  const type = skip(at);
  const rest = skipType(type);
  putU32(groups + (more > 0 ? 1 : 0));
  copy(declaration, at);
  if (more > 0) {
    putU32(more);
    copy(type, rest);
  }
  copy(rest, code);
  put(1);
  copy(type, rest);
}

/** The next instruction that names the local which is replaced, and where the distance from there to the next is. */
let nextNamed: usize = 0;
let nextDistance: usize = 0;

/** Begins to look for them where a body's instructions begin. */
@inline
function beginReplacing(body: u32, code: usize): void {
  nextDistance = load<u32>(firstDistances + (<usize>body << 2));
  nextNamed = code + distanceAt();
}

/** The next distance. */
@inline
function distanceAt(): usize {
  let sum: usize = 0;
  let at = nextDistance;
  let distance: usize;
  do {
    distance = load<u8>(at++);
    sum += distance;
  } while (distance == FAR);
  nextDistance = at;
  return sum;
}

/** Copies instructions, in which one local is replaced by another of a larger index. */
function copyReplacing(from: usize, until: usize, replacement: u32): void {
  let named = nextNamed;
  if (replacement < 0x80) {
    const away = to - from;
    copy(from, until);
    while (named < until) {
      // the number's further bytes, if it has any, say nothing
      store<u8>(named + away, (load<u8>(named, 1) & 0x80) | <u8>replacement, 1);
      named += distanceAt();
    }
  } else {
    while (named < until) {
      copy(from, named + 1);
      putU32(replacement);
      from = skip(named + 1);
      tell(from);
      named += distanceAt();
    }
    copy(from, until);
  }
  nextNamed = named;
}

/** Appends the instruction of a site; returns where the input goes on. */
@inline
function rewriteSite(site: u32, at: usize): usize {
  const opcode = load<u8>(opcodes + site);
  const target = <usize>load<u32>(targets + (<usize>site << 2)) << 2;
  if (opcode == CALL || opcode == RETURN_CALL) {
    putIndexed(opcode, load<u32>(called + target));
    return skip(at + 1);
  }
  if (opcode == REF_FUNC) {
    putIndexed(REF_FUNC, load<u32>(referenced + target));
    return skip(at + 1);
  }
  if (opcode == MEMORY_GROW) {
    const helper = load<u32>(growHelpers + target);
    if (helper != NO_HELPER) {
      putIndexed(CALL, helper);
      return skip(at + 1);
    }
  }
  // the instruction itself goes with the next span
  return at;
}
