import { importFresh, readPackageFile } from "../packages.js";
import type { Workload } from "./index.js";

interface Image {
  asPng(): Uint8Array;
  free(): void;
}

interface ResvgModule {
  initWasm(bytes: Uint8Array): Promise<void>;
  Resvg: new (svg: string) => { render(): Image; free(): void };
}

const circles = Array.from(
  { length: 40 },
  (_, i) => `<circle cx="${i * 5}" cy="${(i * 37) % 200}" r="${5 + (i % 20)}" fill="url(#g)" opacity=".5"/>`,
);
const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="200"><defs><linearGradient id="g">
<stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue"/></linearGradient></defs>${circles.join("")}</svg>`;

export const resvg: Workload = {
  name: "resvg",
  does: "parses an SVG file of 40 shapes, renders it at 200 × 200 and encodes it as PNG",
  async load(id) {
    const { initWasm, Resvg } = await importFresh<ResvgModule>("@resvg/resvg-wasm/index.mjs", id);
    await initWasm(readPackageFile("@resvg/resvg-wasm/index_bg.wasm"));
    return (count) => {
      for (let i = 0; i < count; i++) {
        const parsed = new Resvg(drawing);
        const image = parsed.render();
        image.asPng();
        image.free();
        parsed.free();
      }
    };
  },
};
