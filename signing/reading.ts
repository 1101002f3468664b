/** Strangers' documents, as agent and command line have them read: by a reader, whose errors come back as they were. */
import { DsignError, type ErrorCode } from "../protocol/errors.ts";
import { type AskOptions, LocalReader, type Reader, ReaderPool } from "../reader/client.ts";
import { OnlineError, type OnlineErrorCode } from "../online/error.ts";
import type { Failure } from "../reader/messages.ts";
import type { questions } from "./questions.ts";

export type DocumentReader = Reader<typeof questions>;

/** For whom a document is read, and until when. */
export type Asking = Pick<AskOptions, "origin" | "signal">;

/**
 * A reader for a program that goes on answering others.
 *
 * @param command starts the program's `reader` role
 */
export const openReaders = (
  command: readonly string[],
  onLog: (text: string) => void,
): DocumentReader => new ReaderPool<typeof questions>({ command, onLog, revive });

/** A reader for a command that does one thing; `module` is its thread's script. */
export const openLocalReader = (module: URL): DocumentReader =>
  new LocalReader<typeof questions>(module, { revive });

function revive({ name, code, message, detail }: Failure): Error | undefined {
  if (name === "DsignError") return new DsignError(code as ErrorCode, message);
  return name === "OnlineError"
    ? new OnlineError(code as OnlineErrorCode, message, detail)
    : undefined;
}
