/**
 * Brings records of older profile versions up to the current one, so that every profile ever written stays
 * readable. A change of the format adds one function here, keeps an old file as a fixture, and raises
 * `profileVersion`.
 */
type Upgrade = (record: Record<string, unknown>) => Record<string, unknown>;

/** `upgrades[v - 1]` turns a record of version v into one of version v + 1. */
const upgrades: readonly Upgrade[] = [
  (record) => (record.type === "stack" ? { ...record, type: "whole-stack" } : record),
];

/** The current form of a record that was written in `version`. */
export function upgradeRecord(record: Record<string, unknown>, version: number): Record<string, unknown> {
  return upgrades.slice(version - 1).reduce((older, upgrade) => upgrade(older), record);
}
