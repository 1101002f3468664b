/**
 * The one verifier: what a signed file is worth, whatever its format (EN 319 102-1). Bytes, trust anchors, the present
 * and further material are given; nothing is fetched or looked up.
 */
import { FormatError } from "../error.ts";
import { bytesSource, type Source } from "../source.ts";
import { unarmour, unsignedAround } from "./armour.ts";
import { asicFacts } from "./asic.ts";
import { cmsContentDigest, cmsFacts } from "./cms.ts";
import type { VerifyContent } from "../content.ts";
import { detectFormat } from "./format.ts";
import {
  isContent,
  judgeRoute,
  jwsContentDigest,
  jwsFacts,
  type RouteFacts,
  routeFacts,
} from "./json.ts";
import { joinMaterial, readMaterial } from "./material.ts";
import { ignoredFinding } from "./notices.ts";
import { pdfFacts } from "./pdf.ts";
import type {
  Finding,
  Indication,
  RouteReport,
  SignatureReport,
  VerificationReport,
  VerifiedFormat,
} from "./report.ts";
import { finding, Judge, type SignatureFacts, type VerifyOptions } from "./signature.ts";
import { checkXmlSize } from "../xml/document.ts";
import { xmlFacts } from "./xml.ts";
import type { Certificate } from "../x509/certificate.ts";

export type { VerifyContent } from "../content.ts";
export type { SignatureFacts, VerifyOptions } from "./signature.ts";
export type { VerificationReport } from "./report.ts";

export interface VerifyFile {
  source: Source;
  /** Opens an encrypted PDF. */
  password?: string;
  /**
   * Gives the content of a detached signature, or null where it is not at hand. A signature that holds its content
   * must hold the same.
   *
   * @param name as the signature names it (XML, routes); null where it gives no name
   */
  content?: (name: string | null) => VerifyContent | null;
  /** Certificates (DER) that signatures may not hold: the signer's, and those that lead to a root. */
  certificates?: readonly Uint8Array[];
}

/** The report, with what one would need to look for more evidence. */
export interface Verification {
  report: VerificationReport;
  /** Certificates of signers and timestamp authorities. */
  ends: Certificate[];
  /** Others that stand in the file. */
  known: Certificate[];
}

/** All but PDFs are read whole. */
const MAX_SIZE = 512 * 1024 * 1024;

/**
 * Verifies every signature of a file.
 *
 * @throws {FormatError} where the file is none of the formats, or cannot be read at all; anything that is wrong with a
 *   signature stands in the report
 */
export function verifyFile(file: VerifyFile, options: VerifyOptions): Verification {
  const facts = readFacts(file);
  return {
    report: judgeFacts(facts, options, file.certificates),
    ...certificatesOf(facts.signatures),
  };
}

/**
 * The part of {@linkcode verifyFile} that decides what the facts are worth.
 *
 * @param certificates (DER) that signatures may not hold
 */
export function judgeFacts(
  { format, ...found }: Facts,
  options: VerifyOptions,
  certificates: readonly Uint8Array[] = [],
): VerificationReport {
  const given = readMaterial({ certificates });
  const material = options.material ? joinMaterial(given, options.material) : given;
  const judge = new Judge({ ...options, material });
  const signatures = judge.signatures(found.signatures);
  const route = found.route ? judgeRoute(found.route, signatures) : null;
  const findings = [
    ...found.findings ?? [],
    ...route ? unproven(route) : [],
    ...fileFindings(signatures, found, options),
  ];
  return {
    version: 1,
    format,
    verifiedAt: options.now.toISOString(),
    indication: overall(signatures, findings),
    findings,
    signatures,
    route,
  };
}

/** What a file says, without trust. */
export interface Facts {
  format: VerifiedFormat;
  signatures: SignatureFacts[];
  findings?: Finding[];
  route?: RouteFacts;
}

/**
 * The part of {@linkcode verifyFile} that needs no trust: whether each signature holds, over what, by whose key.
 *
 * @throws {FormatError} as there
 */
export function readFacts(file: VerifyFile): Facts {
  const { source } = file;
  const content = file.content ?? (() => null);
  const format = detectFormat(source);
  const bytes = () => {
    if (source.size > MAX_SIZE) {
      throw new FormatError("limit_exceeded", "The signed file is larger than 512 MiB.");
    }
    return source.read(0, source.size);
  };
  switch (format) {
    case "pdf":
      return { format, ...pdfFacts(source, file) };
    case "cms": {
      const wrapped = bytes();
      const cms = unarmour(wrapped);
      const given = content(null);
      const around = unsignedAround(wrapped);
      const findings = [
        ...otherContent(given, () => cmsContentDigest(cms)),
        ...around ? [ignoredFinding([around])] : [],
      ];
      return { format, signatures: cmsFacts(cms, given, file.certificates), findings };
    }
    case "xml":
      checkXmlSize(source.size);
      return { format, ...tryXml(() => xmlFacts(bytes(), content, file.certificates)) };
    case "asic":
      return { format, signatures: asicFacts(bytes(), file.certificates) };
    case "jws": {
      const jws = decode(bytes());
      const given = content(null);
      const findings = otherContent(given, () => jwsContentDigest(jws));
      return { format, signatures: jwsFacts(jws, content, file.certificates), findings };
    }
    case "route":
      return { format, ...tryRoute(decode(bytes()), content) };
  }
}

/** {@linkcode verifyFile} for bytes in memory. */
export function verifyBytes(
  bytes: Uint8Array,
  options: VerifyOptions & Pick<VerifyFile, "content" | "password" | "certificates">,
): VerificationReport {
  return verifyFile({ ...options, source: bytesSource(bytes) }, options).report;
}

/** A signature that holds its content says nothing of another that is given: so it must not seem to. */
function otherContent(given: VerifyContent | null, held: () => Uint8Array | undefined): Finding[] {
  const sha256 = given ? held()?.toHex() : undefined;
  if (!given || sha256 === undefined || isContent(given, sha256)) return [];
  const message = "The content beside the signature is not the one that was signed.";
  return [finding("content_changed", message)];
}

/** XML that is not supported is not thereby wrong. */
function tryXml(
  read: () => SignatureFacts[],
): { signatures: SignatureFacts[]; findings: Finding[] } {
  try {
    return { signatures: read(), findings: [] };
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== "xml_unsupported") throw error;
    return { signatures: [], findings: [finding("algorithm_unsupported", error.message)] };
  }
}

/** A route is right as a whole or not at all. */
function tryRoute(text: string, content: (name: string | null) => VerifyContent | null) {
  try {
    return routeFacts(text, content);
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== "route_malformed") throw error;
    const { message } = error;
    return {
      signatures: [],
      findings: [{ code: "route_wrong", severity: "failed", message } as const],
    };
  }
}

function unproven({ steps }: RouteReport): Finding[] {
  return steps.filter((step) => step.unproven.length > 0).map(({ role, unproven }) => ({
    code: "route_unproven",
    severity: "unclear",
    message: `${role} does not count: nobody vouches for the certificate of ${
      unproven.join(" and of ")
    }.`,
  }));
}

function fileFindings(
  signatures: readonly SignatureReport[],
  { findings = [] }: { findings?: Finding[] },
  { pan }: VerifyOptions,
): Finding[] {
  const signed = signatures.filter(({ kind }) => kind !== "timestamp");
  if (signed.length === 0 && findings.every(({ severity }) => severity === "notice")) {
    const message = "There is no signature in the file.";
    return [{ code: "no_signature", severity: "unclear", message }];
  }
  if (pan !== undefined && signed.length > 0 && !signed.some(({ panMatches }) => panMatches)) {
    const differs = signed.some(({ panMatches }) => panMatches === false);
    return [{
      code: differs ? "pan_differs" : "pan_absent",
      severity: "unclear",
      message: differs
        ? "None of the signatures is that of the PAN's holder."
        : "The certificates do not say whose PAN it is.",
    }];
  }
  return [];
}

function overall(
  signatures: readonly SignatureReport[],
  findings: readonly Finding[],
): Indication {
  const all = [
    ...signatures.flatMap(flatten).map(({ indication }) => indication),
    ...findings.map(({ severity }): Indication =>
      severity === "failed"
        ? "TOTAL-FAILED"
        : severity === "unclear"
        ? "INDETERMINATE"
        : "TOTAL-PASSED"
    ),
  ];
  return (["TOTAL-FAILED", "INDETERMINATE"] as const).find((each) => all.includes(each)) ??
    "TOTAL-PASSED";
}

const flatten = (report: SignatureReport): SignatureReport[] => [
  report,
  ...report.countersignatures.flatMap(flatten),
];

/** The certificates of signers and timestamp authorities, and others in the file. */
export function certificatesOf(
  signatures: readonly SignatureFacts[],
): Pick<Verification, "ends" | "known"> {
  const ends = new Map<string, Certificate>();
  const known = new Map<string, Certificate>();
  const add = (into: Map<string, Certificate>, each?: Certificate) =>
    each && into.set(each.fingerprint, each);
  const visit = (facts: SignatureFacts) => {
    add(ends, facts.certificate);
    for (const { token, material } of facts.timestamps) {
      add(ends, token.certificate);
      for (const each of material.certificates) add(known, each);
    }
    for (const each of facts.material.certificates) add(known, each);
    facts.countersignatures?.forEach(visit);
  };
  signatures.forEach(visit);
  return { ends: [...ends.values()], known: [...known.values()] };
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new FormatError("json_malformed", "The file is not UTF-8 text.", { cause });
  }
}
