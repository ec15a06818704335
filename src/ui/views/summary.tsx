import { countOf, formatBytes, formatCount, formatDuration } from "../../report/format.js";
import { OwnerTable } from "../parts/owner-table.js";
import { Prose } from "../parts/prose.js";
import type { Metric } from "../selection.js";
import { useShared } from "../state.js";

const severities = { problem: "Problem", advice: "Advice", fact: "Fact" } as const;

/** The run in figures, what was found, and what holds most. */
export function SummaryView() {
  const { profile, choice, choose } = useShared();
  const { run, modules, findings, warnings } = profile;
  const recorded = modules.filter(({ allocations }) => allocations > 0);
  const sum = (key: "liveBytes" | "liveBlocks" | "peakLiveBytes" | "allocatedBytes" | "allocations") =>
    recorded.reduce((total, module) => total + module[key], 0);
  const show = ({ text, metric }: { text: string; metric: Metric }) =>
    choose({
      view: "flame",
      metric,
      filters: { ...choice.filters, module: -1, package: -1, text, range: undefined },
    });
  return (
    <>
      <p>
        <strong class="text">{run.command}</strong>
        <br />
        <span class="quiet">
          {dateText(run.startTime)}, {run.engine}, ran {formatDuration(run.duration)}, {run.ending}, linmem{" "}
          {run.linmem}
        </span>
      </p>
      {!run.complete && (
        <p class="warning">
          The run was killed, or still runs: what it did after the last snapshot is missing.
        </p>
      )}
      <dl class="tiles">
        {recorded.length > 0 && recorded.every(({ countedOnly }) => countedOnly) ? (
          <Tile title="Allocated" value={formatBytes(sum("allocatedBytes"))} more="in collected heaps" />
        ) : (
          <>
            <Tile
              title="Live at the end"
              value={formatBytes(sum("liveBytes"))}
              more={countOf(sum("liveBlocks"), "block")}
            />
            <Tile
              title="High-water mark"
              value={formatBytes(sum("peakLiveBytes"))}
              more={recorded.length > 1 ? "modules added up" : "most that was live at one time"}
            />
          </>
        )}
        <Tile
          title="Memories held up to"
          value={formatBytes(run.peakMemoryBytes)}
          more={countOf(profile.memories.length + profile.memoriesLeft, "memory", "memories")}
        />
        <Tile
          title="Allocations"
          value={formatCount(sum("allocations"))}
          more={countOf(recorded.length, "module")}
        />
      </dl>
      {findings.length > 0 && (
        <section>
          <h3>Diagnosis</h3>
          <ul class="findings">
            {findings.map((finding) => (
              <li key={finding.title + finding.where} class={`severity-${finding.severity}`}>
                <h4>
                  <span class="badge">{severities[finding.severity]}</span> {finding.title}
                </h4>
                {finding.where !== "" && <p class="text">{finding.where}</p>}
                {finding.evidence.length > 0 && (
                  <ul>
                    {finding.evidence.map((one) => (
                      <li key={one}>
                        <Prose text={one} />
                      </li>
                    ))}
                  </ul>
                )}
                {finding.advice !== "" && (
                  <p class="advice">
                    <Prose text={finding.advice} />
                  </p>
                )}
                {finding.show && (
                  <p>
                    <button type="button" onClick={() => show(finding.show!)}>
                      Show in the flame graph
                      <span class="hidden">: {finding.title}</span>
                    </button>
                  </p>
                )}
              </li>
            ))}
          </ul>
        </section>
      )}
      {profile.memories.length === 0 ? (
        <p>No memory came to life in this run: either it used no WebAssembly, or it ended before that.</p>
      ) : (
        <OwnerTable />
      )}
      {modules.length > 0 && <ModuleTable />}
      {warnings.length > 0 && (
        <section>
          <h3>Warnings</h3>
          <ul>
            {warnings.map((warning) => (
              <li key={warning}>
                <Prose text={warning} />
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Tile({ title, value, more }: { title: string; value: string; more: string }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>
        <strong>{value}</strong>
        <span class="quiet">{more}</span>
      </dd>
    </div>
  );
}

/** A profile may hold any number for its time. */
function dateText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime())
    ? "unknown time"
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

function ModuleTable() {
  const { modules } = useShared().profile;
  return (
    <section>
      <h3>Modules</h3>
      <div class="wide">
        <table>
          <thead>
            <tr>
              <th>module</th>
              <th class="number">live</th>
              <th class="number">blocks</th>
              <th class="number">high water</th>
              <th class="number">allocations</th>
              <th class="number">memory</th>
              <th>made with</th>
            </tr>
          </thead>
          <tbody>
            {modules.map((module) => (
              <tr key={module.name}>
                <th scope="row">{module.name}</th>
                {module.countedOnly ? (
                  <>
                    <td colSpan={3} class="quiet">
                      known to its garbage collector only
                      {module.collections > 0 && `, which ran ${countOf(module.collections, "time")}`}
                    </td>
                    <td class="number">{formatCount(module.allocations)}</td>
                  </>
                ) : module.instrumented ? (
                  <>
                    <td class="number">{formatBytes(module.liveBytes)}</td>
                    <td class="number">{formatCount(module.liveBlocks)}</td>
                    <td class="number">{formatBytes(module.peakLiveBytes)}</td>
                    <td class="number">{formatCount(module.allocations)}</td>
                  </>
                ) : (
                  <td colSpan={4} class="quiet">
                    blocks not recorded{module.reason && `: ${module.reason}`}
                  </td>
                )}
                <td class="number">{formatBytes(module.memoryBytes)}</td>
                <td>{module.toolchain}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
