import { FormatError } from "../../formats/error.ts";

/** Refusals are what mutated bytes deserve; all else passes through. */
export function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
