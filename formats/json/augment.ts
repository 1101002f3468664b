/** JAdES (ETSI TS 119 182-1 §5.3): components of `etsiU`, as strings, so that it is clear what an archive timestamp covers. */
import type { Augmenter, Target } from "../augment.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { encodeBase64url } from "./jws_header.ts";
import { isObject, jwsMalformed, readJsonObject, readJws } from "./serialization.ts";
import { archiveInput, hasValues } from "./unsigned.ts";
import { signedParts } from "./jws_verify.ts";

const utf8 = new TextEncoder();

export const jsonAugmenter: Augmenter = {
  signatureTimestamp(target, hash) {
    const { signature } = at(target);
    return {
      imprint: digest(hash, utf8.encode(signature)),
      complete: (token) => append(target, { sigTst: tokens(token) }),
    };
  },

  addValidationData(target, data) {
    const { etsiU } = at(target);
    const { certificates, crls, ocspResponses } = data;
    const xVals = certificates.map((der) => ({ x509Cert: value(der) }));
    const rVals = {
      ...crls.length > 0 && { crlVals: crls.map(value) },
      ...ocspResponses.length > 0 && { ocspVals: ocspResponses.map(value) },
    };
    const has = { xVals: xVals.length > 0, rVals: Object.keys(rVals).length > 0 };
    // §5.3.5.1, §5.3.5.2: each once; what comes later belongs to timestamps.
    if (hasValues(etsiU)) {
      return append(target, { tstVD: { ...has.xVals && { xVals }, ...has.rVals && { rVals } } });
    }
    return append(target, ...has.xVals ? [{ xVals }] : [], ...has.rVals ? [{ rVals }] : []);
  },

  archiveTimestamp(target, hash) {
    const { signature, etsiU } = at(target);
    const payload = target.content(null)?.bytes?.();
    const signed = signedParts(text(target), target.index, payload);
    if (!signed) {
      throw new FormatError(
        "algorithm_unsupported",
        "An archive timestamp cannot be added to a JSON signature of this form, or its payload is missing.",
      );
    }
    return {
      imprint: digest(hash, utf8.encode(archiveInput(signed, signature, etsiU))),
      complete: (token) => append(target, { arcTst: tokens(token) }),
    };
  },
};

const text = ({ file }: Target) => new TextDecoder("utf-8", { fatal: true }).decode(file);

const value = (der: Uint8Array) => ({ val: der.toBase64() });
const tokens = (token: Uint8Array) => ({ tstTokens: [value(token)] });

function at(target: Target): { signature: string; etsiU: readonly unknown[] } {
  const found = readJws(text(target)).signatures[target.index];
  if (!found) throw new FormatError("not_found", "The JWS does not contain this signature.");
  const { signature, header: { etsiU = [] } } = found;
  if (!Array.isArray(etsiU) || !etsiU.every((each) => typeof each === "string")) {
    throw new FormatError(
      "algorithm_unsupported",
      "Nothing can be added to a JSON signature whose unsigned components are not in base64url.",
    );
  }
  return { signature, etsiU };
}

/** The members that are there stay as they are; a compact JWS becomes a flattened one, as it has no unsigned header. */
function append(target: Target, ...components: Record<string, unknown>[]): Uint8Array {
  const jws = text(target);
  const isCompact = !jws.trimStart().startsWith("{");
  const { payload, signatures: [only] } = isCompact ? readJws(jws) : { signatures: [] };
  const root: Record<string, unknown> = isCompact
    ? { payload, protected: only!.protected, signature: only!.signature }
    : readJsonObject(jws);
  const list = Array.isArray(root.signatures) ? root.signatures : [root];
  const signature: unknown = list[target.index];
  if (!isObject(signature)) throw jwsMalformed("The JSON is not a JWS.");
  const header = isObject(signature.header) ? signature.header : {};
  const added = components.map((each) => encodeBase64url(utf8.encode(JSON.stringify(each))));
  signature.header = { ...header, etsiU: [...at(target).etsiU, ...added] };
  return utf8.encode(JSON.stringify(root));
}
