/** `dsign sign --container`: files in an ASiC container with the signature, or one more signature in such a container. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { HashAlgorithm } from "../protocol/methods.ts";
import type { Level } from "../online/pades.ts";
import { bytesSource } from "../formats/source.ts";
import { containerInput } from "../signing/container_input.ts";
import type { Caller, Signing } from "../signing/sign.ts";
import { UsageError } from "./failure.ts";
import { fileSize } from "./input_file.ts";
import { createOutput } from "./output_file.ts";
import { MAX_WHOLE, readWhole } from "./sign_data.ts";

/** Kinds of containers that are made. */
export const CONTAINERS = ["asic-e", "asic-s"] as const;

export interface ContainerFlags {
  container?: typeof CONTAINERS[number];
  format?: string;
  hash?: HashAlgorithm;
  level?: Level;
  certificate?: string;
  output?: string;
  force?: boolean;
}

/** By the last part of a name; receivers are only told, nothing depends on it. */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  pdf: "application/pdf",
  xml: "text/xml",
  json: "application/json",
  txt: "text/plain",
  csv: "text/csv",
  png: "image/png",
  jpg: "image/jpeg",
};

const mediaTypeOf = (name: string) =>
  MEDIA_TYPES[/\.([^.]+)$/.exec(name)?.[1].toLowerCase() ?? ""] ?? "application/octet-stream";

/** @throws {UsageError} where the options do not go together */
export function checkContainerFlags(
  { container, format = "cades" }: ContainerFlags,
  others: Readonly<Record<string, unknown>>,
): "cades" | "xades" {
  if (format !== "cades" && format !== "xades") {
    throw new UsageError("--container works with --format cades or xades.");
  }
  for (const each of ["batch", "detached", "cosign", "countersign", "also"]) {
    if (others[each] !== undefined) {
      throw new UsageError(`--${each} does not work with --container ${container}.`);
    }
  }
  return format;
}

/** Signs files into a new container, or one container that is given once more. */
export async function signContainerFiles(
  signing: Signing,
  files: readonly string[],
  { container, hash, level = "B-B", certificate, output, force = false }: ContainerFlags,
  format: "cades" | "xades",
  signal: AbortSignal,
): Promise<{ file: string; output: string; algorithm: string; certificate: string }> {
  const kind = container!;
  const read = await Promise.all(files.map(async (file) => {
    const size = await fileSize(file);
    if (size > MAX_WHOLE) throw new UsageError(`${file} is too large for a container.`);
    const name = basename(file);
    return { name, bytes: await readWhole(file, size, signal), mediaType: mediaTypeOf(name) };
  }));
  const names = read.map(({ name }) => name);
  const doubled = names.find((name, index) => names.indexOf(name) !== index);
  if (doubled !== undefined) throw new UsageError(`Two files are called ${doubled}.`);
  const input = containerInput(
    read.map(({ name, mediaType, bytes }) => ({ name, mediaType, source: bytesSource(bytes) })),
  );
  const isExisting = "container" in input;
  const extension = kind === "asic-s" ? "asics" : "asice";
  const path = output ??
    (isExisting
      ? files[0].replace(/(\.(?:asic[se]|sc[se]))?$/i, (end) => `-signed${end || `.${extension}`}`)
      : `${files[0]}.${extension}`);
  const written = await createOutput(path, force);
  try {
    const caller: Caller = { asker: { origin: null, trustedSince: null, purpose: null }, signal };
    const how = { kind, format, level, hash, certificate };
    const signed = await signing.signContainer(input, how, caller);
    await written.write(signed.container);
    await written.finish();
    const id = createHash("sha256").update(signed.certificate, "base64").digest("hex");
    return { file: files.join(", "), output: path, algorithm: signed.algorithm, certificate: id };
  } finally {
    written.abandon();
  }
}
