/** A SAD is used up: from here on it authorizes exactly one attempt to sign exactly what it was given for. */
import type { HashName, SignatureAlgorithm } from "../formats/signer.ts";
import { hashByOid } from "./algorithms.ts";
import { CscError } from "./error.ts";
import { schemeOf } from "./keys.ts";
import { cscCode } from "./refusals.ts";
import type { Credential, Facts, Person } from "./rows.ts";
import { sha256 } from "./secrets.ts";
import type { Store } from "./store.ts";

/** The caller, and its token. */
export interface Caller {
  client: string;
  /** Hash of the access token, where its scope is `credential`: it takes the SAD's place. */
  sad?: string;
}

/** A SAD that was used up: what it may sign, and with what. */
export interface Authorized {
  transaction: string;
  client: string;
  credential: Credential;
  person: Person;
  facts: Facts;
  hash: HashName;
  hashes: readonly string[];
}

/** Request with a SAD. */
export interface Wanted {
  /** Documents and digests of documents, or bare digests. */
  asked: "signDoc" | "signHash";
  hashesBy(hash: HashName): readonly string[];
  hashAlgorithm?: string;
  scheme?: SignatureAlgorithm["scheme"];
}

/**
 * Uses the SAD up, or ends what it stands for. Nothing is signed before this is on the disk.
 *
 * @throws {CscError} `sad_missing`, `sad_invalid`, `sad_expired`, `credential_locked`, `hash_unauthorized` and the like
 */
export async function redeem(
  store: Store,
  caller: Caller,
  { SAD, credentialID }: { SAD?: string; credentialID: string },
  { asked, hashesBy, hashAlgorithm, scheme }: Wanted,
): Promise<Authorized> {
  const { client } = caller;
  const sad = caller.sad ?? (SAD === undefined ? undefined : sha256(SAD));
  if (sad === undefined) throw new CscError("sad_missing");
  const result = await store.run(async (tx): Promise<Authorized | CscError> => {
    const refused = (code: CscError["code"], reason: string, transaction?: string) => {
      tx.audit({ event: "sad.refused", client, transaction, reason });
      return new CscError(code, reason);
    };
    const [known, named] = await Promise.all([tx.find({ sad }), tx.credential(credentialID)]);
    const own = known?.transaction.credential ?? credentialID;
    const credential = own === credentialID ? named : await tx.credential(own);
    if (!known || !credential) return refused("sad_invalid", "unknown");
    const { id, binding } = known.transaction;
    // Of a wrong algorithm nothing could come; it does not cost the SAD.
    if (scheme && credential.id === credentialID && scheme !== schemeOf(credential.keyType)) {
      return refused("sign_algorithm_invalid", "scheme", id);
    }
    const hash = hashByOid(binding!.hashAlgorithm);
    const hashes = hashesBy(hash);
    const { outcome, row: { person }, facts } = tx.happen(known, {
      type: "use",
      bare: asked === "signHash",
      sad,
      client,
      credential: credentialID,
      hashes,
      hashAlgorithm,
    });
    if (!outcome.ok) return refused(cscCode(asked, outcome.refusal), outcome.refusal, id);
    tx.audit({
      event: "sad.used",
      client,
      transaction: id,
      person: person.id,
      credential: credential.id,
      hashes,
      hashAlgorithm: binding!.hashAlgorithm,
    });
    return { transaction: id, client, credential, person, facts, hash, hashes };
  });
  if (result instanceof CscError) throw result;
  return result;
}
