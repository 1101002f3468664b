/** Changing one setting in the person's configuration file without touching the others. */
import { dirname } from "node:path";
import { type Config, readConfig } from "../settings/config.ts";
import { writeAtomically } from "../settings/files.ts";
import { FileError } from "./failure.ts";

/** The file's own settings, without defaults. */
type Raw = Partial<Config> & Record<string, unknown>;

/**
 * Reads the configuration, lets `change` change it, and replaces the file as a whole.
 *
 * @throws {DsignError} `invalid_params` if the file is already wrong (nothing is written); `storage_failed`
 */
export async function changeConfig(path: string, change: (settings: Raw) => void): Promise<void> {
  await readConfig(path);
  let settings: Raw = {};
  try {
    settings = JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new FileError(path, error);
  }
  change(settings);
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw new FileError(dirname(path), error);
  }
  await writeAtomically(path, JSON.stringify(settings, null, 2) + "\n");
}
