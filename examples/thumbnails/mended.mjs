// app.mjs, mended: every badge is released.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { initWasm, Resvg } from "@resvg/resvg-wasm";

const require = createRequire(import.meta.url);
await initWasm(readFileSync(require.resolve("@resvg/resvg-wasm/index_bg.wasm")));

function size(svg) {
  const badge = new Resvg(svg);
  const text = `${badge.width} x ${badge.height}`;
  badge.free();
  return text;
}

function thumbnail(svg) {
  const badge = new Resvg(svg, { fitTo: { mode: "width", value: 64 } });
  const image = badge.render();
  const png = image.asPng();
  image.free();
  badge.free();
  return png;
}

let bytes = 0;
for (let i = 0; i < 200; i++) {
  const rings = Array.from(
    { length: 40 },
    (_, k) => `<circle cx="60" cy="60" r="${k + 1}" stroke="#${100 + i}"/>`,
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="120" fill="none">${rings.join("")}</svg>`;
  if (size(svg) !== "120 x 120") throw new Error("unexpected size");
  bytes += thumbnail(svg).length;
}
console.log(`200 thumbnails, ${bytes} bytes`);
