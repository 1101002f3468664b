/** Strangers' documents, as agent and command line have them read: by a reader, whose errors come back as they were. */
import { DsignError, isErrorCode } from "../protocol/errors.ts";
import { type AskOptions, COMMAND_DEADLINE, LocalReader, type Reader } from "../reader/client.ts";
import { revived } from "../online/error.ts";
import type { Failure } from "../reader/messages.ts";
import { ReaderPool } from "../reader/pool.ts";
import { revivedSignerError } from "../signers/provider.ts";
import type { questions as ofKeyFiles } from "../signers/questions.ts";
import type { questions as ofDocuments } from "./questions.ts";

export type DocumentQuestions = typeof ofDocuments & typeof ofKeyFiles;
export type DocumentReader = Reader<DocumentQuestions>;

/** For whom a document is read, and until when. */
export type Asking = Pick<AskOptions, "origin" | "signal">;

/**
 * A reader for a program that goes on answering others. What one site's document does to its reader concerns no other
 * site.
 *
 * @param command starts the program's `reader` role
 */
export const openReaders = (
  command: readonly string[],
  onLog: (text: string) => void,
): DocumentReader => new ReaderPool<DocumentQuestions>({ command, onLog, revive, apart: true });

/**
 * A reader for a command.
 *
 * @param module script of the thread that reads where the command has one file
 * @param command starts the `reader` role, which reads several: a thread that does not come to an end could not be stopped
 */
export const openCommandReader = (
  files: number,
  { module, command }: { module: URL; command: readonly string[] },
): DocumentReader =>
  files === 1
    ? new LocalReader<DocumentQuestions>(module, { revive })
    : new ReaderPool<DocumentQuestions>({ command, revive, deadline: COMMAND_DEADLINE });

function revive(failure: Failure): Error | undefined {
  const { name, code, message } = failure;
  return name === "DsignError" && isErrorCode(code)
    ? new DsignError(code, message)
    : revivedSignerError(failure) ?? revived(failure);
}
