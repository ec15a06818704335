import { formatBytes, formatDuration } from "../../report/format.js";
import { Stack } from "../parts/stack.js";
import { useShared } from "../state.js";

const openUpTo = 3;

/** Every linear memory of the run. */
export function MemoriesView() {
  const { session, profile, choose } = useShared();
  const { memories, modules, memoriesLeft, grows } = profile;
  if (memories.length === 0) return <p>No memory came to life in this run.</p>;
  return (
    <>
      <ul class="rows memories">
        {memories.map((memory) => {
          const frame = session.sites.frame[memory.node]!;
          const grown = grows.filter((grow) => grow.memory === memory.id && grow.granted).length;
          return (
            <li key={memory.id}>
              <details open={memories.length <= openUpTo}>
                <summary>
                  <span class="figure">{formatBytes(memory.finalBytes)}</span>
                  <span class="owner">
                    {modules[memory.module]?.name ?? "no module known"}
                    {memory.node > 0 &&
                      `, created by ${session.frameName(frame)} (${session.framePlace(frame)})`}
                  </span>
                  {memory.collected !== null && <span class="quiet">collected</span>}
                </summary>
                <dl class="facts">
                  <dt>size</dt>
                  <dd>
                    {formatBytes(memory.initialBytes)} at first, {formatBytes(memory.finalBytes)} at the end,
                    grew {grown} times
                  </dd>
                  <dt>maximum</dt>
                  <dd>{memory.maximumBytes === null ? "none" : formatBytes(memory.maximumBytes)}</dd>
                  <dt>live</dt>
                  <dd>{memory.liveBytes === null ? "not recorded" : formatBytes(memory.liveBytes)}</dd>
                  <dt>lived</dt>
                  <dd>
                    from {formatDuration(memory.created)}
                    {memory.collected === null
                      ? " to the end"
                      : ` to ${formatDuration(memory.collected)}, when it was collected`}
                    {memory.shared && ", shared between threads"}
                  </dd>
                </dl>
                <p>
                  <button type="button" onClick={() => choose({ view: "timeline", memory: memory.id })}>
                    Timeline
                  </button>{" "}
                  <button type="button" onClick={() => choose({ view: "map", memory: memory.id })}>
                    Heap map
                  </button>
                </p>
                <h3>Created at</h3>
                <Stack frames={session.stack(memory.node)} />
              </details>
            </li>
          );
        })}
      </ul>
      {memoriesLeft > 0 && <p class="quiet">and {memoriesLeft} smaller ones</p>}
    </>
  );
}
