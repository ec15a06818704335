import { useEffect, useRef, useState } from "preact/hooks";

/** Size of an element in CSS pixels, and what it was drawn with last. */
export interface Surface {
  context: CanvasRenderingContext2D;
  width: number;
  height: number;
}

/** The width of an element, kept up to date. */
export function useWidth<T extends HTMLElement>(): [{ current: T | null }, number] {
  const element = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const target = element.current!;
    const observer = new ResizeObserver(() => setWidth(target.clientWidth));
    observer.observe(target);
    setWidth(target.clientWidth);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}

/** Makes a canvas sharp on any screen, and clears it. */
export function surface(canvas: HTMLCanvasElement, width: number, height: number): Surface {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w) canvas.width = w;
  if (canvas.height !== h) canvas.height = h;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d")!;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Draws at most once a frame, always with the newest `draw`. */
export function useDrawing(draw: () => void, inputs: readonly unknown[]): void {
  const newest = useRef(draw);
  newest.current = draw;
  useEffect(() => {
    const request = requestAnimationFrame(() => newest.current());
    return () => cancelAnimationFrame(request);
  }, inputs as unknown[]);
}

/** The value of a CSS variable of the page: `color("--js")`. */
export function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Counts up whenever the page turns light or dark, so that pictures are drawn anew. */
export function useTheme(): number {
  const [turns, setTurns] = useState(0);
  useEffect(() => {
    const turned = () => setTurns((count) => count + 1);
    const observer = new MutationObserver(turned);
    observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => observer.disconnect();
  }, []);
  return turns;
}
