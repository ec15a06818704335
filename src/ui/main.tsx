// The page of a report: reads the data beside it, and shows it. Nothing is loaded from anywhere.
import "uplot/dist/uPlot.min.css";
import "./page.css";
import { render } from "preact";
import { App } from "./app.js";
import { Session } from "./session.js";
import { followSystem } from "./theme.js";
import { inflate, unpack } from "./unpack.js";

followSystem();
const root = document.getElementById("app")!;

try {
  const text = document.getElementById("linmem-data")!;
  const bytes = await inflate(text.textContent!);
  // Some megabytes of base64 that nobody looks at again.
  text.remove();
  const session = new Session(unpack(bytes));
  root.textContent = "";
  render(<App session={session} />, root);
  document.documentElement.dataset.ready = "yes";
} catch (error) {
  root.textContent = `This report can't be shown: ${(error as Error).message}. It needs a browser of 2023 or later; if this is one, make the report anew with linmem report --format html.`;
}
