/**
 * Signing with a SAD, as it happens: the SAD is used up first, then the key is made or opened, then every signature is
 * made and checked, then the key is closed, and only then anything goes out. Whatever fails after the first step has cost
 * the SAD: nothing is signed twice, and the audit says what became of it.
 */
import { prepareSignedData } from "../formats/cms/write.ts";
import { concat } from "../formats/asn1/der.ts";
import { digest as digestOf, hasher, HASHES } from "../formats/digest.ts";
import { fillContents } from "../formats/pades/contents.ts";
import type { HashName } from "../formats/signer.ts";
import { bytesSource } from "../formats/source.ts";
import { type CscParams, type CscResult } from "../protocol/csc.ts";
import { completeCms, holeIn, padesCms, preparedDigest } from "../online/pades_cms.ts";
import { performFor } from "../online/services.ts";
import { askInSteps } from "../reader/steps.ts";
import { algorithmOf, ALGORITHMS, checkHashes } from "./algorithms.ts";
import { CscError } from "./error.ts";
import { isTimestamped, levelOf, type LevelOptions, levelServices } from "./levels.ts";
import { type Authorized, type Caller, redeem } from "./redeem.ts";
import { type KeyOptions, type Ready, withKey } from "./sign_key.ts";

export interface SigningOptions extends KeyOptions, LevelOptions {}

/** `signatures/signHash`. */
export async function signHash(
  options: SigningOptions,
  caller: Caller,
  params: CscParams<"signatures/signHash">,
): Promise<CscResult<"signatures/signHash">> {
  const { hashes, signAlgo, signAlgoParams, hashAlgorithmOID } = params;
  if (!Object.hasOwn(ALGORITHMS, signAlgo) || signAlgoParams !== undefined) {
    throw new CscError("sign_algorithm_invalid");
  }
  const implied = ALGORITHMS[signAlgo].hash;
  if (!implied && hashAlgorithmOID === undefined) throw new CscError("hash_algorithm_missing");
  const hashAlgorithm = implied ? HASHES[implied].oid : hashAlgorithmOID!;
  checkHashes(hashes, hashAlgorithm);
  const authorized = await redeem(options.store, caller, params, {
    asked: "signHash",
    hashesBy: () => hashes,
    hashAlgorithm,
    scheme: ALGORITHMS[signAlgo].scheme,
  });
  return await withKey(options, authorized, async ({ sign, certificate }) => {
    const signatures: string[] = [];
    for (const hash of hashes) {
      signatures.push((await sign({ digest: Uint8Array.fromBase64(hash) })).toBase64());
    }
    const { kind } = authorized.credential;
    return { signatures, ...kind === "one-time" && { certificates: [certificate.toBase64()] } };
  });
}

type SignDoc = CscParams<"signatures/signDoc">;
type Signed =
  | NonNullable<SignDoc["documentDigests"]>[number]
  | NonNullable<SignDoc["documents"]>[number];

/** `signatures/signDoc`: documents are authorized by their own digests. */
export async function signDoc(
  options: SigningOptions,
  caller: Caller,
  params: SignDoc,
): Promise<CscResult<"signatures/signDoc">> {
  const documents = (params.documents ?? []).map((each) => ({
    ...each,
    bytes: Uint8Array.fromBase64(each.document),
  }));
  const digests = params.documentDigests ?? [];
  if (documents.length + digests.length === 0) throw new CscError("documents_empty");
  const all: readonly Signed[] = [...documents, ...digests];
  if (all.some(({ conformance_level }) => isTimestamped(conformance_level)) && !options.tsa) {
    throw new CscError("unavailable", "no timestamp authority is configured");
  }
  const { hashAlgorithm, scheme } = algorithmOf(all);
  const authorized = await redeem(options.store, caller, params, {
    asked: "signDoc",
    hashesBy: (hash) => [
      ...documents.map(({ bytes }) => new Uint8Array(digestOf(hash, bytes)).toBase64()),
      ...digests.flatMap(({ hashes }) => hashes),
    ],
    hashAlgorithm,
    scheme,
  });
  return await withKey(options, authorized, async (key) => {
    const result: { DocumentWithSignature: string[]; SignatureObject: string[] } = {
      DocumentWithSignature: [],
      SignatureObject: [],
    };
    for (const { bytes, ...how } of documents) {
      const whole = how.signature_format === "P" || how.signed_envelope_property !== "Detached";
      const signed = how.signature_format === "P"
        ? await signPdf(options, key, authorized, bytes, how)
        : await signCms(
          options,
          key,
          whole ? { content: bytes } : {
            digest: digestOf(authorized.hash, bytes),
          },
          how,
          authorized.person.id,
        );
      result[whole && how.signature_format === "P" ? "DocumentWithSignature" : "SignatureObject"]
        .push(signed.toBase64());
    }
    for (const { hashes, ...how } of digests) {
      for (const hash of hashes) {
        const cms = await signCms(
          options,
          key,
          { digest: Uint8Array.fromBase64(hash) },
          how,
          authorized.person.id,
        );
        result.SignatureObject.push(cms.toBase64());
      }
    }
    const issuer = options.authority.issuerOf(key.certificate);
    return {
      ...result.DocumentWithSignature.length > 0 && {
        DocumentWithSignature: result.DocumentWithSignature,
      },
      ...result.SignatureObject.length > 0 && { SignatureObject: result.SignatureObject },
      ...params.returnValidationInfo && {
        validationInfo: {
          ocsp: [],
          crl: issuer.isOwn ? [(await issuer.crl()).toBase64()] : [],
          certificates: [key.certificate, ...issuer.chain].map((each) =>
            new Uint8Array(each).toBase64()
          ),
        },
      },
    };
  });
}

/** One CMS: with its content, or over a digest. A PDF's has no signing time (EN 319 142-1 §6.3). */
async function signCms(
  options: SigningOptions,
  key: Ready,
  content: { content: Uint8Array } | { digest: Uint8Array },
  { signature_format, conformance_level }: Pick<Signed, "signature_format" | "conformance_level">,
  origin: string,
): Promise<Uint8Array> {
  const prepared = prepareSignedData(content, key, {
    ...signature_format === "C" && { signingTime: new Date(options.store.now()) },
  });
  const { hash } = key.algorithm;
  const signature = await key.sign({ digest: digestOf(hash, prepared.toBeSigned) });
  const level = levelOf(conformance_level);
  const stamp = level === "B-B" ? null : stampFor(options, origin);
  const cms = await completeCms(prepared, signature, hash, stamp);
  if (level === "B-B" || level === "B-T") return cms;
  const detached = "digest" in content ? { hash, digest: content.digest } : undefined;
  return await askInSteps(
    (done) => options.reader.ask("raiseCms", { cms, level, content: detached, done }, { origin }),
    (step) => performFor(levelServices(options), step, { signal: never, origin }),
  );
}

async function signPdf(
  options: SigningOptions,
  key: Ready,
  { person, facts, hash }: Authorized,
  bytes: Uint8Array,
  how: Pick<Signed, "conformance_level" | "signed_envelope_property">,
): Promise<Uint8Array> {
  const { reader, store } = options;
  const time = new Date(store.now());
  const { certificate, chain } = key;
  const level = levelOf(how.conformance_level);
  const asking = { documents: [bytesSource(bytes)], origin: person.id };
  const prepared = await reader.ask("preparePdf", {
    options: {
      level,
      time: time.toISOString(),
      signerName: person.name,
      reason: facts.purpose,
      ...how.signed_envelope_property === "Certification" && { certify: 2 as const },
    },
    signer: { certificate, chain },
    one: "contents",
  }, asking);
  const digest = preparedDigest(hasher(hash).update(bytes), bytes.length, prepared);
  const made = padesCms(digest, key, { time });
  const signature = await key.sign({ digest: digestOf(hash, made.toBeSigned) });
  const stamp = level === "B-B" ? null : stampFor(options, person.id);
  const cms = await completeCms(made, signature, hash, stamp);
  // Put in here: the reader has read a portal's document, and adds only what follows.
  const signed = fillContents(prepared.appended, ...holeIn(prepared, bytes.length), cms);
  const completion = { level, certificate };
  const rest = await askInSteps(
    (done) => reader.ask("finishPdf", { signed, cms, algorithm: hash, completion, done }, asking),
    (step) => performFor(levelServices(options), step, { signal: never, origin: person.id }),
  );
  return concat(bytes, signed, rest);
}

const stampFor = (options: LevelOptions, origin: string) => (hash: HashName, digest: Uint8Array) =>
  levelServices(options).timestamp(hash, digest, { signal: never, origin });

/** Signing finishes even if the caller is gone, because the SAD is already used. Each step has a time limit. */
const never = new AbortController().signal;
