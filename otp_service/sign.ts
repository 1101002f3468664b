/**
 * Signing with a SAD, as it happens: the SAD is used up first, then the key is made or opened, then every signature is
 * made and checked, then the key is closed, and only then anything goes out. Whatever fails after the first step has cost
 * the SAD: nothing is signed twice, and the audit says what became of it.
 */
import { prepareSignedData } from "../formats/cms/write.ts";
import { concat } from "../formats/asn1/der.ts";
import { digest as digestOf, hashByOid as nameOfHash, HASHES } from "../formats/digest.ts";
import { FormatError } from "../formats/error.ts";
import type { ValidationData } from "../formats/pades/dss.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import type { HashName, SignatureAlgorithm } from "../formats/signer.ts";
import { type CscParams, type CscResult, OIDS } from "../protocol/csc.ts";
import type { Authority } from "./authority.ts";
import { step } from "./authorize.ts";
import { CscError, toCscError } from "./error.ts";
import { type KeyStore, type OpenKey, schemeOf } from "./keys.ts";
import { sha256 } from "./secrets.ts";
import type { Credential, Facts, Person, Store } from "./store.ts";
import { type Level, type LevelServices, pdfOfBytes, preparePades } from "../online/pades.ts";
import { requestTimestamp, timestampSignature } from "../online/timestamp.ts";

/** Who calls, and with what. */
export interface Caller {
  client: string;
  /** The access token's own authorization, where its scope is `credential`: it takes the SAD's place. */
  sad?: string;
}

export interface SigningOptions {
  store: Store;
  keys: KeyStore;
  authority: Authority;
  /** Address of a timestamp authority (RFC 3161). */
  tsa?: string;
  /**
   * Collects what a later validation of a signature and its timestamp needs, checked to suffice today.
   *
   * @throws {OnlineError} `validation_data_unavailable`, `certificate_revoked`
   */
  validationData(cms: Uint8Array): Promise<ValidationData>;
}

/** What a `signAlgo` says: the scheme, and the hash where it says that too. */
const ALGORITHMS: Readonly<
  Record<string, { scheme: SignatureAlgorithm["scheme"]; hash?: HashName }>
> = {
  [OIDS.rsaEncryption]: { scheme: "RSASSA-PKCS1-v1_5" },
  [OIDS.sha256WithRsa]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  [OIDS.sha384WithRsa]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-384" },
  [OIDS.sha512WithRsa]: { scheme: "RSASSA-PKCS1-v1_5", hash: "SHA-512" },
  [OIDS.ecPublicKey]: { scheme: "ECDSA" },
  [OIDS.ecdsaWithSha256]: { scheme: "ECDSA", hash: "SHA-256" },
  [OIDS.ecdsaWithSha384]: { scheme: "ECDSA", hash: "SHA-384" },
  [OIDS.ecdsaWithSha512]: { scheme: "ECDSA", hash: "SHA-512" },
};

/** Object identifiers with which a key of a scheme signs, for `credentials/info`. */
export function algorithmsOf(scheme: SignatureAlgorithm["scheme"]): string[] {
  return Object.keys(ALGORITHMS).filter((oid) => ALGORITHMS[oid].scheme === scheme);
}

/**
 * The hash by its object identifier.
 *
 * @throws {CscError} `hash_algorithm_invalid`
 */
export function hashByOid(oid: string): HashName {
  const hash = nameOfHash(oid);
  if (!hash || hash === "SHA-1" || hash === "SHA-224") {
    throw new CscError("hash_algorithm_invalid");
  }
  return hash;
}

/**
 * Checks that every digest is one of the algorithm.
 *
 * @throws {CscError} `hash_algorithm_invalid`, `hash_length`
 */
export function checkHashes(hashes: readonly string[], hashAlgorithm: string): void {
  const length = HASHES[hashByOid(hashAlgorithm)].length;
  if (hashes.some((hash) => Uint8Array.fromBase64(hash).length !== length)) {
    throw new CscError("hash_length");
  }
}

/** A SAD that was used up: what it may sign, and with what. */
interface Authorized {
  transaction: string;
  credential: Credential;
  person: Person;
  facts: Facts;
  hash: HashName;
  hashes: readonly string[];
}

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
  const authorized = await redeem(options, caller, params, () => hashes, {
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

/**
 * What the items of a request say of hash and scheme, where they do: the same for all, as there is one key and one list of
 * digests.
 *
 * @throws {CscError} `sign_algorithm_invalid`, `hash_contradicts`, `hash_algorithm_invalid`
 */
function algorithmOf(
  items: readonly { signAlgo?: string; hashAlgorithmOID?: string }[],
): { hashAlgorithm?: string; scheme?: SignatureAlgorithm["scheme"] } {
  const hashes = new Set<string>();
  const schemes = new Set<SignatureAlgorithm["scheme"]>();
  for (const { signAlgo, hashAlgorithmOID } of items) {
    if (hashAlgorithmOID !== undefined) hashes.add(hashAlgorithmOID);
    if (signAlgo === undefined) continue;
    if (!Object.hasOwn(ALGORITHMS, signAlgo)) throw new CscError("sign_algorithm_invalid");
    const { scheme, hash } = ALGORITHMS[signAlgo];
    schemes.add(scheme);
    if (hash === undefined) continue;
    const implied = HASHES[hash].oid;
    if (hashAlgorithmOID !== undefined && hashAlgorithmOID !== implied) {
      throw new CscError("hash_contradicts");
    }
    hashes.add(implied);
  }
  if (schemes.size > 1) throw new CscError("sign_algorithm_invalid");
  if (hashes.size > 1) throw new CscError("hash_algorithm_invalid");
  return { hashAlgorithm: [...hashes][0], scheme: [...schemes][0] };
}

const isTimestamped = (level: string) => /B-L?T$/.test(level);

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
  const authorized = await redeem(options, caller, params, (hash) => [
    ...documents.map(({ bytes }) => new Uint8Array(digestOf(hash, bytes)).toBase64()),
    ...digests.flatMap(({ hashes }) => hashes),
  ], { hashAlgorithm, scheme, deviation: "documents_unauthorized" });
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
        );
      result[whole && how.signature_format === "P" ? "DocumentWithSignature" : "SignatureObject"]
        .push(signed.toBase64());
    }
    for (const { hashes, ...how } of digests) {
      for (const hash of hashes) {
        const cms = await signCms(options, key, { digest: Uint8Array.fromBase64(hash) }, how);
        result.SignatureObject.push(cms.toBase64());
      }
    }
    const { authority } = options;
    return {
      ...result.DocumentWithSignature.length > 0 && {
        DocumentWithSignature: result.DocumentWithSignature,
      },
      ...result.SignatureObject.length > 0 && { SignatureObject: result.SignatureObject },
      ...params.returnValidationInfo && {
        validationInfo: {
          ocsp: [],
          crl: authority.isOwn ? [(await authority.crl()).toBase64()] : [],
          certificates: [key.certificate, ...authority.chain].map((each) =>
            new Uint8Array(each).toBase64()
          ),
        },
      },
    };
  });
}

/** Uses the SAD up, or ends what it stands for. Nothing is signed before this is on the disk. */
async function redeem(
  { store }: SigningOptions,
  caller: Caller,
  { SAD, credentialID }: { SAD?: string; credentialID: string },
  hashesBy: (hash: HashName) => readonly string[],
  { hashAlgorithm, scheme, deviation = "hash_unauthorized" }: {
    hashAlgorithm?: string;
    scheme?: SignatureAlgorithm["scheme"];
    deviation?: CscError["code"];
  },
): Promise<Authorized> {
  const sad = caller.sad ?? (SAD === undefined ? undefined : sha256(SAD));
  if (sad === undefined) throw new CscError("sad_missing");
  const result = await store.run(async (tx): Promise<Authorized | CscError> => {
    const refused = (code: CscError["code"], reason: string, transaction?: string) => {
      tx.audit({ event: "sad.refused", client: caller.client, transaction, reason });
      return new CscError(code, reason);
    };
    const found = await tx.transaction({ sad });
    if (!found?.person) return refused("sad_invalid", "unknown");
    const { transaction, facts } = found;
    const [row, credential] = await Promise.all([
      tx.person(found.person).then((row) => row!),
      tx.credential(transaction.credential).then((credential) => credential!),
    ]);
    if (row.locked !== null) return refused("credential_locked", "locked", transaction.id);
    // Of a wrong algorithm nothing could come; it does not cost the SAD.
    if (scheme && credential.id === credentialID && scheme !== schemeOf(credential.keyType)) {
      return refused("sign_algorithm_invalid", "scheme", transaction.id);
    }
    const binding = transaction.binding!;
    const hash = hashByOid(binding.hashAlgorithm);
    const hashes = hashesBy(hash);
    const { outcome, ...state } = step({ transaction, guard: row.guard }, {
      type: "use",
      sad,
      client: caller.client,
      credential: credentialID,
      hashes,
      hashAlgorithm,
    }, tx.now);
    await tx.saveState(state, row);
    if (!outcome.ok) {
      const code = outcome.refusal === "deviation"
        ? deviation
        : outcome.refusal === "expired"
        ? "sad_expired"
        : "sad_invalid";
      return refused(code, outcome.refusal, transaction.id);
    }
    tx.audit({
      event: "sad.used",
      client: caller.client,
      transaction: transaction.id,
      person: found.person,
      credential: credential.id,
      hashes,
      hashAlgorithm: binding.hashAlgorithm,
    });
    return { transaction: transaction.id, credential, person: row.person, facts, hash, hashes };
  });
  if (result instanceof CscError) throw result;
  return result;
}

/** A key with its certificate; every signature was checked against it. */
interface Ready {
  certificate: Uint8Array;
  chain: readonly Uint8Array[];
  algorithm: SignatureAlgorithm;
  sign(input: { digest: Uint8Array }): Promise<Uint8Array>;
}

async function withKey<T>(
  options: SigningOptions,
  authorized: Authorized,
  work: (key: Ready) => Promise<T>,
): Promise<T> {
  const { store, authority } = options;
  const { transaction, credential, person, hash, hashes, facts } = authorized;
  let serial: string | undefined;
  const settle = (type: "signed" | "failed", more: Record<string, unknown>) =>
    store.run(async (tx) => {
      const found = (await tx.transaction({ id: transaction }))!;
      const row = (await tx.person(person.id))!;
      const { outcome, ...state } = step(
        { transaction: found.transaction, guard: row.guard },
        { type },
        tx.now,
      );
      // Given up by the sweep: the audit has said that there is no signature, and so there is none.
      if (type === "signed" && !outcome.ok) throw new CscError("sad_expired", "it took too long");
      await tx.saveState(state, row);
      tx.audit({
        event: type === "signed" ? "signature.made" : "signature.failed",
        transaction,
        person: person.id,
        credential: credential.id,
        serial,
        ...more,
      });
    });
  try {
    const { key, certificate, ...opened } = await openKey(options, authorized);
    serial = opened.serial;
    const algorithm = { scheme: schemeOf(credential.keyType), hash };
    let result: T;
    try {
      result = await work({
        certificate,
        chain: authority.chain,
        algorithm,
        sign: async ({ digest }) => {
          const signature = await key.sign(algorithm, digest);
          if (!verifySignature(certificate, algorithm, { digest }, signature)) {
            throw new CscError("server_error", "the key made a signature that is not valid");
          }
          return signature;
        },
      });
    } finally {
      await key.close();
    }
    await settle("signed", { hashes, consent: facts.consent, kind: "departmental PIN/OTP" });
    return result;
  } catch (error) {
    const known = error instanceof FormatError
      ? new CscError("document_malformed", error.message)
      : toCscError(error);
    await settle("failed", { reason: known.reason ?? known.message });
    throw known;
  }
}

async function openKey(
  { store, keys, authority }: SigningOptions,
  { credential, person, transaction }: Authorized,
): Promise<{ key: OpenKey; certificate: Uint8Array; serial: string }> {
  if (credential.kind === "one-time") {
    const { key, publicKey } = await keys.oneTime(credential.keyType);
    try {
      const applicant = { key, type: credential.keyType, publicKey };
      const { der, serial } = await authority.issue(person, applicant, {
        kind: "one-time",
        transaction,
      });
      return { key, certificate: der, serial };
    } catch (error) {
      await key.close();
      throw error;
    }
  }
  const row = await store.read((tx) => tx.certificate(credential.serial!));
  if (!row || row.revokedAt !== null) throw new CscError("credential_disabled", "revoked");
  if (row.notAfter <= store.now()) throw new CscError("certificate_expired");
  return { key: await keys.open(credential.key!), certificate: row.der, serial: row.serial };
}

/** One CMS: with its content, or over a digest. A PDF's has no signing time (EN 319 142-1 §6.3). */
async function signCms(
  options: SigningOptions,
  key: Ready,
  content: { content: Uint8Array } | { digest: Uint8Array },
  { signature_format, conformance_level }: Pick<Signed, "signature_format" | "conformance_level">,
): Promise<Uint8Array> {
  const prepared = prepareSignedData(content, key, {
    ...signature_format === "C" && { signingTime: new Date(options.store.now()) },
  });
  const { hash } = key.algorithm;
  const cms = prepared.complete(await key.sign({ digest: digestOf(hash, prepared.toBeSigned) }));
  if (!isTimestamped(conformance_level)) return cms;
  const { timestamp } = levelServices(options);
  return await timestampSignature(cms, hash, (hash, digest) => timestamp(hash, digest, never));
}

async function signPdf(
  options: SigningOptions,
  key: Ready,
  { person, facts, hash }: Authorized,
  bytes: Uint8Array,
  how: Pick<Signed, "conformance_level" | "signed_envelope_property">,
): Promise<Uint8Array> {
  const prepared = preparePades(pdfOfBytes(bytes, hash), key, {
    level: levelOf(how.conformance_level),
    time: new Date(options.store.now()),
    signerName: person.name,
    reason: facts.purpose,
    ...how.signed_envelope_property === "Certification" && { certify: 2 },
  });
  const signature = await key.sign({ digest: digestOf(hash, prepared.toBeSigned) });
  return concat(bytes, await prepared.complete(signature, levelServices(options), never));
}

/** `AdES-B-T` → `B-T` */
const levelOf = (conformance: Signed["conformance_level"]): Level =>
  conformance.slice("AdES-".length) as Level;

/** What the levels above B-B ask of the network, as the service is configured. */
export const levelServices = (
  { tsa, validationData }: Pick<SigningOptions, "tsa" | "validationData">,
): LevelServices => ({
  timestamp: (hash, digest) => requestTimestamp(tsa!, hash, digest),
  validationData,
});

/** What has begun is finished, though the caller may have gone: the SAD is used up. Each step has a time limit. */
const never = new AbortController().signal;
