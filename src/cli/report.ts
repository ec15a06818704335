import { Command } from "commander";

/** `linmem report`: what a profile says about the memory that a run held. */
export function reportCommand(): Command {
  return new Command("report").description("show what a profile says about the memory that a run held");
}
