// A host that runs plugins it doesn't trust: each in a memory of its own of at most 4 pages, which the engine enforces.
//
//   node --import=tsx examples/plugin-host/app.ts
import { readFileSync } from "node:fs";
import { type IsolatedInstance, instantiateIsolated, Region } from "linmem";

interface Plugin {
  inbox(): number;
  greet(name: number, length: number): number;
  hoard(): number;
  stray(address: number): void;
}

const bytes = readFileSync(new URL("plugin.wasm", import.meta.url));

async function load(name: string): Promise<IsolatedInstance<Plugin>> {
  const plugin: IsolatedInstance<Plugin> = await instantiateIsolated<Plugin>(bytes, {
    maxMemory: 4,
    imports: {
      host: {
        log: (text: number, length: number) =>
          console.log(`${name} says: ${plugin.memory.readUtf8(text, length)}`),
      },
    },
    onRefusedGrowth: ({ pages, maxMemory, times }) =>
      console.log(`${name} was refused memory ${times} time(s): it has ${pages} of ${maxMemory} pages`),
  });
  return plugin;
}

function greet({ memory, exports }: IsolatedInstance<Plugin>, name: string): number {
  // Host code that fills the inbox gets the inbox, and not the rest of the plugin's memory.
  const inbox = new Region(memory, exports.inbox(), 64);
  return exports.greet(exports.inbox(), inbox.writeUtf8(0, name));
}

using polite = await load("polite");
using greedy = await load("greedy");
using broken = await load("broken");

greet(polite, "Ada");
greet(greedy, "Grace");
console.log(`greedy took ${greedy.exports.hoard()} more pages`);
try {
  broken.exports.stray(0x7fff_ffff);
} catch (error) {
  console.log(`broken trapped: ${(error as Error).message}`);
}
try {
  greet(polite, "a name that is longer than the inbox of the plugin has room for, by some bytes");
} catch (error) {
  console.log(`the host stopped: ${(error as Error).message}`);
}
console.log(
  `polite was visited ${greet(polite, "Barbara")} times and still has ${polite.memory.pages} pages`,
);

const { greet: kept } = greedy.exports;
greedy.dispose();
try {
  kept(0, 0);
} catch (error) {
  console.log((error as Error).message);
}
