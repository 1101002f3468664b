/** Associated signature containers (EN 319 162-1), and ODF as LibreOffice signs it (ODF 1.2 part 3 §5): what stands where. */
import type { VerifyContent } from "../content.ts";
import { digest, HASHES } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { DigestName } from "../signer.ts";
import { ASIC, digestAlgorithm, DS } from "../xml/algorithms.ts";
import { parseXml } from "../xml/document.ts";
import { attribute, childrenNamed, isNamed, textOf, type XmlElement } from "../xml/tree.ts";
import { readZip, writeZip, type ZipEntry } from "./zip.ts";

export const MEDIA_TYPES = {
  "asic-s": "application/vnd.etsi.asic-s+zip",
  "asic-e": "application/vnd.etsi.asic-e+zip",
} as const;

/** Kind of a container; `odf`: an OpenDocument file. */
export type ContainerKind = keyof typeof MEDIA_TYPES | "odf";

export interface Container {
  kind: ContainerKind;
  /** All, in their order. */
  entries: readonly ZipEntry[];
  /** Those that signatures are to cover, by name. */
  data: ReadonlyMap<string, Uint8Array>;
  /** `META-INF/…`: CMS (CAdES) and XML (XAdES). */
  cades: ReadonlyMap<string, Uint8Array>;
  xades: ReadonlyMap<string, Uint8Array>;
  /** ASiCManifest and ASiCArchiveManifest files, by name. */
  manifests: ReadonlyMap<string, Manifest>;
  /** RFC 3161 tokens, DER. */
  timestamps: ReadonlyMap<string, Uint8Array>;
  /** Names of others in `META-INF/`, which no signature has to cover. */
  others: readonly string[];
}

/** §A.4: the files under one signature or timestamp, with their digests. */
export interface Manifest {
  bytes: Uint8Array;
  /** Name of the signature or timestamp over this manifest. */
  of: string;
  references: { name: string; hash: DigestName | undefined; digest: Uint8Array }[];
}

const malformed = (why: string) =>
  new FormatError("container_malformed", `The container cannot be read: ${why}.`);

/**
 * Reads a container.
 *
 * @throws {FormatError} `container_malformed`, `limit_exceeded`; as `parseXml` for its manifests
 */
export function readContainer(bytes: Uint8Array): Container {
  const entries = readZip(bytes);
  const kind = kindOf(entries);
  const all = new Map(entries.map(({ name, bytes }) => [name, bytes]));
  const among = (pattern: RegExp) => new Map([...all].filter(([name]) => pattern.test(name)));
  const isMeta = (name: string) => /^META-INF\//i.test(name);
  const xades = among(/^META-INF\/[^/]*signatures[^/]*\.xml$/i);
  const cades = among(/^META-INF\/[^/]*signature[^/]*\.p7[sm]$/i);
  const timestamps = among(/^META-INF\/[^/]*timestamp[^/]*\.tst$/i);
  const manifests = among(/^META-INF\/ASiC[^/]*Manifest[^/]*\.xml$/i);
  return {
    kind,
    entries,
    // ODF signs whatever is in the file but the signatures (ODF 1.2 part 3 §5.2).
    data: new Map(
      [...all].filter(([name]) =>
        kind === "odf" ? !xades.has(name) : !isMeta(name) && name !== "mimetype"
      ),
    ),
    cades,
    xades,
    manifests: new Map([...manifests].map(([name, bytes]) => [name, readManifest(bytes)])),
    timestamps,
    others: [...all.keys()].filter((name) =>
      isMeta(name) && ![cades, xades, manifests, timestamps].some((known) => known.has(name)) &&
      // The lists of files in OpenDocument and EPUB containers, which ASiC allows (§A.3).
      !/^META-INF\/(?:(?:manifest|container|metadata)\.xml)?$/i.test(name)
    ),
  };
}

/** `mimetype` comes first, as it is (§A.1); without it (§4.2, a ZIP that holds one file) it is an ASiC-S. */
function kindOf(entries: readonly ZipEntry[]): ContainerKind {
  const index = entries.findIndex(({ name }) => name === "mimetype");
  if (index > 0) throw malformed('"mimetype" is not its first file');
  const type = index === 0 ? new TextDecoder().decode(entries[0].bytes).trim() : undefined;
  if (type === undefined || type === MEDIA_TYPES["asic-s"]) return "asic-s";
  if (type === MEDIA_TYPES["asic-e"]) return "asic-e";
  if (/^application\/vnd\.oasis\.opendocument\.[\w-]+$/.test(type)) return "odf";
  throw malformed("it is of a kind that is not read");
}

function readManifest(bytes: Uint8Array): Manifest {
  const { root } = parseXml(bytes);
  const [signature, ...more] = childrenNamed(root, ASIC, "SigReference");
  const of = signature && uriOf(signature);
  if (!isNamed(root, ASIC, "ASiCManifest") || !of || more.length > 0) {
    throw malformed("a manifest is not as the standard says");
  }
  return {
    bytes,
    of,
    references: childrenNamed(root, ASIC, "DataObjectReference").map((reference) => {
      const [method] = childrenNamed(reference, DS, "DigestMethod");
      const [value] = childrenNamed(reference, DS, "DigestValue");
      if (!method || !value) throw malformed("a manifest is not as the standard says");
      return {
        name: uriOf(reference),
        hash: digestAlgorithm(attribute(method, "Algorithm") ?? ""),
        digest: fromBase64(textOf(value)),
      };
    }),
  };
}

const uriOf = (element: XmlElement) => fileOf(attribute(element, "URI") ?? "") ?? "";

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    throw malformed("a manifest is not as the standard says");
  }
}

/** The file of a container that a URI names (RFC 3986), relative to its root; undefined where it names none. */
export function fileOf(uri: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:|[?#]/i.test(uri)) return undefined;
  try {
    return decodeURIComponent(uri).replace(/^\.?\//, "");
  } catch {
    return undefined; // not a URI
  }
}

/** The manifest over a signature or timestamp. */
export const manifestOf = ({ manifests }: Container, name: string): Manifest | undefined =>
  [...manifests.values()].find(({ of }) => of === name);

/**
 * The content under a signature file of the container, by the name in the signature: in CAdES its manifest (ASiC-E) or
 * the one file (ASiC-S), in XAdES the files that its URIs name.
 */
export function contentUnder(
  container: Container,
  name: string,
): (uri: string | null) => VerifyContent | null {
  const [only, ...more] = container.data.values();
  const signed = manifestOf(container, name)?.bytes ?? (more.length === 0 ? only : undefined);
  const all = new Map(container.entries.map(({ name, bytes }) => [name, bytes]));
  return (uri) => {
    const bytes = container.cades.has(name) ? signed : all.get(fileOf(uri ?? "") ?? "");
    return bytes ? { digest: (hash) => digest(hash, bytes), bytes: () => bytes } : null;
  };
}

/**
 * The container with these files; those that are there already are replaced, all others stay as they are.
 *
 * @param time of the files (MS-DOS); default: that of the container's first
 */
export function withFiles(
  { entries }: Pick<Container, "entries">,
  files: readonly Pick<ZipEntry, "name" | "bytes">[],
  time: number = entries[0].time,
): Uint8Array {
  const changed = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const kept = entries.map((entry) => {
    const bytes = changed.get(entry.name);
    changed.delete(entry.name);
    return bytes ? { name: entry.name, bytes, time } : entry;
  });
  const added = [...changed].map(([name, bytes]) => ({ name, bytes, time }));
  return writeZip([...kept, ...added]);
}

/** How a manifest's file compares with the container's. */
export type ManifestProblem = "missing" | "changed" | "unsupported";

/** @returns the files of a manifest that are not as they were */
export function problemsOf(
  { references }: Manifest,
  { entries }: Container,
): { name: string; problem: ManifestProblem }[] {
  const all = new Map(entries.map(({ name, bytes }) => [name, bytes]));
  return references.flatMap(({ name, hash, digest: expected }) => {
    const bytes = all.get(name);
    const problem: ManifestProblem | undefined = !bytes
      ? "missing"
      : !hash
      ? "unsupported"
      : expected.length !== HASHES[hash].length || digest(hash, bytes).toHex() !== expected.toHex()
      ? "changed"
      : undefined;
    return problem ? [{ name, problem }] : [];
  });
}
