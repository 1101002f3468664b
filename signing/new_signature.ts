/**
 * Signatures over data that nobody has signed yet, as CMS or JSON. Nothing that a stranger wrote is parsed for them, so
 * no reader makes them (data.ts has the others).
 */
import { prepareSignedData } from "../formats/cms/write.ts";
import { prepareJws } from "../formats/json/jws_write.ts";
import type { Signer } from "../formats/signer.ts";
import type { Content } from "./content.ts";
import type { DataHow, Of } from "./data.ts";

/** How such data is signed. */
export type NewHow = Exclude<Of<"cades" | "jws">, { countersign: unknown }>;

/** A signature but for its value. */
export interface Prepared {
  readonly toBeSigned: Uint8Array;
  complete(signature: Uint8Array): Uint8Array;
}

/** Whether nothing has to be parsed: neither XML nor a signature to which this one is added. */
export const isNew = (how: DataHow): how is NewHow =>
  (how.format === "cades" || how.format === "jws") && !("countersign" in how) &&
  how.cosign === undefined;

/** Builds the CMS or the JWS up to the bytes to be signed. */
export function prepareNew(
  how: NewHow,
  content: Content,
  signer: Pick<Signer, "certificate" | "chain" | "algorithm">,
  signingTime: Date,
): Prepared {
  const detached = how.packaging === "detached";
  if (how.format === "cades") {
    const signed = detached
      ? { digest: content.digest(signer.algorithm.hash) }
      : { content: content.bytes };
    return prepareSignedData(signed, signer, { signingTime });
  }
  const { toBeSigned, complete } = prepareJws({
    ...signer,
    payload: content.bytes,
    detached,
    signingTime,
    contentType: content.mediaType === "application/json" ? "json" : undefined,
  });
  return {
    toBeSigned,
    complete: (signature) => new TextEncoder().encode(complete(signature)),
  };
}
