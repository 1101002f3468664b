/** How long the proofs of a signature last by themselves: until then an archive timestamp can renew them. */
import type { SignatureFacts } from "./signature.ts";

/**
 * The end of the certificate on which the proof rests: the last archive timestamp's authority's; the signature
 * timestamp's authority's, where there is revocation information too; otherwise the signer's.
 *
 * @returns undefined where there is no certificate
 */
export function lastsUntil(
  { timestamps, material, certificate }: SignatureFacts,
): Date | undefined {
  const good = timestamps.filter(({ token }) => token.problems.length === 0);
  const archives = good.filter(({ kind }) => kind === "archive");
  const isLongTerm = material.crls.length + material.ocspResponses.length > 0;
  const ends = (archives.length > 0 ? archives : isLongTerm ? good : [])
    .flatMap(({ token }) => token.certificate?.notAfter ?? []);
  return ends.length > 0
    ? new Date(Math.max(...ends.map((end) => end.getTime())))
    : certificate?.notAfter;
}
