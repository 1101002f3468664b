/**
 * Versions unpacked for this person by the self-extracting form (tasks/launcher.sh). Each running program holds a lock
 * on its version, which the system releases with the process; the agent removes unlocked versions.
 */
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { getLogger } from "@logtape/logtape";

const log = getLogger(["dsign", "update"]);

const VERSION = /^[0-9a-f]{64}$/;
/** Folders left behind by a killed start or removal. */
const REMAINS = /^(?:new|old)\./;
/** The launcher writes this file at each start. */
const MARK = "whole";
/** Milliseconds after which a start surely holds its lock, and an unpacking is over. */
const STARTING = 60 * 60_000;

/** The folder into which this program was unpacked; null for other forms of the program. */
export function unpackedFolder(mainModule: string): string | null {
  if (Deno.build.standalone) return null;
  const folder = dirname(fileURLToPath(mainModule));
  return VERSION.test(basename(folder)) ? folder : null;
}

/** Protects the folder from removal while the process lives. */
export function holdUnpacked(folder: string): Deno.FsFile {
  const mark = Deno.openSync(join(folder, MARK));
  mark.tryLockSync(false);
  return mark;
}

/** Removes other versions beside `folder`, unless they are running or have just been started. */
export async function removeOldVersions(folder: string, now = Date.now()): Promise<void> {
  const base = dirname(folder);
  const isOld = async (path: string) =>
    now - ((await Deno.stat(path)).mtime?.getTime() ?? now) > STARTING;
  for await (const { name, isDirectory } of Deno.readDir(base)) {
    if (!isDirectory || name === basename(folder)) continue;
    const path = join(base, name);
    try {
      if (REMAINS.test(name) && await isOld(path)) await Deno.remove(path, { recursive: true });
      if (!VERSION.test(name) || !await isOld(join(path, MARK))) continue;
      using mark = await Deno.open(join(path, MARK), { read: true, write: true });
      if (!await mark.tryLock(true)) continue;
      // Renamed first, so that nothing starts from it even if the removal stops halfway.
      const away = join(base, `old.${crypto.randomUUID()}`);
      await Deno.rename(path, away);
      await Deno.remove(away, { recursive: true });
    } catch (error) {
      log.warn("An old version in {path} could not be removed: {error}", { path, error });
    }
  }
}
