/** XAdES (EN 319 132-1 §5.3–5.5): unsigned properties, put in as text so that every other byte stays. */
import type { AddedData, Augmenter, PreparedTimestamp, Target } from "../augment.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import type { HashName } from "../signer.ts";
import { DS, Transform, XADES, XADES_141 } from "./algorithms.ts";
import { insertAt, type XmlDocument } from "./document.ts";
import { Problem } from "./problem.ts";
import { archiveInput, canonicalForm, only, qualifyingProperties } from "./properties.ts";
import type { ReferenceContext } from "./reference.ts";
import { childElements, childrenNamed, type XmlElement } from "./tree.ts";
import { openSignatures } from "./xades_verify.ts";

const exclusive = { kind: "exclusive", withComments: false } as const;
const METHOD = `<ds:CanonicalizationMethod xmlns:ds="${DS}" Algorithm="${Transform.exclusive}"/>`;

export const xmlAugmenter: Augmenter = {
  signatureTimestamp(target, hash) {
    return reading(target, (place) => {
      const value = only(place.signature, DS, "SignatureValue");
      return stamping(place, hash, [canonicalForm(value, exclusive)], "xades:SignatureTimeStamp");
    });
  },

  addValidationData(target, data) {
    return reading(target, (place) => {
      const { unsigned } = place;
      const isTaken = ["CertificateValues", "RevocationValues"].some((name) =>
        unsigned && childrenNamed(unsigned, XADES, name).length > 0
      );
      // §5.4.2, §5.4.3: each once; what comes later belongs to timestamps (§5.5.1).
      return insert(
        place,
        isTaken ? element("a:TimeStampValidationData", values(data)) : values(data),
      );
    });
  },

  archiveTimestamp(target, hash) {
    return reading(target, (place) => {
      const { signature, context, unsigned } = place;
      const before = unsigned ? childElements(unsigned) : [];
      const input = archiveInput(signature, before, context, exclusive);
      return stamping(place, hash, input, "a:ArchiveTimeStamp");
    });
  },
};

interface Place {
  document: XmlDocument;
  context: ReferenceContext;
  signature: XmlElement;
  properties: XmlElement;
  /** `xades:UnsignedSignatureProperties`, where there is one already. */
  unsigned?: XmlElement;
}

function reading<T>({ file, index, content }: Target, use: (place: Place) => T): T {
  const { document, context, signatures } = openSignatures(file, content);
  const signature = signatures[index];
  if (!signature) throw new FormatError("not_found", "The document has no such signature.");
  try {
    const properties = qualifyingProperties(signature);
    if (!properties) {
      throw new FormatError(
        "algorithm_unsupported",
        "The signature is a plain XML Signature. Levels are for XAdES.",
      );
    }
    const [unsigned] = childrenNamed(properties, XADES, "UnsignedProperties").slice(0, 1)
      .flatMap((each) => childrenNamed(each, XADES, "UnsignedSignatureProperties"));
    return use({ document, context, signature, properties, unsigned });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const message = `Nothing can be added to the signature (${error.problem}).`;
    throw new FormatError("algorithm_unsupported", message);
  }
}

function stamping(
  place: Place,
  hash: HashName,
  input: readonly Uint8Array[],
  name: string,
): PreparedTimestamp {
  return {
    imprint: digest(hash, ...input),
    complete: (token) =>
      insert(
        place,
        element(name, METHOD + element("xades:EncapsulatedTimeStamp", token.toBase64())),
      ),
  };
}

function values({ certificates, crls, ocspResponses }: AddedData): string {
  const list = (name: string, ders: readonly Uint8Array[]) =>
    ders.map((der) => element(`xades:${name}`, der.toBase64())).join("");
  const wrap = (name: string, content: string) => content && element(`xades:${name}`, content);
  return wrap("CertificateValues", list("EncapsulatedX509Certificate", certificates)) +
    wrap(
      "RevocationValues",
      wrap("CRLValues", list("EncapsulatedCRLValue", crls)) +
        wrap("OCSPValues", list("EncapsulatedOCSPValue", ocspResponses)),
    );
}

/** Its prefixes are declared where it begins: what they mean in the document is unknown. */
const element = (name: string, content: string) =>
  `<${name} xmlns:xades="${XADES}"${
    name.startsWith("a:") ? ` xmlns:a="${XADES_141}"` : ""
  }>${content}</${name}>`;

/** Puts properties after those that are there. */
function insert({ document, properties, unsigned }: Place, content: string): Uint8Array {
  if (unsigned) return insertAt(document, unsigned, content);
  const [outer] = childrenNamed(properties, XADES, "UnsignedProperties");
  const inner = element("xades:UnsignedSignatureProperties", content);
  // The schema has it before the properties of data objects.
  if (outer && childElements(outer).length > 0) {
    throw new FormatError(
      "algorithm_unsupported",
      "The signature has unsigned properties of a kind that leaves no place for others.",
    );
  }
  return outer
    ? insertAt(document, outer, inner)
    : insertAt(document, properties, element("xades:UnsignedProperties", inner));
}
