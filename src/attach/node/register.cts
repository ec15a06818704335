// What NODE_OPTIONS has node load before the program. `--require` is used rather than `--import`: with the
// latter node starts a CommonJS program through its loader of ES modules, which shows in the stacks of
// uncaught errors. Node warns of require() of an ES module in some versions; that is no concern of the program.
const { emitWarning } = process;
process.emitWarning = () => {};
try {
  require("./start.js");
} catch (error) {
  // The program runs all the same; `linmem run` says what happened.
  const { noticeFolder } = JSON.parse(process.env.LINMEM_RUN ?? "{}");
  const reason = `cannot attach to process ${process.pid}: ${error}`;
  const { writeFileSync } = process.getBuiltinModule("node:fs");
  if (noticeFolder) writeFileSync(`${noticeFolder}/${process.pid}.failure`, reason);
} finally {
  process.emitWarning = emitWarning;
}
