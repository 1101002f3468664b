/** Adding signers to a JWS: several signatures over one payload, each with its own certificate. */
import { FormatError } from "../error.ts";
import { encodeBase64url as encode, type HeaderOptions } from "./jws_header.ts";
import { type PreparedJws, prepareOver } from "./jws_write.ts";
import { hasRawPayload, readJws } from "./serialization.ts";

/**
 * Builds one more JSON signature up to the bytes to be signed. Earlier signatures stay as they are.
 *
 * @param options `jws` in any serialisation; `payload` only where that is detached
 * @throws {FormatError} `jws_malformed`, `algorithm_unsupported`, `certificate_malformed`; `invalid_argument` where the
 *   payload of a detached JWS is missing or is given beside another
 */
export function prepareAddedJws(
  { jws, payload: given, ...options }: HeaderOptions & { jws: string; payload?: Uint8Array },
): PreparedJws {
  const { payload: held, signatures } = readJws(jws);
  const payload = held ?? (given && encode(given));
  if (payload === undefined || (held !== undefined && given)) {
    throw new FormatError(
      "invalid_argument",
      "Pass the payload for a detached JWS, and only then.",
    );
  }
  if (hasRawPayload(signatures)) {
    const message =
      "A signature cannot be added to a JWS whose payload is not encoded (b64: false).";
    throw new FormatError("algorithm_unsupported", message);
  }
  const existing = signatures.map(({ header, others: _, ...each }) =>
    Object.keys(header).length > 0 ? { ...each, header } : each
  );
  return prepareOver(options, { payload, detached: held === undefined, existing });
}
