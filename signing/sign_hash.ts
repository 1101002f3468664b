/** Signatures over digests alone. */
import { HASHES } from "../formats/digest.ts";
import { DsignError } from "../protocol/errors.ts";
import type { ParsedParams, Result } from "../protocol/methods.ts";
import { signedWith } from "./key_access.ts";
import { noDigests } from "./post_quantum.ts";
import { sign } from "./signature.ts";
import type { SigningContext } from "./signing_context.ts";
import type { Caller } from "./unlock.ts";

/** How many digests of one request are at the token at a time. */
const PIPELINE = 32;

export async function signHash(
  signing: SigningContext,
  params: ParsedParams<"sign.hash">,
  caller: Caller,
): Promise<Result<"sign.hash">> {
  const digests = params.digests.map((digest) => Uint8Array.fromBase64(digest));
  const length = HASHES[params.hash].length;
  if (digests.some((digest) => digest.length !== length)) {
    throw new DsignError("invalid_params", `digests: each must be ${length} bytes long.`);
  }
  const items = digests.map((digest) => ({
    name: "",
    mediaType: "",
    size: null,
    hash: { algorithm: params.hash, hex: digest.toHex() },
    preview: null,
  }));
  const wanted = { ...params, format: "digest", items, blind: true, accepts: noDigests };
  return await signing.keys.use(wanted, caller, async (lease) => {
    const signatures = new Array<string>(digests.length);
    const failures: unknown[] = [];
    let next = 0;
    let done = 0;
    const worker = async () => {
      while (next < digests.length && failures.length === 0) {
        const i = next++;
        try {
          signatures[i] = (await sign(lease, { digest: digests[i] }, caller.signal)).toBase64();
          if (++done % PIPELINE === 0) caller.progress?.("signing", done, digests.length);
        } catch (error) {
          failures.push(error);
        }
      }
    };
    // After a failure, what is at the token comes to rest first.
    await Promise.all(Array.from({ length: Math.min(digests.length, PIPELINE) }, worker));
    if (failures.length > 0) throw failures[0];
    return { signatures, ...signedWith(lease.signer) };
  });
}
