/** Portals' documents and strangers' answers, as the service has them read: in a process that it can do without. */
import { revived } from "../online/error.ts";
import type { Reader } from "../reader/client.ts";
import { ReaderPool } from "../reader/pool.ts";
import { revivedSignerError } from "../signers/provider.ts";
import type { questions as ofKeyFiles } from "../signers/questions.ts";
import type { questions as ofDocuments } from "./questions.ts";

type Questions = typeof ofDocuments & typeof ofKeyFiles;
export type ServiceReader = Reader<Questions>;

/** @param command starts the program's `reader` role */
export const openReaders = (
  command: readonly string[],
  onLog: (text: string) => void,
): ServiceReader =>
  new ReaderPool<Questions>({
    command,
    onLog,
    revive: (failure) => revivedSignerError(failure) ?? revived(failure),
  });
