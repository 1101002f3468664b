/**
 * The versions that the self-extracting form (tasks/launcher.sh) has unpacked for this person. Each program that runs
 * holds a lock on its own, which the system drops with the process; the agent removes the others.
 */
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { getLogger } from "@logtape/logtape";

const log = getLogger(["dsign", "update"]);

const VERSION = /^[0-9a-f]{64}$/;
/** What a start, or a removal, that was killed left behind. */
const REMAINS = /^(?:new|old)\./;
/** The launcher writes into it at each start. */
const MARK = "whole";
/** Milliseconds within which a start has its lock for certain, and an unpacking is over. */
const STARTING = 60 * 60_000;

/** The folder that this program was unpacked into; null where it is of another form. */
export function unpackedFolder(mainModule: string): string | null {
  if (Deno.build.standalone) return null;
  const folder = dirname(fileURLToPath(mainModule));
  return VERSION.test(basename(folder)) ? folder : null;
}

/** Keeps the folder from being removed, for as long as the process lives. */
export function holdUnpacked(folder: string): Deno.FsFile {
  const mark = Deno.openSync(join(folder, MARK));
  mark.tryLockSync(false);
  return mark;
}

/** Removes what other versions left beside `folder`, unless they run or have just been started. */
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
      // Under another name it is started from no more, however far the removal gets.
      const away = join(base, `old.${crypto.randomUUID()}`);
      await Deno.rename(path, away);
      await Deno.remove(away, { recursive: true });
    } catch (error) {
      log.warn("An old version in {path} could not be removed: {error}", { path, error });
    }
  }
}
