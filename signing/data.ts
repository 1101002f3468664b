/**
 * Signatures for which something has to be parsed: over XML, beside others' or upon them, at a level above B-B; and
 * statements on a signing route. What comes out is verified as a stranger's would be before it is released. A reader
 * runs it (questions.ts); new_signature.ts has those that need none.
 */
import { prepareCosignature, prepareCountersignature } from "../formats/cms/add.ts";
import { readSignedData } from "../formats/cms/read.ts";
import { concat } from "../formats/asn1/der.ts";
import { FormatError } from "../formats/error.ts";
import { prepareAddedJws } from "../formats/json/jws_add.ts";
import { jwsPayload } from "../formats/json/jws_verify.ts";
import { prepareJws } from "../formats/json/jws_write.ts";
import { encodeRoute, prepareStatement, startRoute } from "../formats/json/route.ts";
import type { HashName, Signer } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import { readFacts, type SignatureFacts, type VerifyContent } from "../formats/verify/verify.ts";
import { prepareXmlSignature, type XmlPackaging } from "../formats/xml/xades.ts";
import { type Certificate, sameBytes } from "../formats/x509/certificate.ts";
import type { SignedBefore } from "../protocol/consent.ts";
import { DsignError } from "../protocol/errors.ts";
import type { ParsedParams } from "../protocol/methods.ts";
import type { Content } from "./content.ts";
import type { Level, LevelServices } from "../online/pades.ts";
import { augment } from "../online/augment.ts";
import { isProven, type Trust } from "./proven.ts";

/** How data is signed: the parameters of `sign.data` but for the content itself. */
export type DataHow = Without<ParsedParams<"sign.data">, "content">;
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
/** Of those, what makes a file; a raw signature is none. */
export type SignedFileHow = Exclude<DataHow, { format: "raw" }>;
export type Of<F extends DataHow["format"]> = Extract<DataHow, { format: F }>;

/** Input of a signature over data. */
export interface DataSigner {
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">;
  hash: HashName;
  /** Signs, and lets nothing out that the certificate does not verify. */
  sign(toBeSigned: Uint8Array): Promise<Uint8Array>;
  now(): Date;
  online: LevelServices;
  signal: AbortSignal;
}

const utf8 = new TextEncoder();

/**
 * Finds out whether data can be signed so, before anybody is asked.
 *
 * @returns those who have signed it already; their signatures hold
 * @throws {DsignError} `signature_mismatch` where an earlier signature is not right, or over something else;
 *   {FormatError} for what cannot be read
 */
export function checkData(how: DataHow, content: Content, trust: Trust): SignedBefore[] {
  const existing = existingOf(how);
  if (existing) return checkExisting(existing, how.format, content, trust);
  if ((how.format === "xades" || how.format === "xmldsig") && how.packaging === "attached") {
    return factsOf(content.bytes, given(content))
      .map((each) => ({ ...each, by: rightOne(each, trust) }))
      // Who has signed a part of it has not signed this.
      .flatMap(({ coverage, by }) => coverage.extent === "whole" ? [by] : []);
  }
  return [];
}

/** The signature to which, or upon which, this one is made. */
function existingOf(how: DataHow): Uint8Array | undefined {
  const base64 = "countersign" in how
    ? how.countersign.signature
    : "cosign" in how
    ? how.cosign
    : undefined;
  return base64 === undefined ? undefined : Uint8Array.fromBase64(base64);
}

/** An earlier signature must be right, and over this very content. */
function checkExisting(
  bytes: Uint8Array,
  format: DataHow["format"],
  content: Content,
  trust: Trust,
): SignedBefore[] {
  const held = format === "cades"
    ? readSignedData(bytes).content
    : [jwsPayload(text(bytes))].filter((each) => each !== null);
  if (held && held.length > 0 && !sameBytes(concat(...held), content.bytes)) {
    throw new DsignError("signature_mismatch");
  }
  const signatures = factsOf(bytes, given(content));
  if (signatures.length === 0) throw new DsignError("signature_mismatch");
  const visit = (each: SignatureFacts): SignedBefore[] => [
    rightOne(each, trust),
    ...(each.countersignatures ?? []).flatMap(visit),
  ];
  return signatures.flatMap(visit);
}

/** The signer, if the signature is valid. */
export function rightOne(each: SignatureFacts, trust: Trust): SignedBefore {
  const certificate = certificateOfRight(each);
  return {
    name: certificate.subject.commonName ?? certificate.subject.toString(),
    proven: isProven(certificate, each.material.certificates, trust),
  };
}

/** @throws {DsignError} `signature_mismatch` where the signature does not hold */
export function certificateOfRight({ certificate, findings }: SignatureFacts): Certificate {
  const broken = findings.find(({ code, severity }) =>
    severity === "failed" || code === "content_missing" || code === "certificate_missing" ||
    code === "certificate_not_as_signed" || code === "algorithm_unsupported"
  );
  if (broken || !certificate) throw new DsignError("signature_mismatch", broken?.message);
  return certificate;
}

const factsOf = (bytes: Uint8Array, content: VerifyContent) =>
  readFacts({ source: bytesSource(bytes), content: () => content }).signatures;

export const given = (content: Content): VerifyContent => ({
  digest: (hash) => content.digest(hash),
  bytes: () => content.bytes,
});

const text = (bytes: Uint8Array) => new TextDecoder("utf-8").decode(bytes);

/**
 * Makes a signature over XML, or beside another or upon it.
 *
 * @returns the file: CMS, XML or JSON
 * @throws {DsignError} `signature_invalid` where the result does not hold; {OnlineError}; {FormatError}
 */
export async function signData(
  how: SignedFileHow,
  content: Content,
  by: DataSigner,
): Promise<Uint8Array> {
  const made = how.format === "cades"
    ? await signCms(how, content, by)
    : how.format === "jws"
    ? await signJws(how, content, by)
    : await signXml(how, content, by);
  return await raiseLast(made, how.level, given(content), { ...by, ...by.signer });
}

/**
 * Brings the signature that was just made to its level.
 *
 * @param certificate whose signature it is, DER
 * @throws {DsignError} `signature_invalid` where the result does not hold; {OnlineError}
 */
export async function raiseLast(
  signature: Uint8Array,
  level: Level,
  content: VerifyContent,
  { online, signal, certificate }: Pick<DataSigner, "online" | "signal"> & {
    certificate: Uint8Array;
  },
): Promise<Uint8Array> {
  let result = signature;
  if (level !== "B-B") {
    const signed = { source: bytesSource(signature), content: () => content };
    const raised = await augment(signed, { level, which: "last" }, online, signal);
    if (!("file" in raised)) throw new DsignError("signature_invalid");
    result = raised.file;
  }
  checkRelease(result, content, certificate);
  return result;
}

async function signCms(
  how: Of<"cades">,
  content: Content,
  { signer, sign, now }: DataSigner,
): Promise<Uint8Array> {
  const prepared = prepareCms(how, content, signer, now());
  return prepared.complete(await sign(prepared.toBeSigned));
}

function prepareCms(
  how: Of<"cades">,
  content: Content,
  signer: DataSigner["signer"],
  signingTime: Date,
) {
  const existing = existingOf(how)!;
  if ("countersign" in how) {
    return prepareCountersignature(existing, how.countersign.signer, signer, { signingTime });
  }
  const detached = { digest: content.digest(signer.algorithm.hash) };
  const held = readSignedData(existing).content;
  return prepareCosignature(existing, signer, { signingTime }, held ? undefined : detached);
}

async function signJws(
  how: Of<"jws">,
  { bytes: payload, mediaType }: Content,
  { signer, sign, now }: DataSigner,
): Promise<Uint8Array> {
  const jws = text(existingOf(how)!);
  const prepared = prepareAddedJws({
    ...signer,
    jws,
    ...jwsPayload(jws) === null && { payload },
    signingTime: now(),
    contentType: mediaType === "application/json" ? "json" : undefined,
  });
  return utf8.encode(prepared.complete(await sign(prepared.toBeSigned)));
}

async function signXml(
  how: Of<"xades" | "xmldsig">,
  content: Content,
  { signer, hash, sign, now }: DataSigner,
): Promise<Uint8Array> {
  const { format, packaging, name = "content" } = how;
  const { bytes } = content;
  const mediaType = looksLikeXml(bytes) ? "application/xml" : content.mediaType;
  const put: XmlPackaging = packaging === "attached"
    ? { kind: "enveloped", document: bytes }
    : packaging === "enveloping"
    ? { kind: "enveloping", content: bytes, mediaType }
    : { kind: "detached", files: [{ uri: name, digest: content.digest(hash), mediaType }] };
  const prepared = prepareXmlSignature({
    ...signer,
    packaging: put,
    ...format === "xades" && { xades: { signingTime: now() } },
  });
  return prepared.complete(await sign(prepared.toBeSigned));
}

const looksLikeXml = (bytes: Uint8Array) => /^(?:\ufeff)?\s*</.test(text(bytes.subarray(0, 64)));

/**
 * The same verification that a receiver makes, but for the trust in certificates.
 *
 * @param certificate whose signature there must be, DER
 * @throws {DsignError} `signature_invalid`
 */
function checkRelease(
  result: Uint8Array,
  content: VerifyContent,
  certificate: Uint8Array,
): void {
  try {
    let own = false;
    const visit = (each: SignatureFacts) => {
      certificateOfRight(each);
      own ||= sameBytes(each.certificate!.der, certificate);
      each.countersignatures?.forEach(visit);
    };
    factsOf(result, content).forEach(visit);
    if (own) return;
  } catch (error) {
    if (!(error instanceof DsignError || error instanceof FormatError)) throw error;
    throw new DsignError("signature_invalid", undefined, { cause: String(error) });
  }
  throw new DsignError("signature_invalid");
}

/** A route of the contract's steps, bound to its content. @throws {FormatError} `route_malformed` */
export function routeDocument(
  { name, steps }: Pick<ParsedParams<"route.create">, "name" | "steps">,
  content: Content,
): Uint8Array {
  const sha256 = content.digest("SHA-256").toHex();
  return encodeRoute({ type: "dsign-route-1", content: { name, sha256 }, steps });
}

/** @returns the route file */
export async function signRoute(route: Content, by: DataSigner): Promise<string> {
  const { signer, sign, now } = by;
  const prepared = prepareJws({
    ...signer,
    payload: route.bytes,
    signingTime: now(),
    contentType: "json",
  });
  return startRoute(prepared.complete(await sign(prepared.toBeSigned)));
}

/**
 * @returns the route file with one more signature; as a whole it was checked again
 * @throws {FormatError} `out_of_turn`, `signature_mismatch`, `route_malformed`
 */
export async function signStatement(
  file: string,
  content: Content,
  by: DataSigner,
): Promise<{ route: string; role: string }> {
  const prepared = prepareStatement(file, content.digest("SHA-256").toHex(), {
    ...by.signer,
    signingTime: by.now(),
  });
  return { route: prepared.complete(await by.sign(prepared.toBeSigned)), role: prepared.role };
}
