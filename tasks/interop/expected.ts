/** Expected verdicts on files of DSS that do not pass, each with its reason. */
export interface Exception {
  /** Of file names. */
  pattern: RegExp;
  verdict: "INDETERMINATE" | "not read";
  reason: string;
}

export const exceptions: readonly Exception[] = [
  {
    pattern: /^xades-internally-detached-/,
    verdict: "INDETERMINATE",
    reason: "the signature covers one element of the document, which is named, not the document",
  },
  {
    pattern: /^pades-timestamp-only/,
    verdict: "INDETERMINATE",
    reason: "a document timestamp is nobody's signature",
  },
];
