/**
 * Signatures in containers (ASiC): over one or several files, beside those of others. A reader runs it (questions.ts);
 * what the key signs is compared outside with the files that the person was shown.
 */
import { contentUnder, readContainer, withFiles } from "../formats/asic/container.ts";
import {
  FILE_LIST,
  listFiles,
  listSignature,
  type MadeKind,
  manifestName,
  nextSignature,
  startContainer,
} from "../formats/asic/make.ts";
import { dosTime } from "../formats/asic/zip.ts";
import { manifestFor, uriOf } from "../formats/asic/manifest.ts";
import { prepareCosignature } from "../formats/cms/add.ts";
import { prepareSignedData } from "../formats/cms/write.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { bytesSource } from "../formats/source.ts";
import { readFacts } from "../formats/verify/verify.ts";
import { prepareXmlSignature } from "../formats/xml/xades.ts";
import { augment } from "../online/augment.ts";
import type { Level } from "../online/pades.ts";
import type { SignedBefore } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import { certificateOfRight, type DataSigner, rightOne } from "./data.ts";
import type { Trust } from "./proven.ts";

/** How a container is signed. */
export interface ContainerHow {
  kind: MadeKind;
  format: "cades" | "xades";
  level: Level;
}

/** A file in a container. */
export interface ContainerFile {
  name: string;
  bytes: Uint8Array;
  mediaType: string;
}

/** Files for a new container, or a container with signatures. */
export type ContainerInput = { files: ContainerFile[] } | { container: Uint8Array };

/** What XML 1.0 §2.2 cannot hold; names and media types stand in manifests. */
const NOT_IN_XML = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;

function open(input: ContainerInput, kind: MadeKind, now: Date) {
  const files = "files" in input ? input.files : [];
  const isUnfit = files.some(({ name, mediaType }) => NOT_IN_XML.test(name + mediaType));
  if (isUnfit) {
    throw new DsignError(
      "invalid_params",
      "The name or the media type of a file has a character that a container cannot hold.",
    );
  }
  try {
    const container = "container" in input
      ? readContainer(input.container)
      : startContainer(kind, input.files, now);
    if (container.kind === kind) return container;
    throw new DsignError("invalid_params", `The container is ${container.kind}, not ${kind}.`);
  } catch (error) {
    // Names and number of the files are the page's.
    if (!(error instanceof FormatError) || error.code !== "invalid_argument") throw error;
    throw new DsignError("invalid_params", error.message);
  }
}

/**
 * Finds out whether a container can be signed so.
 *
 * @returns the files to be signed, each with those who have signed it already, and the name of the signature's file
 * @throws {FormatError} as `readContainer`; {DsignError} `invalid_params` where the files do not fit the kind,
 *   `signature_mismatch` where an earlier signature does not hold
 */
export function checkContainer(
  { kind, format }: ContainerHow,
  input: ContainerInput,
  trust: Trust,
  now: Date,
): {
  files: (Omit<ContainerFile, "mediaType"> & { signedBy: SignedBefore[] })[];
  signature: string;
} {
  const container = open(input, kind, now);
  const before = ("container" in input ? factsOf(input.container) : [])
    .map((each) => ({ ...each.coverage, by: rightOne(each, trust) }));
  return {
    files: [...container.data].map(([name, bytes]) => ({
      name,
      bytes,
      signedBy: before.flatMap(({ parts, by }) => parts.includes(name) ? [by] : []),
    })),
    signature: nextSignature(container, format),
  };
}

const factsOf = (bytes: Uint8Array) => readFacts({ source: bytesSource(bytes) }).signatures;

/**
 * Signs all files of a container.
 *
 * @param mediaTypes of the files, by name
 * @returns the container
 * @throws {DsignError} `signature_invalid` where the result does not hold; {OnlineError}; {FormatError}
 */
export async function signContainer(
  { kind, format, level }: ContainerHow,
  input: ContainerInput,
  mediaTypes: ReadonlyMap<string, string>,
  { signer, hash, sign, now, online, signal }: DataSigner,
): Promise<Uint8Array> {
  const time = now();
  const container = open(input, kind, time);
  const name = nextSignature(container, format);
  const files = [...container.data].map(([name, bytes]) => ({
    name,
    mediaType: mediaTypes.get(name) ?? "application/octet-stream",
    digest: (hash: Parameters<typeof digest>[0]) => digest(hash, bytes),
  }));
  const existing = container[format].get(name);
  const added = new Map<string, Uint8Array>();
  if (format === "cades") {
    if (kind === "asic-e") added.set(manifestName(name), manifestFor(name, files, hash));
    const [signed] = kind === "asic-e" ? added.values() : container.data.values();
    const content = { digest: digest(hash, signed) };
    const prepared = existing
      ? prepareCosignature(existing, signer, { signingTime: time }, content)
      : prepareSignedData(content, signer, { signingTime: time });
    added.set(name, prepared.complete(await sign(prepared.toBeSigned)));
  } else {
    const prepared = prepareXmlSignature({
      ...signer,
      packaging: {
        kind: "detached",
        files: files.map(({ name, mediaType, digest }) => ({
          uri: uriOf(name),
          digest: digest(hash),
          mediaType,
        })),
        beside: existing,
      },
      xades: { signingTime: time },
    });
    const made = prepared.complete(await sign(prepared.toBeSigned));
    added.set(name, listSignature(existing, made));
    if (kind === "asic-e" && !container.entries.some(({ name }) => name === FILE_LIST)) {
      const typeOf = (each: string) => files.find(({ name }) => name === each)!.mediaType;
      added.set(FILE_LIST, listFiles([...container.data.keys()], typeOf));
    }
  }
  const withSignature = (bytes: Uint8Array) => {
    const all = [...added].map(([each, own]) => ({
      name: each,
      bytes: each === name ? bytes : own,
    }));
    return withFiles(container, all, dosTime(time));
  };
  let signature = added.get(name)!;
  if (level !== "B-B") {
    const content = contentUnder(readContainer(withSignature(signature)), name);
    const source = bytesSource(signature);
    const raised = await augment({ source, content }, { level, which: "last" }, online, signal);
    if (!("file" in raised)) throw new DsignError("signature_invalid");
    signature = raised.file;
  }
  const result = withSignature(signature);
  const facts = factsOf(result);
  const own = facts.some((each) =>
    certificateOfRight(each).der.toHex() === signer.certificate.toHex() &&
    each.coverage.extent === "whole"
  );
  if (!own) throw new DsignError("signature_invalid");
  return result;
}
