import { FormatError } from "../../formats/error.ts";

/** Mutated bytes may be refused; every other error passes through. */
export function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}
