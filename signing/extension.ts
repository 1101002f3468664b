/** Extending signatures that are there, whoever made them: to a higher level, or by another archive timestamp. */
import { FormatError } from "../formats/error.ts";
import type { Source } from "../formats/source.ts";
import type { RaisedLevel } from "../online/augment.ts";
import { performFor } from "../online/services.ts";
import type { LevelServices } from "../online/pades.ts";
import { askInSteps } from "../reader/steps.ts";
import type { Asking, DocumentReader } from "./reading.ts";
import type { Document } from "./documents.ts";
import { keptOf, type SignedFile } from "./verification.ts";

/** Each costs another reading of the file. */
const MAX_CONTENTS = 100;

/**
 * Raises all signatures of a file to a level (online/augment.ts). The reader has checked the result as it would check
 * any file: every signature is as good as before, and the new timestamps are right.
 *
 * @returns the bytes to append to a PDF; of all else the new file
 * @throws {OnlineError} `timestamp_unavailable`, `validation_data_unavailable`, `certificate_revoked`,
 *   `signature_invalid`; {FormatError} as `verifyFile`, `signature_mismatch` where a signature does not hold
 */
export async function extend(
  reader: DocumentReader,
  file: SignedFile,
  level: RaisedLevel,
  online: LevelServices,
  asking: Asking & { signal: AbortSignal },
): Promise<{ appended: Uint8Array } | { file: Uint8Array }> {
  const contents: [name: string | null, document: number | null][] = [];
  const documents: Source[] = [file.source];
  const { password, certificates } = file;
  for (;;) {
    const answer = await askInSteps(
      (done) =>
        reader.ask("augment", { level, password, certificates, contents, done }, {
          ...asking,
          documents,
        }),
      (step) => performFor(online, step, asking),
    );
    if (!("wanted" in answer)) return answer;
    if (contents.length >= MAX_CONTENTS) {
      throw new FormatError("limit_exceeded", "The signatures refer to too many other files.");
    }
    const content = file.content(answer.wanted);
    contents.push([answer.wanted, content && documents.push(content) - 1]);
  }
}

/**
 * The same for a document that a page has opened.
 *
 * @param content of a detached signature
 * @throws {DsignError} `document_incomplete`; `invalid_params` where a document was not kept; and as {@linkcode extend}
 */
export async function extendDocument(
  document: Document,
  content: Document | undefined,
  level: RaisedLevel,
  { reader, online }: { reader: DocumentReader; online: LevelServices },
  asking: Asking & { signal: AbortSignal },
): Promise<{ appended: Uint8Array } | { file: Uint8Array }> {
  const beside = content ? keptOf(content) : null;
  const file = { source: keptOf(document), content: () => beside };
  const extended = () => extend(reader, file, level, online, asking);
  return await document.held(content ? () => content.held(extended) : extended);
}
