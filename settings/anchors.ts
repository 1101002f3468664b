/** Trusted root certificates, from the folders of the person and of the administrator. */
import { dirname, join } from "node:path";
import { FormatError } from "../formats/error.ts";
import { readCertificates } from "../formats/x509/bundle.ts";
import { type Certificate, readCertificate } from "../formats/x509/certificate.ts";
import { isTrial } from "../formats/x509/trial.ts";
import { DsignError } from "../protocol/errors.ts";
import type { Paths } from "./config.ts";
import { policyPath } from "./policy_file.ts";

const MAX_FILE = 16 * 1024 * 1024;
const NAMES = /\.(?:crt|cer|pem|der)$/i;

/** `trust` beside the configuration, and beside the administrator's policy (`/etc/dsign/trust` on Linux). */
export function trustFolders(
  { config }: Pick<Paths, "config">,
  env: (name: string) => string | undefined,
): string[] {
  return [config, policyPath(env)].map((path) => join(dirname(path), "trust"));
}

/** The certificates in those folders; a missing folder counts as empty. */
export async function loadTrusted(folders: readonly string[]): Promise<Certificate[]> {
  const found: Certificate[] = [];
  for (const folder of folders) {
    for (const path of await certificateFiles(folder)) found.push(...await loadAnchors(path));
  }
  return found;
}

/** The files of a folder whose names end in crt, cer, pem or der; none if the folder is missing. */
export async function certificateFiles(folder: string): Promise<string[]> {
  try {
    if (!(await Deno.stat(folder)).isDirectory) return [];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw unreadable(folder, error);
  }
  return await filesOf(folder);
}

/**
 * Reads certificates from a file, or from the files of a folder whose names end in crt, cer, pem or der.
 *
 * @param trial whether certificates of trial agents are taken
 * @throws {DsignError} `certificate_malformed`, naming the file; `storage_failed` if it cannot be read;
 *   `invalid_params` for a certificate of a trial agent
 */
export async function loadAnchors(path: string, trial = false): Promise<Certificate[]> {
  const anchors: Certificate[] = [];
  for (const file of await filesOf(path)) {
    try {
      for (const der of readCertificates(await readFile(file))) anchors.push(readCertificate(der));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new DsignError("certificate_malformed", `${file}: ${error.message}`);
    }
    if (!trial && anchors.some(isTrial)) {
      throw new DsignError(
        "invalid_params",
        `${file} is of a trial agent, whose signatures are worth nothing. For tests, give "dsign verify" or "dsign verify-service" the option --trial.`,
      );
    }
  }
  return anchors;
}

async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await Deno.stat(path)).isDirectory) return [path];
    const entries = await Array.fromAsync(Deno.readDir(path));
    return entries.filter(({ name }) => NAMES.test(name)).map(({ name }) => join(path, name))
      .toSorted();
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    const { isFile, size } = await Deno.stat(path);
    // Reading a pipe or a device could block forever.
    if (!isFile) throw new Error("It is not a file.");
    if (size <= MAX_FILE) return await Deno.readFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  throw new FormatError("limit_exceeded", "The file is too large to be a file of certificates.");
}

const unreadable = (path: string, error: unknown) =>
  new DsignError("storage_failed", `${path} cannot be read.`, { cause: String(error) });
