/** The log. What goes into it is written by us: never a PIN, a ticket, or the content of a document. */
import {
  configure,
  getTextFormatter,
  type LogLevel,
  type LogRecord,
  type Sink,
} from "@logtape/logtape";

/** A log file of this many bytes is put aside, and the one put aside before is gone. */
const MAX_FILE = 1024 * 1024;

/**
 * Sends the log, and the logging's own troubles, to standard error: standard output is for results. A later call
 * changes the level and the file.
 *
 * @param file where the log goes besides, for this user alone; the one before it is kept as `FILE.1`
 */
export async function configureLog(lowestLevel: LogLevel, file?: string): Promise<void> {
  const format = getTextFormatter();
  const stderr = (record: LogRecord) => {
    Deno.stderr.writeSync(new TextEncoder().encode(format(record)));
  };
  const sinks: Record<string, Sink> = { stderr, ...file && { file: fileSink(file) } };
  await configure({
    reset: true,
    sinks,
    loggers: [
      { category: ["dsign"], sinks: Object.keys(sinks), lowestLevel },
      { category: ["logtape", "meta"], sinks: Object.keys(sinks), lowestLevel: "warning" },
    ],
  });
}

/** Appends to a file. A disk that is full costs the log, and nothing else. */
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
