/** The file around a signature's value: made here where nothing is parsed for it, otherwise by the reader. */
import { prepareSignedData } from "../formats/cms/write.ts";
import type { Level } from "../online/pades.ts";
import { performFor } from "../online/services.ts";
import { DsignError } from "../protocol/errors.ts";
import { askInSteps, type Stepped } from "../reader/steps.ts";
import { type Content, plain } from "./content.ts";
import type { Lease } from "./logins.ts";
import { type NewHow, type Prepared, prepareNew } from "./new_signature.ts";
import type { DataBy, DataStep, questions } from "./questions.ts";
import type { Asking } from "./reading.ts";
import { sign } from "./signature.ts";
import { askingFor, type SigningContext } from "./signing_context.ts";
import type { SignedBy } from "./to_be_signed.ts";
import type { Caller } from "./unlock.ts";

/**
 * Makes a signature over data: the reader puts the file together, the key signs here, and only what is over the
 * content that the person was shown.
 */
export async function makeByReader<T>(
  signing: SigningContext,
  ask: (by: DataBy, asking: Asking) => Promise<Stepped<DataStep, T>>,
  { lease, caller, isOurs }: {
    lease: Lease;
    caller: Caller;
    isOurs: (toBeSigned: Uint8Array, by: SignedBy) => boolean;
  },
): Promise<T> {
  const { certificate, chain, algorithm } = lease.signer;
  const signer = { certificate, chain, algorithm };
  const signingTime = signing.tokens.now();
  const now = signingTime.toISOString();
  const { signal } = caller;
  return await askInSteps(
    (done) => ask({ signer, hash: algorithm.hash, now, done }, askingFor(caller)),
    async (step) => {
      if (!("sign" in step)) {
        return await performFor(signing.services.online, step, askingFor(caller));
      }
      if (!isOurs(step.sign, { ...signer, signingTime })) {
        throw new DsignError("signature_invalid");
      }
      return await sign(lease, { message: step.sign }, signal);
    },
  );
}

/** Signs data that nobody has signed yet. */
export async function signNew(
  signing: SigningContext,
  how: NewHow,
  content: Content,
  lease: Lease,
  caller: Caller,
) {
  const prepared = prepareNew(how, content, lease.signer, signing.tokens.now());
  return await complete(signing, prepared, how.level, plain(content), lease, caller);
}

/**
 * Signs a document's digest, detached.
 *
 * @param digest by the signature's own hash
 */
export async function signCades(
  signing: SigningContext,
  lease: Lease,
  digest: Uint8Array,
  level: Level,
  caller: Caller,
) {
  const { signer } = lease;
  const prepared = prepareSignedData({ digest }, signer, { signingTime: signing.tokens.now() });
  const { hash } = signer.algorithm;
  return await complete(signing, prepared, level, { hash, digest }, lease, caller);
}

/** Signs what was prepared here. A reader brings it to a level above B-B, which strangers' answers are parsed for. */
async function complete(
  signing: SigningContext,
  prepared: Prepared,
  level: Level,
  content: Parameters<typeof questions["raiseLast"]>[0]["content"],
  lease: Lease,
  caller: Caller,
): Promise<Uint8Array> {
  const message = prepared.toBeSigned;
  const signature = prepared.complete(await sign(lease, { message }, caller.signal));
  if (level === "B-B") return signature;
  const { certificate } = lease.signer;
  const { reader, online } = signing.services;
  const asking = askingFor(caller);
  return await askInSteps(
    (done) => reader.ask("raiseLast", { signature, level, content, certificate, done }, asking),
    (step) => performFor(online, step, asking),
  );
}
