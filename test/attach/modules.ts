/** Tiny modules, written by hand. Programs of the tests import them as source text with `moduleSource`. */
const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

export const modules = {
  /** Exports its memory `m` of 1 page, and `grow()`, which asks for another. */
  memory: [
    ...header,
    ...[1, 5, 1, 0x60, 0, 1, 0x7f],
    ...[3, 2, 1, 0],
    ...[5, 3, 1, 0, 1],
    ...[7, 12, 2, 1, 0x6d, 2, 0, 4, 0x67, 0x72, 0x6f, 0x77, 0, 0],
    ...[10, 8, 1, 6, 0, 0x41, 1, 0x40, 0, 0x0b],
  ],
  /** Has a memory of its own and imports the function `e.f`. */
  importsFunction: [
    ...header,
    ...[1, 4, 1, 0x60, 0, 0],
    ...[2, 7, 1, 1, 0x65, 1, 0x66, 0, 0],
    ...[5, 3, 1, 0, 1],
  ],
  /** Imports the memory `e.m` of at least 1 page. */
  importsMemory: [...header, ...[2, 8, 1, 1, 0x65, 1, 0x6d, 2, 0, 1]],
  /** No memory at all. */
  noMemory: header,
  /** Well formed, but adds two numbers that are not there. */
  invalid: [
    ...header,
    ...[1, 4, 1, 0x60, 0, 0],
    ...[3, 2, 1, 0],
    ...[5, 3, 1, 0, 1],
    ...[10, 5, 1, 3, 0, 0x6a, 0x0b],
  ],
  /** Exports `malloc`, `free` and `f`, which reads a local that only instrumenting would give it. */
  unknownLocal: [
    ...header,
    ...[1, 13, 3, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 0, 0x60, 0, 0],
    ...[3, 4, 3, 0, 1, 2],
    ...[5, 3, 1, 0, 1],
    ...[
      7, 21, 3, 6, 0x6d, 0x61, 0x6c, 0x6c, 0x6f, 0x63, 0, 0, 4, 0x66, 0x72, 0x65, 0x65, 0, 1, 1, 0x66, 0, 2,
    ],
    ...[10, 20, 3, 4, 0, 0x41, 16, 0x0b, 2, 0, 0x0b, 10, 0, 0x41, 1, 0x10, 0, 0x1a, 0x20, 0, 0x1a, 0x0b],
  ],
  /** Cut in the memory section. */
  truncated: [...header, 5, 3, 1, 0],
  /** Imports the shared memory `e.m` of 1 to 2 pages. */
  sharedMemory: [...header, ...[2, 9, 1, 1, 0x65, 1, 0x6d, 2, 3, 1, 2]],
} satisfies Record<string, number[]>;

/** JavaScript that defines `modules`, for the beginning of a program. */
export const moduleSource = `const modules = ${JSON.stringify(modules)};
for (const name in modules) modules[name] = new Uint8Array(modules[name]);
`;
