/** The trust sets of the configuration: folders of root certificates, read anew when they change. */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import { DsignError } from "../protocol/errors.ts";
import { certificateFiles, loadAnchors } from "../settings/anchors.ts";

const log = getLogger(["dsign", "verify-service"]);

interface TrustSet {
  folder: string;
  /** DER */
  anchors: Uint8Array[];
  /** What the folder looked like when it was read. */
  seen: string;
  /** Why the folder, as it is now, is not used: the certificates are those of before. */
  problem: string | null;
}

export class TrustSets {
  readonly #sets = new Map<string, TrustSet>();

  private constructor(readonly trial: boolean) {}

  /**
   * Reads every set.
   *
   * @param folders by name
   * @param trial whether roots of trial agents are taken
   * @throws {DsignError} if one cannot be read or is empty
   */
  static async load(
    folders: Readonly<Record<string, string>>,
    trial = false,
  ): Promise<TrustSets> {
    const sets = new TrustSets(trial);
    for (const [name, folder] of Object.entries(folders)) {
      const seen = await lookOf(folder);
      sets.#sets.set(name, { folder, anchors: await read(folder, trial), seen, problem: null });
    }
    return sets;
  }

  /** The certificates of a set, DER; undefined if there is no set of this name. */
  get(name: string): Uint8Array[] | undefined {
    return this.#sets.get(name)?.anchors;
  }

  /** What is wrong with each set; null if nothing is. */
  get problems(): Record<string, string | null> {
    return Object.fromEntries([...this.#sets].map(([name, { problem }]) => [name, problem]));
  }

  /** Reads the folders that have changed. One that cannot be read leaves its set as it was. */
  async reload(): Promise<void> {
    for (const [name, set] of this.#sets) {
      try {
        const seen = await lookOf(set.folder);
        if (seen === set.seen && set.problem === null) continue;
        set.anchors = await read(set.folder, this.trial);
        set.seen = seen;
        set.problem = null;
        log.info("Trust set {name}: {count} certificates.", { name, count: set.anchors.length });
      } catch (error) {
        const { message } = error as Error;
        if (set.problem !== message) {
          log.error("Trust set {name} stays as it was: {message}", { name, message });
        }
        set.problem = message;
      }
    }
  }
}

/** @throws {DsignError} */
async function read(folder: string, trial: boolean): Promise<Uint8Array[]> {
  const anchors: Uint8Array[] = [];
  const none = (path: string) =>
    new DsignError("certificate_not_found", `${path} has no certificate in it.`);
  for (const file of await certificateFiles(folder)) {
    const found = await loadAnchors(file, trial);
    // It may be on its way.
    if (found.length === 0) throw none(file);
    anchors.push(...found.map(({ der }) => der));
  }
  if (anchors.length === 0) throw none(folder);
  return anchors;
}

/** Names, sizes and times of a folder's files. @throws {DsignError} */
async function lookOf(folder: string): Promise<string> {
  try {
    const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
    const files = await Promise.all(names.map(async (name) => {
      const { size, mtime } = await Deno.stat(join(folder, name));
      return [name, size, mtime?.getTime()];
    }));
    return JSON.stringify(files);
  } catch (error) {
    throw new DsignError("storage_failed", `${folder} cannot be read.`, { cause: String(error) });
  }
}
