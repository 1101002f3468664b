/** `dsign sign` for CMS, XML, JSON and bare signatures, which need the whole file in memory. */
import type { Level } from "../online/pades.ts";
import type { DataHow } from "../signing/data.ts";
import { DsignError } from "../protocol/errors.ts";
import type { HashAlgorithm } from "../protocol/methods.ts";
import { UsageError } from "./failure.ts";
import { fileSize, readPieces } from "./input_file.ts";

/** Largest file that is read into memory, in bytes. */
export const MAX_WHOLE = 64 * 1024 * 1024;

export type DataFormat = DataHow["format"];

/** Options of these signatures. */
export interface DataFlags {
  detached?: boolean;
  hash?: HashAlgorithm;
  level?: Level;
  certificate?: string;
  /** File of an existing signature. */
  cosign?: string;
  countersign?: string;
}

/** The parameters of `sign.data`; {@linkcode checkAdded} has already checked the combination. */
export async function dataHow(
  format: DataFormat,
  name: string,
  { detached, hash, level = "B-B", certificate, cosign, countersign }: DataFlags,
  signal: AbortSignal,
): Promise<DataHow> {
  const packaging = detached ? "detached" : "attached";
  const made = { name, hash, certificate };
  if (countersign !== undefined) {
    const signature = await readSignature(countersign, signal);
    return { ...made, format: "cades", level: "B-B", countersign: { signature, signer: [0] } };
  }
  const added = cosign === undefined ? undefined : await readSignature(cosign, signal);
  switch (format) {
    case "cades":
      return { ...made, format, packaging, level, cosign: added };
    case "jws":
      return { ...made, format, packaging, level, cosign: added };
    case "xades":
      return { ...made, format, packaging, level };
    case "xmldsig":
      return { ...made, format, packaging, level: "B-B" };
    case "raw":
      return { ...made, format, hash: hash ?? "SHA-256" };
  }
}

/**
 * Whether a signature is to be added to.
 *
 * @throws {UsageError} if it cannot be in that way
 */
export function checkAdded(
  files: readonly string[],
  { format = "cades", cosign, countersign }: DataFlags & { format?: string },
): boolean {
  if (cosign === undefined && countersign === undefined) return false;
  if (cosign !== undefined && countersign !== undefined) {
    throw new UsageError("Use either --cosign or --countersign.");
  }
  if (countersign !== undefined && format !== "cades") {
    throw new UsageError("--countersign requires --format cades.");
  }
  if (format !== "cades" && format !== "jws") {
    throw new UsageError(
      "--cosign requires --format cades or jws. To add a signature to XML, sign it again.",
    );
  }
  if (files.length > 1) throw new UsageError("--cosign and --countersign take exactly one file.");
  return true;
}

/** @returns Base64 */
async function readSignature(file: string, signal: AbortSignal): Promise<string> {
  const size = await fileSize(file);
  if (size > MAX_WHOLE) throw new UsageError(`${file} is too large to be added to.`);
  return (await readWhole(file, size, signal)).toBase64();
}

/** @throws {DsignError} `too_large` if the file grows meanwhile */
export async function readWhole(
  file: string,
  size: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const content = new Uint8Array(size);
  let at = 0;
  for await (const piece of readPieces(file, size, "Reading", signal)) {
    if (at + piece.length > size) throw new DsignError("too_large", `${file} is growing.`);
    content.set(piece, at);
    at += piece.length;
  }
  return content.subarray(0, at);
}
