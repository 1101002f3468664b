import { FormatError } from "../error.ts";

/** Unreadable pieces are what a repair passes over; a limit still ends it. */
export function unlessMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof FormatError && error.code === "pdf_malformed") return undefined;
    throw error;
  }
}
