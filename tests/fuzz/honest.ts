/** Whether what is called valid was signed so: for signed files that are mutated. */
import assert from "node:assert/strict";
import { readMaterial } from "../../formats/verify/material.ts";
import type { SignatureReport, VerificationReport } from "../../formats/verify/report.ts";
import { makeCrl } from "../fixtures/issue.ts";
import { makePki, type OfficerOptions, type Pki } from "../fixtures/pki.ts";
import { authorities } from "../fixtures/signed_files.ts";

/** Files that were found in earlier runs are signed with the same certificates, and as valid as those of this one. */
export const now = new Date("2026-11-30T12:00:00Z");
export const pkiOf = (...officers: OfficerOptions[]): Pki =>
  makePki({ now, officers, isRepeatable: true });

/** With these, signatures of a test PKI are valid though they hold neither certificates of authorities nor CRLs. */
export const trusting = (pki: Pki) => ({
  now,
  anchors: [pki.root.certificate],
  material: readMaterial({
    certificates: authorities(pki).map(({ certificate }) => certificate.der),
    crls: authorities(pki).map((each) => makeCrl(each, [], { now })),
  }),
});

/** Everything that a signature says, as far as its signer signed it; keys on curves are others in each run, and so certificates. */
const claim = (
  { kind, signer, role, reason, location, algorithm, coverage }: SignatureReport,
  content: string,
) =>
  JSON.stringify([
    ...[kind, signer?.subject, role, reason, location, algorithm],
    // of a PDF, bytes may follow
    coverage.extent === "part" ? coverage.parts : [],
    content,
  ]);

/** Claims of those signatures that are valid, with those of their countersignatures. */
function claims(signatures: readonly SignatureReport[], content: string): string[] {
  return signatures.filter(({ indication }) => indication === "TOTAL-PASSED").flatMap((each) => [
    claim(each, content),
    ...claims(each.countersignatures, content),
  ]);
}

/** Remembers the claims of honest files, and holds mutants to them. */
export class Honest {
  readonly #claims = new Set<string>();

  /**
   * @param verify undefined for what is not read at all
   * @param contentOf the content that is signed, read in another way than by what is tried; null if it cannot be
   */
  constructor(
    readonly verify: (bytes: Uint8Array) => VerificationReport | undefined,
    readonly contentOf: (bytes: Uint8Array, report: VerificationReport) => string | null,
  ) {}

  #claimsOf(bytes: Uint8Array): string[] {
    const report = this.verify(bytes);
    if (!report?.signatures.some(({ indication }) => indication === "TOTAL-PASSED")) return [];
    const content = this.contentOf(bytes, report);
    return content === null ? [] : claims(report.signatures, content);
  }

  /** @throws {AssertionError} where an honest signature is not valid: then this would try nothing */
  learn(files: readonly Uint8Array[]): void {
    for (const bytes of files) {
      const found = this.#claimsOf(bytes);
      assert.ok(found.length > 0, "a signature of ours is not valid");
      for (const each of found) this.#claims.add(each);
    }
  }

  /** @throws {AssertionError} where a signature is valid over something else than was signed */
  check(bytes: Uint8Array): void {
    for (const each of this.#claimsOf(bytes)) {
      assert.ok(this.#claims.has(each), `valid, but not signed so: ${each}`);
    }
  }
}
