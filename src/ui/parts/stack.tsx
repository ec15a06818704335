import { useShared } from "../state.js";

/** A stack, innermost first, as a list. */
export function Stack({ frames }: { frames: readonly number[] }) {
  const { session } = useShared();
  if (frames.length === 0) return <p class="quiet">The stack is not known.</p>;
  return (
    <ol class="stack">
      {frames.map((frame, i) => (
        <li key={i} class={`kind-${session.frameKind(frame)}`}>
          <span class="function">{session.frameName(frame)}</span>{" "}
          <span class="place">{session.framePlace(frame)}</span>
        </li>
      ))}
    </ol>
  );
}
