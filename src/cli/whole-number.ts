import { InvalidArgumentError } from "commander";

/** Value of an option that counts from 1. */
export function parseTop(value: string): number {
  const top = Number(value);
  if (!Number.isSafeInteger(top) || top < 1) throw new InvalidArgumentError("give a whole number from 1 on.");
  return top;
}
