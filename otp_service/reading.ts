/** Portals' documents and strangers' answers, as the service has them read: in a process that it can do without. */
import { revived } from "../online/error.ts";
import { type Reader, ReaderPool } from "../reader/client.ts";
import type { questions } from "./questions.ts";

export type ServiceReader = Reader<typeof questions>;

/** @param command starts the program's `reader` role */
export const openReaders = (
  command: readonly string[],
  onLog: (text: string) => void,
): ServiceReader =>
  new ReaderPool<typeof questions>({
    command,
    onLog,
    revive: revived,
  });
