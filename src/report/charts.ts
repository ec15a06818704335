/** Small charts in characters. */

const levels = "▁▂▃▄▅▆▇█";

/**
 * Values as bars of eight heights, one character each: `▁▂▄█`. Of more values than `width` the highest of each
 * character's share; 0 and the highest value are the ends of the scale.
 */
export function sparkline(values: readonly number[], width = 48, top = Math.max(0, ...values)): string {
  const count = Math.min(width, values.length);
  let line = "";
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * values.length) / count);
    const to = Math.max(from + 1, Math.floor(((i + 1) * values.length) / count));
    const value = Math.max(...values.slice(from, to));
    line += levels[top > 0 ? Math.min(7, Math.floor((value / top) * 7.999)) : 0];
  }
  return line;
}
