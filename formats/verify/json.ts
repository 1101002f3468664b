/** Verification of JSON signatures and signing routes, in the terms of the report. */
import { canonicalJson } from "../json/canonical.ts";
import { digest } from "../digest.ts";
import { FormatError } from "../error.ts";
import { jwsPayload, type JwsProblem, type JwsSignature, verifyJws } from "../json/jws_verify.ts";
import { readRoute } from "../json/route.ts";
import { whoIsNext } from "../json/turn.ts";
import type { VerifyContent } from "../content.ts";
import { stampsOf, tryRead } from "./facts.ts";
import { ignoredFinding, unreadFinding, unsupportedFinding } from "./notices.ts";
import { readMaterial } from "./material.ts";
import type { Finding, FindingCode, RouteReport, SignatureReport } from "./report.ts";
import { finding, type SignatureFacts } from "./signature.ts";

const problems: Readonly<
  Record<Exclude<JwsProblem, "algorithm_unsupported">, [FindingCode, string]>
> = {
  malformed: ["format_wrong", "The signature's header is malformed."],
  certificate_missing: [
    "certificate_missing",
    "The signer's certificate is neither in the signature nor given.",
  ],
  certificate_not_as_signed: [
    "certificate_not_as_signed",
    "The signer meant another certificate than the one in the signature.",
  ],
  signature_wrong: ["signature_wrong", "The content or the signature was changed."],
  content_changed: ["content_changed", "The content was changed after it was signed."],
  content_missing: ["content_missing", "The signed content was not given."],
};

/**
 * Facts of every signature of a JWS.
 *
 * @param content of a detached JWS (null), or by the URI in its header
 * @param certificates of possible signers, DER, besides those in the JWS
 * @throws {FormatError} as `verifyJws`
 */
export function jwsFacts(
  text: string,
  content: (name: string | null) => VerifyContent | null,
  certificates: readonly Uint8Array[] = [],
): SignatureFacts[] {
  const given = {
    content: (uri: string) => content(uri)?.bytes?.() ?? null,
    certificates,
  };
  let result;
  try {
    result = verifyJws(text, { ...given, payload: content(null)?.bytes?.() });
  } catch (error) {
    // It holds its payload: any other at hand says nothing of it.
    if (!(error instanceof FormatError) || error.code !== "invalid_argument") throw error;
    result = verifyJws(text, given);
  }
  return result.signatures.map((each, index) => signatureFacts(each, String(index + 1)));
}

function signatureFacts(
  signature: JwsSignature,
  id: string,
  kind: SignatureFacts["kind"] = "signature",
): SignatureFacts {
  const findings = signature.problems.flatMap((problem) =>
    problem === "algorithm_unsupported" ? [] : [finding(...problems[problem])]
  );
  const { unsupported, ignored, unread, files, algorithm } = signature;
  const isUnsupported = signature.problems.includes("algorithm_unsupported");
  if (isUnsupported) findings.push(unsupportedFinding(unsupported));
  if (ignored.length > 0) findings.push(ignoredFinding(ignored));
  if (unread.length > 0) findings.push(unreadFinding(unread));
  if (!signature.namesCertificate && !isUnsupported && !signature.problems.includes("malformed")) {
    const message = "The signer did not sign which certificate is meant.";
    findings.push(finding("signing_certificate_absent", message));
  }
  if (signature.isJoined && signature.problems.length === 0) {
    const message =
      "The signature is over several files put together: the end of one could have been moved to the next.";
    findings.push(finding("ambiguous", message));
  }
  const material = readMaterial(signature);
  return {
    id,
    kind,
    findings,
    certificate: tryRead(signature.certificate, findings),
    algorithm: algorithm ?? undefined,
    value: signature.value ?? undefined,
    hashes: algorithm?.hash ? [algorithm.hash] : [],
    coverage: { extent: "whole", parts: files },
    claimedTime: signature.signingTime ?? undefined,
    isBaseline: signature.namesCertificate && signature.signingTime !== null,
    timestamps: stampsOf(signature.timestamps, material, findings),
    material,
    countersignatures: signature.countersignatures.map((each, index) =>
      signatureFacts(each, `${id}.${index + 1}`, "countersignature")
    ),
  };
}

/** Progress of a route by its signatures alone. */
export interface RouteFacts extends Pick<RouteReport, "content" | "next"> {
  steps: Omit<RouteReport["steps"][number], "unproven">[];
}

/**
 * A route by what its signatures are worth: a step counts only by certificates that lead to a trusted root.
 *
 * @param signatures the one that set the route up, then the statements, in order
 */
export function judgeRoute(
  { content, steps, next }: RouteFacts,
  [setUp, ...signatures]: readonly SignatureReport[],
): RouteReport {
  const isProven = ({ indication }: SignatureReport) => indication === "TOTAL-PASSED";
  const rest = [...signatures];
  const judged = steps.map((step) => {
    const own = rest.splice(0, step.signed.length);
    return { ...step, unproven: step.signed.filter((_, i) => !isProven(own[i])) };
  });
  const isComplete = next === null && judged.every(({ unproven }) => unproven.length === 0);
  return { content, isComplete, isSetUpProven: isProven(setUp), steps: judged, next };
}

/**
 * Facts of a signing route: of the signature that set it up, and of each on it.
 *
 * @param content by the name that the route gives it
 * @throws {FormatError} `route_malformed` where the route does not hold as a whole
 */
export function routeFacts(
  text: string,
  content: (name: string) => VerifyContent | null,
): { signatures: SignatureFacts[]; findings: Finding[]; route: RouteFacts } {
  const status = readRoute(text);
  const { route: { content: named }, steps, next, statements } = status;
  const file: { route: string; statements: string[] } = JSON.parse(text);
  const [setUp, ...signed] = [file.route, ...file.statements].map((jws, index) => ({
    ...signatureFacts(verifyJws(jws).signatures[0], String(index)),
    coverage: { extent: "whole" as const, parts: [named.name] },
  }));
  const findings: Finding[] = [];
  if (next !== null) {
    const message = whoIsNext(status).replace(/^.*?turn\. /, "");
    findings.push({ code: "route_incomplete", severity: "unclear", message });
  }
  const given = content(named.name);
  if (!given) {
    findings.push(finding("content_missing", `${named.name}, which was signed, was not given.`));
  } else if (!isContent(given, named.sha256)) {
    findings.push(
      finding("content_changed", `${named.name} is not the content that the route is for.`),
    );
  }
  return {
    signatures: [
      { ...setUp, kind: "route" },
      ...signed.map((each, index) => ({ ...each, role: statements[index].role })),
    ],
    findings,
    route: { content: named, steps, next },
  };
}

/** Digest of the payload that a JWS embeds; undefined if it is detached. @throws {FormatError} as `verifyJws` */
export function jwsContentDigest(text: string): Uint8Array | undefined {
  const payload = jwsPayload(text);
  return payload ? digest("SHA-256", payload) : undefined;
}

/** Accepts JSON in canonical form too (RFC 8785), because that is what the agent signs. */
export function isContent(content: VerifyContent, sha256: string): boolean {
  if (content.digest("SHA-256")?.toHex() === sha256) return true;
  try {
    const bytes = content.bytes?.();
    return bytes !== undefined && digest("SHA-256", canonicalJson(bytes)).toHex() === sha256;
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
