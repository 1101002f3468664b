/** Verification of containers (EN 319 162-1; OpenDocument), in the terms of the report. */
import {
  type Container,
  contentUnder,
  fileOf,
  type Manifest,
  manifestOf,
  problemsOf,
  readContainer,
} from "../asic/container.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { cmsContentDigest, cmsFacts, timestampFact } from "./cms.ts";
import { ignoredFinding } from "./notices.ts";
import type { Finding } from "./report.ts";
import { finding, type SignatureFacts, type TimestampFacts } from "./signature.ts";
import { xmlFacts } from "./xml.ts";

/**
 * Facts of every signature in a container. A signature counts for the container if it covers every file in it.
 *
 * @param certificates of possible signers, DER, besides those in the signatures
 * @throws {FormatError} `container_malformed`, `limit_exceeded`; as `cmsFacts` and `xmlFacts`
 */
export function asicFacts(
  bytes: Uint8Array,
  certificates: readonly Uint8Array[] = [],
): SignatureFacts[] {
  const container = readContainer(bytes);
  const xades = [...container.xades].map(([name, xml]) => ({
    name,
    facts: xadesFacts(container, name, xml, certificates),
  }));
  const empty = xades.filter(({ facts }) => facts.length === 0).map(({ name }) => name);
  const beside = container.kind === "odf"
    ? empty
    : [...container.others, ...leadingNowhere(container), ...empty];
  const ignored = beside.length > 0 ? [ignoredFinding(beside)] : [];
  return [
    ...[...container.cades].flatMap(([name, cms]) =>
      cadesFacts(container, name, cms, certificates)
    ),
    ...xades.flatMap(({ facts }) => facts),
    // Names repeat among the files of a container.
  ].map((facts, index) => ({
    ...facts,
    id: String(index + 1),
    findings: [...facts.findings, ...ignored],
  }));
}

/** Manifests and timestamps that belong to no signature. */
function leadingNowhere(container: Container): string[] {
  const { cades, manifests, timestamps } = container;
  const isStamp = (name: string) =>
    timestamps.has(name) &&
    manifestOf(container, name)?.references.some((each) => cades.has(each.name));
  const isUsed = ([name, manifest]: [string, Manifest]) =>
    (cades.has(manifest.of) || isStamp(manifest.of)) &&
    manifestOf(container, manifest.of) === manifests.get(name);
  return [
    ...[...manifests].filter((each) => !isUsed(each)).map(([name]) => name),
    ...[...timestamps.keys()].filter((name) => !isStamp(name)),
  ];
}

/** §4.4: in ASiC-S over the one file; in ASiC-E over a manifest. */
function cadesFacts(
  container: Container,
  name: string,
  cms: Uint8Array,
  certificates: readonly Uint8Array[],
): SignatureFacts[] {
  const manifest = manifestOf(container, name);
  const content = contentUnder(container, name)(null);
  // They are to be detached (§4.3.3.2, §4.4.3.2): content that one holds says nothing of the container's files.
  const held = cmsContentDigest(cms);
  const isOther = held !== undefined && content?.digest("SHA-256")?.toHex() !== held.toHex();
  const files = isOther
    ? []
    : manifest
    ? manifest.references.map(({ name }) => name)
    : content
    ? [...container.data.keys()]
    : undefined;
  const findings: Finding[] = manifest && !isOther ? manifestFindings(manifest, container) : [];
  const archives = archiveFacts(container, name);
  return cmsFacts(cms, content, certificates).map((facts) => ({
    ...covering(container, facts, files ?? []),
    findings: [
      ...facts.findings,
      ...findings,
      ...archives.findings,
      ...uncovered(container, files),
    ],
    timestamps: [
      ...facts.timestamps.map((each) => ({
        ...each,
        coveredBy: [...each.coveredBy, ...archives.facts],
      })),
      ...archives.facts,
    ],
  }));
}

function xadesFacts(
  container: Container,
  name: string,
  xml: Uint8Array,
  certificates: readonly Uint8Array[],
): SignatureFacts[] {
  return xmlFacts(xml, contentUnder(container, name), certificates).map((facts) => {
    const files = facts.files?.map((uri) => fileOf(uri) ?? uri) ?? [];
    return {
      ...covering(container, facts, files),
      findings: [...facts.findings, ...uncovered(container, files)],
    };
  });
}

/** It covers the container if it covers what its format covers, and that is all files. */
function covering(
  container: Container,
  { coverage, ...facts }: SignatureFacts,
  files: readonly string[],
): SignatureFacts {
  const isWhole = coverage.extent === "whole" && missing(container, files).length === 0;
  return { ...facts, coverage: { extent: isWhole ? "whole" : "part", parts: [...files] } };
}

const missing = ({ data }: Container, files: readonly string[]) =>
  [...data.keys()].filter((name) => !files.includes(name));

function uncovered(container: Container, files: readonly string[] | undefined): Finding[] {
  const left = files ? missing(container, files) : [];
  if (left.length === 0) return [];
  const message = `The signature does not cover ${left.slice(0, MAX_NAMED).join(", ")}.`;
  return [finding("coverage_partial", message)];
}

/** More are not told in a sentence. */
const MAX_NAMED = 5;

function manifestFindings(manifest: Manifest, container: Container): Finding[] {
  return problemsOf(manifest, container).slice(0, MAX_NAMED).map(({ name, problem }) =>
    problem === "changed"
      ? finding("content_changed", `${name} was changed after it was signed.`)
      : problem === "missing"
      ? finding("content_missing", `${name}, which was signed, is not in the container.`)
      : finding(
        "algorithm_unsupported",
        `Not checked, as it is not supported: the digest of ${name}.`,
      )
  );
}

/** §4.4.3.2: timestamps over a manifest that has the signature's own file among the others. */
function archiveFacts(
  container: Container,
  signature: string,
): { facts: TimestampFacts[]; findings: Finding[] } {
  const findings: Finding[] = [];
  const facts = [...container.timestamps].flatMap(([name, token]) => {
    const manifest = manifestOf(container, name);
    if (!manifest?.references.some((each) => each.name === signature)) return [];
    if (problemsOf(manifest, container).length > 0) {
      const message = "A timestamp does not count. What it covers was changed or removed.";
      findings.push(finding("timestamp_not_accepted", message));
      return [];
    }
    try {
      const none = { certificates: [], crls: [], ocspResponses: [] };
      const fact = timestampFact(token, (hash) => digest(hash, manifest.bytes), none);
      const covered = new Set(manifest.references.map(({ name }) => name));
      const kind = isAll(container, signature, covered) ? "archive" as const : "signature" as const;
      return [{ ...fact, kind, name, manifest }];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      findings.push(finding("timestamp_not_accepted", error.message));
      return [];
    }
  }).toSorted((a, b) => Number(a.token.info.time) - Number(b.token.info.time));
  facts.forEach((each, index) => {
    // Only a later one can cover another, so that nothing goes round.
    each.coveredBy = facts.slice(index + 1).filter(({ manifest }) =>
      manifest.references.some(({ name }) => name === each.name)
    );
  });
  return { facts, findings };
}

/** Whether files are all that a signature's proof rests on: itself, its manifest, and what that names. */
function isAll(container: Container, signature: string, files: ReadonlySet<string>): boolean {
  const own = manifestOf(container, signature);
  const names = own?.references.map(({ name }) => name) ?? [...container.data.keys()];
  const [place] = [...container.manifests].find(([, each]) => each === own) ?? [];
  return [signature, ...place ? [place] : [], ...names].every((name) => files.has(name));
}
