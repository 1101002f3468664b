/**
 * Renewal of containers that are sealed as a whole: their archive timestamp is over an ASiCArchiveManifest, which names
 * the signatures' files too, so that nothing can be added to those (EN 319 162-1 §4.4.3.2, Annex A.7).
 */
import { type Container, problemsOf, withFiles } from "../formats/asic/container.ts";
import { manifestFor } from "../formats/asic/manifest.ts";
import { addValidationData } from "../formats/cms/add.ts";
import { verifyTimestamp } from "../formats/cms/timestamp.ts";
import { digest } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import type { HashName } from "../formats/signer.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { OnlineError } from "./error.ts";
import type { LevelServices } from "./pades.ts";

const NEWEST = "META-INF/ASiCArchiveManifest.xml";
const isArchive = (name: string) => /^META-INF\/ASiCArchiveManifest[^/]*\.xml$/i.test(name);

/** The archive manifests over signatures in CMS; those in XML hold their archive timestamps themselves. */
const sealsIn = ({ cades, manifests }: Container) =>
  [...manifests].filter(([name, { references }]) =>
    isArchive(name) && references.some((each) => cades.has(each.name))
  );

/** Whether a signature's file stands under an archive timestamp, and must stay as it is. */
export const isSealed = (container: Container, signature: string): boolean =>
  container.cades.has(signature) &&
  sealsIn(container).some(([, { references }]) =>
    references.some(({ name }) => name === signature)
  );

/**
 * The newest archive timestamp of a sealed container.
 *
 * @throws {FormatError} `signature_mismatch` where it does not hold, or one is missing
 */
export function newestArchive(container: Container) {
  const [{ name, manifest, token, problems, certificate, certificates }] = sealsIn(container)
    .map(([name, manifest]) => {
      const token = container.timestamps.get(manifest.of);
      if (!token) throw broken(name);
      const digestOf = (hash: Parameters<typeof digest>[0]) => digest(hash, manifest.bytes);
      return { name, manifest, token, ...verifyTimestamp(token, { digestOf }) };
    })
    .toSorted((a, b) => b.info.time.getTime() - a.info.time.getTime());
  if (problems.length > 0 || !certificate || problemsOf(manifest, container).length > 0) {
    throw broken(name);
  }
  return { name, manifest, token, certificate, certificates };
}

/**
 * One more timestamp over all files of a sealed container, with what the validation of the timestamp before it needs.
 *
 * @param newest the timestamp before it
 * @param known certificates at hand, among which the issuers of the authority's may be
 * @throws {OnlineError}
 */
export async function renewArchive(
  container: Container,
  { name, manifest, token, certificate, certificates }: ReturnType<typeof newestArchive>,
  hash: HashName,
  known: readonly Certificate[],
  services: LevelServices,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { certificates: more = [], crls = [], ocsps = [] } = await services.validationData({
    ends: [certificate.der],
    known: [...certificates, ...known.map(({ der }) => der)],
  }, { signal });
  const lasting = addValidationData(token, { certificates: more, crls, ocspResponses: ocsps });

  // The newest manifest has the name without a number, whatever was there before.
  const free = (place: (number: number) => string) => {
    for (let number = 1;; number++) {
      if (!container.entries.some(({ name }) => name === place(number))) return place(number);
    }
  };
  const older = name === NEWEST
    ? free((number) => `META-INF/ASiCArchiveManifest${number}.xml`)
    : name;
  const entries = container.entries.map((entry) =>
    entry.name === name
      ? { ...entry, name: older }
      : entry.name === manifest.of
      ? { name: entry.name, bytes: lasting, time: entry.time }
      : entry
  );
  const stamp = free((number) => `META-INF/timestamp${String(number).padStart(3, "0")}.tst`);
  const covered = entries.filter(({ name }) => name !== "mimetype" && !name.endsWith("/"))
    .map(({ name, bytes }) => ({
      name,
      mediaType: "application/octet-stream",
      isRoot: name === older,
      digest: (hash: HashName) => digest(hash, bytes),
    }));
  const made = manifestFor(stamp, covered, hash, "application/vnd.etsi.timestamp-token");
  const imprint = digest(hash, made);
  const added = await services.timestamp(hash, imprint, { signal });
  const digestOf = (asked: Parameters<typeof digest>[0]) => asked === hash ? imprint : undefined;
  if (verifyTimestamp(added, { digestOf }).problems.length > 0) {
    throw new OnlineError("signature_invalid");
  }
  return withFiles({ entries }, [{ name: NEWEST, bytes: made }, { name: stamp, bytes: added }]);
}

const broken = (manifest: string) =>
  new FormatError("signature_mismatch", `The timestamp over ${manifest} does not hold.`);
