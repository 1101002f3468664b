/** New containers, and further signatures in them (EN 319 162-1 §4.3, §4.4). */
import { FormatError } from "../error.ts";
import { ASIC, DS } from "../xml/algorithms.ts";
import { escapeAttribute } from "../xml/escape.ts";
import { insertLast, parseXml } from "../xml/document.ts";
import { type Container, MEDIA_TYPES, readContainer } from "./container.ts";
import { dosTime, nameKey, writeZip, type ZipEntry } from "./zip.ts";

/** A container's kind that can be made. */
export type MadeKind = keyof typeof MEDIA_TYPES;

/**
 * A container without signatures.
 *
 * @throws {FormatError} `invalid_argument` where the files do not fit the kind; as `writeZip`
 */
export function startContainer(
  kind: MadeKind,
  files: readonly Pick<ZipEntry, "name" | "bytes">[],
  now: Date,
): Container {
  if (kind === "asic-s" && files.length !== 1) {
    throw new FormatError("invalid_argument", "An ASiC-S holds exactly one file. Use ASiC-E.");
  }
  const reserved = files.find(({ name }) => /^(mimetype$|META-INF(\/|$))/i.test(name));
  if (reserved) {
    throw new FormatError(
      "invalid_argument",
      `A container cannot hold a file called "${reserved.name}" beside its signatures.`,
    );
  }
  const same = [...Map.groupBy(files, ({ name }) => nameKey(name)).values()]
    .find(({ length }) => length > 1);
  if (same) {
    const names = same.slice(0, 2).map(({ name }) => `"${name}"`).join(" and ");
    throw new FormatError("invalid_argument", `A container cannot hold both ${names}.`);
  }
  const time = dosTime(now);
  const type = { name: "mimetype", bytes: new TextEncoder().encode(MEDIA_TYPES[kind]) };
  return readContainer(writeZip([type, ...files].map((file) => ({ ...file, time }))));
}

/** Where the next signature goes: in an ASiC-S all are in one file, in an ASiC-E each is in a separate one. */
export function nextSignature(container: Container, form: "cades" | "xades"): string {
  const { kind, cades, xades, entries } = container;
  const other = form === "cades" ? xades : cades;
  if (kind === "odf" || kind === "asic-s" && other.size > 0) {
    throw new FormatError(
      "algorithm_unsupported",
      kind === "odf"
        ? "OpenDocument files are signed in the office program."
        : "The signatures in an ASiC-S are all CAdES, or all XAdES.",
    );
  }
  if (kind === "asic-s") {
    const [there] = container[form].keys();
    return there ?? (form === "cades" ? "META-INF/signature.p7s" : "META-INF/signatures.xml");
  }
  const taken = new Set(entries.map(({ name }) => name.toLowerCase()));
  for (let n = 1;; n++) {
    const number = String(n).padStart(3, "0");
    const name = form === "cades"
      ? `META-INF/signature${number}.p7s`
      : `META-INF/signatures${number}.xml`;
    const manifest = manifestName(name).toLowerCase();
    if (!taken.has(name.toLowerCase()) && !taken.has(manifest)) return name;
  }
}

/** The manifest's name for a signature's in an ASiC-E with CAdES. */
export const manifestName = (signature: string): string =>
  signature.replace(/signature(\d+)\.p7s$/, "ASiCManifest$1.xml");

/** Names of the files of an ASiC-E with XAdES (§4.4.4.2: as OpenDocument has it), beside the signatures. */
export const FILE_LIST = "META-INF/manifest.xml";

/** @param mediaType of a file, by its name */
export function listFiles(
  names: readonly string[],
  mediaType: (name: string) => string,
): Uint8Array {
  const entry = (path: string, type: string) =>
    `<manifest:file-entry manifest:full-path="${escapeAttribute(path)}" ` +
    `manifest:media-type="${escapeAttribute(type)}"/>`;
  return new TextEncoder().encode(
    `<?xml version="1.0" encoding="UTF-8"?>\n<manifest:manifest ` +
      `xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.2">` +
      entry("/", MEDIA_TYPES["asic-e"]) +
      names.map((name) => entry(name, mediaType(name))).join("") + `</manifest:manifest>\n`,
  );
}

/**
 * A list of XAdES signatures (§A.5) with one more.
 *
 * @param signature a document whose root is a `ds:Signature`
 */
export function listSignature(list: Uint8Array | undefined, signature: Uint8Array): Uint8Array {
  const { text, root: { span } } = parseXml(signature);
  const made = text.slice(span.start, span.end);
  const empty = new TextEncoder().encode(
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
      `<asic:XAdESSignatures xmlns:asic="${ASIC}" xmlns:ds="${DS}"></asic:XAdESSignatures>\n`,
  );
  return insertLast(parseXml(list ?? empty), made);
}
