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

/** Whether a signature's file stands under an archive timestamp, and must stay as it is. */
export const isSealed = ({ manifests }: Container, signature: string): boolean =>
  [...manifests].some(([name, { references }]) =>
    isArchive(name) && references.some((each) => each.name === signature)
  );

/**
 * One more timestamp over all files of a sealed container, with what the validation of the timestamp before it needs.
 *
 * @param known certificates at hand, among which the issuers of the authority's may be
 * @throws {FormatError} `signature_mismatch` where the newest timestamp does not hold; {OnlineError}
 */
export async function renewArchive(
  container: Container,
  hash: HashName,
  known: readonly Certificate[],
  services: LevelServices,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const stamps = [...container.manifests].filter(([name]) => isArchive(name))
    .map(([name, manifest]) => {
      const token = container.timestamps.get(manifest.of);
      if (!token) throw broken(name);
      const digestOf = (hash: Parameters<typeof digest>[0]) => digest(hash, manifest.bytes);
      return { name, manifest, token, ...verifyTimestamp(token, { digestOf }) };
    })
    .toSorted((a, b) => b.info.time.getTime() - a.info.time.getTime());
  const [{ name, manifest, token, problems, certificate, certificates }] = stamps;
  if (problems.length > 0 || !certificate || problemsOf(manifest, container).length > 0) {
    throw broken(name);
  }
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
