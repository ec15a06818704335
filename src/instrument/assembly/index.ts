/**
 * The loops over the bytes of a module's code: the walk that finds what passes care about, the copy that leaves
 * everything between as it is, and what the finder has to know of some bodies; and those over all calls. In JavaScript
 * they took three quarters of the time of a fresh process: it runs them as bytecode for as long as most modules take. An engine has wasm compiled before its first call.
 *
 * Addresses are bytes of this memory, positions are offsets in the module. See ../walker.ts, which lays out the
 * input and reads the output.
 */
export {
  addressTaken,
  addTableNodes,
  directCalls,
  edges,
  firstEdges,
  firstUnknown,
  importsThatReturn,
  markCallers,
  prepareNodes,
  shapes,
  takeSet,
  turn,
} from "./callers";
export {
  allocator,
  callBacks,
  catching,
  decide,
  decided,
  heeding,
  mayAllocate,
  passing,
  releasesToo,
  tableIsOpen,
  taking,
  using,
} from "./contexts";
export { writeCopies } from "./copies";
export { exits, exitsAt } from "./exits";
export { facts, factsAt, flags, instructions } from "./facts";
export {
  catches,
  crowded,
  endsAddress,
  first,
  keep,
  marked,
  prepare,
  startsAddress,
  take,
  typeParametersAddress,
  typesAddress,
} from "./memory";
export {
  append,
  begin,
  called,
  contextSites,
  contextParameters,
  drop,
  growHelpers,
  length,
  lookEntries,
  mostLocals,
  notes,
  referenced,
  rewrite,
  rewriteBody,
  written,
} from "./rewrite";
export { opcodes, positions, stopped, targets, walk } from "./walk";
