import { FormatError } from "../error.ts";
import type { SignatureOptions } from "./options.ts";
import type { PdfDocument } from "../pdf/document.ts";
import { type PdfDict, PdfName, PdfString, serialize, textOf, textString } from "../pdf/value.ts";

/**
 * The author's requirements for a signature in this field (ISO 32000-2 Table 237). Refuses requirements that we
 * cannot meet or do not know.
 */
export function checkSeedValue(
  document: PdfDocument,
  seed: PdfDict,
  subFilter: string,
  { reason, certify }: SignatureOptions,
): void {
  const required = document.number(seed, "Ff") ?? 0;
  const values = (key: string) =>
    (document.array(seed, key)?.items ?? []).map((item) => {
      const value = document.resolve(item);
      return value instanceof PdfName
        ? value.value
        : value instanceof PdfString
        ? value
        : undefined;
    });
  const refuse = (what: string) => {
    throw new FormatError("document_locked", `The author of the field requires ${what}.`);
  };
  const filter = document.name(seed, "Filter");
  if (required & 1 && filter !== undefined && filter !== "Adobe.PPKLite") {
    refuse(`the signature handler ${filter}`);
  }
  if (required & 2 && !values("SubFilter").includes(subFilter)) {
    refuse("another signature format (SubFilter)");
  }
  if (required & 8) {
    const reasons = values("Reasons").filter((value) => value instanceof PdfString);
    const given = reason === undefined ? undefined : serialize(textString(reason));
    if (!reasons.some((value) => serialize(value) === given)) {
      refuse("one of the reasons listed in the field");
    }
  }
  // The digest is chosen with the key; the one that all keys can use has to be welcome.
  if (required & 64) {
    const digests = values("DigestMethod").map((value) =>
      value instanceof PdfString ? textOf(value) : value
    );
    if (!digests.includes("SHA256")) refuse("a digest other than SHA-256");
  }
  const mdp = document.dict(seed, "MDP");
  const level = mdp && (document.number(mdp, "P") ?? 0);
  if (level !== undefined && level !== (certify ?? 0)) {
    refuse(level === 0 ? "a signature that does not certify" : `a certification (level ${level})`);
  }
  const version = document.number(seed, "V") ?? 1;
  // LegalAttestation, AddRevInfo, LockDocument, AppearanceFilter.
  if (required & (16 | 32 | 128 | 256) || (required & 4 && version > 3)) {
    refuse("something that D-Sign does not support");
  }
}
