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
    let done = 0;
    await inPipeline(digests.length, async (i) => {
      signatures[i] = (await sign(lease, { digest: digests[i] }, caller.signal)).toBase64();
      if (++done % PIPELINE === 0) caller.progress?.("signing", done, digests.length);
    });
    return { signatures, ...signedWith(lease.signer) };
  });
}

/** Runs `work` for 0 … count−1, some at a time; rejects with the first failure after all have come to rest. */
async function inPipeline(count: number, work: (i: number) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count && failures.length === 0) {
      try {
        await work(next++);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  const workers: Promise<void>[] = [];
  while (workers.length < Math.min(count, PIPELINE)) workers.push(worker());
  await Promise.all(workers);
  if (failures.length > 0) throw failures[0];
}
