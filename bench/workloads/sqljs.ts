import { readPackageFile, requireFresh } from "../packages.js";
import type { Workload } from "./index.js";

interface Statement {
  run(values: unknown[]): void;
  get(values: unknown[]): unknown[];
  reset(): void;
}

interface Database {
  run(sql: string): void;
  exec(sql: string): unknown;
  prepare(sql: string): Statement;
}

type InitSqlJs = (options: { wasmBinary: Uint8Array }) => Promise<{ Database: new () => Database }>;

const rows = 2000;

/** A table in memory, written and read with prepared statements. */
export const sqljs: Workload = {
  name: "sql.js",
  does: "replaces a row and reads two by prepared statements; every 50th time a query with grouping",
  async load() {
    const init = requireFresh<InitSqlJs>("sql.js/dist/sql-wasm.js");
    const { Database } = await init({ wasmBinary: readPackageFile("sql.js/dist/sql-wasm.wasm") });
    const database = new Database();
    database.run("create table t(id integer primary key, a text, b real); create index t_a on t(a)");
    const replace = database.prepare("insert or replace into t values (?, ?, ?)");
    const byId = database.prepare("select * from t where id = ?");
    const byText = database.prepare("select id, b from t where a = ?");
    for (let id = 0; id < rows; id++) replace.run([id, `row ${id}`, id / 2]);
    let next = 0;
    return (count) => {
      for (let i = 0; i < count; i++) {
        const id = (next = (next + 17) % rows);
        replace.run([id, `row ${id + (next & 7)}`, next / 3]);
        byId.get([id]);
        byText.get([`row ${id}`]);
        if (i % 50 === 0) {
          database.exec(
            "select a, count(*), sum(b) from t where id < 200 group by substr(a, 1, 6) order by 3",
          );
        }
      }
      byId.reset();
      byText.reset();
    };
  },
};
