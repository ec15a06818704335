import { importFresh, readPackageFile } from "../packages.js";
import type { Workload } from "./index.js";

interface Pdfium {
  pdfium: {
    HEAPU8: Uint8Array;
    wasmExports: { malloc(bytes: number): number; free(address: number): void };
  };
  PDFiumExt_Init(): void;
  FPDF_LoadMemDocument(address: number, bytes: number, password: string): number;
  FPDF_LoadPage(document: number, page: number): number;
  FPDFBitmap_Create(width: number, height: number, alpha: number): number;
  FPDFBitmap_FillRect(
    bitmap: number,
    x: number,
    y: number,
    width: number,
    height: number,
    color: number,
  ): void;
  FPDF_RenderPageBitmap(
    bitmap: number,
    page: number,
    x: number,
    y: number,
    width: number,
    height: number,
    rotate: number,
    flags: number,
  ): void;
  FPDFBitmap_Destroy(bitmap: number): void;
  FPDF_ClosePage(page: number): void;
  FPDF_CloseDocument(document: number): void;
}

function makeDocument(): Uint8Array {
  const lines = Array.from(
    { length: 20 },
    (_, i) => `BT /F1 8 Tf 10 ${190 - 9 * i} Td (Line ${i} of the page, in Helvetica) Tj ET`,
  );
  const content = [...lines, "1 0 0 rg 10 10 50 50 re f", "0 0 1 RG 5 5 m 60 190 120 20 190 190 c S"].join(
    "\n",
  );
  const objects = [
    "<</Type/Catalog/Pages 2 0 R>>",
    "<</Type/Pages/Kids[3 0 R]/Count 1>>",
    "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
    `<</Length ${content.length}>>\nstream\n${content}\nendstream`,
    "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
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

export const pdfium: Workload = {
  name: "pdfium",
  does: "loads a PDF file of one page, renders it at 200 × 200 and closes it",
  async load(id) {
    const { init } = await importFresh<{ init(options: object): Promise<Pdfium> }>(
      "@embedpdf/pdfium/dist/index.js",
      id,
    );
    const api = await init({ wasmBinary: readPackageFile("@embedpdf/pdfium/dist/pdfium.wasm") });
    api.PDFiumExt_Init();
    const { pdfium } = api;
    const file = makeDocument();
    return (count) => {
      for (let i = 0; i < count; i++) {
        const address = pdfium.wasmExports.malloc(file.length);
        pdfium.HEAPU8.set(file, address);
        const document = api.FPDF_LoadMemDocument(address, file.length, "");
        const page = api.FPDF_LoadPage(document, 0);
        const bitmap = api.FPDFBitmap_Create(200, 200, 0);
        api.FPDFBitmap_FillRect(bitmap, 0, 0, 200, 200, 0xffffffff);
        api.FPDF_RenderPageBitmap(bitmap, page, 0, 0, 200, 200, 0, 0);
        api.FPDFBitmap_Destroy(bitmap);
        api.FPDF_ClosePage(page);
        api.FPDF_CloseDocument(document);
        pdfium.wasmExports.free(address);
      }
    };
  },
};
