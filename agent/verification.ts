/** Verifying with what the network can tell, where that is wanted. */
import {
  type VerificationReport,
  type VerifyFile,
  verifyFile,
  type VerifyOptions,
} from "../formats/verify.ts";
import { collectEvidence } from "./evidence.ts";
import type { PkiHttp } from "./pki_http.ts";

/**
 * Verifies a file.
 *
 * @param http where given, issuers, OCSP answers and CRLs are fetched for what is in the file, once
 * @returns the report, and what could not be fetched, in sentences
 * @throws {FormatError} as `verifyFile`
 */
export async function verify(
  file: VerifyFile,
  options: VerifyOptions,
  http?: PkiHttp,
): Promise<{ report: VerificationReport; problems: string[] }> {
  const { report, ends, known } = verifyFile(file, options);
  if (!http || ends.length === 0) return { report, problems: [] };
  const { material } = options;
  const certificates = [...known, ...material?.certificates ?? []];
  const evidence = await collectEvidence(ends, certificates, options.anchors, http);
  const all = {
    certificates: [...certificates, ...evidence.certificates],
    crls: [...evidence.crls, ...material?.crls ?? []],
    ocspResponses: [...evidence.ocspResponses, ...material?.ocspResponses ?? []],
  };
  return {
    report: verifyFile(file, { ...options, material: all }).report,
    problems: evidence.problems,
  };
}
