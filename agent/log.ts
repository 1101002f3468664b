/** The log. What goes into it is written by us: never a PIN, a ticket, or the content of a document. */
import { configure, getTextFormatter, type LogLevel, type LogRecord } from "@logtape/logtape";

/**
 * Sends the log, and the logging's own troubles, to standard error: standard output is for results. A later call
 * changes the level.
 */
export async function configureLog(lowestLevel: LogLevel): Promise<void> {
  const format = getTextFormatter();
  const stderr = (record: LogRecord) => {
    Deno.stderr.writeSync(new TextEncoder().encode(format(record)));
  };
  await configure({
    reset: true,
    sinks: { stderr },
    loggers: [
      { category: ["dsign"], sinks: ["stderr"], lowestLevel },
      { category: ["logtape", "meta"], sinks: ["stderr"], lowestLevel: "warning" },
    ],
  });
}
