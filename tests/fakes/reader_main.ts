/** A reader process with the questions of reader_worker.ts. */
import { runReaderHost } from "../../reader/host.ts";

runReaderHost(new URL("reader_worker.ts", import.meta.url));
