// linmem's counts against those of an independent method, on real packages: exactly equal, after every step.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { instrument } from "../../src/instrument/index.js";
import { allocatorRoles } from "../../src/instrument/roles.js";
import { recorderModuleName } from "../../src/recorder/index.js";
import { createRecording } from "../support/recording.js";
import { corpusDirectory } from "../support/shared.js";
import { type BruteForce, type CountedFunction, countByBruteForce } from "./brute-force.js";
import { counts } from "./support.js";

const corpus = corpusDirectory();
const skip = !corpus && "LINMEM_CORPUS is not set";

type Counts = BruteForce["counts"];

/** A way to run a module: its bytes, what it imports more, and what was counted so far. */
interface Variant {
  bytes: Uint8Array<ArrayBuffer>;
  imports: WebAssembly.Imports;
  counts(): Counts;
}

function profiled(original: Uint8Array): Variant {
  const recording = createRecording();
  return {
    bytes: new Uint8Array(instrument(original).bytes),
    imports: { [recorderModuleName]: recording.imports },
    counts: () => {
      const { unknownFrees, ...rest } = counts(recording);
      assert.equal(unknownFrees, 0);
      return rest;
    },
  };
}

function bruteForce(original: Uint8Array, functions: readonly CountedFunction[]): Variant {
  const { bytes, imports, counts } = countByBruteForce(original, functions);
  return { bytes, imports: { truth: imports }, counts: () => ({ ...counts }) };
}

/** Runs the steps in both variants; returns the counts after each step. */
async function compare(
  variants: Variant[],
  start: (variant: Variant) => Promise<((release: boolean) => unknown)[]>,
): Promise<Counts[]> {
  const [first, second] = await Promise.all(
    variants.map(async (variant) => {
      const steps = await start(variant);
      const seen = [variant.counts()];
      for (const step of steps) {
        for (const release of [true, false, false, true]) {
          step(release);
          seen.push(variant.counts());
        }
      }
      return seen;
    }),
  );
  assert.deepEqual(first, second);
  return first;
}

/** `require` of a package whose module is compiled from other bytes and gets more imports. */
function requireWith(name: string, { bytes, imports }: Variant): unknown {
  const require = createRequire(join(corpus as string, "package.json"));
  const path = require.resolve(name);
  delete require.cache[path];
  const { Module, Instance } = WebAssembly;
  WebAssembly.Module = class extends Module {
    constructor() {
      super(bytes);
    }
  };
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module, own?: WebAssembly.Imports) {
      super(module, { ...own, ...imports });
    }
  };
  try {
    return require(name);
  } finally {
    WebAssembly.Module = Module;
    WebAssembly.Instance = Instance;
    delete require.cache[path];
  }
}

interface Photon {
  PhotonImage: new (pixels: Uint8Array, width: number, height: number) => PhotonImage;
  grayscale(image: PhotonImage): void;
  resize(image: PhotonImage, width: number, height: number, filter: number): PhotonImage;
  alter_channel(image: PhotonImage, channel: number, amount: number): void;
}

interface PhotonImage {
  free(): void;
  get_bytes(): Uint8Array;
}

test("photon (Rust): __rust_alloc and its family, found in the name section", { skip }, async (t) => {
  const name = "@silvia-odwyer/photon-node";
  const file = join(corpus as string, "node_modules", name, "photon_rs_bg.wasm");
  const original = new Uint8Array(readFileSync(file));
  const functions: CountedFunction[] = [
    { function: "__rust_alloc", arguments: ["size", "other"], allocates: true },
    { function: "__rust_alloc_zeroed", arguments: ["size", "other"], allocates: true },
    { function: "__rust_realloc", arguments: ["block", "other", "other", "size"], allocates: true },
    { function: "__rust_dealloc", arguments: ["block", "other", "other"], allocates: false },
  ];
  const pixels = new Uint8Array(64 * 64 * 4).map((_, i) => i * 7);
  const seen = await compare([profiled(original), bruteForce(original, functions)], async (variant) => {
    const photon = requireWith(name, variant) as Photon;
    const kept: unknown[] = [];
    const keepOrFree = (release: boolean, ...images: PhotonImage[]) => {
      if (release) for (const image of images) image.free();
      else kept.push(...images);
    };
    return [
      (release) => {
        const image = new photon.PhotonImage(pixels, 64, 64);
        photon.grayscale(image);
        const resized = photon.resize(image, 32, 32, 1);
        resized.get_bytes();
        keepOrFree(release, image, resized);
      },
      (release) => {
        const image = new photon.PhotonImage(pixels, 64, 64);
        photon.alter_channel(image, 0, 20);
        keepOrFree(release, image);
      },
    ];
  });
  const last = seen[seen.length - 1];
  t.diagnostic(JSON.stringify(last));
  assert.ok(last.allocations >= 100 && last.liveBytes > 4 * 64 * 64 * 4);
});

interface Pdfium {
  pdfium: { wasmExports: { malloc(size: number): number; free(address: number): void }; HEAPU8: Uint8Array };
  PDFiumExt_Init(): void;
  FPDF_LoadMemDocument(address: number, size: number, password: string): number;
  FPDF_LoadPage(document: number, index: number): number;
  FPDFBitmap_Create(width: number, height: number, alpha: number): number;
  FPDFBitmap_FillRect(bitmap: number, x: number, y: number, w: number, h: number, colour: number): void;
  FPDF_RenderPageBitmap(bitmap: number, page: number, ...numbers: number[]): void;
  FPDFBitmap_Destroy(bitmap: number): void;
  FPDF_ClosePage(page: number): void;
  FPDF_CloseDocument(document: number): void;
}

test("pdfium (C++): malloc, free and what else was found", { skip }, async (t) => {
  const name = "@embedpdf/pdfium";
  const { resolve } = createRequire(join(corpus as string, "package.json"));
  const original = new Uint8Array(readFileSync(resolve(`${name}/pdfium.wasm`)));
  const { allocator } = instrument(original);
  for (const wanted of ["malloc", "free"]) assert.ok(allocator.some(({ name }) => name === wanted));
  const functions = allocator.map(({ role, index, name: label }): CountedFunction => {
    const { params, returns } = allocatorRoles[role];
    const meanings = params.map((meaning) => (meaning === "size" || meaning === "block" ? meaning : "other"));
    return {
      function: label === "malloc" || label === "free" ? label : index,
      arguments: meanings,
      allocates: returns === "block",
    };
  });
  const entry = pathToFileURL(resolve(name)).href;
  const { init } = (await import(entry)) as { init(options: object): Promise<Pdfium> };
  const seen = await compare([profiled(original), bruteForce(original, functions)], async (variant) => {
    const library = await init({
      wasmBinary: original.buffer,
      instantiateWasm: (own: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void) => {
        const instance = new WebAssembly.Instance(new WebAssembly.Module(variant.bytes), {
          ...own,
          ...variant.imports,
        });
        receive(instance);
        return instance.exports;
      },
    });
    library.PDFiumExt_Init();
    const document = smallDocument();
    return [
      (release) => {
        const { wasmExports } = library.pdfium;
        const address = wasmExports.malloc(document.length);
        library.pdfium.HEAPU8.set(document, address);
        const opened = library.FPDF_LoadMemDocument(address, document.length, "");
        const page = library.FPDF_LoadPage(opened, 0);
        const bitmap = library.FPDFBitmap_Create(100, 100, 0);
        library.FPDFBitmap_FillRect(bitmap, 0, 0, 100, 100, 0xffffffff);
        library.FPDF_RenderPageBitmap(bitmap, page, 0, 0, 100, 100, 0, 0);
        if (!release) return;
        library.FPDFBitmap_Destroy(bitmap);
        library.FPDF_ClosePage(page);
        library.FPDF_CloseDocument(opened);
        wasmExports.free(address);
      },
    ];
  });
  const last = seen[seen.length - 1];
  t.diagnostic(JSON.stringify(last));
  assert.ok(last.allocations > 1000 && last.liveBytes > 2 * 100 * 100 * 4);
});

/** A PDF file of one page with a line of text and a rectangle. */
function smallDocument(): Uint8Array {
  const content = "BT /F1 24 Tf 20 50 Td (Hello) Tj ET 1 0 0 rg 10 10 30 30 re f";
  const font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>";
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    `<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Contents 4 0 R/Resources<</Font<</F1 ${font}>>>>>>`,
    `<</Length ${content.length}>>\nstream\n${content}\nendstream`,
  ];
  let text = "%PDF-1.4\n";
  const offsets = objects.map((object, i) => {
    const offset = text.length;
    text += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, "0")} 00000 n \n`;
  });
  const start = text.length;
  text += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join("")}`;
  text += `trailer<</Size ${objects.length + 1}/Root 1 0 R>>\nstartxref\n${start}\n%%EOF`;
  return new TextEncoder().encode(text);
}
