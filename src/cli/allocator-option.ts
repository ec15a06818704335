// `--allocator`, as all commands that instrument modules take it.
import { InvalidArgumentError, Option } from "commander";
import type { AllocatorOverride } from "../instrument/index.js";
import { allocatorRoles } from "../instrument/roles.js";

/** The option; its value is a list of overrides, empty when it isn't given. */
export function allocatorOption(): Option {
  return new Option("-a, --allocator <role=function,…>", "functions to hook, by name or index")
    .argParser(parseAllocator)
    .default([], "found by itself");
}

function parseAllocator(text: string, previous: AllocatorOverride[]): AllocatorOverride[] {
  const overrides = text.split(",").map((part): AllocatorOverride => {
    const [, role, target] = /^([^=]+)=(.+)$/.exec(part.trim()) ?? [];
    if (!role || !target) throw new InvalidArgumentError("give role=function, as in malloc=v,free=M.");
    if (!Object.hasOwn(allocatorRoles, role)) {
      throw new InvalidArgumentError(
        `there is no role ${role}; roles: ${Object.keys(allocatorRoles).join(", ")}.`,
      );
    }
    return { role: role as AllocatorOverride["role"], target };
  });
  return [...previous, ...overrides];
}
