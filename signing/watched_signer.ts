/** A key whose PIN may prove wrong only when it signs. */
import type { Signer } from "../formats/signer.ts";
import { SignerError, type SignerErrorCode } from "../signers/provider.ts";

/** After these the key signs nothing more: each further signature would cost another try, or ask a person who said no. */
const FINAL: ReadonlySet<SignerErrorCode> = new Set([
  "pin_incorrect",
  "pin_locked",
  "pin_expired",
  "user_cancelled",
  "consent_timeout",
]);

/** Tells of the key what its PIN was, by its signatures, and keeps it from signing after a wrong one. */
export function watched(
  signer: Signer,
  { right, wrong }: { right(): void; wrong(error: SignerError): void },
): Signer {
  let failed: SignerError | undefined;
  return {
    certificate: signer.certificate,
    chain: signer.chain,
    algorithm: signer.algorithm,
    close: () => signer.close(),
    async sign(input, signal) {
      if (failed) throw failed;
      try {
        const signature = await signer.sign(input, signal);
        right();
        return signature;
      } catch (error) {
        if (error instanceof SignerError && FINAL.has(error.code)) wrong(failed ??= error);
        throw error;
      }
    },
  };
}
