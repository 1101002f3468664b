/**
 * The person's own words, shown in every window of consent. A window that does not show them is not D-Sign's: no web
 * page can know them.
 */
import { DsignError } from "../../protocol/errors.ts";
import { writeAtomically } from "../../settings/files.ts";

/** Letters of the longest phrase. */
const MAX_LETTERS = 80;

/** The phrase kept in a file; null where none was chosen. */
export async function readPhrase(path: string): Promise<string | null> {
  try {
    return (await Deno.readTextFile(path)).trim() || null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new DsignError("storage_failed", `The phrase in ${path} cannot be read.`, {
      cause: String(error),
    });
  }
}

/**
 * Keeps a phrase; an empty one forgets it.
 *
 * @throws {DsignError} `invalid_params` beyond 80 letters, or with invisible ones; `storage_failed`
 */
export async function writePhrase(path: string, phrase: string): Promise<void> {
  const trimmed = phrase.normalize().trim();
  // Joiners belong to the scripts of India; other letters that cannot be seen could tell two phrases apart unseen.
  const visible = trimmed.replaceAll(/[\u200c\u200d]/g, "");
  if ([...trimmed].length > MAX_LETTERS || /[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/u.test(visible)) {
    throw new DsignError(
      "invalid_params",
      `A phrase has at most ${MAX_LETTERS} characters, all of them visible.`,
    );
  }
  await writeAtomically(path, trimmed + "\n");
}
