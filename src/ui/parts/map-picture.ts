// How ranges of addresses are drawn in the heap map: as rows of a page, each a part of the range that is shown.
import type { AddressRange } from "../address-map.js";
import { color } from "./canvas.js";

export const cellRow = 14;
export const rowGap = 2;
export const rows = 28;

/** Colours by the name of their CSS variable, each looked up once. */
export function painter(): (name: string) => string {
  const known = new Map<string, string>();
  return (name) => {
    let value = known.get(name);
    if (value === undefined) known.set(name, (value = color(name)));
    return value;
  };
}

/** The rectangles, one for each row, that a range of addresses takes. */
function* rectangles(view: AddressRange, width: number, { start, end }: AddressRange) {
  const perRow = (view.end - view.start) / rows;
  const from = Math.max(view.start, start) - view.start;
  const to = Math.min(view.end, end) - view.start;
  if (to <= from) return;
  for (let row = Math.floor(from / perRow); row < rows && row * perRow < to; row++) {
    const x = (Math.max(from - row * perRow, 0) / perRow) * width;
    const right = Math.min((to - row * perRow) / perRow, 1) * width;
    yield { x, y: row * (cellRow + rowGap), width: right - x };
  }
}

/** Fills a range of addresses. */
export function paintGround(
  context: CanvasRenderingContext2D,
  view: AddressRange,
  width: number,
  range: AddressRange,
  fill: string,
): void {
  context.fillStyle = fill;
  for (const { x, y, width: wide } of rectangles(view, width, range)) context.fillRect(x, y, wide, cellRow);
}

/** Draws a frame around a range of addresses. */
export function outline(
  context: CanvasRenderingContext2D,
  view: AddressRange,
  width: number,
  range: AddressRange,
  stroke: string,
): void {
  context.strokeStyle = stroke;
  context.lineWidth = 2;
  for (const { x, y, width: wide } of rectangles(view, width, range)) {
    context.strokeRect(x - 1, y - 1, Math.max(4, wide + 2), cellRow + 2);
  }
}
