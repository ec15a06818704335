import { Resvg } from "@resvg/resvg-wasm";

export function thumbnail(svg: string): Uint8Array {
  const badge = new Resvg(svg, { fitTo: { mode: "width", value: 64 } });
  const image = badge.render();
  const png = image.asPng();
  image.free();
  return png; // and `badge`?
}
