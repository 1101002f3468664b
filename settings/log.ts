/** The log. It never holds a PIN, a ticket, or the content of a document. */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  configure,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogLevel,
  type LogRecord,
  type Sink,
} from "@logtape/logtape";

/** A log file of this many bytes is renamed to `FILE.1`, which replaces the one before. */
const MAX_FILE = 1024 * 1024;

/**
 * Sends the log, and problems of logging itself, to standard error: standard output is for results. A later call
 * changes the level and the file.
 *
 * @param file also write the log to this file, which only this user can read; the one before it is kept as `FILE.1`
 * @param json write to standard error one JSON object a line, with the properties of what is under way, as `request`
 */
export async function configureLog(
  lowestLevel: LogLevel,
  { file, json = false }: { file?: string; json?: boolean } = {},
): Promise<void> {
  const format = json ? getJsonLinesFormatter() : getTextFormatter();
  const stderr = (record: LogRecord) => {
    Deno.stderr.writeSync(new TextEncoder().encode(format(record)));
  };
  const sinks: Record<string, Sink> = { stderr, ...file && { file: fileSink(file) } };
  await configure({
    reset: true,
    contextLocalStorage: new AsyncLocalStorage(),
    sinks,
    loggers: [
      { category: ["dsign"], sinks: Object.keys(sinks), lowestLevel },
      { category: ["logtape", "meta"], sinks: Object.keys(sinks), lowestLevel: "warning" },
    ],
  });
}

/** Appends to a file. If the disk is full, only the log is lost. */
function fileSink(path: string): Sink {
  const format = getTextFormatter();
  let told = false;
  return (record) => {
    try {
      using log = Deno.openSync(path, { append: true, create: true, mode: 0o600 });
      log.writeSync(new TextEncoder().encode(format(record)));
      if (log.statSync().size > MAX_FILE) Deno.renameSync(path, `${path}.1`);
    } catch (error) {
      if (!told) console.error(`dsign: the log ${path} cannot be written: ${error}`);
      told = true;
    }
  };
}
