/** Constants by which most bodies can be left out: the walk over all code notes which bodies have them. At most 8. */
export const markedConstants = [16777215, 245, 1073741824, 240, 255, 71, 256] as const;

export type MarkedConstant = (typeof markedConstants)[number];

/** Constants as bits of `Sites.marked`. */
export function marksOf(constants: readonly MarkedConstant[]): number {
  return constants.reduce((bits: number, value) => bits | (1 << markedConstants.indexOf(value)), 0);
}
