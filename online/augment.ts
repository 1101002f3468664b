/**
 * From one level of a signature to a higher one (EN 319 102-1 §7), and from one archive timestamp to the next: one ladder
 * for every format, for what was just signed and for what others signed years ago. Each step is checked as a reader
 * would check it, and nothing is returned that is worse than before.
 */
import { concat } from "../formats/asn1/der.ts";
import { contentUnder, readContainer, withFiles } from "../formats/asic/container.ts";
import type { AddedData, Augmenter, PreparedTimestamp } from "../formats/augment.ts";
import { cmsAugmenter } from "../formats/cms/augment.ts";
import type { VerifyContent } from "../formats/content.ts";
import { HASHES } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import { jsonAugmenter } from "../formats/json/augment.ts";
import { appendDss, type ValidationData } from "../formats/pades/dss.ts";
import { prepareTimestamp } from "../formats/pades/prepare.ts";
import type { HashName } from "../formats/signer.ts";
import { appendedSource, bytesSource, digestOf, type Source } from "../formats/source.ts";
import { readFacts, type SignatureFacts } from "../formats/verify/verify.ts";
import { xmlAugmenter } from "../formats/xml/augment.ts";
import type { Certificate } from "../formats/x509/certificate.ts";
import { isSealed, newestArchive, renewArchive } from "./asic_archive.ts";
import { OnlineError } from "./error.ts";
import { type Level, type LevelServices, rangesOf, timestampSpace } from "./pades.ts";

/** A level that a signature can be raised to. */
export type RaisedLevel = Exclude<Level, "B-B">;

/** A signed file. */
export interface Signed {
  source: Source;
  /** Opens an encrypted PDF. */
  password?: string;
  /** As `VerifyFile.content`. */
  content?: (name: string | null) => VerifyContent | null;
  /** Certificates of signers that the file does not hold, DER. */
  certificates?: readonly Uint8Array[];
}

export interface Raise {
  level: RaisedLevel;
  /** The newest signature stands last in every format. */
  which: "all" | "last";
}

const AUGMENTERS = { cms: cmsAugmenter, xml: xmlAugmenter, jws: jsonAugmenter };

/**
 * Raises the signatures of a file to a level. A signature that has the level stays as it is, except that B-LTA always
 * adds one more archive timestamp, with what the validation of the one before it needs.
 *
 * @returns the bytes to append to a PDF; of all else the new file
 * @throws {OnlineError} all its codes; {FormatError} as `verifyFile`, and where the format leaves no place for it
 */
export async function augment(
  signed: Signed,
  { level, which }: Raise,
  services: LevelServices,
  signal: AbortSignal,
): Promise<{ appended: Uint8Array } | { file: Uint8Array }> {
  const { format, signatures } = readFacts(signed);
  signatures.forEach(refuseBroken);
  if (format === "pdf") {
    return { appended: await raise(new PdfLadder(signed, signatures), level, services, signal) };
  }
  if (format === "route") {
    throw new FormatError(
      "algorithm_unsupported",
      "The signatures on a signing route have no levels.",
    );
  }
  if (format === "asic") {
    const file = await raiseContainer(signed, { level, which }, services, signal);
    const after = readFacts({ ...signed, source: bytesSource(file) }).signatures;
    signatures.forEach((each, index) => refuseWorse(each, after[index]));
    return { file };
  }
  const indices = which === "all" ? signatures.keys() : [signatures.length - 1];
  let file = signed.source.read(0, signed.source.size);
  for (const index of indices) {
    const ladder = new FileLadder(
      { ...signed, source: bytesSource(file) },
      index,
      AUGMENTERS[format],
    );
    file = await raise(ladder, level, services, signal);
  }
  const after = readFacts({ ...signed, source: bytesSource(file) }).signatures;
  signatures.forEach((each, index) => refuseWorse(each, after[index]));
  return { file };
}

/** Each signature file of a container by itself, but for those that are sealed together. */
async function raiseContainer(
  { source, certificates }: Signed,
  { level, which }: Raise,
  services: LevelServices,
  signal: AbortSignal,
): Promise<Uint8Array> {
  let file = source.read(0, source.size);
  const before = readContainer(file);
  const names = [...before.cades.keys(), ...before.xades.keys()];
  const open = names.filter((name) => !isSealed(before, name));
  // Whatever the level: a list that nobody stamped must not keep a signature as it is.
  const newest = open.length < names.length ? newestArchive(before) : undefined;
  for (const name of which === "all" ? open : open.slice(-1)) {
    const container = readContainer(file);
    const inner = container.cades.get(name) ?? container.xades.get(name)!;
    const content = contentUnder(container, name);
    const signature = { source: bytesSource(inner), content, certificates };
    const raised = await augment(signature, { level, which }, services, signal);
    if ("file" in raised) file = withFiles(container, [{ name, bytes: raised.file }]);
  }
  if (level !== "B-LTA" || !newest) return file;
  const facts = readFacts({ source: bytesSource(file), certificates }).signatures;
  const { known } = certificatesToProve(facts);
  return await renewArchive(readContainer(file), newest, hashOf(facts), known, services, signal);
}

/** What a ladder stands on: a file that grows, and what is known of the signature that is raised. */
interface Ladder {
  /** Of the one signature, or of all in a PDF. */
  facts(): readonly SignatureFacts[];
  signatureTimestamp(hash: HashName): PreparedTimestamp;
  addValidationData(data: ValidationData): void;
  archiveTimestamp(hash: HashName): PreparedTimestamp;
  /** Goes on with this. */
  take(made: Uint8Array): void;
  readonly made: Uint8Array;
}

async function raise(
  ladder: Ladder,
  level: RaisedLevel,
  services: LevelServices,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const stamp = async (prepare: (hash: HashName) => PreparedTimestamp) => {
    const before = ladder.facts().map((each) => good(each).length);
    const hash = hashOf(ladder.facts());
    const prepared = prepare(hash);
    ladder.take(prepared.complete(await services.timestamp(hash, prepared.imprint, { signal })));
    const after = ladder.facts();
    if (!before.every((count, index) => good(after[index]).length > count)) {
      throw new OnlineError("signature_invalid");
    }
  };
  if (ladder.facts().some((each) => good(each).length === 0)) {
    await stamp((hash) => ladder.signatureTimestamp(hash));
  }
  if (level === "B-T") return ladder.made;
  const facts = ladder.facts();
  const { ends, known } = certificatesToProve(facts);
  const der = ({ der }: Certificate) => der;
  const data = await services.validationData(
    { ends: ends.map(der), known: known.map(der) },
    { signal },
  );
  ladder.addValidationData(data);
  if (level === "B-LTA") await stamp((hash) => ladder.archiveTimestamp(hash));
  return ladder.made;
}

/** CMS, XML, JSON. */
class FileLadder implements Ladder {
  made: Uint8Array;

  constructor(readonly signed: Signed, readonly index: number, readonly by: Augmenter) {
    this.made = signed.source.read(0, signed.source.size);
  }

  facts() {
    const all = readFacts({ ...this.signed, source: bytesSource(this.made) }).signatures;
    return all.slice(this.index, this.index + 1);
  }

  get #target() {
    const { index, made: file, signed: { content = () => null } } = this;
    return { file, index, content };
  }

  signatureTimestamp = (hash: HashName) => this.by.signatureTimestamp(this.#target, hash);
  archiveTimestamp = (hash: HashName) => this.by.archiveTimestamp(this.#target, hash);

  addValidationData(data: ValidationData) {
    const absent = missing(this.facts(), data);
    const isEmpty = Object.values(absent).every((list) => list.length === 0);
    if (!isEmpty) this.take(this.by.addValidationData(this.#target, absent));
  }

  take(made: Uint8Array) {
    this.made = made;
  }
}

/** A PDF: document timestamps and the DSS serve all its signatures. */
class PdfLadder implements Ladder {
  made = new Uint8Array();
  #facts: readonly SignatureFacts[];

  constructor(readonly signed: Signed, facts: readonly SignatureFacts[]) {
    this.#facts = facts;
  }

  get #source() {
    return appendedSource(this.signed.source, this.made);
  }

  facts() {
    return this.#facts.filter(({ kind }) => kind === "signature");
  }

  signatureTimestamp = (hash: HashName) => this.archiveTimestamp(hash);

  archiveTimestamp(hash: HashName): PreparedTimestamp {
    const { password } = this.signed;
    const source = this.#source;
    const spaces = this.facts().map(({ certificate }) => timestampSpace(certificate!.der));
    const prepared = prepareTimestamp(source, { contentsSize: Math.max(...spaces), password });
    const whole = appendedSource(source, prepared.appended);
    return {
      imprint: digestOf(whole, hash, rangesOf(prepared)),
      complete: (token) => prepared.complete(token),
    };
  }

  /** Those that stand in a CMS too: many readers look in the DSS alone. */
  addValidationData(data: ValidationData) {
    const { password } = this.signed;
    const dss = appendDss(this.#source, { ...data, password });
    if (dss.length > 0) this.take(dss);
  }

  take(appended: Uint8Array) {
    this.made = concat(this.made, appended);
    const before = this.#facts;
    this.#facts = readFacts({ ...this.signed, source: this.#source }).signatures;
    before.forEach((each, index) => refuseWorse(each, this.#facts[index]));
  }
}

/** Timestamps that are right; whether their authority is trusted is another question. */
const good = ({ timestamps }: SignatureFacts) =>
  timestamps.filter(({ token }) => token.problems.length === 0);

/** As strong as the signature's. */
function hashOf(facts: readonly SignatureFacts[]): HashName {
  const strong = facts.flatMap(({ hashes }) => hashes)
    .filter((hash) => hash !== "SHA-1" && hash !== "SHA-224");
  return strong.toSorted((a, b) => HASHES[b].length - HASHES[a].length)[0] ?? "SHA-256";
}

/**
 * The certificates whose validity must be proven: the signers' and their timestamp authorities', or that of the last
 * archive timestamp's authority, as the proofs for the others stand below that timestamp.
 */
function certificatesToProve(facts: readonly SignatureFacts[]) {
  const ends: Certificate[] = [];
  const known: Certificate[] = [];
  const visit = (each: SignatureFacts) => {
    const stamps = good(each);
    known.push(
      ...each.material.certificates,
      ...stamps.flatMap(({ material }) => material.certificates),
    );
    const [newest] = stamps.filter(({ kind }) => kind === "archive")
      .toSorted((a, b) => b.token.info.time.getTime() - a.token.info.time.getTime());
    if (newest) {
      ends.push(newest.token.certificate!);
      return;
    }
    if (each.certificate) ends.push(each.certificate);
    ends.push(...stamps.map(({ token }) => token.certificate!));
    each.countersignatures?.forEach(visit);
  };
  facts.forEach(visit);
  return { ends: unique(ends), known: unique(known) };
}

const unique = (list: readonly Certificate[]) => [
  ...new Map(list.map((each) => [each.fingerprint, each])).values(),
];

/** Of the data, what stands not yet in the file for each of the signatures. */
function missing(
  facts: readonly SignatureFacts[],
  { certificates = [], crls = [], ocsps = [] }: ValidationData,
): AddedData {
  const absent = (
    all: readonly Uint8Array[],
    of: (facts: SignatureFacts) => readonly { der: Uint8Array }[],
  ) => {
    const present = facts.map((each) => new Set(of(each).map(({ der }) => der.toBase64())));
    return all.filter((each) => !present.every((known) => known.has(each.toBase64())));
  };
  return {
    certificates: absent(certificates, ({ material }) => material.certificates),
    crls: absent(crls, ({ material }) => material.crls),
    ocspResponses: absent(ocsps, ({ material }) => material.ocspResponses),
  };
}

/** A signature that does not hold is not made to last. */
function refuseBroken({ findings, id }: SignatureFacts): void {
  const failed = findings.find(({ severity, code }) =>
    severity === "failed" || code === "content_missing" || code === "certificate_missing"
  );
  if (failed) {
    throw new FormatError("signature_mismatch", `Signature ${id} does not hold. ${failed.message}`);
  }
}

/** @throws {FormatError} `document_locked` where a signature says less, or has more against it, than before */
function refuseWorse(before: SignatureFacts, after: SignatureFacts | undefined): void {
  const against = ({ findings }: SignatureFacts) =>
    findings.filter(({ severity }) => severity !== "notice").map(({ code }) => code);
  const known = new Set(against(before));
  const isSame = after !== undefined && after.id === before.id &&
    after.certificate?.fingerprint === before.certificate?.fingerprint &&
    after.coverage.extent ===
      (before.coverage.extent === "whole" && before.coverage.revision
        ? "revision"
        : before.coverage.extent) &&
    good(after).length >= good(before).length &&
    (after.countersignatures?.length ?? 0) === (before.countersignatures?.length ?? 0) &&
    against(after).every((code) => known.has(code));
  if (!isSame) {
    throw new FormatError(
      "document_locked",
      `Signature ${before.id} covers what would have to be added, and would be broken. The file is left as it is.`,
    );
  }
}
