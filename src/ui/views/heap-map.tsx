import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { countOf, formatBytes, formatDuration } from "../../report/format.js";
import { reachabilities } from "../../report/html/data.js";
import { AddressMap, type AddressRange, regionTitles } from "../address-map.js";
import { formatAddress } from "../figures.js";
import { surface, useDrawing, useTheme, useWidth } from "../parts/canvas.js";
import { colors, type Grouping, groupings, groupsOf, Legend } from "../parts/map-legend.js";
import { cellRow, outline, painter, paintGround, rowGap, rows } from "../parts/map-picture.js";
import { Stack } from "../parts/stack.js";
import { useShared } from "../state.js";
import { Tooltip } from "./flame.js";
import { MemoryChoice } from "./timeline.js";

const overview = 18;
/** Nothing is zoomed closer than this many bytes. */
const narrowest = 64;

/** What lies where in a memory, from all of it down to one block. */
export function HeapMapView() {
  const { profile, choice } = useShared();
  const memory =
    profile.memories.find(({ id }) => id === choice.memory) ??
    profile.memories.find(({ map }) => map) ??
    profile.memories[0];
  if (!memory) return <p>No memory came to life in this run.</p>;
  return (
    <>
      <div class="toolbar">
        <MemoryChoice
          all={choice.memory < 0 ? `largest that is known: ${formatBytes(memory.finalBytes)}` : null}
        />
      </div>
      {memory.map ? (
        <HeapMap key={memory.id} memory={memory as typeof memory & { map: object }} />
      ) : (
        <p class="quiet">
          This profile does not say what lies where in this memory: its blocks are not recorded, it was
          collected, or the profile is of an older linmem.
        </p>
      )}
    </>
  );
}

type Memory = ReturnType<typeof useShared>["profile"]["memories"][number];

function HeapMap({ memory }: { memory: Memory & { map: object } }) {
  const { session, profile, chosen } = useShared();
  const map = useMemo(() => new AddressMap(memory.map!, memory.finalBytes), [memory]);
  const whole: AddressRange = { start: 0, end: Math.max(map.size, 1) };
  const [range, setRange] = useState(whole);
  const [selected, setSelected] = useState(-1);
  const [pointer, setPointer] = useState<{ address: number; x: number; y: number }>();
  const [frame, width] = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const strip = useRef<HTMLCanvasElement>(null);
  const theme = useTheme();
  const [by, setBy] = useState<Grouping>("caller");
  const groups = useMemo(() => groupsOf(map, session, profile, by), [map, session, profile, by]);
  const height = rows * (cellRow + rowGap);
  const grounds = useMemo(() => map.grounds(), [map]);
  const columns = Math.max(1, Math.floor(width / 2));
  const blockColor = (block: number, paint: (name: string) => string): string => {
    const context = map.contexts[block]! - 1;
    if (context >= 0 && !chosen[context]) return paint("--pale");
    const group = groups.ofContext.get(context) ?? colors;
    return paint(group < colors ? `--group-${group}` : "--group-rest");
  };

  useDrawing(() => {
    if (!canvas.current || width === 0) return;
    const { context } = surface(canvas.current, width, height);
    const paint = painter();
    const cells = map.cells(range, columns, rows);
    const cellWidth = width / columns;
    for (const { start, end, region } of grounds) {
      paintGround(context, range, width, { start, end }, paint(`--region-${region}`));
    }
    for (let cell = 0; cell < cells.block.length; cell++) {
      const block = cells.block[cell]!;
      if (block < 0) continue;
      // Runs of cells that look the same are one rectangle.
      const column = cell % columns;
      let run = 1;
      const fill = blockColor(block, paint);
      const share = Math.min(1, 0.25 + 0.75 * cells.share[cell]!);
      while (
        column + run < columns &&
        cells.block[cell + run] === block &&
        cells.share[cell + run]! > 0.99 === share > 0.99
      ) {
        run++;
      }
      context.globalAlpha = share;
      context.fillStyle = fill;
      const x = column * cellWidth;
      const edge = run * cellWidth > 6 ? 1 : 0;
      context.fillRect(x, Math.floor(cell / columns) * (cellRow + rowGap), run * cellWidth - edge, cellRow);
      cell += run - 1;
    }
    context.globalAlpha = 1;
    if (selected >= 0) {
      const start = map.starts[selected]!;
      outline(
        context,
        range,
        width,
        { start, end: start + Math.max(1, map.sizes[selected]!) },
        paint("--ink"),
      );
    }
  }, [map, range, width, theme, selected, chosen, groups]);

  useDrawing(() => {
    if (!strip.current || width === 0) return;
    const { context } = surface(strip.current, width, overview);
    const paint = painter();
    const scale = width / whole.end;
    for (const { start, end, region } of grounds) {
      context.fillStyle = paint(`--region-${region}`);
      context.fillRect(start * scale, 4, (end - start) * scale, overview - 8);
    }
    const cells = map.cells(whole, Math.max(1, Math.floor(width)), 1);
    context.fillStyle = paint("--group-rest");
    cells.share.forEach((share, x) => {
      if (share === 0) return;
      context.globalAlpha = Math.min(1, 0.25 + 0.75 * share);
      context.fillRect(x, 4, 1, overview - 8);
    });
    context.globalAlpha = 1;
    context.strokeStyle = paint("--ink");
    context.lineWidth = 2;
    const shown = Math.max(4, (range.end - range.start) * scale);
    context.strokeRect(Math.min(width - shown, range.start * scale) + 1, 1, shown - 2, overview - 2);
  }, [map, range, width, theme]);

  const addressAt = (event: MouseEvent): number | undefined => {
    const box = canvas.current!.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / (cellRow + rowGap));
    const part = (event.clientX - box.left) / width;
    if (row < 0 || row >= rows || part < 0 || part >= 1) return undefined;
    return Math.floor(range.start + ((row + part) / rows) * (range.end - range.start));
  };
  const zoom = (factor: number, around = (range.start + range.end) / 2) => {
    setRange((from) => zoomed(from, around, factor, whole.end));
  };
  useEffect(() => {
    const element = canvas.current!;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const address = addressAt(event);
      if (address !== undefined) zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 150), address);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [range, width]);
  const shift = (by: number) =>
    setRange((from) => {
      const size = from.end - from.start;
      const start = Math.max(0, Math.min(whole.end - size, from.start + by * size));
      return { start, end: start + size };
    });
  const select = (block: number) => {
    setSelected(block);
    if (block < 0) return;
    const start = map.starts[block]!;
    const end = start + map.sizes[block]!;
    setRange((from) => {
      if (start >= from.start && end <= from.end) return from;
      const size = Math.max(from.end - from.start, end - start);
      const begin = Math.max(0, Math.min(whole.end - size, (start + end) / 2 - size / 2));
      return { start: begin, end: begin + size };
    });
  };
  const showBlock = (block: number) => {
    const size = Math.max(narrowest, map.sizes[block]! * 4);
    const middle = map.starts[block]! + map.sizes[block]! / 2;
    const start = Math.max(0, Math.min(whole.end - size, middle - size / 2));
    setRange({ start, end: Math.min(whole.end, start + size) });
  };
  const key = (event: KeyboardEvent) => {
    if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "Escape") setRange(whole);
    else if (event.key === "ArrowUp" || event.key === "PageUp") shift(-1 / rows);
    else if (event.key === "ArrowDown" || event.key === "PageDown") shift(1 / rows);
    else if (map.count === 0) return;
    else if (event.key === "ArrowRight")
      select(
        selected < 0
          ? map.blockFrom(range.start) % Math.max(1, map.count)
          : Math.min(map.count - 1, selected + 1),
      );
    else if (event.key === "ArrowLeft") select(Math.max(0, selected - 1));
    else if (event.key === "Enter" && selected >= 0) showBlock(selected);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <p class="quiet">
        {map.hasBlocks
          ? `${map.count === 0 ? "No block is live" : `${countOf(map.count, "live block")}, ${formatBytes(map.liveBytes)}`}, at ${formatDuration(memory.map!.time!)}; the memory has ${formatBytes(map.size)}.`
          : `The live blocks of this memory are not known; it has ${formatBytes(map.size)}.`}
      </p>
      <div class="toolbar">
        <button type="button" onClick={() => zoom(0.5)} aria-label="Zoom in">
          +
        </button>
        <button type="button" onClick={() => zoom(2)} aria-label="Zoom out">
          −
        </button>
        <button type="button" onClick={() => setRange(whole)}>
          Whole memory
        </button>
        {map.hasBlocks && (
          <label>
            Colour by{" "}
            <select value={by} onChange={(event) => setBy(event.currentTarget.value as Grouping)}>
              {Object.entries(groupings).map(([value, title]) => (
                <option key={value} value={value}>
                  {title}
                </option>
              ))}
            </select>
          </label>
        )}
        <span class="text">
          {formatAddress(Math.floor(range.start))} to {formatAddress(Math.ceil(range.end))},{" "}
          {formatBytes(range.end - range.start)}
        </span>
      </div>
      <div
        ref={frame}
        class="map"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the picture takes keys
        tabIndex={0}
        role="application"
        aria-label="Heap map. Left and right go from block to block, up and down move, plus and minus zoom, Enter shows the block, Escape all."
        onKeyDown={key}
      >
        <canvas
          ref={strip}
          onClick={(event) => {
            const part = event.offsetX / width;
            const size = range.end - range.start;
            const start = Math.max(0, Math.min(whole.end - size, part * whole.end - size / 2));
            setRange({ start, end: start + size });
          }}
        />
        <canvas
          ref={canvas}
          onPointerMove={(event) => {
            const address = addressAt(event);
            setPointer(address === undefined ? undefined : { address, x: event.clientX, y: event.clientY });
          }}
          onPointerLeave={() => setPointer(undefined)}
          onClick={(event) => {
            const address = addressAt(event);
            if (address !== undefined)
              setSelected(blockNear(map, address, (range.end - range.start) / (columns * rows)));
          }}
          onDblClick={(event) => {
            const address = addressAt(event);
            if (address !== undefined) zoom(0.1, address);
          }}
        />
      </div>
      {pointer && (
        <Tooltip x={pointer.x} y={pointer.y}>
          {addressText(map, pointer.address, (range.end - range.start) / (columns * rows), (context) =>
            session.contextText(profile, context),
          )}
        </Tooltip>
      )}
      <Legend map={map} groups={groups} />
      <div role="status">
        {selected >= 0 && (
          <section>
            <h3>
              Block at {formatAddress(map.starts[selected]!)}, {formatBytes(map.sizes[selected]!)}
            </h3>
            <p class="quiet">
              {map.reachability.length > 0 && `${reachabilities[map.reachability[selected]!] ?? ""}. `}
              <button type="button" onClick={() => showBlock(selected)}>
                Zoom to it
              </button>
            </p>
            {map.contexts[selected]! > 0 ? (
              <Stack frames={session.stack(profile.contexts.node[map.contexts[selected]! - 1]!)} />
            ) : (
              <p class="quiet">Its stack is not known.</p>
            )}
          </section>
        )}
      </div>
    </>
  );
}

/** The block at an address, or one within the same cell of the picture. */
function blockNear(map: AddressMap, address: number, cell: number): number {
  const at = map.blockAt(address);
  if (at >= 0) return at;
  const next = map.blockFrom(address - cell);
  return next < map.count && map.starts[next]! < address + cell ? next : -1;
}

function addressText(
  map: AddressMap,
  address: number,
  cell: number,
  owner: (context: number) => string,
): string {
  const block = blockNear(map, address, cell);
  if (block < 0) return `${formatAddress(address)}: ${regionTitles[map.regionAt(address)]}`;
  const context = map.contexts[block]! - 1;
  const made = context < 0 ? "stack not known" : owner(context);
  return `${formatAddress(map.starts[block]!)}: block of ${formatBytes(map.sizes[block]!)}, ${made}`;
}

function zoomed({ start, end }: AddressRange, around: number, factor: number, most: number): AddressRange {
  const size = Math.min(most, Math.max(narrowest, (end - start) * factor));
  const part = (around - start) / (end - start);
  const begin = Math.max(0, Math.min(most - size, around - part * size));
  return { start: begin, end: begin + size };
}
