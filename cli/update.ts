/** `dsign update check`: looks for a newer version. Installs nothing, and never runs by itself. */
import { join } from "node:path";
import * as z from "zod";
import { makeStateFolder } from "../settings/config.ts";
import { writeAtomically } from "../settings/files.ts";
import { UpdateSource } from "../settings/policy_file.ts";
import { printable, printJson } from "./failure.ts";
import type { AddCommand } from "./command.ts";
import { loadConfig } from "./providers.ts";
import {
  checkFresh,
  compareVersions,
  type Manifest,
  MAX_MANIFEST,
  readManifest,
  type Seen,
  UpdateError,
} from "./update/manifest.ts";
// The release workflow (.github/workflows/release.yml) fills in the address and the public key.
import builtIn from "./update/release_source.json" with { type: "json" };
import { readBounded, TooLongError } from "../online/http.ts";

/** Milliseconds to wait for the manifest. */
const TIMEOUT = 20_000;

const SeenFile = z.record(z.string(), z.object({ version: z.string(), issued: z.string() }));

/** `dsign update` */
export const updateCommand: AddCommand = (program, { version, signal }, action) => {
  program.command("update")
    .description("Check for a newer version.")
    .command("check", { isDefault: true })
    .description("Check a signed manifest for a newer version. Installs nothing.")
    .option("--json", "print one JSON object: current, channel, newest, newer, notes, files")
    .action(action(async ({ json }: { json?: boolean }) => {
      const { config, paths, policy } = await loadConfig();
      const { updateChannel: channel } = config;
      if (channel === "none") {
        if (json) printJson({ current: version, channel, newest: null, newer: false, files: [] });
        else console.log("The update check is switched off (updateChannel).");
        return;
      }
      await makeStateFolder(paths.state);
      const { manifest, newer, files } = await checkForUpdate({
        source: policy.updateSource ?? sourceOfBuild(),
        channel,
        version,
        memory: join(paths.state, "updates.json"),
        now: new Date(),
        signal,
      });
      if (json) {
        const { version: newest, notes } = manifest;
        printJson({ current: version, channel, newest, newer, notes: notes ?? null, files });
      } else show(manifest, files, newer, version);
    }));
};

/** Input of {@linkcode checkForUpdate}. */
export interface UpdateQuestion {
  source: UpdateSource;
  channel: string;
  /** The running version. */
  version: string;
  /** File that stores the newest manifest seen in each channel. */
  memory: string;
  now: Date;
  signal: AbortSignal;
}

/**
 * Fetches a channel's manifest, checks it against the keys, the clock and earlier manifests, and stores it.
 *
 * @throws {UpdateError}
 */
export async function checkForUpdate(
  { source, channel, version, memory, now, signal }: UpdateQuestion,
): Promise<{ manifest: Manifest; newer: boolean; files: Manifest["files"] }> {
  const manifest = await readManifest(await fetchManifest(source, channel, signal), source.keys);
  const seen = await readSeen(memory);
  checkFresh(manifest, { channel, now, seen: seen[channel] });
  const { version: newest, issued } = manifest;
  await writeAtomically(
    memory,
    JSON.stringify({ ...seen, [channel]: { version: newest, issued } }) + "\n",
  );
  return {
    manifest,
    newer: compareVersions(newest, version) > 0,
    files: manifest.files.filter(({ target }) => target === Deno.build.target),
  };
}

/** @throws {UpdateError} `update_not_set_up` */
function sourceOfBuild(): UpdateSource {
  const { data } = UpdateSource.safeParse(builtIn);
  if (data) return data;
  throw new UpdateError(
    "update_not_set_up",
    "This build has no update address. The administrator's policy can set one (updateSource).",
  );
}

/** @throws {UpdateError} `update_unreachable`, `update_malformed` */
async function fetchManifest(
  { manifest }: UpdateSource,
  channel: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const url = manifest.replaceAll("{channel}", channel);
  const unreachable = (why: string, options?: ErrorOptions) =>
    new UpdateError("update_unreachable", `${url} ${why}.`, options);
  try {
    const response = await fetch(url, {
      cache: "no-store",
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT)]),
    });
    if (!response.ok) {
      await response.body?.cancel();
      throw unreachable(`answered with status ${response.status}`);
    }
    return await readBounded(response, MAX_MANIFEST);
  } catch (error) {
    if (error instanceof UpdateError) throw error;
    if (error instanceof TooLongError) {
      throw new UpdateError("update_malformed", `${url} is too large.`);
    }
    throw unreachable("could not be reached", { cause: error });
  }
}

async function readSeen(path: string): Promise<Record<string, Seen>> {
  try {
    return SeenFile.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch (error) {
    // Without the file, the manifest's own expiry still protects. A damaged file is written again.
    const isUnreadable = error instanceof Deno.errors.NotFound || error instanceof SyntaxError ||
      error instanceof z.ZodError;
    if (isUnreadable) return {};
    throw error;
  }
}

function show(
  manifest: Manifest,
  files: Manifest["files"],
  newer: boolean,
  version: string,
): void {
  const line = (text: string) => console.log(printable(text));
  if (!newer) return line(`dsign ${version} is the newest version (channel ${manifest.channel}).`);
  line(`dsign ${manifest.version} is available; this is ${version}.`);
  if (manifest.notes) line(`  New: ${manifest.notes}`);
  for (const { url, sha256 } of files) {
    line(`  ${url}`);
    line(`    SHA-256 ${sha256}`);
  }
  if (files.length === 0) line("  It has no file for this kind of computer.");
  line("Nothing was installed.");
}
