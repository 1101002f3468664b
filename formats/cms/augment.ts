/** CAdES: EN 319 122-1 §5.3 (signature timestamp), §5.4 (values), §5.5 (archive timestamp). */
import { Oid } from "../asn1/oids.ts";
import type { Augmenter } from "../augment.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { addUnsignedAttributes, addValidationData, encodeAttribute } from "./add.ts";
import { prepareArchiveTimestamp } from "./archive.ts";
import { readSignedData } from "./read.ts";

export const cmsAugmenter: Augmenter = {
  signatureTimestamp({ file, index }, hash) {
    const signer = readSignedData(file).signers[index];
    if (!signer) {
      throw new FormatError("not_found", "The signature does not contain this signer.");
    }
    return {
      imprint: digest(hash, signer.signature),
      complete: (token) =>
        addUnsignedAttributes(file, [index], [encodeAttribute(Oid.signatureTimestamp, token)]),
    };
  },
  addValidationData: ({ file }, data) => addValidationData(file, data),
  archiveTimestamp({ file, index, content }, hash) {
    const isDetached = readSignedData(file).content === undefined;
    const digested = isDetached ? content(null)?.digest(hash) : undefined;
    return prepareArchiveTimestamp(file, index, hash, digested);
  },
};
