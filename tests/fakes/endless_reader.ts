/** A reader process with the thread of endless_reader_worker.ts. */
import { runReaderHost } from "../../reader/host.ts";

runReaderHost(new URL("endless_reader_worker.ts", import.meta.url));
