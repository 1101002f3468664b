/** A signature's value: made by the key, checked against the certificate that the person was shown. */
import { withMlDsa } from "../formats/keys/ml_dsa.ts";
import type { Signer, SigningInput } from "../formats/signer.ts";
import { verifySignature } from "../formats/x509/signature.ts";
import { DsignError } from "../protocol/errors.ts";
import { certificateOf } from "./certificates.ts";
import { throwIfCancelled } from "./errors.ts";
import type { Credential } from "./tokens.ts";

/** Signs, and lets nothing out that the shown certificate does not verify. */
export async function sign(
  { signer, credential }: {
    signer: Pick<Signer, "algorithm" | "sign">;
    credential: { key: Pick<Credential["key"], "certificate"> };
  },
  input: SigningInput,
  signal: AbortSignal,
): Promise<Uint8Array> {
  throwIfCancelled(signal);
  const signature = await signer.sign(input, signal);
  const { publicKey } = certificateOf(credential.key.certificate);
  const { algorithm } = signer;
  if (!await withMlDsa(() => verifySignature(publicKey, algorithm, input, signature))) {
    throw new DsignError("signature_invalid");
  }
  return signature;
}
