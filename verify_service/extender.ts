/** Raising the signatures of a file to a level, where all of them lead to the named trust set. */
import type { FetchStep } from "../online/pki_http.ts";
import type { RaisedLevel } from "../online/augment.ts";
import type { LevelServices } from "../online/pades.ts";
import type { Source } from "../formats/source.ts";
import type { Reader } from "../reader/client.ts";
import type { Stepped } from "../reader/steps.ts";
import { extend } from "../signing/extension.ts";
import type { Asking, DocumentReader } from "../signing/reading.ts";
import { ServiceError } from "./error.ts";
import type { Judged, questions } from "./questions.ts";

export interface ExtenderOptions {
  reader: DocumentReader & Reader<typeof questions>;
  online: LevelServices;
  now: () => Date;
}

/**
 * Extends a file.
 *
 * @param documents the file, and the content where that stands elsewhere
 * @param anchors of the trust set, DER
 * @throws {ServiceError} `not_trusted`; {OnlineError}; {FormatError}; the signal's reason
 */
export async function extendUpload(
  { reader, online, now }: ExtenderOptions,
  documents: readonly Source[],
  anchors: Uint8Array[],
  { level, password }: { level: RaisedLevel; password?: string },
  asking: Asking & { signal: AbortSignal },
): Promise<{ appended: Uint8Array } | { file: Uint8Array }> {
  const [source, content = null] = documents;
  const answer = await reader.ask("judge", {
    ...{ now: now().toISOString(), anchors, password, online: false, done: [], fresh: [] },
    revocation: "if_available",
  }, { ...asking, documents }) as Stepped<FetchStep, Judged>;
  if (!("result" in answer) || !answer.result.allLead) {
    throw new ServiceError(
      "not_trusted",
      "A certificate in the file leads to no root of the trust set, so nobody is asked about it.",
    );
  }
  const file = { source, password, content: () => content };
  return await extend(reader, file, level, online, asking);
}
