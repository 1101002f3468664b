/** The root certificates by which signatures are verified, as files of the trust folders. */
import { join } from "node:path";
import { pem } from "../formats/asn1/pem.ts";
import { FormatError } from "../formats/error.ts";
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { isSignedWith } from "../formats/x509/signed.ts";
import { isTrial } from "../formats/x509/trial.ts";
import { DsignError } from "../protocol/errors.ts";
import { certificateFiles, loadAnchors } from "./anchors.ts";

export interface TrustedRoot {
  certificate: Certificate;
  /** The file that holds it, perhaps with others. */
  path: string;
}

/**
 * Every certificate in the trust folders; a folder that is not there is an empty one.
 *
 * @throws {DsignError} as `loadAnchors`
 */
export async function listRoots(folders: readonly string[]): Promise<TrustedRoot[]> {
  const found: TrustedRoot[] = [];
  for (const folder of folders) {
    for (const path of await certificateFiles(folder)) {
      for (const certificate of await loadAnchors(path)) found.push({ certificate, path });
    }
  }
  return found;
}

/** Why a certificate cannot be a root to be trusted. */
export type NotARoot = "issued_by_another" | "not_an_authority" | "not_self_signed" | "of_trial";

/** Undefined: it can be trusted as a root. */
export async function notARoot(certificate: Certificate): Promise<NotARoot | undefined> {
  const { subject, issuer, basicConstraints, publicKey, version } = certificate;
  if (isTrial(certificate)) return "of_trial";
  if (!subject.equals(issuer)) return "issued_by_another";
  if (version === 3 && !basicConstraints?.ca) return "not_an_authority";
  try {
    if (await withMlDsa(() => isSignedWith(certificate, publicKey))) return undefined;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
  }
  return "not_self_signed";
}

/**
 * Puts a root into a trust folder, as a separate PEM file.
 *
 * @returns the file
 * @throws {DsignError} `storage_failed`
 */
export async function addRoot(folder: string, certificate: Certificate): Promise<string> {
  const { fingerprint, subject, der } = certificate;
  const words = (subject.commonName ?? "root").normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-");
  const path = join(folder, `${words.slice(0, 40)}-${fingerprint.slice(0, 8)}.crt`);
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(temporary, pem("CERTIFICATE", der), { createNew: true, mode: 0o644 });
    await Deno.rename(temporary, path);
    return path;
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may not be there
    throw new DsignError("storage_failed", `${path} cannot be written.`, { cause: String(error) });
  }
}

/**
 * Takes a root out of its file, and the file away if it held nothing else.
 *
 * @throws {DsignError} `storage_failed`
 */
export async function removeRoot({ certificate, path }: TrustedRoot): Promise<void> {
  const others = (await loadAnchors(path))
    .filter(({ fingerprint }) => fingerprint !== certificate.fingerprint);
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    if (others.length === 0) return await Deno.remove(path);
    const text = others.map(({ der }) => pem("CERTIFICATE", der)).join("");
    await Deno.writeTextFile(temporary, text, { createNew: true, mode: 0o644 });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {}); // it may not be there
    throw new DsignError("storage_failed", `${path} cannot be changed.`, { cause: String(error) });
  }
}
