import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatPart } from "../figures.js";
import { type Box, FlameLayout, type Span } from "../flame-layout.js";
import { color, surface, useDrawing, useTheme, useWidth } from "../parts/canvas.js";
import { ContextTable } from "../parts/context-table.js";
import { framesWith, nodeValues } from "../selection.js";
import { useShared } from "../state.js";
import { pathOf, pathsWith, type Tree } from "../tree.js";

const rowHeight = 20;
/** Width of a character of the font below, in pixels. */
const characterWidth = 6.62;
const font = "11px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
const whole: Span = { left: 0, right: 1 };
/** Nothing is zoomed closer than this part of the width. */
const narrowest = 1e-7;

/** Contexts as a flame graph, outermost frames on top, or bottom-up. */
export function FlameView() {
  const { session, profile, values, chosen, metric, choice } = useShared();
  const [apart, setApart] = useState(false);
  const [inverted, setInverted] = useState(false);
  const { tree, nodeOf } = useMemo((): { tree: Tree; nodeOf: Int32Array | undefined } => {
    if (inverted) return session.inverted(profile, apart);
    return apart
      ? { tree: session.sites, nodeOf: undefined }
      : { tree: session.functions, nodeOf: session.functionNodes };
  }, [session, profile, apart, inverted]);
  const layout = useMemo(
    () => new FlameLayout(tree, nodeValues(tree, nodeOf, profile, values, chosen)),
    [tree, nodeOf, profile, values, chosen],
  );
  const [selected, setSelected] = useState(0);
  useEffect(() => setSelected(0), [tree]);
  const under = useMemo(
    () => contextsUnder(tree, nodeOf, profile.contexts.node, selected),
    [tree, nodeOf, profile, selected],
  );
  const found = useMemo(
    () => (choice.search === "" ? undefined : framesWith(session.data, choice.search)),
    [session, choice.search],
  );
  const foundPart = useMemo(() => {
    if (!found) return "";
    const paths = pathsWith(tree, found);
    let sum = 0;
    for (let node = 1; node < tree.size; node++) {
      if (paths[node] && !paths[tree.parent[node]!]) sum += layout.values[node]!;
    }
    return `Found in ${formatPart(metric, sum, layout.total)}.`;
  }, [found, layout]);
  const describe = (node: number): string => {
    if (node < 0) return "Functions too small to be drawn: zoom in";
    if (node === 0) return `All: ${formatPart(metric, layout.values[0]!, layout.total)}`;
    const frame = tree.frame[node]!;
    const name = [session.frameName(frame), session.framePlace(frame)].filter(Boolean).join(", ");
    return `${name}: ${formatPart(metric, layout.values[node]!, layout.total)}`;
  };
  return (
    <>
      <div class="toolbar">
        <ul class="legend">
          <li class="kind-js">JavaScript</li>
          <li class="kind-wasm">WebAssembly</li>
          <li class="kind-allocator">allocator</li>
        </ul>
        <label>
          <input
            type="checkbox"
            checked={apart}
            onChange={(event) => setApart(event.currentTarget.checked)}
          />{" "}
          call sites apart
        </label>
        <label>
          <input
            type="checkbox"
            checked={inverted}
            onChange={(event) => setInverted(event.currentTarget.checked)}
          />{" "}
          bottom-up: what called the allocator on top
        </label>
        <output class="quiet">{foundPart}</output>
      </div>
      <Flame
        layout={layout}
        colorOf={(node) => (node <= 0 ? "--root" : `--${session.frameKind(tree.frame[node]!)}`)}
        labelOf={(node) => (node === 0 ? "all" : session.frameName(tree.frame[node]!))}
        found={found}
        describe={describe}
        selected={selected}
        onSelect={setSelected}
      />
      <ContextTable
        under={under}
        title={
          selected === 0 ? "Stacks with most of it" : `Through ${session.frameName(tree.frame[selected]!)}`
        }
      />
    </>
  );
}

function contextsUnder(
  tree: Tree,
  nodeOf: Int32Array | undefined,
  nodes: Float64Array,
  selected: number,
): ((context: number) => boolean) | undefined {
  if (selected === 0) return undefined;
  const below = new Uint8Array(tree.size);
  below[selected] = 1;
  for (let node = selected + 1; node < tree.size; node++) below[node] = below[tree.parent[node]!]!;
  return (context) => below[nodeOf ? nodeOf[nodes[context]!]! : nodes[context]!] === 1;
}

interface FlameProps {
  layout: FlameLayout;
  /** The CSS variable of a node's colour. */
  colorOf(node: number): string;
  labelOf(node: number): string;
  describe(node: number): string;
  /** Frames to mark; all others turn pale. */
  found?: Uint8Array;
  selected: number;
  onSelect(node: number): void;
}

/** The picture. Arrow keys walk, Enter zooms, Escape goes back; the wheel zooms with Ctrl, a drag moves. */
export function Flame({ layout, colorOf, labelOf, describe, found, selected, onSelect }: FlameProps) {
  const { tree } = layout;
  const [frame, width] = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [span, setSpan] = useState(whole);
  const [hovered, setHovered] = useState<{ node: number; x: number; y: number }>();
  const [scroll, setScroll] = useState(0);
  const drawn = useRef<Box[]>([]);
  const theme = useTheme();
  const rows = useMemo(() => layout.rows(), [layout]);
  const height = Math.min(rows * rowHeight, Math.max(240, Math.round(window.innerHeight * 0.6)));
  // Other figures put a node elsewhere, and maybe nowhere.
  useEffect(
    () => setSpan(layout.values[selected]! > 0 && selected > 0 ? layout.spanOf(selected) : whole),
    [layout],
  );

  useDrawing(() => {
    if (!canvas.current || width === 0) return;
    const { context } = surface(canvas.current, width, height);
    const first = Math.floor(scroll / rowHeight);
    const boxes = layout.boxes(span, width, first, first + Math.ceil(height / rowHeight));
    drawn.current = boxes;
    const colors = new Map<string, string>();
    const paint = (name: string) => {
      let value = colors.get(name);
      if (value === undefined) colors.set(name, (value = color(name)));
      return value;
    };
    context.font = font;
    context.textBaseline = "middle";
    const above = new Set(pathOf(tree, selected));
    for (const { node, x, width: full, row } of boxes) {
      const y = row * rowHeight - scroll;
      const left = Math.max(0, x);
      const shown = Math.min(width, x + full) - left;
      const pale = found && (node <= 0 || !found[tree.frame[node]!]);
      context.fillStyle = node < 0 ? paint("--rest") : paint(pale ? "--pale" : colorOf(node));
      context.fillRect(left, y, Math.max(0.5, shown - (shown > 3 ? 1 : 0)), rowHeight - 1);
      if (node === selected && node > 0) {
        context.strokeStyle = paint("--ink");
        context.lineWidth = 2;
        context.strokeRect(left + 1, y + 1, Math.max(0, shown - 3), rowHeight - 3);
      } else if (above.has(node)) {
        context.fillStyle = paint("--ink");
        context.fillRect(left, y + rowHeight - 3, Math.max(0, shown - 1), 2);
      }
      const room = Math.floor((shown - 8) / characterWidth);
      if (node < 0 || room < 2) continue;
      const label = labelOf(node);
      context.fillStyle = paint(pale ? "--quiet" : node === 0 ? "--ink" : "--on-box");
      context.fillText(
        label.length <= room ? label : `${label.slice(0, room - 1)}…`,
        left + 4,
        y + rowHeight / 2,
      );
    }
  }, [layout, span, scroll, width, height, theme, selected, found]);

  const zoomTo = useCallback(
    (node: number) => {
      onSelect(node);
      setSpan(node <= 0 ? whole : layout.spanOf(node));
    },
    [layout, onSelect],
  );
  const at = (event: MouseEvent): Box | undefined => {
    const { left, top } = canvas.current!.getBoundingClientRect();
    const x = event.clientX - left;
    const row = Math.floor((event.clientY - top + scroll) / rowHeight);
    return drawn.current.find((box) => box.row === row && box.x <= x && x < box.x + Math.max(1, box.width));
  };
  const drag = useRef<{ x: number; span: Span; moved: boolean } | undefined>(undefined);
  const move = (event: PointerEvent) => {
    if (drag.current && event.buttons === 1) {
      const { x, span: from } = drag.current;
      const by = ((x - event.clientX) / width) * (from.right - from.left);
      if (Math.abs(x - event.clientX) > 4) drag.current.moved = true;
      if (drag.current.moved) setSpan(within({ left: from.left + by, right: from.right + by }));
      return;
    }
    const box = at(event);
    setHovered(box && { node: box.node, x: event.clientX, y: event.clientY });
  };
  const wheel = useCallback(
    (event: WheelEvent) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { left } = canvas.current!.getBoundingClientRect();
      const part = (event.clientX - left) / width;
      const factor = Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 120);
      setSpan((from) => zoomed(from, part, factor));
    },
    [width],
  );
  useEffect(() => {
    const element = canvas.current!;
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [wheel]);

  const walk = (node: number) => {
    onSelect(node);
    const row = tree.depth[node]!;
    const element = frame.current!;
    if (row * rowHeight < element.scrollTop) element.scrollTop = row * rowHeight;
    if ((row + 1) * rowHeight > element.scrollTop + height)
      element.scrollTop = (row + 1) * rowHeight - height;
    const own = layout.spanOf(node);
    if (own.right <= span.left || own.left >= span.right) setSpan(own);
  };
  const key = (event: KeyboardEvent) => {
    const target = keyTarget(event.key, layout, selected);
    if (event.key === "Enter" || event.key === " ") zoomTo(selected);
    else if (event.key === "Escape") zoomTo(0);
    else if (event.key === "+" || event.key === "-") {
      setSpan((from) => zoomed(from, 0.5, event.key === "+" ? 0.7 : 1 / 0.7));
    } else if (target !== undefined) walk(target);
    else return;
    event.preventDefault();
  };
  const about = describe(hovered?.node ?? selected);
  const isWhole = span.left === 0 && span.right === 1;
  return (
    <div class="flame">
      <div class="about">
        <span class="text" role="status">
          {layout.total > 0 ? describe(selected) : "Nothing to show: no context has any of it."}
        </span>
        <button type="button" disabled={isWhole && selected === 0} onClick={() => zoomTo(0)}>
          Reset zoom
        </button>
      </div>
      <div
        class="scroller"
        ref={frame}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the picture takes keys
        tabIndex={0}
        role="application"
        aria-label="Flame graph. Arrow keys walk the frames, Enter zooms, Escape shows all. The stacks below say the same."
        onScroll={(event) => setScroll(event.currentTarget.scrollTop)}
        onKeyDown={key}
        style={{ height: `${height}px` }}
      >
        <canvas
          ref={canvas}
          onPointerDown={(event) => {
            drag.current = { x: event.clientX, span, moved: false };
          }}
          onPointerMove={move}
          onPointerLeave={() => setHovered(undefined)}
          onClick={(event) => {
            const wasDrag = drag.current?.moved;
            drag.current = undefined;
            const box = at(event);
            if (wasDrag || !box) return;
            if (box.node < 0) setSpan(zoomed(span, (box.x + box.width / 2) / width, 0.3));
            else zoomTo(box.node);
          }}
        />
        <div style={{ height: `${Math.max(0, rows * rowHeight - height)}px` }} />
      </div>
      {hovered && (
        <Tooltip x={hovered.x} y={hovered.y}>
          {about}
        </Tooltip>
      )}
    </div>
  );
}

/** A text beside the pointer that stays within the window. */
export function Tooltip({ x, y, children }: { x: number; y: number; children: string }) {
  const right = x > window.innerWidth / 2;
  return (
    <div
      class="tooltip"
      aria-hidden="true"
      style={{
        top: `${y + 18}px`,
        ...(right ? { right: `${window.innerWidth - x + 8}px` } : { left: `${x + 12}px` }),
      }}
    >
      {children}
    </div>
  );
}

function keyTarget(key: string, layout: FlameLayout, node: number): number | undefined {
  const { tree } = layout;
  if (key === "ArrowUp") return tree.parent[node]!;
  if (key === "ArrowDown")
    return [...layout.childrenOf(node).subarray(0, 1)].find((child) => layout.values[child]! > 0);
  if (key !== "ArrowLeft" && key !== "ArrowRight") return undefined;
  const beside = layout.childrenOf(tree.parent[node]!);
  const next = beside[beside.indexOf(node) + (key === "ArrowRight" ? 1 : -1)];
  return next !== undefined && layout.values[next]! > 0 ? next : undefined;
}

function zoomed({ left, right }: Span, part: number, factor: number): Span {
  const size = Math.min(1, Math.max(narrowest, (right - left) * factor));
  const at = left + part * (right - left);
  return within({ left: at - part * size, right: at - part * size + size });
}

/** A span moved to lie between 0 and 1. */
function within({ left, right }: Span): Span {
  const size = Math.min(1, right - left);
  const begin = Math.max(0, Math.min(1 - size, left));
  return { left: begin, right: begin + size };
}
