import { importFresh, packageFile, readPackageFile } from "../packages.js";
import type { Workload } from "./index.js";

interface TreeSitter {
  Parser: (new () => { setLanguage(language: unknown): void; parse(text: string): { delete(): void } }) & {
    init(): Promise<void>;
  };
  Language: { load(path: string): Promise<unknown> };
}

/** Two modules that share a memory: the parser, and the grammar that it loads. */
export const treeSitter: Workload = {
  name: "tree-sitter",
  does: "parses 120 KB of JavaScript and deletes the tree",
  async load(id) {
    const module = await importFresh<TreeSitter>("web-tree-sitter/web-tree-sitter.js", id);
    await module.Parser.init();
    const grammar = packageFile("@vscode/tree-sitter-wasm/wasm/tree-sitter-javascript.wasm");
    const parser = new module.Parser();
    parser.setLanguage(await module.Language.load(grammar));
    const text = readPackageFile("web-tree-sitter/web-tree-sitter.js").toString().slice(0, 120_000);
    return (count) => {
      for (let i = 0; i < count; i++) parser.parse(text).delete();
    };
  },
};
