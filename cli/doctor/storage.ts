/** D-Sign's folders: whether it can write there, whether there is space, and whether the clock is right. */
import { constants } from "node:fs";
import { access, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeStateFolder } from "../../settings/config.ts";
import type { Situation } from "./machine.ts";
import { type Finding, ok, orOk, skipped } from "./tickets.ts";

/** MB: below the first it is an error, below the second a warning. */
const ROOM = { least: 10, little: 200 };

/** Bytes to write as a test, because statfs ignores quotas. */
const PROBE = 64 * 1024;

/** The clock is slow if files are newer by more than this, in milliseconds. */
const CLOCK_TOLERANCE = 10 * 60 * 1000;

/**
 * The command that gives D-Sign's folder back to the person: with all its files, or, if it does not exist, the folder
 * alone. Never its parent, which may be shared.
 */
const OWN_ALL = 'chown -R "$USER"';
const MAKE = 'install -d -o "$USER" -m 700';

/** Whether D-Sign can write to its folders and files, or create the folders. */
export async function checkProfile({ paths }: Situation): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const folder of [paths.state, dirname(paths.config)]) {
    const place = await nearest(folder);
    const wanted = [place, ...place === folder ? await filesIn(folder) : []];
    for (const path of wanted) {
      const error = await whyNotWritable(path);
      if (error === null) continue;
      findings.push({
        id: "profile_not_writable",
        status: "error",
        values: { path, error, folder, mend: place === folder ? OWN_ALL : MAKE },
        ...await isMine(folder) && { fix: () => makeWritable(folder, path) },
      });
      break;
    }
  }
  return orOk("profile_not_writable", findings);
}

/** Whether there is space where D-Sign writes. */
export async function checkDisk({ paths }: Situation): Promise<Finding[]> {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const folder of [paths.state, dirname(paths.config)]) {
    const place = await nearest(folder);
    if (seen.has(place)) continue;
    seen.add(place);
    const { bavail, bsize } = await statfs(place);
    const free = Math.floor(bavail * bsize / 1e6);
    const isFull = free < ROOM.least || await isOutOfSpace(place);
    if (!isFull && free >= ROOM.little) continue;
    const status = isFull ? "error" : "warning";
    findings.push({ id: "disk_full", status, values: { path: place, free } });
    break;
  }
  return orOk("disk_full", findings);
}

/**
 * Whether the clock is slow, compared with this program's own file and with files that the program wrote. Asks nobody
 * over the network.
 */
export async function checkClock({ machine, paths }: Situation): Promise<Finding[]> {
  const now = machine.now();
  const files = [Deno.execPath(), paths.config, ...await filesIn(paths.state)];
  for (const path of files) {
    const { mtime } = await Deno.stat(path).catch(() => ({ mtime: null }));
    if (!mtime || mtime.getTime() - now.getTime() <= CLOCK_TOLERANCE) continue;
    return [{
      id: "clock_wrong",
      // Our own files are also too new if the clock was fast at some time.
      status: path === Deno.execPath() ? "error" : "warning",
      values: { now: minute(now), evidence: path, then: minute(mtime) },
    }];
  }
  return [files.length > 0 ? ok("clock_wrong") : skipped("clock_wrong")];
}

const minute = (date: Date) => date.toISOString().slice(0, 16).replace("T", " ") + " UTC";

/** The folder, or its nearest existing parent. */
async function nearest(folder: string): Promise<string> {
  for (let path = folder;; path = dirname(path)) {
    const found = await Deno.stat(path).then(() => true, () => false);
    if (found || dirname(path) === path) return path;
  }
}

/** Files that D-Sign wrote into a folder; none if the folder cannot be read. */
async function filesIn(folder: string): Promise<string[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.filter((entry) => entry.isFile).map(({ name }) => join(folder, name)).sort();
  } catch {
    return [];
  }
}

/** The system's reason against writing; null if there is none. */
async function whyNotWritable(path: string): Promise<string | null> {
  try {
    const { isDirectory } = await Deno.stat(path);
    const search = isDirectory ? constants.X_OK : 0;
    await access(path, constants.R_OK | constants.W_OK | search);
    return null;
  } catch (error) {
    // An agent has just replaced or removed the file.
    if (error instanceof Deno.errors.NotFound || (error as { code?: string }).code === "ENOENT") {
      return null;
    }
    return (error as Error).message.replace(/, access .*/, "");
  }
}

async function isMine(folder: string): Promise<boolean> {
  const { uid } = await Deno.stat(await nearest(folder)).catch(() => ({ uid: null }));
  return Deno.build.os !== "windows" && uid === Deno.uid();
}

/** Restores the owner's permissions, or creates the folder. */
async function makeWritable(folder: string, path: string): Promise<void> {
  const { isDirectory, mode } = await Deno.stat(path);
  await Deno.chmod(path, (mode! & 0o777) | (isDirectory ? 0o700 : 0o600));
  await makeStateFolder(folder);
}

async function isOutOfSpace(folder: string): Promise<boolean> {
  const path = join(folder, `.dsign-${crypto.randomUUID()}`);
  try {
    using file = Deno.openSync(path, { write: true, createNew: true });
    // Removed at once, so that nothing stays if the program is killed.
    Deno.removeSync(path);
    const bytes = crypto.getRandomValues(new Uint8Array(PROBE));
    for (let n = 0; n < bytes.length;) n += await file.write(bytes.subarray(n));
    return false;
  } catch (error) {
    return (error as { code?: string }).code === "ENOSPC" ||
      (error as { code?: string }).code === "EDQUOT";
  }
}
