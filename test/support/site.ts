// A folder as a web site on this machine, for tests in browsers.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** A running site: its address without a slash at the end, and how to end it. */
export interface Site {
  address: string;
  close(): void;
}

/** Serves `folder`. Its pages are isolated: shared memories work there. */
export async function serve(folder: string): Promise<Site> {
  const server = createServer(async (request, response) => {
    const file = join(folder, normalize(new URL(request.url ?? "/", "http://localhost").pathname));
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    try {
      response.setHeader("Content-Type", types[extname(file)] ?? "application/octet-stream");
      response.end(await readFile(file));
    } catch {
      response.statusCode = file.endsWith("favicon.ico") ? 204 : 404;
      response.end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
